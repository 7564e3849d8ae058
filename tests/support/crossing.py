"""A simulation of a client and a server that are connected by two slow lines."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
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
WAIT = ""  # in a plan: wait until the server has completed an utterance
PIECE = "a "  # of text
USAGE = Usage(1, 1, seconds=1.0)


@dataclass(frozen=True)
class SimulatedSession:
    """One simulated session, as each side recorded it.

    ``texts`` are the transcripts of the utterances. ``finished`` has, for each frame
    that the server received, the utterance whose audio it completed.
    """

    client: Trace
    server: Trace
    texts: Sequence[str]
    finished: Sequence[tuple[str, int | None]]


@dataclass(frozen=True)
class Side:
    """What a client sends in a simulation.

    ``plan`` makes the frames of a session. A frame with one of the types ``ends``
    completes an utterance. ``stamped`` makes the record of a frame that the client
    sent at a time.
    """

    plan: Callable[[random.Random], list[str]]
    ends: tuple[str, ...]
    stamped: Callable[[str, int], Record] = lambda frame, at: Record(CLIENT, at, frame)


@dataclass
class _Utterance:
    """An utterance of the server, and whether audio arrived for it."""

    fed: bool
    text: str = ""
    finishing: bool = False
    over: bool = False


@dataclass
class Simulation:
    """A session under a virtual clock; everything random comes from the seed.

    A ``hasty`` server sends the final of an utterance as soon as it has started.
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
        self._arrived = {CLIENT: 0, SERVER: 0}  # when the last frame arrived
        self._records: dict[Sender, list[Record]] = {CLIENT: [], SERVER: []}
        self._longest = self._random.choice((1, 20, 100, 300)) * MS
        self._plan = self.side.plan(self._random)
        self._fed = False  # audio arrived for the next utterance

    def run(self, dialect: Dialect) -> SimulatedSession:
        """Return the session, as it is recorded in this dialect."""
        self._send(SERVER, map(str, self.machine.open("sess-1", CREATED_AT)))
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
        return SimulatedSession(client, server, texts, self._finished)

    def _pause(self) -> int:
        return self._random.randint(1, 100 * MS)

    def _later(self, delay: int, who: str, what: str) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + delay, self._count, who, what))

    def _send(self, sender: Sender, frames: Iterable[str]) -> None:
        """Send frames together; none overtakes a frame that was sent before."""
        receiver = SERVER if sender is CLIENT else CLIENT
        due = self.now + self._random.randint(0, self._longest)
        at = self._arrived[receiver] = max(self._arrived[receiver], due)
        for frame in frames:
            record = Record(SERVER, self.now, frame)
            if sender is CLIENT:
                record = self.side.stamped(frame, self.now)
            self._records[sender].append(record)
            self._later(at - self.now, f"{receiver.value}_receives", frame)

    def _on_client(self, _: str) -> None:
        if self._plan and self._plan[0] != WAIT:
            self._send(CLIENT, [self._plan.pop(0)])
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
        self._send(SERVER, map(str, reaction.replies))
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
                self._send(SERVER, map(str, self.machine.final("", USAGE, number)))
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
            self._send(SERVER, map(str, self.machine.partial(PIECE, int(number))))

    def _on_final(self, number: str) -> None:
        utterance = self._utterances[int(number)]
        assert not utterance.over
        utterance.over = True
        text = utterance.text
        usage = replace(USAGE, completion=1 + len(text.split()))
        self._send(SERVER, map(str, self.machine.final(text, usage, int(number))))
