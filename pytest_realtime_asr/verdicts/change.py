"""Computes the change of a metric between two runs of a test, from pairs of utterances.

A pair is the same utterance in both runs. The differences of all pairs of a test give
an effect, its confidence interval and its p-value:

- For a duration, the effect is the median of the differences (margin in ms) or of the
  ratios (margin in %), with a bootstrap interval. The p-value comes from a
  signed-rank permutation test, which is distribution-free and accepts infinite values.
- For the word error rate, the effect is the difference of the pooled rates. Its
  interval and its p-value come from the matched-pairs test.
- If a session of this run has no final, each of its durations is infinite, and every
  word of the reference counts as a deletion. A latency is also infinite if its event
  came before its cause, or if only the other run has a value.

Source: Wilcoxon (1945) for the ranks, Gillick and Cox (1989) for the matched pairs.
"""

from __future__ import annotations

import enum
import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.metrics.accuracy import (
    pooled,
)
from pytest_realtime_asr.metrics.alignment import Errors, TextUnit
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.stats import (
    matched_pairs,
    paired,
    quantile,
    sign_flip_p_value,
)
from pytest_realtime_asr.verdicts.limits import WER, Margin, Scale
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

LEVEL = 0.95  # the confidence; a p-value is small enough if it is at most 1 - LEVEL
Pair = tuple[UtteranceRecord, UtteranceRecord]  # the other run's record, and this run's


class Outcome(enum.Enum):
    """The outcome of comparing a metric between two runs."""

    SAME = "same"
    BETTER = "better"
    UNDECIDED = "undecided"
    INVALID = "INVALID"
    WORSE = "worse"


class Invalid(enum.Enum):
    """The reason why a change cannot be judged."""

    NO_RATIO = enum.auto()  # a ratio is not possible, since a value is zero or less
    BASELINE = enum.auto()  # the outcome depends on values that the other run lacks


@dataclass(frozen=True, slots=True)
class Change:
    """The comparison of one metric of a test between two runs.

    ``before`` (the other run) and ``now`` (this run) are medians in ms, or pooled error
    rates. ``effect`` and ``interval`` have the unit of the margin. ``p`` is corrected
    for ``family``, the number of comparisons. ``n`` is the number of pairs. ``clips``
    is the number of distinct utterances, which counts as the sample size, since repeats
    of a clip are not independent.

    ``lost`` has the numbers of sessions without a final in the other run and in this
    run. ``premature`` has the numbers of premature values in both runs, by reason.
    ``unmeasured`` has the numbers of sessions of the other run without a valid value,
    by reason: how the session was lost, or why its value is premature. The reason is
    ``None`` for a session that was not lost but has no value. ``worst`` is the pair
    with the largest change for the worse. ``gated`` is true if the user set the margin.
    Only such a change can fail the test. ``invalid`` is the reason why the change
    cannot be judged, or ``None`` if it can be judged.

    With several earlier ``runs``, the other run is the median run, and ``run`` is its
    name. ``spread`` is the range of the differences between the median run and the
    other earlier runs; ``None`` if there are too few runs.
    """

    margin: Margin
    n: int
    clips: int
    before: float
    now: float
    effect: float
    interval: tuple[float, float]
    p: float
    lost: tuple[int, int]
    worst: Pair
    invalid: Invalid | None = None
    family: int = 1
    gated: bool = False
    premature: tuple[tuple[Premature, tuple[int, int]], ...] = ()
    unmeasured: tuple[tuple[str | Premature | None, int], ...] = ()
    run: str = ""
    runs: int = 1
    spread: tuple[float, float] | None = None

    @property
    def outcome(self) -> Outcome:
        """The outcome that follows from the interval, the p-value and the margin."""
        low, high = self.interval
        size = self.margin.size
        if self.invalid is not None:
            return Outcome.INVALID
        if -size <= low and high <= size:
            return Outcome.SAME
        if self.p <= 1 - LEVEL and not self.within_spread:
            if low > 0 and self.effect > size:
                return Outcome.WORSE
            if high < 0 and self.effect < -size:
                return Outcome.BETTER
        return Outcome.UNDECIDED

    @property
    def within_spread(self) -> bool:
        """Whether earlier runs differ from the median run as much as this run does."""
        if self.spread is None:
            return False
        low, high = self.spread
        return low <= self.effect <= high

    @property
    def needed(self) -> int:
        """The least number of clips that can show a change of a duration.

        With fewer clips, it happens too often by chance that all differences have the
        same sign.
        """
        return math.ceil(1 + math.log2(self.family / (1 - LEVEL)) - 1e-9)

    @property
    def too_few(self) -> bool:
        """Return whether the clips are too few to show a change of any size."""
        return self.margin.metric != WER and self.clips < self.needed

    @property
    def failed(self) -> bool:
        """Return whether the change fails the test."""
        return self.gated and self.outcome in (Outcome.WORSE, Outcome.INVALID)

    @property
    def name(self) -> str:
        """The name of the metric; ``cer`` for an error rate that counts characters."""
        chars = self.margin.metric == WER and self.worst[1].unit is TextUnit.CHARACTER
        return "cer" if chars else self.margin.metric


