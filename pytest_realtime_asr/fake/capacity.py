"""The capacity of a fake server: how many utterances it serves as it should.

An utterance counts from its start to its final, and so takes a `Place`. An idle session
takes none, since a server computes nothing for it. Only `CapacityMode.REFUSE` counts
open sessions instead, because a handshake comes before any utterance.
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
    """What a server does beyond its capacity; see `Workload`."""

    QUEUE = "queue"
    REFUSE = "refuse"
    SLOW = "slow"
    DIE = "die"
    TEXT = "text"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Capacity:
    """The ``number`` of utterances (or sessions) at a time, and what happens beyond."""

    number: int
    mode: CapacityMode = CapacityMode.QUEUE

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"a capacity of {self.number} is less than 1")


class Place:
    """What one utterance gets of a server, until `Workload.end`.

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

    ``capacity`` is ``None`` for a server that serves any number. Beyond the capacity:

    - ``queue``: an utterance waits until another one ends. Its recognition then runs in
      real time, so that its partials and its final are delayed by as long as it has
      waited.
    - ``refuse``: a handshake is refused (`refuses`).
    - ``slow``: N places are shared by M > N utterances, so that the audio of all of
      them is recognised at N/M of real time. An utterance never catches up.
    - ``die``: the process must end when a further utterance begins (`is_deadly`).
    - ``text``: every third word of the utterances that began beyond the capacity is
      lost (`keeps_word`).
    - ``less``: an utterance that began beyond the capacity gets a partial only after
      every third word, and its delays are half as long.
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
        """The number of utterances that wait for a place."""
        return len(self._waiting)

    @property
    def usage(self) -> float:
        """The share of the places that are taken, from 0 to 1; 0 without a capacity."""
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

        It is 0 during an overload, and ``inf`` if there was none.
        """
        if self._is_overloaded:
            return 0.0
        return time.monotonic() - self._overload_ended

    def refuses(self, sessions: int) -> bool:
        """Return whether to refuse a handshake while ``sessions`` are open."""
        if self.capacity is None or self._mode is not CapacityMode.REFUSE:
            return False
        if sessions < self.capacity.number:
            return False
        self._overload_ended = time.monotonic()
        return True

    def begin(self) -> Place:
        """Give an utterance that begins one of the places, and return it."""
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
        """Free the place of an utterance; may be called twice."""
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

        Each call is for a new word; words are counted over all utterances, so that
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
        """Divide the speed of the server among the utterances."""
        if self.capacity is not None and self._mode is CapacityMode.SLOW:
            self._clock.rate = min(1.0, self.capacity.number / max(1, self.running))
