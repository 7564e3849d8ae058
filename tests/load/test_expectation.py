"""What a search expects of levels that it has not run."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.load.expectation import Expectation, expectation
from pytest_realtime_asr.load.trials import Step
from tests.load.services import PLAN
from tests.load.trial_rows import trial

LEVELS = range(1, 60)
CROSSED = (
    trial(Step.DOUBLE, 32, 0.0, n=400),
    trial(Step.BISECT, 36, 0.03, n=400),
    trial(Step.BISECT, 40, 0.3, n=400),
)


@pytest.fixture
def expected() -> Expectation:
    return expectation(PLAN, CROSSED, PLAN.confirm)


def test_a_proof_is_expected_below_the_crossing(expected: Expectation) -> None:
    held = expected.holding(LEVELS, 0.025, 1.0)
    missed = expected.missing(LEVELS, 0.025, 1.0)
    assert held is not None
    assert missed is not None
    assert 30 <= held < 37 < missed <= 41


def test_caution_asks_for_a_wider_margin(expected: Expectation) -> None:
    bold, cautious = (expected.holding(LEVELS, 0.025, each) for each in (0.0, 3.0))
    assert bold is not None
    assert cautious is not None
    assert cautious < bold
    assert (expected.missing(LEVELS, 0.025, 4.0) or 0) > (
        expected.missing(LEVELS, 0.025, 0.0) or 0
    )


def test_a_smaller_risk_asks_for_a_wider_margin(expected: Expectation) -> None:
    usual, strict = (expected.holding(LEVELS, each, 1.0) for each in (0.05, 1e-6))
    assert usual is not None
    assert strict is not None
    assert strict < usual


def test_correlated_sessions_are_expected_to_prove_less() -> None:
    last = trial(Step.RETEST, 32, 0.0, n=400)
    limit = last.decision.limits[0]
    assert expectation(PLAN, (last,), 300).inflation == 2  # a longer level shows more
    assert limit.inflation == 1


def test_no_proof_is_expected_of_a_server_at_its_limit() -> None:
    flat = [trial(Step.BISECT, each, 0.05, n=400) for each in (10, 20, 40)]
    found = expectation(PLAN, flat, PLAN.confirm)
    assert found.holding(range(10, 40), 0.025, 2.0) is None
    assert found.missing(range(10, 40), 0.025, 2.0) is None
    assert found.nearest(range(10, 40)) in range(10, 40)


def test_levels_far_beyond_the_crossing_do_not_bend_the_curve() -> None:
    far = trial(Step.BEYOND, 80, 0.5, n=4000)
    near = expectation(PLAN, CROSSED, 300).curve
    assert expectation(PLAN, (*CROSSED, far), 300).curve == near
