"""What a sample proves: intervals, tests and comparisons, numbers in, numbers out.

Nothing here assumes a shape of the distribution of a latency. A quantile is an order
statistic, never a value that was not seen; its interval comes from the binomial law
alone, and where the sample is too small to bound it, the bound is infinite. A lost
session takes part as ``+inf``, so that it is neither dropped nor given an invented
number. A claim about a quantile is a claim about a share: "p95 is at most L" says that
at most 5 % of all sessions are over L.

Values that resemble each other (of one clip, of one speaker) have the same label in
``blocks``, and are drawn or turned together. ``ValueError`` wherever the numbers make
no sense.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

GOOD_SHARE = 1 / 5  # of what a claim allows: so few over the limit are a good server's

_CELLS = 4_000_000  # numbers that the bootstrap holds at once
_LEAST = 1e-300  # a chance that is not quite zero

_Array = npt.NDArray[Any]


class Decision(enum.Enum):
    """What a sequence of outcomes has decided."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Course:
    """How far a sequential test came: decided by ``n``, ``over`` of them over."""

    decision: Decision
    n: int
    over: int


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much paired values differ, with its interval.

    ``p`` is two-sided: the chance of so large a difference, either way, where there is
    none. ``n`` is the number of pairs, ``blocks`` that of those that are independent.
    """

    value: float
    low: float
    high: float
    p: float
    n: int
    blocks: int


def quantile(values: Iterable[float], q: float) -> float:
    """The q-quantile by nearest rank: the k-th smallest value, k = ceil(q n)."""
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
    """Two order statistics between which the true q-quantile lies.

    Each side is missed with a chance of at most (1 - confidence) / 2, whatever the
    distribution. A side that n values cannot bound is infinite.

    Where a label in ``blocks`` repeats, each side is the wider one of this and of a
    bootstrap that draws whole blocks, and infinite where as many values as there are
    blocks could not bound it. That is an approximation: where values differ by their
    block alone, both sides of a p90 or p95 together are missed in 6 to 9 % of the cases
    where 5 % are meant. A single block has nothing to be drawn from, and adds nothing.
    """
    given = list(values)
    ordered = _ordered(given)
    n = len(ordered)
    _rank(n, q)
    miss = (1 - _open("confidence", confidence)) / 2
    index, size = _numbered(blocks, n)
    if resamples < 1:
        raise ValueError("a bootstrap needs resamples")
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


def sequential(outcomes: Iterable[bool], q: float, confidence: float) -> Course:
    """Wald's sequential test of a share, over outcomes in their order; true is over.

    It reads no further than to its decision. The bad share is what the claim allows,
    b = 1 - q, and a good one a fifth of it, g = b / 5. Each outcome adds to the
    logarithm of the likelihood ratio, bad to good: ln(b / g) where it is over,
    ln((1 - b) / (1 - g)) where it is not. ``PASS`` where the sum falls to
    ln(1 - confidence), ``FAIL`` where it rises to -ln(1 - confidence).

    At a share of b or more, ``PASS`` has a chance of at most 1 - confidence, and so has
    ``FAIL`` at a share of g or less, for any number of outcomes: there the ratio good
    to bad (bad to good) is a supermartingale that begins at 1, and Ville's inequality
    bounds its chance to ever reach 1 / (1 - confidence). Wald's own limits, ln(beta /
    (1 - alpha)) and its like, are a little nearer and hold this by approximation only:
    at p95 and 95 % they would pass 72 clean outcomes instead of 73 with an exact error
    of 4.99 % (here 4.79 %), but at p99 theirs is 5.10 % and at p95 and 80 % it is
    21.6 %. Between g and b, either decision may come: ``FAIL`` says that a server is
    not a good one, and not that it breaks the claim.

    Source: Wald, Sequential Analysis (1947); Ville (1939).
    """
    steps = _steps(q, confidence)
    n = over = 0
    decision = Decision.UNDECIDED
    for outcome in outcomes:
        n += 1
        over += bool(outcome)
        decision = _decision(over, n, steps)
        if decision is not Decision.UNDECIDED:
            break
    return Course(decision, n, over)


def decide(over: int, n: int, q: float, confidence: float) -> Decision:
    """What `sequential` says at ``over`` of ``n``, where it had not yet decided."""
    if n or over:
        _counts(over, n)
    return _decision(over, n, _steps(q, confidence))


def least_clean(q: float, confidence: float) -> int:
    """The least number of outcomes with which `sequential` passes: none of them over.

    With fewer, a claim can never be proven in order; `samples_needed` is that number
    for a sample of a fixed size.
    """
    steps = _, down, bound = _steps(q, confidence)
    # The quotient may be off by a rounding error; the decision itself is what counts.
    n = max(1, math.ceil(bound / down) - 1)
    while _decision(0, n, steps) is not Decision.PASS:
        n += 1
    return n


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values as they are where so many questions are asked at once, in order.

    The i-th smallest of m becomes the largest of (m - j + 1) p(j) over j up to i, at
    most 1. To call those that are at most a false one has at most that chance to call
    even one falsely, whether or not they depend on each other.

    Source: Holm, A simple sequentially rejective multiple test procedure (1979).
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ValueError("a p-value lies between 0 and 1")
    m, least = len(p_values), 0.0
    adjusted = [0.0] * m
    for done, place in enumerate(sorted(range(m), key=p_values.__getitem__)):
        least = max(least, min(1.0, (m - done) * p_values[place]))
        adjusted[place] = least
    return tuple(adjusted)


def log_ratios(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """ln(after / before) of each pair: 0.049 where the second is 5 % more."""
    values = [*before, *after]
    if not all(0 < value < math.inf for value in values):
        raise ValueError("a ratio needs finite numbers, more than zero")
    return [math.log(b / a) for a, b in zip(before, after, strict=True)]


def paired(
    differences: Sequence[float],
    *,
    median: bool = False,
    blocks: Sequence[Hashable] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> Difference:
    """The mean, or the median, of differences (or `log_ratios`) of paired values.

    The interval is a bootstrap that draws whole blocks, studentised for a mean. ``p``
    is not read from it, since few blocks make a bootstrap too sure of itself: it is
    that of `sign_flip_p_value`.
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
    """The chance of a mean, or median, of differences so far from zero either way.

    It is that of a test that turns the signs of whole blocks at random. Where two
    servers are equal, which of them a value came from is chance, and this test is exact
    for any number of blocks.

    Formula: p = (1 + resamples at least as far from zero) / (1 + resamples)

    Source: Fisher's randomisation test; the 1 as in Phipson and Smyth (2010).
    """
    index, size = _numbered(blocks, len(differences))
    values = _finite(differences)
    value = float(np.median(values) if median else np.mean(values))
    rng = np.random.default_rng(seed)
    # A sum in another order differs in its last digits, and is still as far from zero.
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
    """The matched-pairs test of two error counts per segment (MAPSSWE).

    Formula: d = after - before, summed over a block; t = mean(d) / (sd(d) / sqrt(n)).
    ``value`` is the mean of d per segment. A segment is an utterance, or with
    ``blocks`` a block, as all utterances of a speaker: those of one speaker are not
    independent. Student's law with n - 1 degrees is used, where sc_stats uses the
    normal law, which is its limit and asks for 50 segments. Where all segments differ
    by the same, their spread is not known, and p is that of their signs, 2^(1 - n).

    Source: Gillick and Cox (1989); NIST sc_stats.
    """
    if len(before) != len(after):
        raise ValueError("before and after differ in length")
    index, size = _numbered(blocks, len(before))
    errors = _finite([*before, *after])
    sums = np.bincount(index, weights=errors[len(before) :] - errors[: len(before)])
    chance = 1 - _open("confidence", confidence)
    value = float(np.mean(sums))
    if size == 1:
        return Difference(value, -math.inf, math.inf, 1.0, len(before), size)
    spread = float(np.std(sums, ddof=1)) / math.sqrt(size)
    if spread == 0:
        p = 2.0 ** (1 - size) if value else 1.0
    else:
        p = 2 * float(special.stdtr(size - 1, -abs(value) / spread))
    half = float(special.stdtrit(size - 1, 1 - chance / 2)) * spread
    return Difference(value, value - half, value + half, p, len(before), size)


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
    """Studentised bootstrap interval of the pooled ratio sum(parts) / sum(wholes).

    Rows are drawn with replacement; rows with the same label in ``blocks`` are drawn
    together, since rows of one speaker or of one recording resemble each other. The
    same seed gives the same interval. A single row or block bounds nothing, and two or
    three seldom do.

    Formula: (r - s t(1 - m), r - s t(m)), with r the ratio, s its standard error over
        the blocks, t the quantiles of (r* - r) / s* over what was drawn, and m =
        (1 - confidence) / 2; never below zero. Rates of error are skewed: over 10 to 40
        blocks, the percentiles of r* lie too low, and pass a rate that is at its limit
        in 4 to 10 % of the cases where 2.5 % are meant.
    Source: Bisani and Ney (2004), Liu and Peng (2019) for the blocks; Hall, Theoretical
        Comparison of Bootstrap Confidence Intervals (1988) for the studentised kind
    """
    index, _ = _numbered(blocks, len(parts))
    if len(parts) != len(wholes):
        raise ValueError("parts and wholes differ in length")
    top, bottom = _finite(parts), _finite(wholes)
    if not (top >= 0).all():
        raise ValueError("each part is a finite number, zero or more")
    if not (bottom > 0).all():
        raise ValueError("each whole is a finite number, more than zero")
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
    """Studentised bootstrap interval of a mean, drawn and bounded as in `bootstrap`."""
    index, _ = _numbered(blocks, len(values))
    sums, counts = np.bincount(index, _finite(values)), np.bincount(index)
    return _studentised(sums, counts.astype(float), confidence, resamples, seed)


