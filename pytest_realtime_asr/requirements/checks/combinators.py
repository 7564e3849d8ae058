"""Combinators: which sessions a check looks at, and how their outcomes combine.

A check of one session is a function of its `Part`; the functions here make a check of
the whole evidence of it and say which session violates the requirement.

Fairness: a check is satisfied only where something could have violated it, so that a
server that sends nothing, or refuses everything, satisfies hardly any. What the client
itself ended, or sent late, is undecided.
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
    """Return the first violation, else the first undecided one, else satisfied."""
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
    """Return the first outcome that is not satisfied, else satisfied if there is one.

    ``None`` stands for what shows nothing; if all of them do, ``nothing`` is the reason
    why it is undecided.
    """
    found: Outcome = Undecided(nothing)
    for outcome in outcomes:
        if outcome is not None and not isinstance(outcome, Satisfied):
            return outcome
        found = outcome or found
    return found


def both(*checks: Check) -> Check:
    """Return the check that all of these are satisfied."""
    return lambda evidence: worst(check(evidence) for check in checks)


def absent(evidence: Evidence, *roles: str) -> Undecided | None:
    """Return why the sessions of these roles show nothing; ``None`` if they do."""
    parts = evidence.role(*roles)
    if not parts:
        return Undecided(f"no session was run for it ({', '.join(roles)})")
    if all(part.trace.opened is None for part in parts):
        return Undecided(f"no session could be opened: {why(parts[0])}")
    return None


def located(evidence: Evidence, part: Part, outcome: Outcome) -> Outcome:
    """Return the outcome; a violation is one of this session."""
    if isinstance(outcome, Violated):
        return replace(outcome, part=evidence.index(part))
    return outcome


def per_session(
    check: Callable[[Part], Outcome], *roles: str, fold: Fold = worst
) -> Check:
    """Return the check of each session of these roles."""

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
    """Return the check of all sessions of these roles that show something.

    Without ``roles`` it covers every session. ``check`` returns ``None`` for a session
    that shows nothing; if none shows anything, ``nothing`` is the reason.
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
    """Return why a session ended."""
    end = part.trace.end
    reason = printable(end.reason)
    given = f": {reason}" if reason else ""
    if end.how is Ending.CLOSED_BY_PEER:
        return f"the server closed {end.coded}{given}"
    if end.how is Ending.BROKEN:
        return f"the connection broke off{given}"
    return reason or end.how.value


def first_at(part: Part, at: int) -> tuple[int, ...]:
    """Return the index of the first record at or after this time, to show it."""
    records = part.trace.records
    return tuple(i for i, record in enumerate(records) if record.at >= at)[:1]


def last(part: Part) -> tuple[int, ...]:
    """Return the index of the last record."""
    return tuple(range(len(part.trace.records)))[-1:]


def by_hand(part: Part) -> bool:
    """Return whether a frame was written by hand."""
    return any(record.raw for record in part.trace.records)


def server_sent_text(part: Part) -> bool:
    """Return whether the server sent a text frame."""
    return any(
        record.sender is Sender.SERVER and record.text is not None
        for record in part.trace.records
    )


def opened(evidence: Evidence) -> bool:
    """Return whether the server opened any session."""
    return any(part.trace.opened is not None for part in evidence.parts)
