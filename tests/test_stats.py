"""Quantiles, their intervals, what a sample proves, and the bootstrap."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from pytest_realtime_asr.stats import (
    bootstrap,
    count_interval,
    holm,
    larger_share_p_value,
    matched_pairs,
    mean_interval,
    paired,
    proven_at_most,
    proven_over,
    quantile,
    quantile_interval,
    samples_needed,
    share_interval,
    sign_test,
    student_interval,
    tail_of_sum,
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
def test_the_interval_contains_the_quantile(
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
def test_the_number_of_samples_needed_without_any_over_the_limit(
    q: float, n: int
) -> None:
    assert samples_needed(q, 0.95) == n
    assert proven_at_most(0, n, q, 0.95)
    assert not proven_at_most(0, n - 1, q, 0.95)


def test_more_samples_are_needed_if_some_are_over_the_limit() -> None:
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


def test_a_probability_equal_to_the_allowed_one_is_allowed() -> None:
    assert proven_at_most(0, 1, 0.5, 0.5)
    assert not proven_over(1, 1, 0.5, 0.5)
    assert quantile_interval([1, 2], 0.5, 0.5) == (1, 2)


def test_a_sample_within_the_limit_proves_no_excess() -> None:
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
def test_samples_needed_is_the_smallest_number_for_proof(
    over: int, q: float, confidence: float
) -> None:
    n = samples_needed(q, confidence, over=over)
    assert proven_at_most(over, n, q, confidence)
    assert n == over + 1 or not proven_at_most(over, n - 1, q, confidence)


def test_exact_bounds_of_a_count() -> None:
    low, high = count_interval(0, 100)
    assert (low, round(high, 4)) == (0, 0.0369)
    low, high = count_interval(10, 100)
    assert (round(low, 4), round(high, 4)) == (0.048, 0.1839)


@given(st.integers(0, 10_000), st.floats(0.1, 1e6), INNER)
def test_the_bounds_of_a_count_contain_its_rate(
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
def test_the_bootstrap_interval_contains_the_pooled_ratio(
    rows: list[tuple[int, int]], seed: int
) -> None:
    parts, wholes = zip(*rows, strict=True)
    low, high = bootstrap(parts, wholes, seed=seed, resamples=50)
    assert 0 <= low <= sum(parts) / sum(wholes) * (1 + 1e-9)
    assert high >= sum(parts) / sum(wholes) * (1 - 1e-9)


def test_the_bootstrap_by_hand() -> None:
    # Of two rows, half of what is drawn is one row twice, which bounds nothing.
    assert bootstrap([1, 2], [10, 10]) == (0, math.inf)
    # Rows that are alike leave no room, whatever they weigh.
    assert bootstrap([1, 2, 3], [10, 20, 30]) == pytest.approx((0.1, 0.1))
    assert bootstrap([0, 0], [10, 20]) == (0, 0)


def test_the_interval_of_a_skewed_rate_reaches_further_up() -> None:
    parts = [0] * 30 + [1] * 8 + [12] * 2
    low, high = bootstrap(parts, [10] * 40)
    rate = sum(parts) / 400
    assert high - rate > 1.5 * (rate - low)


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
    assert together == (0, math.inf)


def test_one_block_bounds_nothing() -> None:
    assert bootstrap([1], [10]) == (0, math.inf)
    assert bootstrap([1, 2], [10, 10], blocks=["a", "a"]) == (0, math.inf)


def test_a_large_bootstrap_is_computed_in_pieces() -> None:
    low, high = bootstrap([1, 0] * 3000, [2] * 6000, resamples=1000)
    assert 0.24 < low < 0.25 < high < 0.26


# Exact values


@given(st.integers(1, 200), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_share_test_is_the_binomial_test(
    n: int, data: st.DataObject, q: float
) -> None:
    over = data.draw(st.integers(0, n))
    fewer = reference.binomtest(over, n, 1 - q, "less").pvalue
    more = reference.binomtest(over, n, 1 - q, "greater").pvalue
    assert proven_at_most(over, n, q, 0.95) is bool(fewer <= 0.05)
    assert proven_over(over, n, q, 0.95) is bool(more < 0.05)


@pytest.mark.parametrize(("count", "size"), [(0, 10.0), (3, 2.0), (50, 1000.0)])
def test_the_bounds_of_a_count_are_those_of_the_chi_square_law(
    count: int, size: float
) -> None:
    low, high = count_interval(count, size)
    least = reference.chi2.ppf(0.025, 2 * count) / 2 / size if count else 0
    assert low == pytest.approx(least)
    assert high == pytest.approx(reference.chi2.ppf(0.975, 2 * count + 2) / 2 / size)


@pytest.mark.parametrize(
    ("count", "n"), [(0, 1), (1, 1), (0, 40), (40, 40), (7, 45), (11, 112)]
)
def test_the_bounds_of_a_share_are_those_of_clopper_and_pearson(
    count: int, n: int
) -> None:
    exact = reference.binomtest(count, n).proportion_ci(method="exact")
    assert share_interval(count, n) == pytest.approx((exact.low, exact.high))


@given(st.integers(1, 12), st.integers(1, 90), st.data())
def test_a_larger_share_is_tested_as_by_fisher(
    n: int, m: int, data: st.DataObject
) -> None:
    count, others = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    table = [[count, n - count], [others, m - others]]
    exact = reference.fisher_exact(table, alternative="greater").pvalue
    assert larger_share_p_value(count, n, others, m) == pytest.approx(exact)


def test_scipy_stats_is_not_imported() -> None:
    code = "import sys, pytest_realtime_asr.verdicts.budgets; "
    code += "sys.exit('scipy.stats' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Clips that repeat


def test_clips_that_repeat_make_the_interval_wider() -> None:
    rng = np.random.default_rng(3)
    clips = [clip for clip in range(20) for _ in range(20)]
    values = (100 * rng.random(20)).repeat(20) + rng.random(400)
    alone = quantile_interval(values, 0.5)
    by_clip = quantile_interval(values, 0.5, blocks=clips)
    assert by_clip[0] < alone[0] < quantile(values, 0.5) < alone[1] < by_clip[1]
    assert by_clip == quantile_interval(values, 0.5, blocks=clips)
    assert set(by_clip) <= set(values)


def test_clips_that_do_not_repeat_change_nothing() -> None:
    values = list(range(100))
    assert quantile_interval(values, 0.95, blocks=values) == (89, 99)
    assert quantile_interval(values, 0.95, blocks=["a"] * 100) == (89, 99)


def test_clips_do_not_bound_a_quantile_that_the_sample_cannot() -> None:
    halves = [number // 2 for number in range(60)]
    assert quantile_interval(range(60), 0.95, blocks=halves)[1] == math.inf


def test_a_few_clips_bound_no_more_than_as_many_values() -> None:
    # 0.9^35 = 0.025, and two of three are both over the median with 1/8.
    for clips, bounded in ((34, False), (36, True)):
        blocks = [number % clips for number in range(360)]
        assert (quantile_interval(range(360), 0.9, blocks=blocks)[1] < 400) is bounded
    thirds = [number % 3 for number in range(90)]
    assert quantile_interval(range(90), 0.5, blocks=thirds) == (-math.inf, math.inf)


@given(VALUES, Q, st.integers(1, 5))
def test_an_interval_by_clips_contains_the_one_without_clips(
    values: list[float], q: float, clips: int
) -> None:
    blocks = [n % clips for n in range(len(values))]
    low, high = quantile_interval(values, q, blocks=blocks, resamples=50)
    inner = quantile_interval(values, q)
    assert low <= inner[0] <= inner[1] <= high


# Several questions


def test_holm_by_hand() -> None:
    # 4 x 0.01, 3 x 0.02, 2 x 0.03, and 0.04 which may not be less than those before it
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx((0.06, 0.04, 0.06, 0.06))
    assert holm([0.5, 0.9]) == (1, 1)
    assert holm([0.02]) == (0.02,)
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_adjusts_between_no_correction_and_bonferroni(
    p_values: list[float],
) -> None:
    for p, adjusted in zip(p_values, holm(p_values), strict=True):
        assert p <= adjusted <= min(1, len(p_values) * p)


# Pairs


def test_paired_by_hand() -> None:
    # Of the 8 ways to turn three signs, 2 are as far from zero: p is 1/4.
    found = paired([1, 2, 3], resamples=4000)
    assert (found.value, found.n, found.blocks) == (2, 3, 3)
    assert found.p == pytest.approx(0.25, abs=0.03)
    # One draw in nine has one value three times: that bounds nothing.
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert paired([1, 2, 9], median=True).value == 2
    assert paired([1, 2, 9, 11], median=True).value == 5.5


def test_equal_values_differ_by_nothing() -> None:
    found = paired([0.0] * 10)
    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize("median", [False, True])
def test_pairs_of_one_block_are_turned_together(median: bool) -> None:
    values = [0.9, 1.0, 1.1] * 4
    blocks = [clip for clip in range(4) for _ in range(3)]
    alone = paired(values, median=median)
    together = paired(values, median=median, blocks=blocks)
    assert alone.value == together.value == pytest.approx(1)
    assert alone.p < 0.09
    # Four blocks of one sign: 2 of 16.
    assert together.p == pytest.approx(1 / 8, abs=0.03)
    assert together.blocks == 4
    single = paired(values, median=median, blocks=["a"] * 12)
    assert (single.low, single.high, single.p) == (-math.inf, math.inf, 1)


def test_the_signs_of_a_mean_agree_with_scipy() -> None:
    values = np.random.default_rng(4).normal(0.4, 1, 12)
    exact = reference.permutation_test(
        (values, np.zeros(12)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
    ).pvalue
    assert paired(values.tolist(), resamples=20_000).p == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("median", [False, True])
def test_the_interval_of_a_difference_has_the_width_of_students(median: bool) -> None:
    values = np.random.default_rng(5).normal(0.2, 1, 400).tolist()
    found = paired(values, median=median)
    # The median of a normal law is pi / 2 times as uncertain as its mean.
    half = 1.96 / 20 * (math.sqrt(math.pi / 2) if median else 1)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15)
    assert found.low <= found.value <= found.high


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.booleans())
def test_negated_differences_give_the_same_result(
    values: list[float], median: bool
) -> None:
    there = paired(values, median=median, resamples=60)
    back = paired([-value for value in values], median=median, resamples=60)
    assert there.value == -back.value
    assert there.p == back.p
    assert 0 < there.p <= 1


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20), st.integers(0, 9))
def test_a_mean_lies_in_its_interval(values: list[float], seed: int) -> None:
    low, high = mean_interval(values, seed=seed, resamples=50)
    assert low <= math.fsum(values) / len(values) + 1e-9
    assert high >= math.fsum(values) / len(values) - 1e-9
    assert mean_interval(values, seed=seed, resamples=50) == (low, high)


def test_the_interval_of_a_few_values_is_that_of_student() -> None:
    values = np.random.default_rng(6).normal(0, 1, 30)
    low, high = mean_interval(values.tolist(), resamples=20_000)
    student = reference.ttest_1samp(values, 0).confidence_interval()
    assert high - low == pytest.approx(student.high - student.low, rel=0.1)


def test_matched_pairs_by_hand() -> None:
    # d = 1, 0, 2, 1: mean 1, sd sqrt(2/3), t = 1 / (0.8165 / 2) = 2.449, 3 degrees
    found = matched_pairs([1, 2, 0, 1], [2, 2, 2, 2])
    assert (found.value, found.n, found.blocks) == (1, 4, 4)
    assert found.p == pytest.approx(0.0917, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((-0.2992, 2.2992), abs=1e-4)


def test_matched_pairs_agree_with_scipy() -> None:
    rng = np.random.default_rng(7)
    before, after = rng.poisson(2, 60), rng.poisson(2.5, 60)
    found = matched_pairs(before.tolist(), after.tolist(), confidence=0.9)
    exact = reference.ttest_rel(after, before)
    assert found.p == pytest.approx(exact.pvalue)
    interval = exact.confidence_interval(0.9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_matched_pairs_are_summed_by_speaker() -> None:
    speakers = ["a", "a", "b", "b", "c", "c"]
    found = matched_pairs([0] * 6, [1, 1, 2, 0, 3, 2], blocks=speakers)
    assert found == replace(matched_pairs([0] * 3, [2, 2, 5]), n=6)


def test_equal_differences_are_tested_by_their_signs() -> None:
    assert matched_pairs([0] * 5, [1] * 5).p == 1 / 16
    assert matched_pairs([2] * 5, [2] * 5).p == 1
    single = matched_pairs([0, 0], [5, 5], blocks=["a", "a"])
    assert (single.value, single.p, single.high) == (10, 1, math.inf)


FINITE = st.integers(-1000, 1000).map(float)


def test_students_interval_of_a_mean() -> None:
    # 5 +- 12.706 * 1.4142 / sqrt(2), and 3 +- 2.776 * 1.5811 / sqrt(5)
    assert student_interval([4, 6]) == pytest.approx((-7.706, 17.706), abs=1e-3)
    five = student_interval([1, 2, 3, 4, 5])
    assert five == pytest.approx((1.0368, 4.9632), abs=1e-3)
    assert student_interval([2, 2, 2]) == (2, 2)
    assert student_interval([2]) == (-math.inf, math.inf)


@given(st.lists(FINITE, min_size=2, max_size=10), st.sampled_from((0.5, 0.9, 0.95)))
def test_students_interval_is_that_of_scipy(values: list[float], level: float) -> None:
    spread = reference.sem(values)
    low, high = student_interval(values, confidence=level)
    half = spread * reference.t.ppf((1 + level) / 2, len(values) - 1)
    assert (high - low) / 2 == pytest.approx(half, abs=1e-9)
    assert (high + low) / 2 == pytest.approx(np.mean(values), abs=1e-9)


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
        lambda: quantile_interval([1, 2], 0.5, blocks=["a"]),
        lambda: quantile_interval([1, 2], 0.5, resamples=0),
        lambda: holm([0.5, 1.1]),
        lambda: holm([math.nan]),
        lambda: paired([]),
        lambda: paired([math.inf, 1]),
        lambda: paired([1, 2], blocks=["a"]),
        lambda: paired([1, 2], resamples=0),
        lambda: mean_interval([]),
        lambda: mean_interval([math.nan]),
        lambda: student_interval([1, math.nan]),
        lambda: student_interval([1, 2], confidence=1),
        lambda: matched_pairs([], []),
        lambda: matched_pairs([1], [1, 2]),
        lambda: matched_pairs([1, math.inf], [1, 2]),
        lambda: matched_pairs([1, 2], [1, 2], confidence=0),
    ],
)
def test_invalid_arguments_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()


@pytest.mark.parametrize(
    ("more", "fewer", "p"),
    [(0, 0, 1.0), (0, 5, 1.0), (5, 0, 1 / 32), (8, 1, 10 / 512), (3, 3, 42 / 64)],
)
def test_the_sign_test_is_a_tail_of_the_binomial(
    more: int, fewer: int, p: float
) -> None:
    assert sign_test(more, fewer) == pytest.approx(p)
    with pytest.raises(ValueError, match="0 or more"):
        sign_test(-1, 0)


def test_the_tail_of_a_sum_of_counts() -> None:
    coins = [(0.5, 0.5)] * 4
    assert tail_of_sum(coins, 3) == pytest.approx(5 / 16)
    assert tail_of_sum([(0.5, 0.0, 0.5), (0.75, 0.25)], 3) == pytest.approx(1 / 8)
    assert tail_of_sum([], 0) == 1.0
    assert tail_of_sum(coins, 5) == 0.0
