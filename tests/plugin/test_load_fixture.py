"""Load as a test: `realtime.load`, judged by markers and written to reports."""

from __future__ import annotations

import pytest

from tests.support.project import Project


@pytest.mark.slow
def test_the_steady_sessions_of_a_load_are_judged(project: Project) -> None:
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", p50="2s")
@pytest.mark.wer_threshold(0.5)
def test_held(realtime, corpus):
    clips = [corpus["turn-right"], corpus["open-door"]]
    level = realtime.load(clips, streams=3, hold="5s", ramp="1s", seed=4)
    assert level.steady and not level.aborted
    assert not level.lost_workers
"""
    )
    result = project.run("--realtime-report=out.jsonl", "--realtime-pace=1")
    result.assert_outcomes(passed=1)
    rows = project.rows()
    print(rows[0])
