"""The number of utterances that a fake server can recognise properly at a time.

An utterance counts from its start to its final. An idle session does not count, since a
server computes nothing for it. `CapacityMode.REFUSE` is different: it counts open
sessions, because the server decides at the handshake, before any utterance.
"""

from __future__ import annotations

import enum
import math
import time
from collections import deque
from dataclasses import dataclass

from pytest_realtime_asr.fake.clock import Clock

_EVERY = 3  # beyond the capacity, every third word is lost, or is sent with two others
_FASTER = 0.5  # the share of its delays that a server keeps if it sends fewer partials


class CapacityMode(enum.Enum):
    """What a server does when its capacity is exceeded; see `Workload`."""

    QUEUE = "queue"
    REFUSE = "refuse"
    SLOW = "slow"
    DIE = "die"
    TEXT = "text"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The ``number`` of utterances that a server can recognise properly at a time.

    ``mode`` says what the server does when more are open. With `CapacityMode.REFUSE`,
    the number counts open sessions.
    """

    number: int
    mode: CapacityMode = CapacityMode.QUEUE

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"a capacity of {self.number} is less than 1")


class Place:
    """The conditions under which a server serves one utterance.

    All delays of the utterance are measured on ``clock``. A partial is sent after every
    ``words_per_partial`` words. The delays are multiplied by ``delay_factor``.
    ``is_beyond`` says whether the server was at its capacity when the utterance began.
    """

    def __init__(self, clock: Clock, *, is_beyond: bool, sends_less: bool) -> None:
        self.clock = clock
        self.is_beyond = is_beyond
        self.words_per_partial = _EVERY if sends_less else 1
        self.delay_factor = _FASTER if sends_less else 1.0


class Workload:
    """The open utterances of one fake server, and how they share its capacity.

    ``capacity`` is ``None`` for a server that serves any number of utterances. The mode
    of the capacity says what happens to an utterance that begins when the capacity is
    used up:

    - ``queue``: the utterance waits until a running utterance ends. It is then
      recognised in real time, so its partials and its final are late by the time that
      it has waited.
    - ``refuse``: no utterance is affected, but a new handshake is refused (`refuses`).
    - ``slow``: M open utterances share a capacity of N < M. The audio of each of them
      is recognised at N/M of the speed of real time, so that it never catches up.
    - ``die``: the process must end (`is_deadly`).
    - ``text``: every third word of the utterance is lost (`keeps_word`).
    - ``less``: the utterance gets a partial only after every third word, and its delays
      are half as long.
    """

    def __init__(self, capacity: Capacity | None = None) -> None:
        self.capacity = capacity
        self._clock = Clock()  # of all utterances, unless they wait in a queue
        self._running: set[Place] = set()
        self._waiting: deque[Place] = deque()
        self._words = 0  # words of utterances that began beyond the capacity
        self._overload_ended = -math.inf  # monotonic s

    @property
    def running(self) -> int:
        """The number of utterances that are being recognised."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """The number of utterances that wait until a running utterance ends."""
        return len(self._waiting)

    @property
    def usage(self) -> float:
        """The share of the capacity in use, from 0 to 1; 0 if no capacity is set."""
        if self.capacity is None:
            return 0.0
        return min(1.0, self.running / self.capacity.number)

    @property
    def is_deadly(self) -> bool:
        """Return whether the start of a further utterance ends the process."""
        return self._is_full and self._mode is CapacityMode.DIE

    @property
    def since_overload(self) -> float:
        """The time in s since the end of the last overload.

        During an overload, more utterances are open than the capacity allows. A refused
        handshake counts as a short overload. The time is 0 during an overload, and
        ``inf`` if no overload has occurred.
        """
        if self._is_overloaded:
            return 0.0
        return time.monotonic() - self._overload_ended

    def refuses(self, sessions: int) -> bool:
        """Return whether to refuse a handshake.

        ``sessions`` is the number of open sessions.
        """
        if self.capacity is None or self._mode is not CapacityMode.REFUSE:
            return False
        if sessions < self.capacity.number:
            return False
        self._overload_ended = time.monotonic()
        return True

    def begin(self) -> Place:
        """Count a new utterance as open, and return its `Place`.

        While the utterance waits in the queue, the clock of its place stands still.
        """
        is_full, queues = self._is_full, self._mode is CapacityMode.QUEUE
        place = Place(
            Clock(rate=0 if is_full else 1) if queues else self._clock,
            is_beyond=is_full,
            sends_less=is_full and self._mode is CapacityMode.LESS,
        )
        if is_full and queues:
            self._waiting.append(place)
        else:
            self._running.add(place)
        self._share()
        return place

    def end(self, place: Place) -> None:
        """Count an utterance as ended; a second call has no effect."""
        overloaded = self._is_overloaded
        if place in self._running:
            self._running.remove(place)
        elif place in self._waiting:
            self._waiting.remove(place)
        if self._waiting and not self._is_full:
            started = self._waiting.popleft()
            self._running.add(started)
            started.clock.rate = 1
        self._share()
        if overloaded and not self._is_overloaded:
            self._overload_ended = time.monotonic()

    def keeps_word(self, place: Place) -> bool:
        """Return whether the server recognises the next word of an utterance.

        Call this method once for each word. Every third word is lost. The words are
        counted over all utterances that began when the capacity was used up, so that
        short utterances lose words too.
        """
        if not place.is_beyond or self._mode is not CapacityMode.TEXT:
            return True
        self._words += 1
        return self._words % _EVERY != 0

    @property
    def _mode(self) -> CapacityMode | None:
        return None if self.capacity is None else self.capacity.mode

    @property
    def _is_full(self) -> bool:
        return self.capacity is not None and self.running >= self.capacity.number

    @property
    def _is_overloaded(self) -> bool:
        if self.capacity is None:
            return False
        return self.running + self.waiting > self.capacity.number

    def _share(self) -> None:
        """Set the speed of the running utterances if the mode is ``slow``."""
        if self.capacity is not None and self._mode is CapacityMode.SLOW:
            self._clock.rate = min(1.0, self.capacity.number / max(1, self.running))
