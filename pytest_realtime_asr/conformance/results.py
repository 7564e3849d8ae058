"""Judges requirements. A result has a status, a reason and the violating session."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec

from pytest_realtime_asr.client.absence import is_cut_off
from pytest_realtime_asr.conformance.explained_losses import without_losses
from pytest_realtime_asr.conformance.known_causes import excused
from pytest_realtime_asr.conformance.scheduler import (
    Obstacle,
    ObstacleKind,
    ScenarioResult,
    Scheduler,
)
from pytest_realtime_asr.conformance.server_loss import ServerLoss
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.checks.refusals import FIRST
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Outcome,
    Requirement,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.reporters import refer
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import NOT_RECORDED, Sender, Vantage


class Status(enum.Enum):
    """The status of a requirement; the values are written to reports.

    `ObstacleKind` explains MISSING, LIMITED, NOT_RUN and HARNESS. OTHER_VERSION means
    that the requirement does not apply to the version of the server.
    """

    SATISFIED = "satisfied"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    STOPPED = "stopped"
    MISSING = "missing"
    LIMITED = "limited"
    NOT_RUN = "not run"
    HARNESS = "harness error"
    OTHER_VERSION = "other version"
    SAME_CAUSE = "same cause"


class ServerInfo(msgspec.Struct, frozen=True):
    """What a report says about the server that was judged.

    - ``version`` is empty if the server names no version.
    - ``suite`` is the name of the pinned suite; it is empty if none was chosen.
    - ``found`` says how the dialect was detected; it is empty if the user named the
      dialect.
    - ``max_sessions`` is the number of sessions that the server accepts at the same
      time; it is ``None`` if the run has not met such a limit.
    - ``replayed`` says that the server replays recorded sessions.

    All fields are empty if the server was unreachable.
    """

    target: str
    dialect: str
    model: str
    version: str
    suite: str
    found: str = ""
    max_sessions: int | None = None
    replayed: bool = False


_WRONG_KEY = "wrong-key"  # the role of a session with a key that the server refuses
_NOTHING = "a replay shows neither the HTTP routes nor the handshake of the server"


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a requirement.

    - ``reason`` is a sentence about what was observed, without secrets.
    - ``session`` is the session with the violation. ``records`` are the indexes of the
      records of this session that show the violation.
    - ``known`` is the requirement's entry in the list of known failures, if any.
    - ``reports_stop`` says that ``reason`` tells why the run stopped.
    - ``by_end`` says that the violation is the way in which ``session`` ended.
    """

    requirement: Requirement
    status: Status
    reason: str | None = None
    session: Part | None = None
    records: tuple[int, ...] = ()
    known: Known | None = None
    reports_stop: bool = False
    by_end: bool = False

    @property
    def flaky(self) -> bool:
        """Return whether the requirement is listed as flaky."""
        return self.known is not None and self.known.kind is Expected.FLAKY

    @property
    def stale(self) -> bool:
        """Return whether the requirement is a known failure but is satisfied."""
        listed = self.known is not None and not self.flaky
        return listed and self.status is Status.SATISFIED

    def fails(self, *, strict: bool) -> bool:
        """Return whether the test fails.

        A violated SHOULD fails the test only if ``strict`` is true.
        """
        if self.status is Status.STOPPED:
            return self.reports_stop
        if self.stale or self.status in (Status.MISSING, Status.HARNESS):
            return True
        if self.status is not Status.VIOLATED or self.known is not None:
            return False
        level = self.requirement.level
        return level is Level.MUST or (strict and level is Level.SHOULD)


@dataclass(frozen=True, slots=True)
class ServerResult:
    """A result, the judged server, and the path of the violation's trace, if any."""

    server: ServerInfo
    result: Result
    trace: str | None = None