def change(
    margin: Margin, pairs: Sequence[Pair], *, resamples: int, best: bool
) -> Change:
    """Return the change of a metric, computed from pairs of utterances.

    The p-value is not yet corrected for the number of comparisons. If the first record
    of a pair has no valid value, the worst possible value is assumed or, if ``best`` is
    true, the best possible value.
    """
    if margin.metric == WER:
        return _rate(margin, pairs, best=best)
    return _duration(margin, pairs, resamples, best=best)


def effect(margin: Margin, pairs: Sequence[Pair]) -> float:
    """Return only the effect of a change; NaN if a ratio is not possible.

    If a record has no valid value, the worst possible value is assumed.
    """
    if margin.metric == WER:
        before, now = (
            pooled(row.errors for row in rows) for rows in zip(*pairs, strict=True)
        )
        return (now.rate or 0.0) - (before.rate or 0.0)
    share = margin.scale is Scale.SHARE
    values = [tuple(milliseconds(row, margin.metric) for row in each) for each in pairs]
    if share and min(map(min, values)) <= 0:
        return math.nan
    steps = sorted(_step(old, new, share=share) for old, new in values)
    middle = len(steps) // 2
    value = steps[middle]
    if not len(steps) % 2 and steps[middle - 1] != value:
        value = (steps[middle - 1] + value) / 2
    return math.expm1(value) if share else value


def measured(pairs: Sequence[Pair], metric: str) -> list[Pair]:
    """Return the pairs that are used in the comparison of a metric.

    A pair of two lost sessions is used if any other pair has a value.
    """
    if metric == WER:
        return [pair for pair in pairs if pair[1].errors.reference]

    def has_value(pair: Pair) -> bool:
        return any(row.metrics.get(metric) is not None for row in pair)

    if not any(map(has_value, pairs)):
        return []
    return [pair for pair in pairs if has_value(pair) or all(row.lost for row in pair)]


def milliseconds(row: UtteranceRecord, metric: str) -> float:
    """Return a value in ms; infinity if it is not valid (see `is_measured`)."""
    value = row.metrics.get(metric)
    return math.inf if value is None or not is_measured(row, metric) else value


def is_measured(row: UtteranceRecord, metric: str) -> bool:
    """Return whether a record has a valid value of a metric.

    A premature value is not valid, and neither is a value of a lost session.
    """
    if row.lost:
        return False
    return metric == WER or (
        metric not in row.premature and row.metrics.get(metric) is not None
    )


def _unmeasured(
    pairs: Iterable[Pair], metric: str
) -> tuple[tuple[str | Premature | None, int], ...]:
    """Return the number of pairs whose first record has no valid value, by reason."""
    missing = (row for row, _ in pairs if not is_measured(row, metric))
    found = Counter(row.lost or row.premature.get(metric) for row in missing)
    return tuple(found.most_common())


