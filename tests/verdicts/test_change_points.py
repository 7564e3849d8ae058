"""Change points: shifts are found, noise is not, at the error rates that are stated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.verdicts.change_points import (
    LEAST_RUNS,
    LEVEL,
    change_points,
)
from pytest_realtime_asr.verdicts.trend import trimmed_mean

SETS, NIGHTS, SESSIONS = 1000, 10, 30
SPREAD = 0.03  # between nights
SCATTER = 0.1  # of the sessions of a night
CLIPS = 0.3  # between the clips, the same in each night


def test_a_shift_is_found_with_the_means_before_and_after_it() -> None:
    (point,) = change_points([10.0, 10.1, 9.9, 10.0, 12.0, 12.1, 11.9, 12.0])
    assert point.index == 4
    assert point.before == pytest.approx(10.0)
    assert point.after == pytest.approx(12.0)
    assert point.p <= LEVEL


def test_two_shifts_are_found() -> None:
    values = [10.0, 10.1, 9.9, 10.0] * 2 + [12.0, 12.1, 11.9, 12.0] * 2
    values += [15.0, 15.1, 14.9, 15.0] * 2
    assert [point.index for point in change_points(values)] == [8, 16]


def test_a_single_slow_night_is_no_change() -> None:
    values = [10.0, 10.1, 9.9, 10.0, 12.0, 10.1, 9.9, 10.0, 10.1, 9.9]
    assert change_points(values) == ()


def test_too_few_runs_have_no_change_point() -> None:
    values = [10.0, 10.0, 12.0, 12.0, 12.0]
    assert len(values) == LEAST_RUNS
    assert change_points(values[:-1], level=0.5) == ()
    assert change_points(values, level=0.5)


def test_equal_numbers_have_no_change_point() -> None:
    assert change_points([0.1 + 0.2, 0.3, 0.3, 0.3, 0.3, 0.3]) == ()


def test_numbers_without_noise_have_the_p_value_of_their_order() -> None:
    (point,) = change_points([0.0] * 5 + [1.0] * 5)
    assert point.p == 2 / math.comb(10, 5)
    assert change_points([0.0] * 3 + [1.0] * 2) == ()


def test_equal_counts_still_have_sampling_noise() -> None:
    rates = [0.0] * 5 + [1 / 300] * 5  # one error of 300 words
    assert change_points(rates)
    assert change_points(rates, variance=(1 / 300) ** 2) == ()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_number_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match="each value must be a finite number"):
        change_points([1.0, 2.0, value])


@pytest.mark.parametrize(("level", "variance"), [(0, 0), (1, 0), (0.05, -1)])
def test_a_wrong_level_or_variance_is_an_error(level: float, variance: float) -> None:
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        change_points([1.0, 2.0], level=level, variance=variance)


def nights(shift: float, *, heavy: bool, seed: int) -> np.ndarray:
    """Logarithms of latencies by set, night and session, slower from night 6 on."""
    rng = np.random.default_rng(seed)
    night = rng.standard_normal((SETS, NIGHTS, 1))
    if heavy:  # Student's distribution of 3 degrees of freedom, with the same spread
        night = rng.standard_t(3, (SETS, NIGHTS, 1)) / math.sqrt(3)
    values = SPREAD * night
    values = values + CLIPS * rng.standard_normal((SETS, 1, SESSIONS))
    values = values + SCATTER * rng.standard_normal((SETS, NIGHTS, SESSIONS))
    values[:, NIGHTS // 2 :] += math.log1p(shift)
    return values


def marked(values: np.ndarray) -> list[set[int]]:
    """The nights of each set that the p50 or the p95 marks."""
    found = []
    for each in values:
        usual = np.median(each, axis=0)
        typical = [trimmed_mean(night - usual) or 0.0 for night in each]
        p95 = [quantile(night, 0.95) for night in each]
        points = [
            point.index
            for series in (typical, p95)
            for point in change_points(series, level=LEVEL / 2)
        ]
        found.append(set(points))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy-tailed"])
def test_slower_nights_are_marked_and_equal_nights_are_not(heavy: bool) -> None:
    half = NIGHTS // 2
    slower = marked(nights(0.2, heavy=heavy, seed=1))
    assert sum(bool(each & {half - 1, half, half + 1}) for each in slower) >= 900
    equal = marked(nights(0.0, heavy=heavy, seed=2))
    # 5 % of 1,000 sets, and twice the standard error of this count.
    assert sum(map(bool, equal)) <= 65
