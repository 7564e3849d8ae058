"""Quantiles, their intervals, what a sample proves, and the bootstrap."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.stats import (
    bootstrap,
    count_interval,
    proven_at_most,
    proven_over,
    quantile,
    quantile_interval,
    samples_needed,
)

VALUES = st.lists(st.floats(allow_nan=False, min_value=-1e9), min_size=1, max_size=80)
Q = st.floats(0.01, 1)
INNER = st.floats(0.02, 0.98)


@pytest.mark.parametrize(
    ("q", "expected"), [(0.01, 1), (0.5, 5), (0.51, 6), (0.9, 9), (0.95, 10), (1, 10)]
)
def test_a_quantile_is_the_nearest_rank(q: float, expected: float) -> None:
    assert quantile(reversed(range(1, 11)), q) == expected


def test_the_rank_does_not_follow_rounding_errors() -> None:
    assert 0.07 * 100 > 7
    assert quantile(range(1, 101), 0.07) == 7


def test_a_lost_session_is_an_infinite_value() -> None:
    assert quantile([1, math.inf], 0.5) == 1
    assert quantile([1, math.inf], 0.95) == math.inf


@given(VALUES, Q)
def test_a_quantile_is_one_of_the_values(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found in values
    assert sum(value <= found for value in values) >= q * len(values) - 1e-6


@given(VALUES, Q, Q)
def test_a_quantile_grows_with_q(values: list[float], a: float, b: float) -> None:
    assert quantile(values, min(a, b)) <= quantile(values, max(a, b))


@given(VALUES, Q, st.floats(0.01, 0.999))
def test_the_interval_holds_the_quantile(
    values: list[float], q: float, confidence: float
) -> None:
    low, high = quantile_interval(values, q, confidence)
    assert low <= quantile(values, q) <= high
    assert {low, high} <= {*values, math.inf, -math.inf}


@given(VALUES, Q)
def test_more_confidence_makes_the_interval_wider(
    values: list[float], q: float
) -> None:
    narrow, wide = quantile_interval(values, q, 0.8), quantile_interval(values, q, 0.99)
    assert wide[0] <= narrow[0]
    assert narrow[1] <= wide[1]


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        (1, -math.inf, math.inf),
        (71, 63, math.inf),
        (72, 64, 72),
        (100, 90, 100),
        (200, 184, 197),
        (500, 465, 485),
    ],
)
def test_the_ranks_of_the_interval_are_those_of_the_tables(
    n: int, low: float, high: float
) -> None:
    assert quantile_interval(range(1, n + 1), 0.95) == (low, high)


def test_nothing_bounds_a_maximum_from_above() -> None:
    assert quantile_interval([3, 1, 2], 1) == (3, math.inf)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(5)
    hits = 0
    for _ in range(400):
        low, high = quantile_interval([rng.random() for _ in range(100)], 0.9, 0.9)
        hits += low <= 0.9 <= high
    assert hits >= 0.9 * 400 - 12


@pytest.mark.parametrize(
    ("q", "n"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)]
)
def test_clean_samples_that_are_needed_for_proof(q: float, n: int) -> None:
    assert samples_needed(q, 0.95) == n
    assert proven_at_most(0, n, q, 0.95)
    assert not proven_at_most(0, n - 1, q, 0.95)


def test_more_samples_are_needed_where_some_were_over() -> None:
    assert samples_needed(0.95, 0.95, over=1) == 93
    assert proven_at_most(1, 93, 0.95, 0.95)
    assert not proven_at_most(1, 92, 0.95, 0.95)


def test_the_proof_is_the_bound_of_clopper_and_pearson() -> None:
    # 3 of 100 over: the one-sided 95 % upper bound on the share is 0.0757 (tables).
    assert proven_at_most(3, 100, 1 - 0.0758, 0.95)
    assert not proven_at_most(3, 100, 1 - 0.0756, 0.95)
    # And its lower bound is 0.0082.
    assert proven_over(3, 100, 1 - 0.0082, 0.95)
    assert not proven_over(3, 100, 1 - 0.0083, 0.95)


def test_a_chance_that_is_just_allowed_is_allowed() -> None:
    assert proven_at_most(0, 1, 0.5, 0.5)
    assert not proven_over(1, 1, 0.5, 0.5)
    assert quantile_interval([1, 2], 0.5, 0.5) == (1, 2)


def test_nothing_over_proves_nothing_over() -> None:
    assert not proven_over(0, 1000, 0.5, 0.95)


@given(st.integers(1, 300), st.data(), INNER, st.floats(0.55, 0.99))
def test_a_claim_and_its_opposite_are_not_both_proven(
    n: int, data: st.DataObject, q: float, confidence: float
) -> None:
    over = data.draw(st.integers(0, n))
    at_most = proven_at_most(over, n, q, confidence)
    above = proven_over(over, n, q, confidence)
    assert not (at_most and above)
    if at_most and over:
        assert proven_at_most(over - 1, n, q, confidence)
    if above and over < n:
        assert proven_over(over + 1, n, q, confidence)


@given(st.integers(0, 20), INNER, INNER)
def test_the_least_number_is_the_least(over: int, q: float, confidence: float) -> None:
    n = samples_needed(q, confidence, over=over)
    assert proven_at_most(over, n, q, confidence)
    assert n == over + 1 or not proven_at_most(over, n - 1, q, confidence)


def test_exact_bounds_of_a_count() -> None:
    low, high = count_interval(0, 100)
    assert (low, round(high, 4)) == (0, 0.0369)
    low, high = count_interval(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.048, 0.1839)


@given(st.integers(0, 10_000), st.floats(0.1, 1e6), INNER)
def test_the_bounds_of_a_count_hold_its_rate(
    count: int, size: float, confidence: float
) -> None:
    low, high = count_interval(count, size, confidence)
    assert low <= high
    if confidence > 0.5:
        assert low <= count / size <= high


ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 30)), min_size=2, max_size=30
)


@given(ROWS, st.integers(0, 9))
def test_the_bootstrap_stays_within_the_ratios_of_the_rows(
    rows: list[tuple[int, int]], seed: int
) -> None:
    parts, wholes = zip(*rows, strict=True)
    low, high = bootstrap(parts, wholes, seed=seed, resamples=50)
    ratios = [part / whole for part, whole in rows]
    assert min(ratios) - 1e-9 <= low <= high <= max(ratios) + 1e-9


def test_the_bootstrap_follows_its_seed() -> None:
    rng = random.Random(1)
    parts = [rng.randint(0, 5) for _ in range(40)]
    wholes = [10] * 40
    assert bootstrap(parts, wholes, seed=1) == bootstrap(parts, wholes, seed=1)
    assert bootstrap(parts, wholes, seed=1) != bootstrap(parts, wholes, seed=2)


def test_the_bootstrap_has_the_width_of_the_normal_approximation() -> None:
    rng = random.Random(2)
    parts = [float(rng.random() < 0.3) for _ in range(400)]
    low, high = bootstrap(parts, [1] * 400)
    share = sum(parts) / 400
    half = 1.96 * math.sqrt(share * (1 - share) / 400)
    assert low == pytest.approx(share - half, abs=0.01)
    assert high == pytest.approx(share + half, abs=0.01)


def test_rows_of_one_block_are_drawn_together() -> None:
    parts = [0] * 50 + [1] * 50
    speakers = ["a", "b", "c", "d"]
    alone = bootstrap(parts, [1] * 100)
    together = bootstrap(
        parts, [1] * 100, blocks=[speakers[row // 25] for row in range(100)]
    )
    assert alone[1] - alone[0] < 0.25
    assert together == (0, 1)


def test_one_block_bounds_nothing() -> None:
    assert bootstrap([1], [10]) == (0, math.inf)
    assert bootstrap([1, 2], [10, 10], blocks=["a", "a"]) == (0, math.inf)


def test_one_resample_is_a_bootstrap() -> None:
    low, high = bootstrap([1, 2], [10, 10], resamples=1)
    assert low == high


def test_a_large_bootstrap_is_worked_off_in_pieces() -> None:
    low, high = bootstrap([1, 0] * 3000, [2] * 6000, resamples=1000)
    assert 0.24 < low < 0.25 < high < 0.26


@pytest.mark.parametrize(
    "call",
    [
        lambda: quantile([], 0.5),
        lambda: quantile([1, math.nan], 0.5),
        lambda: quantile([1], 0),
        lambda: quantile([1], 1.1),
        lambda: quantile([1], math.nan),
        lambda: quantile_interval([1], 0.5, 1),
        lambda: quantile_interval([1], -1),
        lambda: quantile_interval([], 1),
        lambda: quantile_interval([1], 1, 0),
        lambda: samples_needed(1, 0.95),
        lambda: samples_needed(0.95, 1),
        lambda: samples_needed(0.95, 0.95, over=-1),
        lambda: proven_at_most(0, 0, 0.5, 0.95),
        lambda: proven_at_most(2, 1, 0.5, 0.95),
        lambda: proven_at_most(0, 1, 1, 0.95),
        lambda: proven_at_most(0, 1, 0.5, math.nan),
        lambda: proven_over(-1, 1, 0.5, 0.95),
        lambda: proven_over(0, 1, 0, 0.95),
        lambda: proven_over(0, 1, 0.5, 0),
        lambda: count_interval(-1, 5),
        lambda: count_interval(1, 0),
        lambda: count_interval(1, 5, 1),
        lambda: bootstrap([], []),
        lambda: bootstrap([1], [1, 2]),
        lambda: bootstrap([1], [1], blocks=["a", "b"]),
        lambda: bootstrap([-1], [1]),
        lambda: bootstrap([math.nan], [1]),
        lambda: bootstrap([1], [0]),
        lambda: bootstrap([1], [math.inf]),
        lambda: bootstrap([1, 2], [1, 2], resamples=0),
        lambda: bootstrap([1, 2], [1, 2], confidence=1),
    ],
)
def test_nonsense_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()
