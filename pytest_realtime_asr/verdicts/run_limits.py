"""The limits of a run, which ``--realtime-budget`` sets for every test.

A limit of the run judges a metric in each test whose own markers do not limit that
metric.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pytest_realtime_asr.metrics import DECLARED, LEVELS, LevelMetric, Metric, Unit
from pytest_realtime_asr.verdicts import budgets
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Stat, WerThreshold
from pytest_realtime_asr.verdicts.limit_grammar import (
    Clause,
    Relation,
    nearest,
    parse,
)
from pytest_realtime_asr.verdicts.limits import WER, BudgetError, listed, parse_duration

EXAMPLE = "final_from_commit p95 <= 800ms"
_LARGEST = 1e9  # of any time, whatever its unit
_DURATIONS = ("ms", "s", "min")


@dataclass(frozen=True, slots=True)
class RunLimits:
    """The limits of a run; each budget has one limit."""

    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.budgets or self.thresholds)

    @property
    def metrics(self) -> frozenset[str]:
        """The names of the metrics that the run limits."""
        wer = [WER] if self.thresholds else []
        return frozenset([*(each.metric for each in self.budgets), *wer])

    def without(self, metrics: Collection[str]) -> RunLimits:
        """Return the limits of all metrics that are not in ``metrics``."""
        return RunLimits(
            tuple(each for each in self.budgets if each.metric not in metrics),
            () if WER in metrics else self.thresholds,
        )


NO_LIMITS = RunLimits()


def run_limits(texts: Iterable[str]) -> RunLimits:
    """Return the limits in lists such as ``final_from_commit p95 <= 1s, wer <= 12%``.

    Raises `LimitError`, which says what to write.
    """
    made: dict[tuple[str, str, Relation], Budget | WerThreshold] = {}
    for text in texts:
        for clause in parse(text, example=EXAMPLE):
            key = clause.metric, clause.statistic, clause.relation
            if key in made:
                raise clause.error(
                    "limits a value that already has a limit; keep only one limit"
                )
            try:
                made[key] = _limit(clause)
            except BudgetError as error:
                raise clause.error(f"cannot be judged: {error}") from None
    return RunLimits(
        tuple(each for each in made.values() if isinstance(each, Budget)),
        tuple(each for each in made.values() if isinstance(each, WerThreshold)),
    )


def _limit(clause: Clause) -> Budget | WerThreshold:
    """Return the limit that a clause states. Raises `LimitError` and `BudgetError`."""
    if clause.relation is Relation.CHANGE:
        raise clause.error(
            f"limits a change; write a limit of the value, such as {EXAMPLE}, or use "
            "--realtime-compare-fail"
        )
    if clause.metric == WER:
        return _error_rate(clause)
    metric = _metric(clause)
    if clause.statistic and clause.statistic not in set(Stat):
        near = nearest(clause.statistic, Stat)
        raise clause.error(
            f"has no known statistic: write {near} in place of {clause.statistic} (or "
            f"one of {listed(Stat)})"
        )
    if metric.timed:
        return _duration(clause)
    return _number(clause, metric)


def _metric(clause: Clause) -> Metric | LevelMetric:
    known = [each.name for each in DECLARED.values() if each.gated]
    metric = DECLARED.get(clause.metric)
    if metric is None:
        near = nearest(clause.metric, [WER, *known])
        raise clause.error(
            f"names no metric: write {near} in place of {clause.metric} (`python -m "
            "pytest_realtime_asr list metrics` lists all)"
        )
    if not metric.gated:
        raise clause.error(
            f"cannot be judged: {metric.no_budget}; choose from {listed([WER, *known])}"
        )
    return metric


def _error_rate(clause: Clause) -> WerThreshold:
    if clause.relation is Relation.AT_LEAST or clause.statistic:
        raise clause.error(
            "is no limit of the word error rate, which is pooled over all words of a "
            "test; write wer <= 12%"
        )
    if clause.unit not in ("", "%"):
        raise clause.error("has a wrong unit; write wer <= 12% or wer <= 0.12")
    limit = clause.number / (100 if clause.unit else 1)
    if limit > 1:
        raise clause.error("is above 100%; write wer <= 12% or wer <= 0.12")
    return budgets.wer_threshold(limit)


def _duration(clause: Clause) -> Budget:
    if clause.relation is Relation.AT_LEAST:
        raise clause.error("is a lower limit of a duration; write <=")
    stat = clause.statistic
    if clause.metric in LEVELS:
        if stat not in ("", Stat.MAX):
            raise clause.error(
                f"has the statistic {stat}, but {clause.metric} is a single value of "
                f"each level; write {clause.metric} <= 10s"
            )
        stat = Stat.MAX
    if not stat:
        raise clause.error(f"names no statistic; write {clause.metric} p95 <= 800ms")
    if clause.unit not in _DURATIONS:
        raise clause.error(
            f"limits a duration: write a time with its unit, such as "
            f"{clause.metric} {stat} <= 800ms"
        )
    if clause.number > _LARGEST:
        raise clause.error("is longer than a week; write a time such as 800ms")
    limit = Limit(Stat(stat), parse_duration(f"{clause.number:.15g}{clause.unit}"))
    return Budget(clause.metric, (limit,))


def _number(clause: Clause, metric: Metric | LevelMetric) -> Budget:
    shared = metric.unit is Unit.RATIO
    if clause.unit not in ("", *(["%"] if shared else [])):
        wanted = "0.2 or 20%" if shared else "a number without a unit"
        raise clause.error(f"has a unit that does not fit the metric; write {wanted}")
    limit = clause.number / (100 if clause.unit else 1)
    stat = clause.statistic or Stat.MEAN
    if clause.relation is Relation.AT_MOST:
        return budgets.budget(clause.metric, at_most=limit, stat=stat)
    return budgets.budget(clause.metric, at_least=limit, stat=stat)
