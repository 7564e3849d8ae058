"""Combinators: functions that select sessions for a check, and combine its outcomes.

A check of one session is a function of a `Part`. The functions here turn such a check
into a check of all evidence, which also says which session violates the requirement.

A check is satisfied only if the server had an opportunity to violate the requirement.
So a server that sends nothing, or refuses everything, satisfies hardly any check. A
check is undecided if the client itself ended the session or sent its audio late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.trace.records import Ending, Sender

ENDED_BY_CLIENT = (Ending.CLOSED_BY_US, Ending.CANCELLED)

Fold = Callable[[Iterable[Outcome]], Outcome]


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the first violation, else the first undecided outcome, else satisfied."""
    found: Outcome = Satisfied()
    for outcome in outcomes:
        if isinstance(outcome, Violated):
            return outcome
        if isinstance(found, Satisfied):
            found = outcome
    return found


def first_unsatisfied(outcomes: Iterable[Outcome]) -> Outcome:
    """Return the first outcome that is not satisfied, else satisfied."""
    unsatisfied = (each for each in outcomes if not isinstance(each, Satisfied))
    return next(unsatisfied, Satisfied())


def shown(outcomes: Iterable[Outcome | None], *, nothing: str) -> Outcome:
    """Return the `worst` of the outcomes that are not ``None``.

    ``None`` means that there was nothing to check. If all outcomes are ``None``, the
    result is undecided, for the reason ``nothing``.
    """
    found = worst_if_any(outcome for outcome in outcomes if outcome is not None)
    return Undecided(nothing) if found is None else found


def worst_if_any(outcomes: Iterable[Outcome]) -> Outcome | None:
    """Return the `worst` of the outcomes; ``None`` if there are no outcomes."""
    found = list(outcomes)
    return worst(found) if found else None


def both(*checks: Check) -> Check:
    """Return a check that is satisfied if all of these checks are satisfied."""
    return lambda evidence: worst(check(evidence) for check in checks)


def absent(evidence: Evidence, *roles: str) -> Undecided | None:
    """Return why these roles have no session to check; ``None`` if they have one."""
    parts = evidence.role(*roles)
    if not parts:
        return Undecided(f"no session was run for this check ({', '.join(roles)})")
    if all(part.trace.opened is None for part in parts):
        return Undecided(f"no session could be opened: {why(parts[0])}")
    return None


def located(evidence: Evidence, part: Part, outcome: Outcome) -> Outcome:
    """Return the outcome; a violation gets the index of the session ``part``."""
    if isinstance(outcome, Violated):
        return replace(outcome, part=evidence.index(part))
    return outcome


def per_session(
    check: Callable[[Part], Outcome], *roles: str, fold: Fold = worst
) -> Check:
    """Return a check that applies ``check`` to each session of these roles.

    ``fold`` combines the outcomes.
    """

    def check_all(evidence: Evidence) -> Outcome:
        if missing := absent(evidence, *roles):
            return missing
        return fold(
            located(evidence, part, check(part)) for part in evidence.role(*roles)
        )

    return check_all


def any_session(
    check: Callable[[Part], Outcome | None], *roles: str, nothing: str
) -> Check:
    """Return a check that applies ``check`` to each session of these roles.

    Without ``roles``, every session is checked. ``check`` returns ``None`` for a
    session that has nothing to check. If it returns ``None`` for all sessions, the
    outcome is undecided, for the reason ``nothing``. Otherwise the `worst` outcome
    counts.
    """

    def check_all(evidence: Evidence) -> Outcome:
        if roles and (missing := absent(evidence, *roles)):
            return missing
        return shown(
            (
                outcome and located(evidence, part, outcome)
                for part in (evidence.role(*roles) if roles else evidence.parts)
                for outcome in (check(part),)
            ),
            nothing=nothing,
        )

    return check_all


def why(part: Part) -> str:
    """Return why a session ended, in words."""
    end = part.trace.end
    reason = printable(end.reason)
    given = f": {reason}" if reason else ""
    if end.how is Ending.CLOSED_BY_PEER:
        return f"the server closed {end.coded}{given}"
    if end.how is Ending.BROKEN:
        return f"the connection broke off{given}"
    return reason or end.how.value


def first_at(part: Part, at: int) -> tuple[int, ...]:
    """Return the index of the first record at or after this time (ns), in a tuple.

    The tuple is empty if there is no such record.
    """
    records = part.trace.records
    return tuple(i for i, record in enumerate(records) if record.at >= at)[:1]


def last(part: Part) -> tuple[int, ...]:
    """Return the index of the last record, in a tuple."""
    return tuple(range(len(part.trace.records)))[-1:]


def by_hand(part: Part) -> bool:
    """Return whether a frame of the session was written by hand."""
    return any(record.raw for record in part.trace.records)


def server_sent(part: Part) -> bool:
    """Return whether the server sent a frame."""
    return any(record.sender is Sender.SERVER for record in part.trace.records)


def opened(evidence: Evidence) -> bool:
    """Return whether the server opened a session of any role."""
    return any(part.trace.opened is not None for part in evidence.parts)
