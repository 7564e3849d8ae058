"""Recognises random sessions whose failure has a cause that is already known.

A random session may fail after an illegal move, such as a final commit without an
utterance. Often, a scenario with the same illegal move has already shown the defect,
and the requirement of this scenario is violated. This requirement is then the cause.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pytest_realtime_asr.conformance.scheduler import Scheduler
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.evidence import Evidence, SessionFinding
from pytest_realtime_asr.requirements.order import illegal_moves
from pytest_realtime_asr.requirements.requirement import Level, Requirement, Violated
from pytest_realtime_asr.trace.records import Sender


def excused(
    evidence: Evidence, scheduler: Scheduler, dialect: Dialect
) -> tuple[Evidence, tuple[str, ...]]:
    """Return the evidence with its excused failures marked, and the ids of the causes.

    The failure of a random session is excused if the session and a scenario of a
    violated requirement have the same illegal move in the same state. This requirement
    is the cause.
    """
    causes: list[str] = []
    findings: list[SessionFinding] = []
    for each in evidence.findings:
        cause = _cause(each, scheduler, dialect) if each.moves else None
        if cause is not None:
            causes.append(cause)
        findings.append(replace(each, excused=cause is not None))
    return replace(evidence, findings=tuple(findings)), tuple(causes)


def _cause(
    finding: SessionFinding, scheduler: Scheduler, dialect: Dialect
) -> str | None:
    """Return the id of the requirement that is the cause of a finding, if any."""
    for each in _judged_alone(dialect.requirements):
        if not scheduler.done(each.scenarios):
            continue
        evidence = scheduler.collect(each.scenarios).evidence
        shared = finding.moves & _illegal(evidence, dialect)
        if shared and isinstance(each.check(evidence), Violated):
            return each.id
    return None


def _judged_alone(requirements: Iterable[Requirement]) -> Iterable[Requirement]:
    """Yield the MUST and SHOULD requirements that have scenarios of their own."""
    for each in requirements:
        general = each.passive or each.whole_run or each.binds is Sender.CLIENT
        if not general and each.level is not Level.INFO:
            yield each


def _illegal(evidence: Evidence, dialect: Dialect) -> frozenset[tuple[str, str]]:
    """Return the illegal moves of a scenario, as pairs of a state and a move.

    The moves of random sessions are left out.
    """
    found: frozenset[tuple[str, str]] = frozenset()
    if evidence.findings:
        return found
    for part in evidence.parts:
        if any(record.raw for record in part.trace.records):
            found |= illegal_moves(part.recording, dialect.table, start=dialect.start)
    return found
