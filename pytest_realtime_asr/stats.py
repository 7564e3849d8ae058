"""Statistics of a sample: quantiles, confidence intervals, tests and comparisons.

The functions on quantiles make no assumption about the distribution of the values. A
quantile is an order statistic, so it is always one of the observed values. Its
confidence interval follows from the binomial distribution alone; a bound is infinite if
the sample is too small. A lost session has the value ``+inf``, so that it is neither
dropped nor given an invented number. A claim about a quantile is a claim about a share:
"p95 is at most L" says that at most 5 % of all sessions are over L.

Values of the same clip, or of the same speaker, depend on each other, so they have the
same label in ``blocks``. A bootstrap resamples them together, and a sign-flip test
changes their signs together. scipy.stats has no clustered, studentised bootstrap, so
this module implements it with scipy.special. Every function raises ValueError for
arguments that are not valid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

_CELLS = 4_000_000  # numbers that the bootstrap keeps in memory at once
_LEAST = 1e-300  # a lower bound of probabilities, which must not be zero

_Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """The mean or median difference of paired values, with its confidence interval.

    ``p`` is the two-sided p-value. ``n`` is the number of pairs, and ``blocks`` is the
    number of independent blocks.
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    blocks: int


def quantile(values: Iterable[float], q: float) -> float:
    """Return the q-quantile by nearest rank: the k-th smallest value, k = ceil(q n)."""
    ordered = _ordered(values)
    return ordered[_rank(len(ordered), q) - 1]


