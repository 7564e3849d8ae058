"""Budgets: the limits that a user sets on metrics and error rates.

`latency_budget` limits a duration from above. `budget` limits any other metric (a
ratio, a count or a rate), from above or from below. `wer_threshold` limits an error
rate. `keyword_recall` limits the share of keywords that were recognised.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from pytest_realtime_asr.metrics import DECLARED, LEVELS
from pytest_realtime_asr.metrics.normalizers import Normalizer, normalizer_named
from pytest_realtime_asr.text.inputs import shown, within
from pytest_realtime_asr.verdicts.limits import (
    MAX_LIMIT,
    BudgetError,
    listed,
    parse_duration,
)

CONFIDENCE = (0.01, 0.999999)  # less proves nothing; more needs millions of sessions


class Stat(enum.StrEnum):
    """The statistic to which a limit applies; quantiles use the nearest rank."""

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"
    MEAN = "mean"

    @property
    def q(self) -> float | None:
        """The quantile: 1 for the maximum, ``None`` for the mean."""
        if self is Stat.MEAN:
            return None
        return 1.0 if self is Stat.MAX else int(self[1:]) / 100

    @property
    def provable(self) -> float | None:
        """The quantile, if it can be proven; ``None`` for a maximum or a mean."""
        return None if self.q == 1 else self.q


class PoolScope(enum.StrEnum):
    """The part of a run whose sessions one budget judges together."""

    MODULE = "module"


class Side(enum.Enum):
    """The side of a limit on which a value is allowed."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Limit:
    """The upper or lower limit of a statistic, in the unit of its metric.

    For a lower limit, quantiles are counted from above: 95 % of the sessions reach or
    exceed p95. `Stat.MAX` then means the worst value, which is the smallest. A metric
    of a level of load has one value for each level, so its limit always applies to the
    worst value.
    """

    stat: Stat
    value: float
    side: Side = Side.AT_MOST

    @property
    def name(self) -> str:
        """The name of the statistic in messages."""
        if self.side is Side.AT_MOST or self.stat is Stat.MEAN:
            return str(self.stat)
        return "min" if self.stat is Stat.MAX else f"{self.stat} from above"


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one metric, as returned by `latency_budget` or `budget`."""

    metric: str
    limits: tuple[Limit, ...]
    confidence: float | None = None
    over: PoolScope | None = None

    @property
    def provable(self) -> bool:
        """Return whether a sample can prove that every limit is met."""
        return all(limit.stat.provable is not None for limit in self.limits)


@dataclass(frozen=True, slots=True)
class WerThreshold:
    """The upper limit of a pooled error rate, as returned by `wer_threshold`.

    If ``normalizer`` is ``None``, the language of each reference transcript determines
    the normaliser.
    """

    limit: float
    normalizer: Normalizer | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class RecallThreshold:
    """The lower limit of a keyword recall; `keyword_recall` makes this limit.

    ``normalizer`` has the same meaning as in `WerThreshold`.
    """

    keywords: tuple[str, ...]
    at_least: float
    normalizer: Normalizer | None = None
    confidence: float | None = None


def latency_budget(
    metric: str,
    *,
    confidence: float | None = None,
    over: str | None = None,
    **limits: str | timedelta | None,
) -> Budget:
    """Return a budget of a duration: ``latency_budget("final_from_commit", p95="1s")``.

    The limits are ``p50``, ``p90``, ``p95``, ``p99``, ``max`` and ``mean``; at least
    one is needed. A metric of a level of load has only ``max``, which limits the value
    of each level. Raises `BudgetError` if the metric is not a duration or cannot have a
    budget (`Metric.gated`), or if a maximum or a mean has a confidence. The message of
    the error says what to write.
    """
    _metric(metric, timed=True)
    unknown = sorted(set(limits) - set(Stat))
    if unknown:
        raise BudgetError(
            f"a budget has no keyword {listed(unknown)}; "
            f"choose from {listed([*Stat, 'confidence', 'over'])}"
        )
    given = {stat: limits.get(stat) for stat in Stat}
    made = [
        Limit(stat, parse_duration(value))
        for stat, value in given.items()
        if value is not None
    ]
    if not made:
        raise BudgetError(
            "a budget needs a limit for a statistic, such as p95='800ms'; the "
            f"statistics are {listed(Stat)}"
        )
    if metric in LEVELS and [limit.stat for limit in made] != [Stat.MAX]:
        raise BudgetError(
            f"{metric} is a single value of each level, so it has no statistic; write "
            f'latency_budget("{metric}", max="10s")'
        )
    return _budget(metric, made, confidence, over)


def budget(
    metric: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    stat: str = Stat.MEAN,
    confidence: float | None = None,
    over: str | None = None,
) -> Budget:
    """Return a budget of a ratio, count or rate.

    ``budget("normalized_erasure", at_most=0.2)`` limits the mean over the sessions of a
    test. Limits are numbers in the unit of the metric; at least one is needed. The mean
    of a count is the count per session; it is 0 only if every count is 0. In the mean
    of a ratio, each session has the same weight, whatever its length. If ``stat`` is
    given, the limits apply to this quantile or to the maximum instead (`Limit`). Only a
    quantile can have a confidence. A metric of a level of load has no statistic: its
    limits apply to the value of each level. Raises `BudgetError` if an argument is
    wrong, or if the metric is a duration or cannot have a budget (`Metric.gated`). The
    message of the error says what to write.
    """
    _metric(metric, timed=False)
    if stat not in set(Stat):
        raise BudgetError(f"there is no stat={shown(stat)}; choose from {listed(Stat)}")
    if metric in LEVELS:
        if stat not in (Stat.MEAN, Stat.MAX):
            raise BudgetError(
                f"{metric} is a single value of each level, so it has no statistic; "
                "remove stat="
            )
        stat = Stat.MAX
    made = []
    for side, keyword, value in (
        (Side.AT_MOST, "at_most", at_most),
        (Side.AT_LEAST, "at_least", at_least),
    ):
        if value is None:
            continue
        if not within(value, -MAX_LIMIT, MAX_LIMIT):
            raise BudgetError(
                f"the limit {keyword}={shown(value)} of {metric} is not a number from "
                f"{-MAX_LIMIT:g} to {MAX_LIMIT:g}; write a number without quotes, such "
                f"as {keyword}=0.2"
            )
        made.append(Limit(Stat(stat), float(value), side))
    if not made:
        raise BudgetError("a budget needs a limit; give at_most= or at_least=")
    if at_most is not None and at_least is not None and at_least > at_most:
        raise BudgetError(
            f"no {metric} can be at least {at_least} and at most {at_most}; "
            "at_least= must not be above at_most="
        )
    return _budget(metric, made, confidence, over)


def wer_threshold(
    limit: float,
    *,
    normalizer: str | Normalizer | None = None,
    confidence: float | None = None,
) -> WerThreshold:
    """Return the threshold of a pooled error rate; a limit of 0.12 is 12 %.

    ``normalizer`` is a name (`normalizer_named`) or a `Normalizer`.
    """
    if not within(limit, 0, 1):
        raise BudgetError(
            f"the limit {shown(limit)} is not a share from 0 to 1; write 0.12 for 12 %"
        )
    _check_confidence(confidence)
    return WerThreshold(float(limit), _normalizer(normalizer), confidence)


def keyword_recall(
    keywords: Iterable[str],
    *,
    at_least: float,
    normalizer: str | Normalizer | None = None,
    confidence: float | None = None,
) -> RecallThreshold:
    """Return a lower limit of a recall: ``keyword_recall(["Anna"], at_least=0.95)``.

    ``normalizer`` is a name (`normalizer_named`) or a `Normalizer`. A limit of 1 cannot
    have a confidence, since no sample proves a recall of 1.
    """
    listed_words = () if isinstance(keywords, str) else tuple(keywords)
    wrong = [
        each for each in listed_words if not isinstance(each, str) or not each.strip()
    ]
    if wrong or not listed_words:
        raise BudgetError(
            f"the keywords {shown(keywords)} are not a list of words; write "
            'keyword_recall(["Anna", "41729"], at_least=0.95)'
        )
    if not within(at_least, 0, 1) or not at_least:
        raise BudgetError(
            f"at_least={shown(at_least)} is not a share above 0 and up to 1; write "
            "0.95 for 95 %"
        )
    _check_confidence(confidence)
    if confidence is not None and at_least == 1:
        raise BudgetError(
            "no sample proves a recall of 1; write a lower at_least=, or remove "
            "confidence="
        )
    return RecallThreshold(
        listed_words, float(at_least), _normalizer(normalizer), confidence
    )


def _normalizer(given: str | Normalizer | None) -> Normalizer | None:
    """Return the normaliser that a user has named. Raises `BudgetError`."""
    if isinstance(given, str):
        try:
            return normalizer_named(given)
        except LookupError as error:
            raise BudgetError(error.args[0]) from None
    if given is not None and not isinstance(given, Normalizer):
        raise BudgetError(
            f"normalizer={shown(given)} is neither the name of a normalizer nor a "
            "Normalizer; write a name such as 'basic'"
        )
    return given


def _metric(name: str, *, timed: bool) -> None:
    """Raise `BudgetError` for a metric that cannot have this kind of budget."""
    fit = [
        each.name for each in DECLARED.values() if each.gated and each.timed is timed
    ]
    entry = DECLARED.get(name)
    if entry is None:
        raise BudgetError(
            f"there is no metric {shown(name)}; choose from {listed(fit)}"
        )
    if not entry.gated:
        raise BudgetError(
            f"{name} cannot have a budget: {entry.no_budget}; choose from {listed(fit)}"
        )
    shown_limit = 'max="10s"' if name in LEVELS else 'p95="800ms"'
    if timed and not entry.timed:
        raise BudgetError(
            f'{name} is not a duration; write budget("{name}", at_most=...) or '
            f'budget("{name}", at_least=...)'
        )
    if not timed and entry.timed:
        raise BudgetError(
            f'{name} is a duration; write latency_budget("{name}", {shown_limit})'
        )


def _budget(
    metric: str, limits: list[Limit], confidence: float | None, over: str | None
) -> Budget:
    _check_confidence(confidence)
    if confidence is not None and not all(limit.stat.provable for limit in limits):
        raise BudgetError(
            "confidence= is possible only for quantiles, not for a maximum or a mean; "
            "limit quantiles, or remove confidence="
        )
    if over is not None and metric in LEVELS:
        raise BudgetError(
            f"{metric} is judged for each level of load by itself; remove over="
        )
    if over not in (None, *PoolScope):
        raise BudgetError(
            f"over={shown(over)} is not known; choose from {listed(PoolScope)}"
        )
    pooled_over = None if over is None else PoolScope(over)
    return Budget(metric, tuple(limits), confidence, pooled_over)


def _check_confidence(confidence: float | None) -> None:
    if confidence is not None and not within(confidence, *CONFIDENCE):
        low, high = CONFIDENCE
        raise BudgetError(
            f"confidence={shown(confidence)} is not a share from {low} to {high}: "
            "write 0.95"
        )
