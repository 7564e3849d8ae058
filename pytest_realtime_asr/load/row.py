"""The row of a session under load: plain values, without the frames.

The row is made when the session has ended. Everything in the row can be pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import (
    Measured,
    Purpose,
    Transcription,
)
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.requirements.violations import Violation
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import End, Ending, Trace, Vantage
from pytest_realtime_asr.trace.timeline import Refusal, Timeline
from pytest_realtime_asr.verdicts.utterance_record import Conditions


@dataclass(frozen=True, slots=True)
class Found:
    """A violation of a requirement, as plain values.

    ``requirement`` is the id of the requirement. The other fields are those of
    `Violation`.
    """

    requirement: str
    message: str
    count: int
    record: int | None
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """How a session began and ended; the fields are those of `Trace`."""

    started: datetime
    opened: int | None
    end: End
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A session that has ended.

    ``stream`` is the number of the stream in the level, and ``number`` is the number of
    the session in the stream; both count from 0. ``clip`` is the id of the utterance
    before its variation, and ``perturbation`` is the name of the variation.

    Five times are in seconds since the start of the level. ``due`` is the planned start
    of the session, and ``began`` is its actual start. ``speech`` is the planned start
    of its audio, and ``planned`` is the planned end of its audio. ``ended`` is the time
    at which the session was over.

    The violations are in ``found``, not in ``measured``. ``partials`` is the number of
    texts before the final. ``refusal`` is the code of the last error that the server
    sent, or ``None`` if it sent no error. ``trace`` is the trace as JSON Lines, or
    ``None`` if it was dropped. ``level`` is the number of the level in its test, or
    ``None`` for a session before the first level.
    """

    stream: int
    number: int
    clip: str
    perturbation: str
    phase: Phase
    due: float
    began: float
    speech: float
    planned: float
    ended: float
    opened: Opened
    measured: Measured
    lost: Loss = Loss.NONE
    reason: str = ""
    partials: int = 0
    refusal: str | None = None
    found: tuple[Found, ...] = ()
    worker: int = 0
    trace: bytes | None = field(default=None, repr=False)
    level: int | None = None

    @property
    def unopened(self) -> bool:
        """Whether this machine could not open the connection of the session.

        For example, no local port was free. This says nothing about the server.
        """
        known = self.opened
        return known.opened is None and known.end.how is Ending.CANCELLED

    @property
    def seconds(self) -> float:
        """The length in seconds of the audio that was sent."""
        return self.measured.counts.seconds

    def take(
        self,
        plan: Plan,
        clips: Mapping[str, Utterance],
        *,
        purpose: Purpose,
        conditions: Conditions,
    ) -> Transcription:
        """Return the transcription of the session, for verdicts and reports.

        ``plan`` is the plan of the session. ``clips`` maps ids to utterances.
        """
        return Transcription(
            utterance=_varied(clips[self.clip], self.perturbation),
            recording=self._recording(plan),
            dialect=plan.dialect,
            rules=plan.rules,
            found=plan.found,
            lost=self.lost,
            reason=self.reason,
            conditions=replace(conditions, perturbation=self.perturbation),
            purpose=purpose,
            kept=replace(self.measured, violations=self._violations(plan)),
            written=self.trace,
            level=self.level,
        )

    def _recording(self, plan: Plan) -> Recording:
        """Return the recording of the session without its frames."""
        known = self.opened
        rate = plan.dialect.rate
        trace = Trace(
            vantage=Vantage.CLIENT,
            dialect=plan.dialect.name,
            rate=rate,
            target=plan.access.target.shown,
            started=known.started,
            opened=known.opened,
            records=(),
            end=known.end,
            version=plan.version,
            redactor=plan.redactor,
            port=known.port,
        )
        session = self.measured.session
        timeline = Timeline(rate, known.opened, None, (), known.end, session=session)
        return Recording(trace, (), timeline)

    def _violations(self, plan: Plan) -> tuple[Violation, ...]:
        by_id = {each.id: each for each in plan.rules}
        return tuple(
            Violation(
                by_id[each.requirement],
                each.message,
                each.count,
                each.record,
                ours=each.ours,
                dialect=plan.dialect.name,
            )
            for each in self.found
        )


def refusal_code(timeline: Timeline) -> str | None:
    """Return the code of the server's last error, or ``None`` if there is no error."""
    codes = [event.code for event in timeline.events if isinstance(event, Refusal)]
    return codes[-1] if codes else None


def _varied(utterance: Utterance, perturbation: str) -> Utterance:
    """Return an utterance with the id of its variation, but with unchanged audio."""
    if not perturbation:
        return utterance
    return replace(
        utterance,
        id=f"{perturbation}+{utterance.clip}",
        perturbation=perturbation,
        original=utterance.original or utterance,
    )
