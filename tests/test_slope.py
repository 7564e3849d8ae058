"""The slope of points, compared with scipy's, and the coverage of its interval."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from pytest_realtime_asr.slope import theil_sen, theil_sen_interval

FINITE = st.integers(-1000, 1000).map(float)
POINTS = st.lists(
    st.tuples(FINITE, FINITE), min_size=2, max_size=30, unique_by=lambda p: p[0]
)


def test_the_slope_of_theil_and_sen() -> None:
    xs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    ys = [2 * x + 1 for x in xs]
    assert theil_sen(xs, ys) == 2
    assert theil_sen(xs, [*ys[:8], 90.0, -90.0]) == 2  # two outliers
    assert theil_sen([1, 1, 2], [0, 9, 1]) == -3.5  # equal xs have no slope
    assert theil_sen([1, 1], [0, 1]) is None
    assert theil_sen([], []) is None


@given(POINTS)
def test_the_slope_equals_that_of_scipy(points: list[tuple[float, float]]) -> None:
    xs, ys = zip(*points, strict=True)
    assert theil_sen(xs, ys) == pytest.approx(reference.theilslopes(ys, xs).slope)


def test_the_interval_is_that_of_scipy_or_wider_by_one_slope() -> None:
    rng = np.random.default_rng(1)
    for n in (6, 10, 25):
        xs = np.arange(n, dtype=float).tolist()
        ys = rng.normal(size=n).tolist()
        low, high = theil_sen_interval(xs, ys)
        theirs = reference.theilslopes(ys, xs, alpha=0.95)
        assert low <= theirs.low_slope <= theirs.high_slope <= high
        slopes = sorted(
            (ys[j] - ys[i]) / (j - i) for i in range(n) for j in range(i + 1, n)
        )
        assert slopes.index(theirs.low_slope) - slopes.index(low) <= 1
        assert slopes.index(high) - slopes.index(theirs.high_slope) <= 1


def test_the_interval_covers_a_known_slope_whatever_the_distribution() -> None:
    rng = np.random.default_rng(2)
    xs = np.arange(12.0)
    missed = 0
    for _ in range(1000):
        ys = 3 * xs + rng.exponential(5.0, size=12)
        low, high = theil_sen_interval(xs.tolist(), ys.tolist())
        missed += not low <= 3 <= high
    assert missed <= 65  # 50 are expected; more than 65 come once in 80 runs
    assert missed >= 10  # the interval is not needlessly wide


def test_too_few_points_have_no_bounds() -> None:
    assert theil_sen_interval([1, 2, 3], [1, 2, 3]) == (-math.inf, math.inf)
    assert theil_sen_interval([1, 1, 1], [1, 2, 3]) == (-math.inf, math.inf)


@pytest.mark.parametrize(
    "call",
    [
        lambda: theil_sen([1], [1, 2]),
        lambda: theil_sen([1, 2], [1, math.inf]),
        lambda: theil_sen_interval([1, 2], [1, 2], confidence=1),
        lambda: theil_sen_interval([1, 2], [math.nan, 2]),
    ],
)
def test_invalid_arguments_are_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        call()
