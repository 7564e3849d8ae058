"""A client and a server, joined in memory by two lines with delays of their own."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pytest_realtime_asr.dialects import Dialect, Server
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Record,
    Sender,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.timeline import Usage

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
MS = 1_000_000
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
CREATED_AT = int(STARTED.timestamp())
WAIT = ""  # in a plan: until the server has ended an utterance
PIECE = "a "  # of text
USAGE = Usage(1, 1, seconds=1.0)


@dataclass(frozen=True)
class Held:
    """One simulated session as each side recorded it.

    ``texts`` is what the server made of its utterances. ``finished`` has, for each
    frame that it heard, the utterance of which it then took the audio for complete.
    """

    client: Trace
    server: Trace
    texts: Sequence[str]
    finished: Sequence[tuple[str, int | None]]


@dataclass(frozen=True)
class Side:
    """What a client says, and how it is known to the simulation.

    ``plan`` makes the frames of a session. An utterance is over with a frame that has
    one of the types ``ends``. ``stamped`` makes the record of a frame that the client
    sent at a time.
    """

    plan: Callable[[random.Random], list[str]]
    ends: tuple[str, ...]
    stamped: Callable[[str, int], Record] = lambda frame, at: Record(CLIENT, at, frame)


@dataclass
class _Utterance:
    """One of the server's: whether audio came for it, and what is said of it."""

    fed: bool
    text: str = ""
    finishing: bool = False
    over: bool = False


@dataclass
class Joined:
    """A session under a virtual clock; all that is random comes from the seed.

    A ``hasty`` server says the final of an utterance as soon as it has begun.
    """

    seed: int
    side: Side
    machine: Server
    hasty: bool = False
    slowest: int = 100 * MS  # of the server, from the end of an utterance to its final
    now: int = 0
    _utterances: list[_Utterance] = field(default_factory=list)
    _finished: list[tuple[str, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._count = 0
        self._queue: list[tuple[int, int, str, str]] = []
        self._arrived = {CLIENT: 0, SERVER: 0}  # when the last frame reached this side
        self._records: dict[Sender, list[Record]] = {CLIENT: [], SERVER: []}
        self._longest = self._random.choice((1, 20, 100, 300)) * MS
        self._plan = self.side.plan(self._random)
        self._fed = False  # audio came for the utterance that comes next

    def hold(self, dialect: Dialect) -> Held:
        """The session, as it is recorded in this dialect."""
        self._say(SERVER, self.machine.open("sess-1", CREATED_AT))
        self._later(self._pause(), "client", "")
        while self._queue:
            self.now, _, who, what = heapq.heappop(self._queue)
            getattr(self, f"_on_{who}")(what)
        client, server = (
            Trace(
                vantage,
                dialect.name,
                dialect.rate,
                "ws://test",
                STARTED,
                0,
                tuple(self._records[sender]),
                End(Ending.CLOSED_BY_US, self.now),
            )
            for sender, vantage in ((CLIENT, Vantage.CLIENT), (SERVER, Vantage.SERVER))
        )
        texts = [utterance.text for utterance in self._utterances]
        return Held(client, server, texts, self._finished)

    def _pause(self) -> int:
        return self._random.randint(1, 100 * MS)

    def _later(self, delay: int, who: str, what: str) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, who, what))

    def _say(self, sender: Sender, frames: Iterable[str]) -> None:
        """Put frames on the line together; none overtakes one that left before it."""
        peer = SERVER if sender is CLIENT else CLIENT
        due = self.now + self._random.randint(0, self._longest)
        at = self._arrived[peer] = max(self._arrived[peer], due)
        for frame in frames:
            said = Record(SERVER, self.now, frame)
            if sender is CLIENT:
                said = self.side.stamped(frame, self.now)
            self._records[sender].append(said)
            self._later(at - self.now, f"{peer.value}_receives", frame)

    def _on_client(self, _: str) -> None:
        if self._plan and self._plan[0] != WAIT:
            self._say(CLIENT, [self._plan.pop(0)])
            self._later(self._pause(), "client", "")

    def _on_client_receives(self, frame: str) -> None:
        self._records[CLIENT].append(Record(SERVER, self.now, frame))
        over = any(f'"{kind}"' in frame for kind in self.side.ends)
        if over and self._plan[:1] == [WAIT]:
            self._plan.pop(0)
            self._later(self._pause(), "client", "")

    def _on_server_receives(self, frame: str) -> None:
        self._records[SERVER].append(Record(CLIENT, self.now, frame))
        reaction = self.machine.hear(frame)
        self._say(SERVER, reaction.replies)
        number = len(self._utterances) - 1
        if reaction.drop:
            self._utterances[number].over = True
        if reaction.begin:
            number += 1
            self._utterances.append(_Utterance(self._fed))
            self._fed = False
            for _ in range(self._random.randint(0, 5)):
                self._later(2 * self._pause(), "partial", str(number))
            if self.hasty:
                self._say(SERVER, self.machine.final("", USAGE, number))
        if reaction.audio:
            if number >= 0 and not self._utterances[number].finishing:
                self._utterances[number].fed = True
            else:
                self._fed = True
        if reaction.finish:
            self._utterances[number].finishing = True
            delay = self._random.randint(1, self.slowest)
            self._later(delay, "final", str(number))
        self._finished.append((frame, number if reaction.finish else None))

    def _on_partial(self, number: str) -> None:
        utterance = self._utterances[int(number)]
        if utterance.fed and not utterance.over:
            utterance.text += PIECE
            self._say(SERVER, self.machine.partial(PIECE, int(number)))

    def _on_final(self, number: str) -> None:
        utterance = self._utterances[int(number)]
        assert not utterance.over
        utterance.over = True
        text = utterance.text
        self._say(SERVER, self.machine.final(text, USAGE, int(number)))
