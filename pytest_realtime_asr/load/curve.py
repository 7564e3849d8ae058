"""Curves of the share of sessions that are over a limit, by the number of streams.

Two curves are fitted to the same points. The isotonic curve assumes only that a
server does not become faster with more streams; it is shown to the user. The logistic
curve is smooth, so that it can say what to expect at a level that was not run; it
steers the search. Neither curve proves anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ROUNDS = 50  # of Newton's method, which needs about ten
_CLOSE = 1e-6  # change of a logit at which it ends
_STEEPEST = 30.0  # logits; beyond it, a share is 0 or 1
# What is assumed before any level: about 5 % at the middle, and any slope.
_PRIOR = np.array([-3.0, 0.0])
_DOUBT = np.diag([1 / 3.0**2, 1 / 100.0**2])


@dataclass(frozen=True, slots=True)
class Point:
    """The share of sessions over the limit at a number of streams.

    ``weight`` is the number of independent sessions that the share comes from.
    """

    streams: int
    share: float
    weight: float


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic curve of the share of sessions over the limit.

    ``logit`` is the logit of the share at ``middle`` streams.

    Formula: share = 1 / (1 + exp(-(logit + slope (streams / middle - 1))))
    """

    middle: int
    logit: float
    slope: float

    def share(self, streams: int) -> float:
        """Return the expected share of sessions over the limit."""
        value = self.logit + self.slope * (streams / self.middle - 1)
        return 1 / (1 + math.exp(-max(-_STEEPEST, min(_STEEPEST, value))))


def isotonic(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return the never-falling curve that is nearest to the points.

    The curve has one point for each level.

    Formula: the least weighted sum of squares, by pooling adjacent violators
    Source: Barlow, Bartholomew, Bremner and Brunk (1972)
    """
    levels: dict[int, list[Point]] = {}
    for each in sorted(points, key=lambda each: each.streams):
        levels.setdefault(each.streams, []).append(each)
    pools: list[list[Point]] = []
    for same in levels.values():
        pools.append(list(same))
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return tuple(
        Point(streams, _mean(pool), math.fsum(each.weight for each in levels[streams]))
        for pool in pools
        for streams in dict.fromkeys(each.streams for each in pool)
    )


def logistic(points: Sequence[Point], middle: int) -> Logistic:
    """Return the logistic curve with the largest posterior probability.

    Its slope is at least 0. ``middle`` is the number of streams at which a share of
    about 5 % (a logit of -3) is expected before any point is seen.
    """
    x = np.array([[1.0, each.streams / middle - 1] for each in points])
    share = np.array([each.share for each in points])
    weight = np.array([each.weight for each in points])
    beta = _PRIOR.copy()
    if not len(points):
        return Logistic(middle, float(beta[0]), 0.0)

    def loss(beta: npt.NDArray[np.float64]) -> float:
        value = x @ beta
        fit = weight @ (np.logaddexp(0, value) - share * value)
        return float(fit + (beta - _PRIOR) @ _DOUBT @ (beta - _PRIOR) / 2)

    for _ in range(_ROUNDS):
        value = np.clip(x @ beta, -_STEEPEST, _STEEPEST)
        expected = 1 / (1 + np.exp(-value))
        gradient = x.T @ (weight * (expected - share)) + _DOUBT @ (beta - _PRIOR)
        spread = weight * expected * (1 - expected)
        step = np.linalg.solve((x.T * spread) @ x + _DOUBT, gradient)
        size, now = 1.0, loss(beta)
        # A full step can overshoot where the curve is flat.
        while size > _CLOSE and loss(beta - size * step) > now:
            size /= 2
        beta = beta - size * step
        if size * float(np.abs(step).max()) < _CLOSE:
            break
    return Logistic(middle, float(beta[0]), max(0.0, float(beta[1])))


def _mean(points: Sequence[Point]) -> float:
    whole = math.fsum(each.weight for each in points)
    return math.fsum(each.share * each.weight for each in points) / whole