def _duration(
    margin: Margin, pairs: Sequence[Pair], resamples: int, *, best: bool
) -> Change:
    """Return the change of a duration: the median of differences or of ratios."""
    metric, share = margin.metric, margin.scale is Scale.SHARE
    before = [milliseconds(row, metric) for row, _ in pairs]
    now = [milliseconds(row, metric) for _, row in pairs]
    invalid = None
    effect, low, high, p = math.nan, -math.inf, math.inf, 1.0
    both = list(zip(before, now, strict=True))
    if share and min(*before, *now) <= 0:
        invalid = Invalid.NO_RATIO
    else:
        steps = [
            math.inf if best and math.isinf(old) else _step(old, new, share=share)
            for old, new in both
        ]
        finite = [abs(step) for step in steps if math.isfinite(step)]
        # A median depends only on the order of the values, so infinity can be replaced
        # by any number that is larger than all others.
        far = 1000 * (max(finite, default=0.0) or 1.0)
        clips = [row.clip for _, row in pairs]
        found = paired(
            [min(far, max(-far, step)) for step in steps],
            median=True,
            blocks=clips,
            confidence=LEVEL,
            resamples=resamples,
        )
        p = sign_flip_p_value(_ranks(steps), blocks=clips, resamples=resamples)
        effect, low, high = (
            _as_change(value, far, share=share)
            for value in (found.value, found.low, found.high)
        )
    return Change(
        margin=margin,
        n=len(pairs),
        clips=_clips(pairs),
        before=quantile(before, 0.5),
        now=quantile(now, 0.5),
        effect=effect,
        interval=(low, high),
        p=p,
        lost=_lost(pairs),
        worst=pairs[max(range(len(both)), key=lambda i: _step(*both[i], share=False))],
        invalid=invalid,
        premature=_premature(pairs, metric),
        unmeasured=_unmeasured(pairs, metric),
    )


def _rate(margin: Margin, pairs: Sequence[Pair], *, best: bool) -> Change:
    """Return the change of the pooled error rates, by the matched-pairs test.

    If the first session of a pair was lost, all its words count as wrong or, if
    ``best`` is true, as right.
    """
    errors = [
        Errors(hits=row.errors.reference) if best and row.lost else row.errors
        for row, _ in pairs
    ]
    before = pooled(errors)
    now = pooled(row.errors for _, row in pairs)
    found = matched_pairs(
        [each.wrong for each in errors],
        [row.errors.wrong for _, row in pairs],
        blocks=[row.clip for _, row in pairs],
        confidence=LEVEL,
    )
    # Converts errors per block, as the test returns them, to errors per word.
    each = found.blocks / now.reference
    return Change(
        margin=margin,
        n=len(pairs),
        clips=_clips(pairs),
        before=before.rate or 0.0,
        now=now.rate or 0.0,
        effect=found.value * each,
        interval=(found.low * each, found.high * each),
        p=found.p,
        lost=_lost(pairs),
        unmeasured=_unmeasured(pairs, WER),
        worst=max(pairs, key=lambda pair: pair[1].errors.wrong - pair[0].errors.wrong),
    )


def _clips(pairs: Iterable[Pair]) -> int:
    return len({row.clip for _, row in pairs})


def _step(before: float, now: float, *, share: bool) -> float:
    """Return the difference of two values or the log of their ratio.

    The log is returned if ``share`` is true. The difference of two infinite values is
    0.
    """
    if before == now:
        return 0.0
    both = math.isfinite(before) and math.isfinite(now)
    return math.log(now / before) if share and both else now - before


def _ranks(steps: Sequence[float]) -> list[float]:
    """Return the signed rank of each step; steps of equal size share a rank."""
    sizes = sorted(map(abs, steps))
    places = [bisect_left(sizes, abs(s)) + bisect_right(sizes, abs(s)) for s in steps]
    return [
        math.copysign(place + 1, step) / 2 if step else 0.0
        for place, step in zip(places, steps, strict=True)
    ]


def _as_change(value: float, far: float, *, share: bool) -> float:
    """Convert ``value``, a median of the results of `_step`, to a change.

    The change is a share if ``share`` is true. ``far`` stands for infinity, so a
    ``value`` near ``far`` becomes infinite.
    """
    if abs(value) > far / 3:
        value = math.copysign(math.inf, value)
    return math.expm1(value) if share else value


def _lost(pairs: Iterable[Pair]) -> tuple[int, int]:
    before, now = zip(*pairs, strict=True)
    return sum(bool(row.lost) for row in before), sum(bool(row.lost) for row in now)


def _premature(
    pairs: Iterable[Pair], metric: str
) -> tuple[tuple[Premature, tuple[int, int]], ...]:
    """Return the number of premature values in each of the two runs, by reason."""
    before, now = (
        Counter(
            row.premature[metric]
            for row in rows
            if metric in row.premature and not row.lost
        )
        for rows in zip(*pairs, strict=True)
    )
    return tuple((why, (before[why], now[why])) for why in before | now)
