"""The sequential test: when it decides, and how often it errs."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.verdicts.sprt import (
    GOOD_SHARE,
    SequentialDecision,
    SequentialResult,
    least_clean,
    sequential,
)

INNER = st.floats(0.02, 0.98)
CLEAN, OVER = False, True


@pytest.mark.parametrize(
    ("q", "confidence", "n"),
    [(0.5, 0.95, 6), (0.9, 0.95, 36), (0.95, 0.95, 73), (0.95, 0.99, 112)],
)
def test_clean_outcomes_that_are_needed_in_order(
    q: float, confidence: float, n: int
) -> None:
    # At p95: 73 ln(0.99 / 0.95) = 3.011 is more than ln 20 = 2.996, 72 times is not.
    assert least_clean(q, confidence) == n
    assert sequential([CLEAN] * n, q, confidence) == SequentialResult(
        SequentialDecision.PASS, n, 0
    )
    short = sequential([CLEAN] * (n - 1), q, confidence)
    assert short == SequentialResult(SequentialDecision.UNDECIDED, n - 1, 0)


def test_an_outcome_that_is_over_costs_39_clean_ones() -> None:
    # ln 5 / ln(0.99 / 0.95) = 39.02
    found = sequential([OVER, *[CLEAN] * 400], 0.95, 0.95)
    assert found == SequentialResult(SequentialDecision.PASS, 1 + 73 + 39, 1)


def test_two_outcomes_over_the_limit_at_the_start_fail() -> None:
    # 2 ln 5 = 3.22 is more than ln 20 = 3.00, and less 6 times 0.0412 it is not.
    assert sequential([OVER] * 9, 0.95, 0.95) == SequentialResult(
        SequentialDecision.FAIL, 2, 2
    )
    found = sequential([*[CLEAN] * 6, *[OVER] * 9], 0.95, 0.95)
    assert found == SequentialResult(SequentialDecision.FAIL, 9, 3)


def test_no_outcome_after_the_decision_is_read() -> None:
    outcomes = iter([OVER] * 5)
    sequential(outcomes, 0.95, 0.95)
    assert len(list(outcomes)) == 3
    assert sequential([], 0.95, 0.95) == SequentialResult(
        SequentialDecision.UNDECIDED, 0, 0
    )


def decide(over: int, n: int, q: float, confidence: float) -> SequentialDecision:
    """The decision of a sequential test that was undecided before, by its counts."""
    bad, good, limit = 1 - q, (1 - q) * GOOD_SHARE, math.log(1 - confidence)
    ratio = over * math.log(bad / good)
    ratio -= (n - over) * math.log((1 - good) / (1 - bad))
    if ratio <= limit:
        return SequentialDecision.PASS
    return SequentialDecision.FAIL if ratio >= -limit else SequentialDecision.UNDECIDED


@given(st.lists(st.booleans(), max_size=60), INNER, INNER)
def test_deciding_by_counts_equals_deciding_by_outcomes(
    outcomes: list[bool], q: float, confidence: float
) -> None:
    found = sequential(outcomes, q, confidence)
    n = over = 0
    while (
        n < len(outcomes)
        and decide(over, n, q, confidence) is SequentialDecision.UNDECIDED
    ):
        over += outcomes[n]
        n += 1
    assert found == SequentialResult(decide(over, n, q, confidence), n, over)


def chances(share: float, q: float, confidence: float, most: int) -> dict[str, float]:
    """The exact chance of each decision, step by step over the lattice."""
    counts = np.zeros(most + 2)
    counts[0] = 1
    found = {"pass": 0.0, "fail": 0.0}
    for n in range(1, most + 1):
        counts[1:] = counts[1:] * (1 - share) + counts[:-1] * share
        counts[0] *= 1 - share
        for over in np.flatnonzero(counts):
            decision = decide(int(over), n, q, confidence)
            if decision is not SequentialDecision.UNDECIDED:
                found[decision.value] += counts[over]
                counts[over] = 0
    return found


@pytest.mark.parametrize(
    ("q", "confidence"), [*product([0.5, 0.9, 0.95, 0.99], [0.8, 0.95]), (0.95, 0.99)]
)
def test_the_exact_error_probability_is_within_the_stated_one(
    q: float, confidence: float
) -> None:
    bad, allowed = 1 - q, 1 - confidence
    assert chances(bad, q, confidence, 400)["pass"] <= allowed
    assert chances(1.5 * bad, q, confidence, 400)["pass"] <= allowed
    assert chances(bad / 5, q, confidence, 400)["fail"] <= allowed
    assert chances(bad / 9, q, confidence, 400)["fail"] <= allowed


def test_the_error_rates_of_a_sequential_p95() -> None:
    found = {
        share: chances(share, 0.95, 0.95, 400) for share in (0, 0.01, 0.05, 0.1, 0.25)
    }
    rounded = {
        share: tuple(round(float(chance), 3) for chance in each.values())
        for share, each in found.items()
    }
    assert rounded == {
        0: (1, 0),
        0.01: (0.969, 0.028),
        0.05: (0.048, 0.95),
        0.1: (0.001, 0.999),
        0.25: (0, 1),
    }


@pytest.mark.parametrize(
    "call",
    [
        lambda: sequential([True], 1, 0.95),
        lambda: sequential([True], 0.95, 1),
        lambda: least_clean(0.95, 0),
    ],
)
def test_arguments_not_between_0_and_1_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        call()