def judge(
    requirement: Requirement,
    scheduler: Scheduler,
    dialect: Dialect,
    *,
    version: str = "",
    model: str = "",
    known: Iterable[Known] = (),
    whole: Callable[[], Evidence] | None = None,
    replayed: bool = False,
) -> Result:
    """Wait for the scenarios of a requirement; return the result of the requirement.

    If the first utterance of the run was sent, its evidence is added to the evidence of
    the scenarios, to show what the server sends in a plain session.

    ``whole`` returns the evidence of the whole run, which shows how often the server
    loses plain utterances. Losses that this rate explains are no violation.

    If the client sent an invalid frame or the check raised an exception, the result is
    a harness error, which is not attributed to the server. If the server is
    ``replayed`` from recordings, only sessions that were recorded are judged.
    """
    if not requirement.applies_to(version):
        reason = (
            f"the requirement applies to versions {requirement.interval}; the server "
            f"has version {version}"
        )
        return Result(requirement, Status.OTHER_VERSION, reason)
    listed = (e for e in known if e.id == requirement.id)
    entry = next((e for e in listed if e.applies_to(version, model)), None)
    found = scheduler.collect(requirement.scenarios)
    obstacle = found.obstacle
    if obstacle is not None and _prevents(obstacle, requirement):
        before = scheduler.loss is not None and _is_violated(requirement, found)
        if not before:
            return replace(_hindered(requirement, obstacle), known=entry)
    if own := client_violations(dialect, found.evidence):
        reason = (
            "the suite's own client sent an invalid frame, so the server is not "
            f"judged: {own[0]}"
        )
        return Result(requirement, Status.HARNESS, reason)
    evidence, causes = excused(found.evidence, scheduler, dialect)
    if not evidence.role(FIRST):
        evidence += scheduler.first
    if requirement.passive:
        evidence = scheduler.everything
    if requirement.whole_run:
        evidence = (whole or scheduler.whole)()
    if replayed and requirement.passive:
        evidence = _recorded(evidence)
    elif replayed and (reason := _unrecorded(evidence)):
        return Result(requirement, Status.UNDECIDED, reason)
    try:
        outcome = requirement.check(evidence)
        if whole is not None and isinstance(outcome, Violated) and outcome.by_loss:
            outcome = without_losses(requirement.check, evidence, outcome, whole())
        if replayed and isinstance(outcome, Violated) and _repeats(evidence):
            outcome = Undecided("one recording was replayed in several sessions")
    except Exception as error:
        reason = (
            f"the check raised {error!r}; this is an error of the check, not of the "
            "server"
        )
        return Result(requirement, Status.HARNESS, reason)
    if causes and not isinstance(outcome, Violated):
        what = next(each.what for each in evidence.findings if each.excused)
        reason = f"the same cause as {causes[0]}: {what}"
        return Result(requirement, Status.SAME_CAUSE, reason)
    return replace(_result(requirement, outcome, evidence), known=entry)


def _recorded(evidence: Evidence) -> Evidence:
    """Return the evidence without the sessions that the replay has no recording of."""
    return Evidence(tuple(p for p in evidence.parts if not p.trace.unrecorded))


def _unrecorded(evidence: Evidence) -> str:
    """Return why a replay cannot judge a requirement; return "" if it can."""
    for part in evidence.parts:
        if part.role == _WRONG_KEY:
            return _NOTHING
        if part.trace.end.code == NOT_RECORDED:
            why = part.trace.redactor.message(part.trace.end.reason)
            return f"the session was not recorded: {why}"
        if part.trace.unrecorded:
            return _NOTHING
    return _NOTHING if evidence.answers or evidence.gauges else ""


def _repeats(evidence: Evidence) -> bool:
    """Return whether a replay used one recording for several of the sessions."""
    ids = [id for part in evidence.parts if (id := part.timeline.session)]
    return len(set(ids)) < len(ids)


def _prevents(obstacle: Obstacle, requirement: Requirement) -> bool:
    """Return whether a requirement cannot be judged because of an obstacle.

    A requirement on the whole run is judged on the scenarios that had no obstacle.
    """
    return not requirement.whole_run or obstacle.kind is ObstacleKind.STOPPED


def _is_violated(requirement: Requirement, found: ScenarioResult) -> bool:
    """Return whether the server, before it was lost, violated the requirement."""
    if not found.evidence.parts or requirement.passive:
        return False
    try:
        outcome = requirement.check(found.evidence)
    except Exception:  # the check needs what the scenario could not do
        return False
    return isinstance(outcome, Violated) and not outcome.by_loss


def missing(requirement: Requirement, reason: str, *, reporter: str) -> Result:
    """Return the result of a requirement if the server could not be tested.

    ``reporter`` is the test that reports the reason. The results of all other tests
    refer to that test.
    """
    if reporter == requirement.id:
        return Result(requirement, Status.MISSING, reason)
    return Result(requirement, Status.STOPPED, refer(reporter))


class Findings:
    """The violations that a run has found so far, one for each cause.

    If the way in which one session ended violates several requirements, these
    violations have the same cause. The first of them is the finding, and the others
    refer to it.
    """

    def __init__(self) -> None:
        self._first: list[Result] = []

    def add(self, result: Result) -> Result:
        """Return the result, with the status SAME_CAUSE if its cause is already found.

        If the level of the requirement is stronger than the level of the earlier
        finding with this cause, the result is a finding of its own.
        """
        if result.status is not Status.VIOLATED or not result.by_end:
            return result
        for each in self._first:
            same = each.session is result.session
            if same and not _is_stronger(result, each):
                reason = f"the same cause as {each.requirement.id}: {result.reason}"
                return replace(result, status=Status.SAME_CAUSE, reason=reason)
        self._first.append(result)
        return result


