"""Estimators of the slope of a line through points; outliers have little effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt


def theil_sen(xs: Sequence[float], ys: Sequence[float]) -> float | None:
    """Return the median slope over all pairs of points with different ``xs``.

    Returns ``None`` if there is no such pair. Outliers change the result only a little
    if they are at most 29 % of the points. Raises ValueError for values that are not
    finite.
    """
    slopes = _slopes(xs, ys)
    return float(np.median(slopes)) if len(slopes) else None


def theil_sen_interval(
    xs: Sequence[float], ys: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the confidence interval of the slope that `theil_sen` estimates.

    Each bound is the slope between two of the points. The distances of the points from
    their line must be independent of each other, and may have any distribution. Both
    bounds are infinite if there are too few points. Raises ValueError for values that
    are not finite.

    Formula: of N sorted slopes, the k-th from each end, with k = (N - z s) / 2 rounded
        down; s = sqrt(n (n - 1) (2 n + 5) / 18) is the standard deviation of Kendall's
        statistic of n points, and z is the quantile of the normal distribution
    Source: Sen, Estimates of the Regression Coefficient Based on Kendall's Tau (1968)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    slopes = np.sort(_slopes(xs, ys))
    n, count = len(xs), len(slopes)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    outside = math.floor((count - z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)) / 2)
    if outside < 1:
        return -math.inf, math.inf
    return float(slopes[outside - 1]), float(slopes[count - outside])


def _slopes(xs: Sequence[float], ys: Sequence[float]) -> npt.NDArray[Any]:
    """Return the slope of each pair of points with different ``xs``."""
    x, y = np.asarray(xs, float), np.asarray(ys, float)
    if len(x) != len(y):
        raise ValueError("xs and ys must have the same length")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("each value must be a finite number")
    one, other = np.triu_indices(len(x), 1)
    run, rise = x[other] - x[one], y[other] - y[one]
    apart = run != 0
    slopes: npt.NDArray[Any] = rise[apart] / run[apart]
    return slopes