def _studentised(
    top: _Array, bottom: _Array, confidence: float, resamples: int, seed: int
) -> tuple[float, float]:
    """The interval of sum(top) / sum(bottom) over blocks that are drawn anew."""
    miss = (1 - _open("confidence", confidence)) / 2
    size = len(top)
    ratio, error = (each.item() for each in _ratios(top, bottom, np.ones((1, size))))
    found: list[float] = []
    for counts in _draws(size, size, resamples, seed):
        ratios, errors = _ratios(top, bottom, counts)
        # Where all that was drawn is alike, nothing bounds it on that side.
        far = np.copysign(math.inf, ratios - ratio)
        found += np.divide(ratios - ratio, errors, out=far, where=errors > 0).tolist()
    if size == 1:
        return -math.inf, math.inf
    if error == 0:
        return ratio, ratio
    low, high = (ratio - error * quantile(found, q) for q in (1 - miss, miss))
    return min(low, ratio), max(high, ratio)


def _ratios(top: _Array, bottom: _Array, counts: _Array) -> tuple[_Array, _Array]:
    """The ratio of each row of counts and its standard error, which is linearised."""
    size = len(top)
    wholes = counts @ bottom
    ratios = counts @ top / wholes
    squares = (
        counts @ top**2
        - 2 * ratios * (counts @ (top * bottom))
        + ratios**2 * (counts @ bottom**2)
    )
    # What is left of a difference that is none is not an error.
    squares[squares < 1e-12 * (counts @ top**2)] = 0
    return ratios, np.sqrt(squares * size / max(1, size - 1)) / wholes