def _is_stronger(result: Result, other: Result) -> bool:
    order = list(Level)
    return order.index(result.requirement.level) < order.index(other.requirement.level)


def stopped(result: Result, reporter: str) -> Result:
    """Return the result as it is reported after the gate has stopped the run.

    ``reporter`` is the test that reports why the run stopped. The results of all other
    tests refer to that test.
    """
    if result.status is not Status.STOPPED:
        return result
    if reporter == result.requirement.id:
        reason = f"the first utterance of the run failed: {result.reason}"
        return replace(result, reason=reason, reports_stop=True)
    return replace(result, reason=after_stop(reporter))


def lost(result: Result, loss: ServerLoss, reporter: str) -> Result:
    """Return the result as it is reported after the server was lost.

    ``reporter`` is the test that reports the loss. If a requirement could not be judged
    because of the loss, its result refers to that test. A violation in the scenario in
    which the server was lost also refers to that test, since it has the same cause.
    """
    here = result.requirement.id == reporter
    if is_hindered(result, loss):
        if here:
            return replace(result, known=None)
        return replace(result, status=Status.STOPPED, reason=after_loss(reporter))
    if not is_fatal(result, loss):
        return result
    if here:
        return replace(result, reason=f"{loss}; {result.reason}")
    reason = f"the same cause as {reporter}: {result.reason}"
    return replace(result, status=Status.SAME_CAUSE, reason=reason)


def is_hindered(result: Result, loss: ServerLoss) -> bool:
    """Return whether a requirement could not be judged because of the server's loss."""
    return result.status is Status.MISSING and result.reason == str(loss)


def is_fatal(result: Result, loss: ServerLoss) -> bool:
    """Return whether a violation may have the same cause as the loss of the server."""
    return (
        result.status is Status.VIOLATED
        and result.known is None
        and loss.scenario in result.requirement.scenarios
        and (result.session is None or is_cut_off(result.session.trace))
    )


def after_loss(reporter: str) -> str:
    """Return the reason why a test is not judged after the loss of the server.

    ``reporter`` is the test that reports the loss.
    """
    return f"not judged, since the server was lost (see {reporter})"


def after_stop(reporter: str) -> str:
    """Return the reason why a test is not tried after the gate stopped the run.

    ``reporter`` is the test that reports why the gate stopped the run.
    """
    return (
        f"not tried, since the first utterance failed (see {reporter}); "
        "use --realtime-keep-going to try this test too"
    )


def client_violations(dialect: Dialect, evidence: Evidence) -> tuple[Violation, ...]:
    """Return the violations in the client's frames, except in hand-written frames."""
    found: list[Violation] = []
    binding = [r for r in dialect.requirements if r.binds is Sender.CLIENT]
    for part in evidence.parts:
        kept = [i for i, record in enumerate(part.trace.records) if not record.raw]
        trace = replace(
            part.trace,
            vantage=Vantage.SERVER,
            records=tuple(part.trace.records[i] for i in kept),
        )
        messages = tuple(part.recording.messages[i] for i in kept)
        seen = Part(part.role, Recording(trace, messages, part.timeline))
        found.extend(observe(binding, seen))
    return tuple(found)


def _hindered(requirement: Requirement, obstacle: Obstacle) -> Result:
    """Return the result of a requirement whose scenario gave no evidence.

    A MUST is violated if the obstacle itself is a violation.
    """
    status = Status(obstacle.kind.value)
    session = obstacle.violation
    if session is None or requirement.level is not Level.MUST:
        return Result(requirement, status, obstacle.message)
    return Result(
        requirement, Status.VIOLATED, obstacle.message, session=session, by_end=True
    )


def _result(requirement: Requirement, outcome: Outcome, evidence: Evidence) -> Result:
    redactor = evidence.parts[0].trace.redactor if evidence.parts else Redactor()
    match outcome:
        case Satisfied():
            return Result(requirement, Status.SATISFIED)
        case Undecided(reason=reason):
            return Result(requirement, Status.UNDECIDED, redactor.message(reason))
        case Violated(message=message, records=records, part=place, by_end=by_end):
            if not evidence.parts:
                return Result(requirement, Status.VIOLATED, message)
            return Result(
                requirement,
                Status.VIOLATED,
                redactor.message(message),
                session=evidence.parts[place],
                records=tuple(records),
                by_end=by_end,
            )
