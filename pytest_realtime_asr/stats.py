"""What a sample proves: intervals for quantiles and ratios, numbers in, numbers out.

Nothing here assumes a shape of the distribution. A quantile is an order statistic,
never a value that was not seen; its interval comes from the binomial law alone, and
where the sample is too small to bound it, the bound is infinite. A lost session takes
part as ``+inf``, so that it is neither dropped nor given an invented number. A claim
about a quantile is a claim about a share: "p95 is at most L" says that at most 5 % of
all sessions are over L. ``ValueError`` wherever the numbers make no sense.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import numpy as np
from scipy import special

_CELLS = 4_000_000  # numbers that the bootstrap holds at once


def quantile(values: Iterable[float], q: float) -> float:
    """The q-quantile by nearest rank: the k-th smallest value, k = ceil(q n)."""
    ordered = _ordered(values)
    return ordered[_rank(len(ordered), q) - 1]


def quantile_interval(
    values: Iterable[float], q: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Two order statistics between which the true q-quantile lies.

    Each side is missed with a chance of at most (1 - confidence) / 2, whatever the
    distribution. A side that n values cannot bound is infinite.
    """
    ordered = _ordered(values)
    n = len(ordered)
    _rank(n, q)
    miss = (1 - _open("confidence", confidence)) / 2
    if q == 1:
        return ordered[-1], math.inf
    # The number of values below the true quantile is binomial (n, q), so that the
    # k-th smallest lies above it with P(B < k) and below it with P(B >= k).
    ranks = np.arange(n)
    below = int(np.count_nonzero(special.bdtr(ranks, n, q) <= miss))
    above = int(np.count_nonzero(special.bdtrc(ranks, n, q) <= miss))
    low = ordered[below - 1] if below else -math.inf
    high = ordered[n - above] if above else math.inf
    return low, high


def proven_at_most(over: int, n: int, q: float, confidence: float) -> bool:
    """Whether ``over`` of ``n`` over a limit proves that the q-quantile is within it.

    That is so where the exact one-sided upper bound (Clopper-Pearson) on the share
    over the limit is at most 1 - q.
    """
    _counts(over, n)
    _open("q", q)
    # The bound is the share p at which P(B <= over) falls to 1 - confidence. This
    # probability falls as p grows, so it is enough to look at it where p is 1 - q.
    return bool(special.bdtr(over, n, 1 - q) <= 1 - _open("confidence", confidence))


def proven_over(over: int, n: int, q: float, confidence: float) -> bool:
    """Whether ``over`` of ``n`` over a limit proves that the q-quantile is over it.

    That is so where the exact one-sided lower bound on the share over the limit is
    more than 1 - q.
    """
    _counts(over, n)
    _open("q", q)
    _open("confidence", confidence)
    if over == 0:
        return False
    return bool(special.bdtrc(over - 1, n, 1 - q) < 1 - confidence)


def samples_needed(q: float, confidence: float, *, over: int = 0) -> int:
    """The least n at which ``over`` values over the limit still prove the quantile."""
    most = over + 1
    while not proven_at_most(over, most, q, confidence):
        most *= 2
    least = over + 1
    while least < most:
        middle = (least + most) // 2
        if proven_at_most(over, middle, q, confidence):
            most = middle
        else:
            least = middle + 1
    return least


def count_interval(
    count: int, size: float, confidence: float = 0.95
) -> tuple[float, float]:
    """The rate ``count / size`` between its exact Poisson bounds.

    It takes the counted things as independent. Where they come in clusters, as errors
    of recognition do, the truth is wider, never narrower.
    """
    if count < 0 or not 0 < size < math.inf:
        raise ValueError(f"a rate needs a count and a size, not {count} in {size}")
    miss = (1 - _open("confidence", confidence)) / 2
    low = float(special.gammaincinv(count, miss)) if count else 0.0
    high = float(special.gammaincinv(count + 1, 1 - miss))
    return low / size, high / size


def bootstrap(
    parts: Sequence[float],
    wholes: Sequence[float],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
    blocks: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Percentile interval of the pooled ratio sum(parts) / sum(wholes).

    Rows are drawn with replacement; rows with the same label in ``blocks`` are drawn
    together, since rows of one speaker or of one recording resemble each other. The
    same seed gives the same interval. A single row or block bounds nothing.
    """
    if blocks is None:
        blocks = range(len(parts))
    if not len(parts) == len(wholes) == len(blocks):
        raise ValueError("parts, wholes and blocks differ in length")
    top = np.asarray(parts, dtype=float)
    bottom = np.asarray(wholes, dtype=float)
    if not (np.isfinite(top).all() and (top >= 0).all()):
        raise ValueError("each part is a finite number, zero or more")
    if not (np.isfinite(bottom).all() and (bottom > 0).all()):
        raise ValueError("each whole is a finite number, more than zero")
    if len(parts) == 0 or resamples < 1:
        raise ValueError("a bootstrap needs rows and resamples")
    miss = (1 - _open("confidence", confidence)) / 2
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(block, len(numbers)) for block in blocks]
    size = len(numbers)
    if size == 1:
        return 0.0, math.inf
    top = np.bincount(index, weights=top)
    bottom = np.bincount(index, weights=bottom)
    rng = np.random.default_rng(seed)
    step = max(1, _CELLS // size)
    ratios: list[float] = []
    while len(ratios) < resamples:
        rows = min(step, resamples - len(ratios))
        drawn = rng.integers(size, size=(rows, size))
        ratios += (top[drawn].sum(axis=1) / bottom[drawn].sum(axis=1)).tolist()
    return quantile(ratios, miss), quantile(ratios, 1 - miss)


def _ordered(values: Iterable[float]) -> list[float]:
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    if any(math.isnan(value) for value in ordered):
        raise ValueError("a value is not a number")
    return ordered


def _rank(n: int, q: float) -> int:
    if not 0 < q <= 1:
        raise ValueError(f"q lies above 0 and goes up to 1, not {q}")
    # 0.07 * 100 is 7.000000000000001: the rank must not follow the rounding error.
    return max(1, math.ceil(q * n - 1e-9))


def _open(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{name} lies between 0 and 1, not {value}")
    return value


def _counts(over: int, n: int) -> None:
    if not 0 <= over <= n or n < 1:
        raise ValueError(f"{over} of {n} is not a count")