def quantile_interval(
    values: Iterable[float],
    q: float,
    confidence: float = 0.95,
    *,
    blocks: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> tuple[float, float]:
    """Return two order statistics between which the true q-quantile lies.

    For every distribution, the probability that the quantile is below the interval is
    at most (1 - confidence) / 2. The probability that the quantile is above the
    interval is at most this value too. A bound is infinite if there are too few values
    for it.

    If labels in ``blocks`` repeat, a bootstrap that resamples whole blocks gives a
    second interval. The result is then the smallest interval that contains both. A
    bound is infinite if there are too few blocks for it. The second interval is an
    approximation: if all values of a block are equal, a 95 % interval of a p90 or p95
    misses the quantile in 6 to 9 % of the cases instead of 5 %. A single block cannot
    be resampled, so the first interval is returned.
    """
    given = list(values)
    ordered = _ordered(given)
    n = len(ordered)
    _rank(n, q)
    miss = (1 - checked_share("confidence", confidence)) / 2
    index, size = _numbered(blocks, n)
    if resamples < 1:
        raise ValueError("a bootstrap needs at least one resample")
    if q == 1:
        return ordered[-1], math.inf
    # The number of values below the true quantile is binomial (n, q), so that the
    # k-th smallest lies above it with P(B < k) and below it with P(B >= k).
    ranks = np.arange(n)
    below = int(np.count_nonzero(special.bdtr(ranks, n, q) <= miss))
    above = int(np.count_nonzero(special.bdtrc(ranks, n, q) <= miss))
    low = ordered[below - 1] if below else -math.inf
    high = ordered[n - above] if above else math.inf
    if 1 < size < n:
        drawn = _drawn_quantiles(np.asarray(given, float), index, q)
        wide = _percentiles(drawn, size, confidence, resamples, seed, n)
        low = -math.inf if (1 - q) ** size > miss else min(low, wide[0])
        high = math.inf if q**size > miss else max(high, wide[1])
    return low, high


def proven_at_most(over: float, n: float, q: float, confidence: float) -> bool:
    """Return whether a q-quantile is proven to be at most a limit.

    ``n`` is the number of values, and ``over`` is the number of values over the limit.
    The proof is that the exact one-sided upper bound (Clopper-Pearson) of the share
    over the limit is 1 - q or less. ``over`` and ``n`` need not be whole numbers, since
    the incomplete beta function extends the binomial sum to fractions.
    """
    _counts(over, n)
    checked_share("q", q)
    checked_share("confidence", confidence)
    if over == n:
        return False
    # The bound is the share p at which P(B <= over) falls to 1 - confidence. This
    # probability falls as p grows, so it is enough to compute it at p = 1 - q.
    return bool(special.betainc(n - over, over + 1, q) <= 1 - confidence)


def proven_over(over: float, n: float, q: float, confidence: float) -> bool:
    """Return whether a q-quantile is proven to be over a limit.

    ``n`` is the number of values, and ``over`` is the number of values over the limit.
    The proof is that the exact one-sided lower bound (Clopper-Pearson) of the share
    over the limit exceeds 1 - q. ``over`` and ``n`` need not be whole numbers (see
    `proven_at_most`).
    """
    _counts(over, n)
    checked_share("q", q)
    checked_share("confidence", confidence)
    if over == 0:
        return False
    return bool(special.betainc(over, n - over + 1, 1 - q) < 1 - confidence)


def student_discount(blocks: int, confidence: float) -> float:
    """Return the factor, at most 1, by which to multiply an effective sample size.

    An effective sample size is computed from a variance, which is only estimated from
    ``blocks`` blocks. The factor corrects the size for this uncertainty. ``confidence``
    is the confidence of the proof that uses the size; it must be above 0.5.

    Formula: (z / t)^2, with z the ``confidence`` quantile of the normal distribution,
        and t the same quantile of Student's t distribution with ``blocks`` - 1 degrees
        of freedom
    """
    if blocks < 2 or not 0.5 < confidence < 1:
        raise ValueError(
            "a discount needs at least 2 blocks and a confidence between 0.5 and 1, "
            f"not {blocks} and {confidence}"
        )
    return (
        float(special.ndtri(confidence) / special.stdtrit(blocks - 1, confidence)) ** 2
    )


def samples_needed(q: float, confidence: float, *, over: int = 0) -> int:
    """Return the least sample size that proves a q-quantile to be at most a limit.

    ``over`` is the number of values in the sample that are over the limit.
    """
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


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected for multiple comparisons, in the given order.

    Let p(j) be the j-th smallest of m p-values. The corrected value of p(i) is the
    maximum of (m - j + 1) p(j) over all j from 1 to i, but at most 1. A hypothesis is
    rejected if its corrected p-value is at most ``alpha``. Then the family-wise error
    rate is at most ``alpha`` too, even if the tests depend on each other.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value must be from 0 to 1")
    m, least = len(p_values), 0.0
    adjusted = [0.0] * m
    for done, place in enumerate(sorted(range(m), key=p_values.__getitem__)):
        least = max(least, min(1.0, (m - done) * p_values[place]))
        adjusted[place] = least
    return tuple(adjusted)


def paired(
    differences: Sequence[float],
    *,
    median: bool = False,
    blocks: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Difference:
    """Return the mean, or the median, of the differences of paired values.

    The interval comes from a bootstrap that resamples whole blocks; for a mean, the
    bootstrap is studentised. The p-value is the `sign_flip_p_value`; it does not come
    from the bootstrap, which is too confident if there are few blocks.
    """
    index, size = _numbered(blocks, len(differences))
    values = _finite(differences)
    if median:
        drawn = _drawn_medians(values, index)
        low, high = _percentiles(drawn, size, confidence, resamples, seed, len(values))
    else:
        low, high = mean_interval(
            values.tolist(),
            seed=seed,
            confidence=confidence,
            resamples=resamples,
            blocks=index.tolist(),
        )
    value = float(np.median(values) if median else np.mean(values))
    p = sign_flip_p_value(
        differences, median=median, blocks=blocks, seed=seed, resamples=resamples
    )
    return Difference(value, low, high, p, len(values), size)


def sign_flip_p_value(
    differences: Sequence[float],
    *,
    median: bool = False,
    blocks: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = 2000,
) -> float:
    """Return the two-sided p-value of a paired sign-flip permutation test.

    The test flips the signs of whole blocks at random. If two servers are equal, both
    signs are equally likely. So the test is exact for any number of blocks.

    Formula: p = (1 + k) / (1 + resamples), with k the number of resamples whose mean
        (or median) is at least as far from zero as the mean (or median) of the given
        differences

    Source: Fisher's randomisation test; the added 1 by Phipson and Smyth (2010).
    """
    index, size = _numbered(blocks, len(differences))
    values = _finite(differences)
    value = float(np.median(values) if median else np.mean(values))
    rng = np.random.default_rng(seed)
    # Sums that are equal except for rounding must count as equally far from zero.
    far = abs(value) - 1e-9 * float(np.mean(np.abs(values)))
    sums = np.bincount(index, values) / len(values)
    farther = 0
    for rows in _portions(resamples, len(values)):
        signs = rng.integers(2, size=(rows, size)) * 2.0 - 1
        found = np.median(signs[:, index] * values, axis=1) if median else signs @ sums
        farther += int(np.count_nonzero(np.abs(found) >= far))
    return (1 + farther) / (1 + resamples)


def matched_pairs(
    before: Sequence[float],
    after: Sequence[float],
    *,
    blocks: Sequence[Hashable] | None = None,
    confidence: float = 0.95,
) -> Difference:
    """Apply the matched-pairs test to two error counts per segment (MAPSSWE).

    Without ``blocks``, a segment is an utterance. With ``blocks``, a segment is a whole
    block, such as all utterances of a speaker, since the errors of one speaker are not
    independent. ``value`` of the result is the mean difference per segment.

    Formula: t = mean(d) / (sd(d) / sqrt(n)), with d the sum of after - before over a
        segment, and n the number of segments

    t is compared with Student's t distribution with n - 1 degrees of freedom. sc_stats
    uses the normal distribution instead, which needs at least 50 segments. If all
    segments differ by the same amount, their spread is unknown, and p is the p-value of
    their signs, 2^(1 - n).

    Source: Gillick and Cox (1989); NIST sc_stats.
    """
    if len(before) != len(after):
        raise ValueError("`before` and `after` must have the same length")
    index, size = _numbered(blocks, len(before))
    errors = _finite([*before, *after])
    sums = np.bincount(index, weights=errors[len(before) :] - errors[: len(before)])
    miss = 1 - checked_share("confidence", confidence)
    value = float(np.mean(sums))
    if size == 1:
        return Difference(value, -math.inf, math.inf, 1.0, len(before), size)
    spread = float(np.std(sums, ddof=1)) / math.sqrt(size)
    if spread == 0:
        p = 2.0 ** (1 - size) if value else 1.0
    else:
        p = 2 * float(special.stdtr(size - 1, -abs(value) / spread))
    half = float(special.stdtrit(size - 1, 1 - miss / 2)) * spread
    return Difference(value, value - half, value + half, p, len(before), size)


def sign_test(more: int, fewer: int) -> float:
    """Return the one-sided p-value of the exact sign test, without ties.

    ``more`` is the number of pairs that differ in one direction, and ``fewer`` is the
    number of pairs that differ in the opposite direction. The p-value is the
    probability that at least ``more`` pairs differ in the first direction if both
    directions are equally likely.
    """
    if more < 0 or fewer < 0:
        raise ValueError(f"counts must be 0 or more, not {more} and {fewer}")
    # The regularised incomplete beta function is the tail of the binomial distribution.
    return float(special.betainc(more, fewer + 1, 0.5)) if more else 1.0


def tail_of_sum(distributions: Iterable[Sequence[float]], least: int) -> float:
    """Return the probability that a sum of independent counts is at least ``least``.

    Each distribution belongs to one count. Its value at index i is the probability that
    this count is i.
    """
    if least <= 0:
        return 1.0
    whole = np.ones(1)
    for each in distributions:
        whole = np.convolve(whole, np.asarray(each, float))
    return float(min(1.0, whole[least:].sum()))


def count_interval(
    count: int, size: float, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the exact Poisson confidence interval of the rate ``count / size``.

    The interval assumes independent events. For clustered events, such as recognition
    errors, the true interval is wider.
    """
    if count < 0 or not 0 < size < math.inf:
        raise ValueError(
            "a rate needs a `count` of at least 0 and a finite `size` above 0, not "
            f"count={count} and size={size}"
        )
    miss = (1 - checked_share("confidence", confidence)) / 2
    low = float(special.gammaincinv(count, miss)) if count else 0.0
    high = float(special.gammaincinv(count + 1, 1 - miss))
    return low / size, high / size


def share_interval(count: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval (Clopper-Pearson) of the share ``count / n``."""
    _counts(count, n)
    miss = (1 - checked_share("confidence", confidence)) / 2
    low = float(special.betaincinv(count, n - count + 1, miss)) if count else 0.0
    rest = n - count
    high = float(special.betaincinv(count + 1, rest, 1 - miss)) if rest else 1.0
    return low, high


def larger_share_p_value(count: int, n: int, others: int, m: int) -> float:
    """Return the p-value for the claim that ``count / n`` is above ``others / m``.

    The p-value comes from Fisher's exact test, one-sided. The null hypothesis is that
    both groups have the same true share, which is not known. The exact binomial test
    would instead take ``others / m`` as the true share.
    """
    _counts(count, n)
    _counts(others, m)
    both = count + others
    ways = (
        math.comb(n, k) * math.comb(m, both - k) for k in range(count, min(n, both) + 1)
    )
    return sum(ways) / math.comb(n + m, both)


def bootstrap(
    parts: Sequence[float],
    wholes: Sequence[float],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
    blocks: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Return a studentised bootstrap interval of the ratio sum(parts) / sum(wholes).

    A row is a value of ``parts`` and the value of ``wholes`` at the same index. Rows
    are resampled with replacement. Rows with the same label in ``blocks`` are resampled
    together, since rows of one speaker or recording depend on each other. The same seed
    gives the same interval. The interval is infinite for a single row or block, and
    often for two or three.

    Formula: (r - s t(1 - m), r - s t(m)), with r the ratio, s its standard error over
        the blocks, r* and s* the same numbers of a resample, t the quantiles of
        (r* - r) / s* over the resamples, and m = (1 - confidence) / 2; a negative bound
        becomes 0

    The percentiles of r* would be simpler, but error rates are skewed, so these
    percentiles are too low if there are 10 to 40 blocks. If the true rate is exactly at
    its limit, they would prove a rate below the limit in 4 to 10 % of the cases,
    instead of the nominal 2.5 %.

    Source: Bisani and Ney (2004) and Liu and Peng (2019) for the blocks; Hall,
        Theoretical Comparison of Bootstrap Confidence Intervals (1988) for studentising
    """
    index, _ = _numbered(blocks, len(parts))
    if len(parts) != len(wholes):
        raise ValueError("`parts` and `wholes` must have the same length")
    top, bottom = _finite(parts), _finite(wholes)
    if not (top >= 0).all():
        raise ValueError("each value of `parts` must be at least 0")
    if not (bottom > 0).all():
        raise ValueError("each value of `wholes` must be above 0")
    top, bottom = np.bincount(index, top), np.bincount(index, bottom)
    low, high = _studentised(top, bottom, confidence, resamples, seed)
    return max(0.0, low), high


def mean_interval(
    values: Sequence[float],
    *,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
    blocks: Sequence[Hashable] | None = None,
) -> tuple[float, float]:
    """Return a studentised bootstrap interval of a mean, as `bootstrap` computes it."""
    index, _ = _numbered(blocks, len(values))
    sums, counts = np.bincount(index, _finite(values)), np.bincount(index)
    return _studentised(sums, counts.astype(float), confidence, resamples, seed)


def student_interval(
    values: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return Student's interval of a mean, which is infinite for a single value.

    Use it for two to about ten values that scatter symmetrically. A bootstrap does not
    work for so few values, since there are too few different resamples.

    Formula: mean -+ t s / sqrt(n), with s the standard deviation and t the quantile of
        Student's distribution with n - 1 degrees of freedom
    """
    array = _finite(values)
    size = len(array)
    if size < 2:
        return -math.inf, math.inf
    t = float(
        special.stdtrit(size - 1, (1 + checked_share("confidence", confidence)) / 2)
    )
    mean, half = float(array.mean()), t * float(array.std(ddof=1)) / math.sqrt(size)
    return mean - half, mean + half


def _studentised(
    top: _Array, bottom: _Array, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """Return the studentised bootstrap interval of sum(top) / sum(bottom).

    ``top`` and ``bottom`` have one sum for each block; whole blocks are resampled.
    """
    miss = (1 - checked_share("confidence", confidence)) / 2
    size = len(top)
    ratio, error = (each.item() for each in _ratios(top, bottom, np.ones((1, size))))
    found: list[float] = []
    for counts in _draws(size, size, resamples, seed):
        ratios, errors = _ratios(top, bottom, counts)
        # A resample of equal blocks has no spread, so its t is infinite.
        far = np.copysign(math.inf, ratios - ratio)
        found += np.divide(ratios - ratio, errors, out=far, where=errors > 0).tolist()
    if size == 1:
        return -math.inf, math.inf
    if error == 0:
        return ratio, ratio
    low, high = (ratio - error * quantile(found, q) for q in (1 - miss, miss))
    return min(low, ratio), max(high, ratio)


def _ratios(top: _Array, bottom: _Array, counts: _Array) -> tuple[_Array, _Array]:
    """Return, for each resample, sum(top) / sum(bottom) and its standard error.

    A row of ``counts`` says how often a resample contains each block. The standard
    error comes from a linear approximation.
    """
    size = len(top)
    wholes = counts @ bottom
    ratios = counts @ top / wholes
    squares = (
        counts @ top**2
        - 2 * ratios * (counts @ (top * bottom))
        + ratios**2 * (counts @ bottom**2)
    )
    # A difference that is zero except for rounding gives a standard error of zero.
    squares[squares < 1e-12 * (counts @ top**2)] = 0
    return ratios, np.sqrt(squares * size / max(1, size - 1)) / wholes


# A function of an array with a row for each resample, which says how often the resample
# contains each block. It returns a value for each row.
_Drawn = Callable[[_Array], _Array]


def _drawn_medians(values: _Array, index: _Array) -> _Drawn:
    order = np.argsort(values)
    ordered, owner = values[order], index[order]

    def medians(counts: _Array) -> _Array:
        sums = counts[:, owner].cumsum(axis=1)
        half = sums[:, -1:] / 2
        below = (sums >= half).argmax(axis=1)
        above = (sums > half).argmax(axis=1)
        middles: _Array = (ordered[below] + ordered[above]) / 2
        return middles

    return medians


def _drawn_quantiles(values: _Array, index: _Array, q: float) -> _Drawn:
    order = np.argsort(values)
    ordered, owner = values[order], index[order]

    def quantiles(counts: _Array) -> _Array:
        sums = counts[:, owner].cumsum(axis=1)
        ranks = np.maximum(1, np.ceil(q * sums[:, -1:] - 1e-9))
        found: _Array = ordered[(sums >= ranks).argmax(axis=1)]
        return found

    return quantiles


def _percentiles(
    statistic: _Drawn, size: int, confidence: float, resamples: int, seed: int, n: int
) -> tuple[float, float]:
    """Return the lower and the upper percentile of a statistic of n values.

    The statistic is computed from resampled blocks. With few blocks, plain percentiles
    are too close to each other for two reasons: the spread is too small by a factor of
    sqrt((size - 1) / size), and the tails follow the normal distribution instead of
    Student's t distribution. So the percentiles are taken at the probability P(Z <=
    sqrt(size / (size - 1)) t), with Z normally distributed and t the quantile of
    Student's t distribution with size - 1 degrees of freedom.

    Source: Hesterberg, What Teachers Should Know About the Bootstrap (2015)
    """
    miss = (1 - checked_share("confidence", confidence)) / 2
    if size == 1:
        return -math.inf, math.inf
    wider = math.sqrt(size / (size - 1)) * special.stdtrit(size - 1, miss)
    miss = max(_LEAST, min(miss, float(special.ndtr(wider))))
    draws = _draws(size, n, resamples, seed)
    found = [each for counts in draws for each in statistic(counts).tolist()]
    return quantile(found, miss), quantile(found, 1 - miss)


def _draws(size: int, n: int, resamples: int, seed: int) -> Iterator[_Array]:
    """Yield arrays with a row for each of ``resamples`` resamples of ``size`` blocks.

    A row says how often the resample contains each block. ``n`` is the number of
    values; it limits how many resamples are in memory at once.
    """
    rng = np.random.default_rng(seed)
    for rows in _portions(resamples, n):
        drawn = rng.integers(size, size=(rows, size))
        drawn += np.arange(rows)[:, np.newaxis] * size
        counts = np.bincount(drawn.ravel(), minlength=rows * size)
        yield counts.reshape(rows, size).astype(float)


def _portions(rows: int, columns: int) -> Iterator[int]:
    """Split rows into portions that fit into memory; yield the size of each portion."""
    if rows < 1:
        raise ValueError("a bootstrap needs at least one resample")
    step = max(1, _CELLS // columns)
    for start in range(0, rows, step):
        yield min(step, rows - start)


def _numbered(blocks: Sequence[Hashable] | None, n: int) -> tuple[_Array, int]:
    """Return the index of each value's block, and the number of blocks."""
    if n == 0:
        raise ValueError("there are no values")
    if blocks is None:
        return np.arange(n), n
    if len(blocks) != n:
        raise ValueError("`blocks` must contain one label for each value")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(block, len(numbers)) for block in blocks]
    return np.asarray(index), len(numbers)


def _finite(values: Sequence[float]) -> _Array:
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("each value must be a finite number")
    return array


def _ordered(values: Iterable[float]) -> list[float]:
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there are no values")
    if any(map(math.isnan, ordered)):
        raise ValueError("a value is NaN; each value must be a number or infinity")
    return ordered


def _rank(n: int, q: float) -> int:
    if not 0 < q <= 1:
        raise ValueError(f"q must be above 0 and at most 1, not {q}")
    # 0.07 * 100 is 7.000000000000001: a rounding error must not change the rank.
    return max(1, math.ceil(q * n - 1e-9))


def checked_share(name: str, value: float) -> float:
    """Return ``value``; raise ValueError unless it is above 0 and below 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} must be between 0 and 1, not {value}")
    return value


def _counts(over: float, n: float) -> None:
    if not 0 <= over <= n or n < 1:
        raise ValueError(
            "`n` must be at least 1, and `over` must be from 0 to `n`, "
            f"not over={over} and n={n}"
        )
