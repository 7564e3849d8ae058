"""A test that searches for a capacity: `realtime.capacity`."""

from __future__ import annotations

import pytest

from tests.support.project import Project


@pytest.mark.slow
def test_a_capacity_is_confirmed_and_its_sessions_are_judged(
    project: Project,
) -> None:
    project.write(
        """
from pytest_realtime_asr.load.capacity import LimitedBy

@pytest.mark.latency_budget("final_from_commit", p50="2s")
def test_found(realtime, corpus):
    clips = [corpus["turn-right"], corpus["open-door"]]
    found = realtime.capacity(
        clips, between=(3, 3), hold="5s", ramp="1s", confirm="8s", max_time="80s"
    )
    assert found.confirmed
    assert found.interval == (3, None)
    assert found.limited_by is LimitedBy.RANGE
    assert {each.step.value for each in found.levels} >= {"double", "confirm"}
"""
    )
    result = project.run(
        "--realtime-report=out.jsonl",
        "--realtime-pace=1",
    )
    result.assert_outcomes(passed=1)
    assert {row["purpose"] for row in project.rows()} >= {"search", "alone"}
    result.stdout.fnmatch_lines(["*PASS*final_from_commit p50*"])


def test_a_search_that_cannot_work_is_refused_before_audio_is_sent(
    project: Project,
) -> None:
    project.write(
        """
from pytest_realtime_asr.verdicts.limits import BudgetError

P95 = pytest.mark.latency_budget("final_from_commit", p95="800ms")

def test_no_limit(realtime, corpus):
    with pytest.raises(BudgetError, match="a capacity needs a limit"):
        realtime.capacity(corpus)

@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"between": (9, 3)}, "between=.9, 3. is no range of streams"),
        ({"between": 9}, "between=9 is no range of streams"),
        ({"hold": "2s"}, "hold=2s is too short for clips"),
        ({"max_time": "1min"}, "max_time=60s is too short"),
        ({"confirm": "soon"}, "confirm: "),
        ({"talk": 2}, "talk=2 is not a share"),
    ],
)
@P95
def test_wrong(realtime, corpus, changes, message):
    with pytest.raises(ValueError, match=message):
        realtime.capacity(corpus, **changes)

@P95
async def test_wrong_awaited(realtime, corpus):
    with pytest.raises(ValueError, match="no range of streams"):
        await realtime.aio.capacity(corpus, between=(0, 3))
"""
    )
    result = project.run("--realtime-report=out.jsonl", "-p", "asyncio")
    # The markers of a test that sends nothing fail at its end.
    result.assert_outcomes(passed=1, failed=7)
    assert project.rows() == []
    result.stdout.no_fnmatch_line("*DID NOT RAISE*")
    result.stdout.no_fnmatch_line("*Regex pattern did not match*")
