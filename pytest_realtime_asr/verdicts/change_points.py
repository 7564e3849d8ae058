"""Finds change points in a series of runs; a change point starts a lasting change.

Each run of a series gives one number, such as the logarithm of its p95. Equal servers
give different numbers from night to night, and much of this noise is not visible within
a single run. So the noise is estimated from the series itself. The series is split
before each run, and the means of the two parts are compared by Student's statistic. The
split with the largest statistic is the candidate. Many series without a change are
simulated, and each has a largest statistic too. If the candidate's statistic is larger
than nearly all of these, the run after its split is a change point, and each part is
searched in the same way.

A part has at least `LEAST_PART` runs, since a single slow night is no lasting change.

Formula: t(k) = |m2 - m1| / sqrt(s^2 (1 / k + 1 / (n - k))), with m1 the mean of the
    first k of n runs, m2 the mean of the others, and s^2 the variance within the two
    parts (n - 2 degrees of freedom), but at least the sampling variance of a run
Source: Hawkins, Testing a Sequence of Observations for a Shift in Location (1977);
    Scott and Knott (1974) for the binary segmentation
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST_RUNS = 5  # fewer runs say too little about the noise between runs
LEAST_PART = 2  # runs before a change point, and from it on
LEVEL = 0.05  # the probability of any change point in all series of equal runs
_SERIES = 9999  # simulated series without a change
_SEED = 1
_EQUAL = 1e-9  # relative spread below which values are equal except for rounding

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """The first run after a lasting change of the numbers.

    ``index`` is the index of this run in the series. ``before`` is the mean of the part
    of the series before this run, and ``after`` is the mean of the part that starts
    with this run. ``p`` is the p-value; it is not corrected for the number of series.
    """

    index: int
    before: float
    after: float
    p: float


def change_points(
    values: Sequence[float], *, level: float = LEVEL, variance: float = 0.0
) -> tuple[ChangePoint, ...]:
    """Return the change points of a series, in the order of its runs.

    ``level`` is the probability of finding a change point in a series of equal runs.
    For several series, divide it by their number (Bonferroni). ``variance`` is the
    sampling variance of one number, if it is known. The noise is never taken to be
    less: counts that are equal by chance would seem to have no noise. A series of fewer
    than `LEAST_RUNS` runs has no change point. Raises ValueError for a number that is
    not finite.
    """
    series = np.asarray(values, float)
    if not np.isfinite(series).all():
        raise ValueError("each value must be a finite number")
    if not (0 < level < 1 and variance >= 0):
        raise ValueError("level must be between 0 and 1, and variance at least 0")
    if len(series) < LEAST_RUNS:
        return ()
    return tuple(_found(series, 0, level, variance))


def _found(
    series: _Array, start: int, level: float, variance: float
) -> list[ChangePoint]:
    """Return the change points of one part of a series, from index ``start`` on."""
    size = len(series)
    if size < 2 * LEAST_PART or np.ptp(series) <= _EQUAL * np.abs(series).max():
        return []
    statistics = _statistics(series[np.newaxis, :], variance)[0]
    split = LEAST_PART + int(np.argmax(statistics))
    p = _p_value(float(statistics[split - LEAST_PART]), size, split)
    if p > level:
        return []
    left, right = series[:split], series[split:]
    point = ChangePoint(start + split, float(left.mean()), float(right.mean()), p)
    return [
        *_found(left, start, level, variance),
        point,
        *_found(right, start + split, level, variance),
    ]


def _statistics(series: _Array, variance: float = 0.0) -> _Array:
    """Return Student's statistics; a row is a series, and a column is a split of it."""
    size = series.shape[1]
    series = series - series.mean(axis=1, keepdims=True)
    first = np.arange(LEAST_PART, size - LEAST_PART + 1)
    sums = np.cumsum(series, axis=1)[:, first - 1]  # the other part has the sum -sums
    weight = 1 / first + 1 / (size - first)
    within = (series**2).sum(axis=1, keepdims=True) - sums**2 * weight
    scale = (series**2).sum(axis=1, keepdims=True)
    within = np.where(within <= _EQUAL * scale, 0.0, within)
    noise = np.maximum(within / (size - 2), variance)
    gap = np.abs(sums) * weight
    far = np.where(gap > 0, math.inf, 0.0)
    error = np.sqrt(noise * weight)
    found: _Array = np.divide(gap, error, out=far, where=error > 0)
    return found


def _p_value(statistic: float, size: int, split: int) -> float:
    """Return the p-value of the largest statistic of a series of ``size`` runs.

    ``split`` is the number of runs before the split. The statistic is infinite if the
    numbers before the split are all equal, and those after it too. The p-value is then
    the probability of such a division if the order of the runs is random.
    """
    if math.isinf(statistic):
        return min(1.0, 2 / math.comb(size, split))
    largest = _largest(size)
    above = len(largest) - int(np.searchsorted(largest, statistic))
    return (1 + above) / (1 + len(largest))


@cache
def _largest(size: int) -> _Array:
    """Return the largest statistic of each simulated normal series, in rising order."""
    rng = np.random.default_rng(_SEED)
    found = [
        _statistics(rng.standard_normal((len(rows), size))).max(axis=1)
        for rows in np.array_split(np.arange(_SERIES), 10)
    ]
    return np.sort(np.concatenate(found))
