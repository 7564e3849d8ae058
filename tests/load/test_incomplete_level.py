"""Levels that did not run as planned: their verdict and reports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.executor import ShardLost
from pytest_realtime_asr.load.incomplete_level import incomplete
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.report import messages
from pytest_realtime_asr.report.verdict_rows import rows
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.load_rows import level, row

SERVED = row(final=100.0)
CLOSED = row(lost=Loss.CANCELLED, how=Ending.CANCELLED)
UNOPENED = replace(
    CLOSED,
    opened=replace(CLOSED.opened, opened=None),
    reason="no local port is free",
)
CUT_OFF = row(lost=Loss.CANCELLED)
WHOLE = level([SERVED, CUT_OFF], streams=4)


def test_a_level_that_ran_as_planned_is_complete() -> None:
    assert incomplete(WHOLE) is None


@pytest.mark.parametrize(
    ("found", "verdict", "why"),
    [
        (
            level([SERVED, UNOPENED], streams=4),
            Verdict.INVALID,
            "1 of 2 sessions could not be opened by this machine: no local port is "
            "free",
        ),
        (
            replace(WHOLE, lost_workers=(ShardLost(1, "it ended with signal 9"),)),
            Verdict.INVALID,
            "worker 1 was lost: it ended with signal 9",
        ),
        (
            replace(WHOLE, aborted="3 of 10 sessions had no final"),
            Verdict.INCONCLUSIVE,
            "the level was aborted: 3 of 10 sessions had no final",
        ),
    ],
)
def test_a_load_that_was_smaller_than_planned_does_not_pass(
    found: Level, verdict: Verdict, why: str
) -> None:
    made = incomplete(found)
    assert made is not None
    assert (made.verdict, made.why) == (verdict, why)
    results = Results("test_it", (), load_findings=(made,), failing=(made,))
    shown = messages.failure(results)
    assert shown is not None
    said = f"the load of 4 streams (level 1) was not complete: {why}"
    assert shown.startswith(f"{verdict.value}: {said}")
    assert messages.lines(results) == [f"{verdict.value}: {said}"]
    (line,) = rows(results)
    assert (line.subject, line.verdict) == ("incomplete level", verdict.value)
