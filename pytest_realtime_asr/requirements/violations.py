"""Finds the violations in a single session.

Only requirements that can be judged by one session alone are checked; they are called
passive. The sessions of ordinary tests are checked, and the fake server checks the
sessions of its clients.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_realtime_asr.requirements.evidence import Evidence, Part, observed_side
from pytest_realtime_asr.requirements.requirement import Requirement, Violated
from pytest_realtime_asr.trace.recording import Flaw


@dataclass(frozen=True, slots=True)
class Violation:
    """A requirement that a session violates, with one example.

    ``count`` says how often the session violates the requirement. ``record`` is the
    index of the first record that does so; it is ``None`` if no record does.
    ``dialect`` is the name of the dialect of the session. ``ours`` says whether the
    check itself failed, instead of the server. ``records`` are the indices of all
    records of the ``session`` that violate the requirement. If the violation consists
    of flawed frames, ``flaws`` are their distinct flaws.
    """

    requirement: Requirement
    message: str
    count: int
    record: int | None
    ours: bool = False
    dialect: str = ""
    session: Part | None = field(default=None, compare=False, repr=False)
    records: tuple[int, ...] = field(default=(), compare=False, repr=False)
    flaws: tuple[Flaw, ...] = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        times = f" ({self.count} times)" if self.count > 1 and not self.flaws else ""
        kind = "harness error" if self.ours else self.requirement.level.name
        return f"{self.requirement.id} [{kind}]: {self.message}{times}"


def observe(requirements: Iterable[Requirement], part: Part) -> tuple[Violation, ...]:
    """Return the violations by the side that did not record this session.

    If the client recorded the session, these are the violations by the server. Only
    passive requirements are checked, in the given order. There are no violations if a
    replayed session says nothing about the recorded server. If texts are private, a
    placeholder replaces each message.
    """
    if part.trace.unrecorded:
        return ()
    evidence, side = Evidence((part,)), observed_side(part.trace)
    dialect = part.trace.dialect
    violations = []
    for requirement in requirements:
        if requirement.binds is not side or not requirement.passive:
            continue
        try:
            outcome = requirement.check(evidence)
        except Exception as error:  # the session and the other checks continue
            message = f"the check itself failed, not the server: {error!r}"
            message = part.trace.redactor.message(message)
            violations.append(
                Violation(requirement, message, 1, None, ours=True, dialect=dialect)
            )
            continue
        if isinstance(outcome, Violated):
            first = outcome.records[0] if outcome.records else None
            count = max(1, len(outcome.records))
            message = part.trace.redactor.message(outcome.message)
            found = Violation(
                requirement,
                message,
                count,
                first,
                dialect=dialect,
                session=part,
                records=outcome.records,
                flaws=outcome.flaws,
            )
            violations.append(found)
    return tuple(violations)
