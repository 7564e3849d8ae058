"""The verdict about a capacity."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.levels import capacity


@pytest.mark.parametrize(
    ("at_least", "verdict"),
    [
        (None, Verdict.PASS),
        (37, Verdict.PASS),
        (38, Verdict.INCONCLUSIVE),
        (40, Verdict.FAIL),
    ],
)
def test_the_interval_of_the_capacity_decides(
    at_least: int | None, verdict: Verdict
) -> None:
    assert CapacityFinding(capacity(), at_least).verdict is verdict


def test_a_test_without_a_search_for_its_capacity_fails() -> None:
    assert CapacityFinding(None, 40).verdict is Verdict.FAIL
