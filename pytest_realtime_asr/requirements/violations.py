"""Violations: the passive requirements that one session violates.

The sessions of ordinary tests are checked, and the fake server checks the sessions of
its clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr.requirements.evidence import Evidence, Part, observed_side
from pytest_realtime_asr.requirements.requirement import Requirement, Violated


@dataclass(frozen=True, slots=True)
class Violation:
    """A requirement that a session violates: how often, and one example.

    ``record`` is the index of the first record that violates the requirement; ``None``
    if no record does. ``ours`` says that the check itself failed, which is no fault of
    the server.
    """

    requirement: Requirement
    message: str
    count: int
    record: int | None
    ours: bool = False

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 else ""
        kind = "harness error" if self.ours else self.requirement.level.name
        return f"{self.requirement.id} [{kind}]: {self.message}{times}"


def observe(requirements: Iterable[Requirement], part: Part) -> tuple[Violation, ...]:
    """Return the violations in a session by the side that did not record the session.

    Only passive requirements are checked, in the given order. If texts are private, a
    placeholder replaces each message.
    """
    evidence, side = Evidence((part,)), observed_side(part.trace)
    violations = []
    for requirement in requirements:
        if requirement.binds is not side or not requirement.passive:
            continue
        try:
            outcome = requirement.check(evidence)
        except Exception as error:  # the session and the other checks continue
            message = f"the check itself failed, not the server: {error!r}"
            message = part.trace.redactor.message(message)
            violations.append(Violation(requirement, message, 1, None, ours=True))
            continue
        if isinstance(outcome, Violated):
            first = outcome.records[0] if outcome.records else None
            count = max(1, len(outcome.records))
            message = part.trace.redactor.message(outcome.message)
            violations.append(Violation(requirement, message, count, first))
    return tuple(violations)
