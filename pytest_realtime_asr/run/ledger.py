"""The sessions and utterances of the test that runs.

A session belongs to the test that was running when it opened. At the end of the test
all its sessions are closed and judged, so that the test itself fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.transcription import Begun, Purpose, Transcription
from pytest_realtime_asr.run.turns import Turn
from pytest_realtime_asr.verdicts.parity import Parity

CUT_OFF = Lost(Loss.CANCELLED, "cut off before its end")


class Ended(RuntimeError):
    """A fixture, or a session of it, was used after its test."""


@dataclass(frozen=True, slots=True)
class RandomOrder:
    """Clips are sent in random order, by this seed, in ``most`` sessions at most."""

    seed: int
    most: int


@dataclass(slots=True)
class Ledger:
    """The sessions of a test, and the utterances that were begun in them.

    ``open`` and ``ended`` hold the utterances by their place, which counts them in the
    order in which they began; ``begun`` is how many these are. ``order`` is set where
    clips are sent in random order until the verdicts are decided. ``turn`` is the
    test's turn among the workers of the run, ``closed`` says that the test has ended.
    """

    test: str
    sessions: list[Live] = field(default_factory=list)
    begun: int = 0
    open: dict[int, Begun] = field(default_factory=dict)
    ended: dict[int, Transcription] = field(default_factory=dict)
    order: RandomOrder | None = None
    parities: list[Parity] = field(default_factory=list)
    turn: Turn = field(default_factory=Turn)
    closed: bool = False

    @property
    def takes(self) -> tuple[Transcription, ...]:
        """The utterances that have ended, in the order in which they began."""
        return tuple(self.ended[place] for place in sorted(self.ended))

    def begin(self, begun: Begun) -> int:
        """Note an utterance that begins, and return its place.

        Raises `Ended` once the test has ended.
        """
        self.refuse_closed()
        place = self.begun
        self.open[place] = begun
        self.begun += 1
        return place

    def end(self, place: int, take: Transcription) -> None:
        """Note what became of an utterance."""
        self.ended[place] = take
        self.open.pop(place, None)

    def refuse_closed(self) -> None:
        """Raise `Ended` where the test has ended."""
        __tracebackhide__ = True
        if self.closed:
            raise Ended(
                f"{self.test} has ended, and its sessions are closed: ask for the "
                "fixture in each test that uses it"
            )

    @property
    def sequence(self) -> Iterator[tuple[int, Transcription]]:
        """The test's own utterances by place, up to the first that has not ended."""
        for place in range(self.begun):
            begun = self.open.get(place)
            if begun is not None and begun.purpose is Purpose.TEST:
                return
            take = self.ended.get(place)
            if take is not None and take.purpose is Purpose.TEST:
                yield place, take

    @property
    def violations(self) -> tuple[Violation, ...]:
        """What the servers of all sessions have violated.

        What the last utterance of a session has found is not looked for again.
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
        return tuple(found)