_Drawn = Callable[[_Array], _Array]  # of how often each block was drawn: a number a row


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
    """The percentiles of a statistic of n values over blocks that are drawn anew.

    Over few blocks they are too near, by a factor of sqrt((size - 1) / size) and by the
    normal law in the place of Student's. So they are taken further out, at the normal
    chance of sqrt(size / (size - 1)) t(size - 1).

    Source: Hesterberg, What Teachers Should Know About the Bootstrap (2015)
    """
    miss = (1 - _open("confidence", confidence)) / 2
    if size == 1:
        return -math.inf, math.inf
    wider = math.sqrt(size / (size - 1)) * special.stdtrit(size - 1, miss)
    miss = max(_LEAST, min(miss, float(special.ndtr(wider))))
    draws = _draws(size, n, resamples, seed)
    found = [each for counts in draws for each in statistic(counts).tolist()]
    return quantile(found, miss), quantile(found, 1 - miss)


def _draws(size: int, n: int, resamples: int, seed: int) -> Iterator[_Array]:
    """How often each block is drawn, a row for each time; n columns have to be held."""
    rng = np.random.default_rng(seed)
    for rows in _portions(resamples, n):
        drawn = rng.integers(size, size=(rows, size))
        drawn += np.arange(rows)[:, np.newaxis] * size
        counts = np.bincount(drawn.ravel(), minlength=rows * size)
        yield counts.reshape(rows, size).astype(float)


def _portions(rows: int, columns: int) -> Iterator[int]:
    """Rows to hold at once, till all are done."""
    if rows < 1:
        raise ValueError("a bootstrap needs resamples")
    step = max(1, _CELLS // columns)
    for begin in range(0, rows, step):
        yield min(step, rows - begin)


def _numbered(blocks: Sequence[Hashable] | None, n: int) -> tuple[_Array, int]:
    """The number of the block of each of n values, and how many blocks there are."""
    if n == 0:
        raise ValueError("no values")
    if blocks is None:
        return np.arange(n), n
    if len(blocks) != n:
        raise ValueError("values and blocks differ in length")
    numbers: dict[Hashable, int] = {}
    index = [numbers.setdefault(block, len(numbers)) for block in blocks]
    return np.asarray(index), len(numbers)


def _finite(values: Sequence[float]) -> _Array:
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError("each is a finite number")
    return array


def _steps(q: float, confidence: float) -> tuple[float, float, float]:
    """What an outcome adds that is over, what a clean one takes, and the limit."""
    bad = 1 - _open("q", q)
    good = bad * GOOD_SHARE
    bound = -math.log(1 - _open("confidence", confidence))
    return math.log(bad / good), math.log((1 - good) / (1 - bad)), bound


def _decision(over: int, n: int, steps: tuple[float, float, float]) -> Decision:
    up, down, bound = steps
    ratio = over * up - (n - over) * down
    if ratio <= -bound:
        return Decision.PASS
    return Decision.FAIL if ratio >= bound else Decision.UNDECIDED


def _ordered(values: Iterable[float]) -> list[float]:
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values")
    if any(map(math.isnan, ordered)):
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
