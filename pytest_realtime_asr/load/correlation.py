"""How many independent sessions the sessions of a level are worth.

Under load, sessions that end at about the same time are late together: they wait in one
queue, and one slow second of the server delays all of them. The binomial test of a
share assumes independent sessions, so it would be too sure. The steady part is
therefore cut into windows of one clip's length; a window holds the sessions of all
streams whose audio ends in it. If the shares of the windows scatter more than those of
independent sessions would, the sessions are correlated, and their number is divided by
the ratio of the two variances (the design effect).

Three choices keep the test honest:

- Neighbouring windows can be correlated too, so blocks of two and of four windows are
  looked at as well, as long as there are at least six blocks.
- The scatter of the sessions over the limit says little if there are few of them. So if
  their share is below 1 - q, the sessions over their own q-quantile and over their
  median are looked at as well. This is left out if the limit is too far away to be
  reached by the present scatter, that is, if it is above the q-quantile by more than
  ten times the distance of the q-quantile from the median.
- Each number of sessions is also reduced by Student's distribution, since the variance
  is itself estimated. The smallest of all these numbers counts.

So the number is never larger than that of the sessions; for sessions that are
independent it is about 0.8 times as large. A correlation that lasts longer than a few
windows is underestimated; then ``hold`` must be longer.

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
    """The scatter of the sessions of a level over windows of time.

    ``n`` is the number of sessions and ``windows`` the number of windows that have one.
    ``effects`` are the design effects above 1, each with its number of blocks.
    """

    n: int
    windows: int
    effects: tuple[tuple[float, int], ...] = ()

    @property
    def unit(self) -> SampleUnit:
        """The unit that the smaller sample size is based on."""
        return SampleUnit.WINDOW if self.effects else SampleUnit.SESSION

    @property
    def inflation(self) -> float:
        """The largest design effect; 1 if the sessions are not correlated."""
        return max((effect for effect, _ in self.effects), default=1.0)

    def effective(self, confidence: float) -> float:
        """Return how many independent sessions prove as much, from 1 to ``n``."""
        sizes = [
            self.n / effect * student_discount(blocks, confidence)
            for effect, blocks in self.effects
        ]
        return max(1.0, min(sizes, default=float(self.n)))


def windows(times: npt.ArrayLike, length: float) -> _Array:
    """Return the number of the window of each time, from 0; both are in s."""
    if not 0 < length < math.inf:
        raise ValueError(f"the length of a window must be above 0 s, not {length}")
    numbers: _Array = np.floor(np.asarray(times, float) / length).astype(int)
    numbers -= numbers.min()
    return numbers


def correlation(
    values: npt.ArrayLike, limit: float, q: float, window: npt.ArrayLike
) -> Correlation:
    """Return the correlation of sessions over a limit, for the test of a q-quantile.

    ``values`` are the values of the sessions, infinite for a lost one; ``window`` has
    the window of each.
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
    """Return the design effect of a share, and the number of blocks.

    ``None`` if the share is 0 or 1, or if there is only one block.
    """
    n, share = len(over), float(over.mean())
    sizes = np.bincount(block)
    blocks = int(np.count_nonzero(sizes))
    if blocks < 2 or not 0 < share < 1:
        return None
    rests = np.bincount(block, over) - share * sizes
    variance = float(rests @ rests) * blocks / (blocks - 1) / n**2
    return variance * n / (share * (1 - share)), blocks
