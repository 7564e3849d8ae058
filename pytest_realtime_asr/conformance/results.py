"""What came of each requirement: one value for the test, the reports and the reader."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec
import pytest

from pytest_realtime_asr.conformance.scheduler import Scheduler
from pytest_realtime_asr.dialects import Dialect
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
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender, Trace, Vantage
from pytest_realtime_asr.trace.transcript import transcript


class Status(enum.Enum):
    """What came of a requirement."""

    SATISFIED = "satisfied"
    VIOLATED = "violated"
    UNDECIDED = "undecided"
    MISSING = "missing"
    LIMITED = "limited"
    NOT_RUN = "not run"
    HARNESS = "harness error"
    OTHER_VERSION = "other version"


class Judged(msgspec.Struct, frozen=True):
    """The server that was judged, and by what.

    ``version`` and ``suite`` are empty where the server tells none and where no suite
    was pinned; ``found`` is how the dialect was found, empty where it was named.
    """

    target: str
    dialect: str
    model: str
    version: str
    suite: str
    found: str = ""


class Row(msgspec.Struct, frozen=True):
    """What one test of the suite hands on, from worker to controller."""

    server: Judged
    result: Result


RESULT: pytest.StashKey[Row] = pytest.StashKey()  # of a test, for the plugin
SCHEDULER: pytest.StashKey[tuple[Scheduler, Dialect, Judged]] = (
    pytest.StashKey()
)  # of a run


class Result(msgspec.Struct, frozen=True):
    """A requirement and what came of it.

    ``seen`` is what was seen, in a sentence. ``lines`` are the session around the
    offence, ``trace`` is its file. ``expected`` is the entry of the list of known
    failures, and ``stale`` why this entry is wrong; each is empty where there is none.
    """

    id: str
    title: str
    level: Level
    clause: str
    scenarios: tuple[str, ...]
    status: Status
    seen: str = ""
    lines: tuple[str, ...] = ()
    trace: str = ""
    expected: str = ""
    flaky: bool = False
    stale: str = ""

    def fails(self, *, strict: bool) -> bool:
        """Whether the test fails: what is broken, could not be tried, or is ours."""
        if self.stale:
            return True
        if self.status in (Status.MISSING, Status.HARNESS):
            return True
        if self.status is not Status.VIOLATED or self.expected:
            return False
        return self.level is Level.MUST or (strict and self.level is Level.SHOULD)

    @property
    def told(self) -> str:
        """The message: the requirement, its clause, what was seen, and the session."""
        first = self.stale or f"{self.id} [{self.level.name}] {self.status.value}"
        if self.seen:
            first += f": {self.seen}"
        if self.status is Status.MISSING:
            return first  # the cause is the same for many
        told = [first, f"  it should be: {self.title}", f"  clause: {self.clause}"]
        told += [f"  expected: {self.expected}"] if self.expected else []
        told += [f"  scenarios: {', '.join(self.scenarios)}"]
        told += [f"  trace: {self.trace}"] if self.trace else []
        told += [f"  {line}" for line in self.lines]
        return "\n".join(told)


def result(
    requirement: Requirement,
    scheduler: Scheduler,
    dialect: Dialect,
    *,
    version: str = "",
    model: str = "",
    known: Iterable[Known] = (),
    keep: Callable[[Trace], str] = lambda trace: "",
) -> Result:
    """Judge a requirement by what its scenarios gave.

    ``keep`` writes a trace and gives its path. A mistake of ours in a session, or in a
    judge, is a harness error and never the server's.
    """
    listed = (e for e in known if e.id == requirement.id)
    entry = next((e for e in listed if e.applies_to(version, model)), None)
    if not requirement.applies_to(version):
        seen = f"it holds {requirement.interval}, and the server is {version}"
        return _made(requirement, Status.OTHER_VERSION, seen)
    held = scheduler.collect(requirement.scenarios)
    if held.obstacle is not None:
        status = Status(held.obstacle.kind.value)
        return _made(requirement, status, held.obstacle.message)
    ours = client_violations(dialect, held.evidence)
    if ours:
        return _made(requirement, Status.HARNESS, f"we misspoke: {ours[0]}")
    evidence = scheduler.everything if requirement.passive else held.evidence
    try:
        outcome = requirement.check(evidence)
    except Exception as error:
        return _made(requirement, Status.HARNESS, f"the judge failed: {error!r}")
    found = _judged(requirement, outcome, evidence, keep)
    if entry is None:
        return found
    flaky = entry.kind is Expected.FLAKY
    stale = ""
    if found.status is Status.SATISFIED and not flaky:
        stale = f"known failure {entry.id} passes now: take it out of the list"
    return msgspec.structs.replace(found, expected=str(entry), flaky=flaky, stale=stale)


def cut_off(
    config: pytest.Config, items: Iterable[pytest.Item], known: Iterable[Known]
) -> dict[str, Row]:
    """What came of tests without a result whose scenarios were held, by their ids."""
    if SCHEDULER not in config.stash:
        return {}
    scheduler, dialect, server = config.stash[SCHEDULER]
    listed = tuple(known)
    found: dict[str, Row] = {}
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        requirement = params.get("requirement")
        if requirement is None or RESULT in item.stash:
            continue
        if scheduler.done(requirement.scenarios):
            came = result(
                requirement,
                scheduler,
                dialect,
                version=server.version,
                model=server.model,
                known=listed,
            )
            found[item.nodeid] = Row(server, came)
    return found


def missing(requirement: Requirement, reason: str) -> Result:
    """A requirement of which nothing is known, since no server was there."""
    return _made(requirement, Status.MISSING, reason)


def client_violations(dialect: Dialect, evidence: Evidence) -> tuple[Violation, ...]:
    """Return the rules that the client's own frames violate, raw ones left out."""
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


def _judged(
    requirement: Requirement,
    outcome: Outcome,
    evidence: Evidence,
    keep: Callable[[Trace], str],
) -> Result:
    redactor = evidence.parts[0].trace.redactor if evidence.parts else Redactor()
    match outcome:
        case Satisfied():
            return _made(requirement, Status.SATISFIED)
        case Undecided(reason=reason):
            return _made(requirement, Status.UNDECIDED, redactor.message(reason))
        case Violated(message=message, records=records, part=place):
            if not evidence.parts:
                return _made(requirement, Status.VIOLATED, message)
            message = redactor.message(message)
            part = evidence.parts[place]
            session = shortened(printable(part.timeline.session), 120)
            role = f"session {session or '?'} ({part.role})"
            lines = [role, *transcript(part.trace.redacted(), records)]
            made = _made(requirement, Status.VIOLATED, message, lines)
            return msgspec.structs.replace(made, trace=keep(part.trace))


def _made(
    requirement: Requirement, status: Status, seen: str = "", lines: Sequence[str] = ()
) -> Result:
    return Result(
        id=requirement.id,
        title=requirement.title,
        level=requirement.level,
        clause=requirement.clause,
        scenarios=requirement.scenarios,
        status=status,
        seen=seen,
        lines=tuple(lines),
    )
