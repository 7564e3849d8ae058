"""The results of requirements, and which of them fail a test."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pytest_realtime_asr.conformance.results import (
    Result,
    Status,
)
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Requirement,
    Undecided,
)

KNOWN = Known("one", Expected.KNOWN, "as ever", "issue 1", date(2026, 12, 31))
FLAKY = replace(KNOWN, kind=Expected.FLAKY)


def result(
    status: Status, level: Level = Level.MUST, known: Known | None = None
) -> Result:
    requirement = Requirement(
        id="one",
        title="the title of one",
        level=level,
        clause="a clause",
        check=lambda evidence: Undecided("nothing"),
    )
    return Result(requirement, status, known=known)


@pytest.mark.parametrize(
    ("result", "plainly", "strictly"),
    [
        (result(Status.SATISFIED), False, False),
        (result(Status.VIOLATED), True, True),
        (result(Status.VIOLATED, Level.SHOULD), False, True),
        (result(Status.VIOLATED, Level.INFO), False, False),
        (result(Status.UNDECIDED), False, False),
        (result(Status.NOT_RUN), False, False),
        (result(Status.LIMITED), False, False),
        (result(Status.OTHER_VERSION), False, False),
        (result(Status.MISSING), True, True),
        (result(Status.HARNESS), True, True),
        (result(Status.VIOLATED, known=KNOWN), False, False),
        (result(Status.VIOLATED, known=FLAKY), False, False),
        (result(Status.SATISFIED, known=KNOWN), True, True),
        (result(Status.SATISFIED, known=FLAKY), False, False),
    ],
)
def test_what_fails(result: Result, plainly: bool, strictly: bool) -> None:
    assert result.fails(strict=False) is plainly
    assert result.fails(strict=True) is strictly
