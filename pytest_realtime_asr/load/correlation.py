"""Computes how many independent sessions would prove as much as those of a level.

Under load, sessions that end at about the same time are late together. They wait in one
queue, and one slow second of the server delays all of them. The binomial test of a
share assumes independent sessions. With correlated sessions, it would claim too high a
confidence. The steady part is therefore cut into windows of the mean length of a clip.
A session belongs to the window in which its audio ends. For each window, the share of
its sessions that are over the limit is computed. The design effect is the variance of
these shares, divided by the variance that independent sessions would have. If it is
above 1, the sessions are correlated, and their number is divided by the design effect.

Three choices make the test safer:

- Neighbouring windows can be correlated too. So the design effect is also computed for
  blocks of two and of four windows, if there are at least six blocks.
- A few sessions over the limit do not show whether sessions are correlated. So if the
  share over the limit is less than the allowed share (1 - q), the design effect is also
  computed for two lower limits: the observed q-quantile and the observed median. Both
  are left out if the limit of the test is far above the q-quantile: by more than ten
  times the distance between the q-quantile and the median.
- Each design effect gives a number of independent sessions. This number is reduced by
  Student's t distribution, since the variance is itself estimated. The smallest of
  these numbers is the result.

So the result is never larger than the number of sessions. For independent sessions, the
result is about 0.8 times their number. A correlation that lasts longer than a few
windows is underestimated. A longer ``hold`` makes this error smaller.

Source: Korn and Graubard, Confidence Intervals for Proportions With Small Expected
Number of Positive Counts Estimated From Survey Data (1998)
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.stats import quantile, student_discount

_BLOCKS = (1, 2, 4)  # windows of a block
_FAR = 10  # distances of the q-quantile from the median
_LEAST_BLOCKS = 6  # fewer blocks of several windows estimate no variance

_Array = npt.NDArray[Any]


class SampleUnit(enum.StrEnum):
    """The unit that counts as independent in the test of a level."""

    SESSION = "session"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class Correlation:
    """The correlation of the sessions of a level, computed from windows of time.

    ``n`` is the number of sessions. ``windows`` is the number of windows with at least
    one session. ``effects`` are the design effects above 1, each with the number of
    blocks of windows from which it was computed. A design effect is the ratio of two
    variances of the share of sessions over a limit: the observed variance, divided by
    the variance for independent sessions.
    """

    n: int
    windows: int
    effects: tuple[tuple[float, int], ...] = ()

    @property
    def unit(self) -> SampleUnit:
        """The independent unit: a window if there are ``effects``, else a session."""
        return SampleUnit.WINDOW if self.effects else SampleUnit.SESSION

    @property
    def inflation(self) -> float:
        """The largest design effect; 1 if the sessions are not correlated."""
        return max((effect for effect, _ in self.effects), default=1.0)

    def effective(self, confidence: float) -> float:
        """Return how many independent sessions would prove as much as these sessions.

        The result is from 1 to ``n``. ``confidence`` is the confidence of the proof.
        """
        sizes = [
            self.n / effect * student_discount(blocks, confidence)
            for effect, blocks in self.effects
        ]
        return max(1.0, min(sizes, default=float(self.n)))


def windows(times: npt.ArrayLike, length: float) -> _Array:
    """Return the number of the window of each time; the first window is number 0.

    The ``times`` and the ``length`` of a window are in s.
    """
    if not 0 < length < math.inf:
        raise ValueError(f"the length of a window must be above 0 s, not {length}")
    numbers: _Array = np.floor(np.asarray(times, float) / length).astype(int)
    numbers -= numbers.min()
    return numbers


def correlation(
    values: npt.ArrayLike, limit: float, q: float, window: npt.ArrayLike
) -> Correlation:
    """Return how sessions over a limit are correlated, for the test of a q-quantile.

    ``values`` are the values of the sessions, infinite for a lost session. ``window``
    has, for each session, the number of its window.
    """
    array, number = np.asarray(values, float), np.asarray(window, int)
    n = len(array)
    if n == 0 or len(number) != n:
        raise ValueError("a correlation needs values, and a window for each of them")
    levels = [limit]
    if np.count_nonzero(array > limit) < (1 - q) * n:
        own, median = (quantile(array.tolist(), each) for each in (q, 0.5))
        if limit - own <= _FAR * (own - median):
            levels += (own, median)
    count = int(number.max()) + 1
    effects = []
    for level in dict.fromkeys(levels):
        over = (array > level).astype(float)
        for size in _BLOCKS:
            if size > 1 and count < size * _LEAST_BLOCKS:
                break
            found = _effect(over, number // size)
            if found is not None and found[0] > 1:
                effects.append(found)
    return Correlation(n, len(np.unique(number)), tuple(effects))


def _effect(over: _Array, block: _Array) -> tuple[float, int] | None:
    """Return the design effect for a limit, and the number of blocks with sessions.

    ``over`` has, for each session, 1 if it is over the limit and otherwise 0. ``block``
    has, for each session, the number of its block. Return ``None`` if no session or
    every session is over the limit, or if only one block has sessions.
    """
    n, share = len(over), float(over.mean())
    sizes = np.bincount(block)
    blocks = int(np.count_nonzero(sizes))
    if blocks < 2 or not 0 < share < 1:
        return None
    rests = np.bincount(block, over) - share * sizes
    variance = float(rests @ rests) * blocks / (blocks - 1) / n**2
    return variance * n / (share * (1 - share)), blocks
