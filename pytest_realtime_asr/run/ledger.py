"""The sessions and utterances of the running test.

A session belongs to the test that was running when the session opened. At the end of
the test, all its sessions are closed and judged, before pytest reports the test.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Begun, Purpose, Transcription
from pytest_realtime_asr.load.capacity import Capacity
from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.drain import Drain
from pytest_realtime_asr.load.incomplete_level import IncompleteLevel
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.soak import Soak
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.turns import Turn
from pytest_realtime_asr.verdicts.parity import Parity

CUT_OFF = Lost(Loss.CANCELLED, "the test ended before the final came")
INTERRUPTED = Lost(Loss.CANCELLED, "the run was interrupted before the final came")


LoadFinding = Drain | Soak | CapacityFinding | CrossTalkFinding | IncompleteLevel
"""A result of a test under load; each such result has its own verdict."""


class Ended(RuntimeError):
    """A fixture or a session was used after the end of its test."""


@dataclass(frozen=True, slots=True)
class RandomOrder:
    """The random order in which a test sends clips.

    ``seed`` determines the order. The test runs at most ``most`` sessions.
    """

    seed: int
    most: int


@dataclass(slots=True)
class Ledger:
    """The sessions of a test, and the utterances that were begun in these sessions.

    The *place* of an utterance is its number, from 0, in the order in which the
    utterances of the test began. ``open`` and ``ended`` hold the utterances by place.
    ``begun`` is the number of utterances that have begun. ``order`` is set if clips are
    sent in random order until the verdicts are decided. While the test has its
    ``turn``, other workers run no sessions. ``records`` are the levels of load that
    have ended, and ``capacities`` are the results of searches. ``closed`` says that the
    test has ended.
    """

    test: str
    sessions: list[Live] = field(default_factory=list)
    begun: int = 0
    open: dict[int, Begun] = field(default_factory=dict)
    ended: dict[int, Transcription] = field(default_factory=dict)
    order: RandomOrder | None = None
    parities: list[Parity] = field(default_factory=list)
    records: list[LevelRecord] = field(default_factory=list)
    load_findings: list[LoadFinding] = field(default_factory=list)
    capacities: list[Capacity] = field(default_factory=list)
    turn: Turn = field(default_factory=Turn)
    closed: bool = False
    _adding: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def takes(self) -> tuple[Transcription, ...]:
        """The utterances that have ended, in the order in which they began."""
        return tuple(self.ended[place] for place in sorted(self.ended))

    def begin(self, begun: Begun) -> int:
        """Record that an utterance begins; return its number in the test, from 0.

        Raises `Ended` if the test has ended.
        """
        self.refuse_closed()
        place = self.add()
        self.open[place] = begun
        return place

    def add(self) -> int:
        """Count an utterance that another process sends; return its number in the test.

        The utterances of a test are numbered from 0 in the order in which they begin.
        """
        with self._adding:
            place = self.begun
            self.begun += 1
        return place

    def end(self, place: int, take: Transcription) -> None:
        """Record the result of an utterance.

        ``place`` is the number of the utterance in the test, from 0.
        """
        self.ended[place] = take
        self.open.pop(place, None)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels of load that have ended."""
        return tuple(each.level for each in self.records)

    def end_level(self, record: LevelRecord) -> None:
        """Record a level of load that has ended.

        Only the end of a level shows which of its sessions were the worst. This method
        adds the traces of these sessions to their transcriptions.
        """
        self.records.append(record)
        rows = record.level.rows
        kept = {(row.opened.started, row.measured.session): row.trace for row in rows}
        for place, take in self.ended.items():
            trace = kept.get((take.trace.started, take.session))
            if trace is not None and take.kept is not None:
                self.ended[place] = replace(take, written=trace)

    def count_level(self, level: Level) -> None:
        """Count the sessions of the steady part of a level as sessions of the test."""
        self.records[:] = [
            replace(each, level=replace(each.level, purpose=Purpose.TEST))
            if each.level.number == level.number
            else each
            for each in self.records
        ]
        for place, take in self.ended.items():
            if take.level == level.number and take.purpose is Purpose.SEARCH:
                self.ended[place] = replace(take, purpose=Purpose.TEST)

    def refuse_closed(self) -> None:
        """Raise `Ended` if the test has ended."""
        __tracebackhide__ = True
        if self.closed:
            raise Ended(
                f"{self.test} has ended, so its sessions are closed and its fixture "
                "cannot be used; request the fixture in each test that uses it"
            )

    @property
    def sequence(self) -> Iterator[tuple[int, Transcription]]:
        """Yield the ended utterances with `Purpose.TEST`, each with its number.

        Only these utterances are judged by budgets. All utterances of the test are
        numbered from 0 in the order in which they began. The iteration stops before the
        first utterance with `Purpose.TEST` that has not ended.
        """
        for place in range(self.begun):
            begun = self.open.get(place)
            if begun is not None and begun.purpose is Purpose.TEST:
                return
            take = self.ended.get(place)
            if take is not None and take.purpose is Purpose.TEST:
                yield place, take

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The violations by the servers in all sessions of the test.

        A session is not checked again if it was checked when its last utterance ended
        and its recording has not changed since then.
        """
        known = {id(take.recording): take for take in self.ended.values()}
        found: list[Violation] = []
        for live in self.sessions:
            recording = live.recording
            take = known.get(id(recording))
            found += (
                observe(live.plan.rules, Part("", recording))
                if take is None
                else take.violations
            )
        for take in self.takes:
            if take.kept is not None:  # of a session that ran in another process
                found += take.violations
        return tuple(found)
