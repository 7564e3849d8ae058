"""What a server is allowed: limits that a user sets on what is measured.

A time has a `latency_budget`, all else (a ratio, a count, a rate) a `budget`, which may
also ask for at least so much; an error rate has a `wer_threshold`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import timedelta

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.normalizers import Normalizer, normalizer_named
from pytest_realtime_asr.text.inputs import shown, within
from pytest_realtime_asr.verdicts.limits import BudgetError, listed, parse_duration

_MAX = 1e12  # larger than any metric can be
CONFIDENCE = (0.01, 0.999999)  # outside, a proof says nothing, or needs millions


class Stat(enum.StrEnum):
    """What is made of the values of all sessions; a quantile is the nearest rank."""

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
        """The quantile, where a sample can prove it: a maximum or a mean it cannot."""
        return None if self.q == 1 else self.q


class PoolScope(enum.StrEnum):
    """PoolScope what a budget is pooled, where that is more than one test item."""

    MODULE = "module"


class Side(enum.Enum):
    """On which side of a limit a number keeps to it."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Limit:
    """The most, or the least, that a statistic may be, in the unit of its metric.

    At a least value a quantile counts from above: p95 is what 95 % of the sessions
    reach, and the maximum is the worst of them, which is then the smallest.
    """

    stat: Stat
    value: float
    side: Side = Side.AT_MOST

    @property
    def name(self) -> str:
        """The statistic, as a line shows it."""
        if self.side is Side.AT_MOST or self.stat is Stat.MEAN:
            return str(self.stat)
        return "min" if self.stat is Stat.MAX else f"{self.stat} from above"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one metric is allowed; made by `latency_budget` or `budget`."""

    metric: str
    limits: tuple[Limit, ...]
    confidence: float | None = None
    over: PoolScope | None = None

    @property
    def provable(self) -> bool:
        """Whether a sample can prove all of it."""
        return all(limit.stat.provable is not None for limit in self.limits)


@dataclass(frozen=True, slots=True)
class WerThreshold:
    """The most that a pooled error rate may be; made by `wer_threshold`.

    ``normalizer`` is ``None`` where each reference's language chooses it.
    """

    limit: float
    normalizer: Normalizer | None = None
    confidence: float | None = None


def latency_budget(
    metric: str,
    *,
    confidence: float | None = None,
    over: str | None = None,
    **limits: str | timedelta | None,
) -> Budget:
    """The budget of a time: ``latency_budget("final_from_commit", p95="800ms")``.

    The limits are ``p50``, ``p90``, ``p95``, ``p99``, ``max`` and ``mean``, at least
    one of them. What is no time, or not for judging (`CATALOGUE`, not ``gated``), is
    refused, and so is a confidence for a maximum or a mean. A `BudgetError` names
    what may be written.
    """
    _metric(metric, timed=True)
    unknown = sorted(set(limits) - set(Stat))
    if unknown:
        raise BudgetError(
            f"a budget has no keyword {listed(unknown)}; "
            f"there are {listed([*Stat, 'confidence', 'over'])}"
        )
    given = {stat: limits.get(stat) for stat in Stat}
    made = [
        Limit(stat, parse_duration(value))
        for stat, value in given.items()
        if value is not None
    ]
    if not made:
        raise BudgetError(f"a budget needs a limit: one of {listed(Stat)}")
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
    """The budget of what is no time: ``budget("normalized_erasure", at_most=0.2)``.

    The limits are plain numbers in the unit of the metric, at least one of them. What
    is judged is the mean over the sessions of the test: of a count it is the count for
    each session, and is 0 only where all are; of a ratio each session weighs the same,
    however much was said in it. With ``stat`` it is a quantile or the maximum instead
    (`Limit`), and only a quantile can have a confidence. A time, or what is not for
    judging (`CATALOGUE`, not ``gated``), is refused. A `BudgetError` names what may be
    written.
    """
    _metric(metric, timed=False)
    if stat not in set(Stat):
        raise BudgetError(f"there is no stat={shown(stat)}; there are {listed(Stat)}")
    given = {Side.AT_MOST: at_most, Side.AT_LEAST: at_least}
    made = []
    for side, value in given.items():
        if value is None:
            continue
        if not within(value, -_MAX, _MAX):
            raise BudgetError(
                f"the limit {shown(value)} of {metric} is no number from {-_MAX:g} to "
                f"{_MAX:g}: write at_most=0.2"
            )
        made.append(Limit(Stat(stat), float(value), side))
    if not made:
        raise BudgetError("a budget needs a limit: at_most= or at_least=")
    if at_most is not None and at_least is not None and at_least > at_most:
        raise BudgetError(f"no {metric} is at least {at_least} and at most {at_most}")
    return _budget(metric, made, confidence, over)


def wer_threshold(
    limit: float,
    *,
    normalizer: str | Normalizer | None = None,
    confidence: float | None = None,
) -> WerThreshold:
    """The threshold of a pooled error rate; the limit is a share: 0.12 is 12 %.

    ``normalizer`` is a name (`normalizer_named`), or one's own.
    """
    if not within(limit, 0, 1):
        raise BudgetError(
            f"the limit {shown(limit)} is not a share: write 0.12 for 12 %"
        )
    _check_confidence(confidence)
    if isinstance(normalizer, str):
        try:
            normalizer = normalizer_named(normalizer)
        except LookupError as error:
            raise BudgetError(error.args[0]) from None
    elif normalizer is not None and not isinstance(normalizer, Normalizer):
        raise BudgetError(
            f"normalizer={shown(normalizer)} is neither the name of a normalizer nor a "
            "Normalizer"
        )
    return WerThreshold(float(limit), normalizer, confidence)


def _metric(name: str, *, timed: bool) -> None:
    """Refuse a metric that is not for this kind of budget."""
    fit = [
        each.name for each in CATALOGUE.values() if each.gated and each.timed is timed
    ]
    entry = CATALOGUE.get(name)
    if entry is None:
        raise BudgetError(f"there is no metric {shown(name)}; there are {listed(fit)}")
    if not entry.gated:
        raise BudgetError(
            f"{name} has no budget: {entry.no_budget}; set one on one of {listed(fit)}"
        )
    if timed and not entry.timed:
        raise BudgetError(
            f"{name} is not a duration but a {entry.unit}: "
            f'write budget("{name}", at_most=...)'
        )
    if not timed and entry.timed:
        raise BudgetError(
            f'{name} is a duration: write latency_budget("{name}", p95="800ms")'
        )


def _budget(
    metric: str, limits: list[Limit], confidence: float | None, over: str | None
) -> Budget:
    _check_confidence(confidence)
    if confidence is not None and not all(limit.stat.provable for limit in limits):
        raise BudgetError(
            "no sample proves a maximum, and a mean has no proof here: "
            "with confidence=, give quantiles, or leave confidence= out"
        )
    if over not in (None, *PoolScope):
        raise BudgetError(
            f"over={shown(over)} is not known; there is {listed(PoolScope)}"
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
