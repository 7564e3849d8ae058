"""The plan of a search: what it costs, and what makes it impossible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.load.services import PLAN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 0}, "no range of streams"),
        ({"low": 9, "high": 8}, "no range of streams"),
        ({"hold": 20.0}, "hold=20s is too short for clips of up to 12.0 s"),
        ({"confirm": 20.0}, "confirm=20s is too short"),
        ({"max_time": 300.0}, "max_time=300s is too short.*take 382 s"),
    ],
)
def test_an_impossible_search_is_refused(
    change: dict[str, float], message: str
) -> None:
    PLAN.check()
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **change).check()  # type: ignore[arg-type]


def test_the_time_of_a_level_is_the_sum_of_its_parts() -> None:
    assert PLAN.seconds(60) == 60 + PLAN.ramp + PLAN.drain + PLAN.pause


def test_sessions_are_expected_by_the_talk_share() -> None:
    assert PLAN.sessions(10, 88) == pytest.approx(100)
    assert replace(PLAN, talk=0.5).sessions(10, 88) == pytest.approx(50)
    assert PLAN.sessions(10, 4) == 0


def test_a_proof_needs_a_hold() -> None:
    # 59 sessions without one over the limit prove a p95 with 95 % confidence.
    assert PLAN.needed(59, 0.95) == pytest.approx(2 * PLAN.clip)
    assert PLAN.needed(1, 0.95) == pytest.approx(60 * PLAN.clip)


def test_the_level_beyond_counts_for_the_most_streams() -> None:
    assert PLAN.most_streams == 750
    assert replace(PLAN, beyond=False).most_streams == 500
    assert replace(PLAN, beyond=False).last == 0
