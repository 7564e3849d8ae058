"""Judges the limits of the metrics of a level of load, for each level by itself.

Some metrics compare the latencies of finals under load and without load. The client's
own delay is part of these latencies. Under load, it can only make the value of the
metric worse: a ``FAIL`` becomes ``INVALID`` if the value without this delay is within
the limit. Without load, it can only make the value better: a ``PASS`` becomes
``INVALID`` if the value without this delay is beyond the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.metrics.level_values import Estimate, LevelValues
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Side
from pytest_realtime_asr.verdicts.client_delay import not_real_time
from pytest_realtime_asr.verdicts.finding import (
    DEFAULT_LEVEL,
    Finding,
    Judgement,
    OfLevel,
)
from pytest_realtime_asr.verdicts.reasons import (
    ClientDelayed,
    NotMeasuredOfLevel,
    Reason,
    Simple,
)
from pytest_realtime_asr.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class JudgedLevel:
    """A level of load, with the values that are compared with the limits of a test.

    ``number`` is the number of the level in its test, counted from 1. ``client`` is the
    client's own delay; ``None`` if the client delayed no session. ``lost`` counts the
    lost sessions of the steady part by their outcome, the most frequent first.
    """

    streams: int
    number: int
    values: LevelValues
    client: ClientDelayed | None = None
    lost: tuple[tuple[str, int], ...] = ()


def judge_levels(
    budget: Budget,
    levels: Sequence[JudgedLevel],
    *,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """Judge each limit of a budget at each level: one finding for each limit and level.

    ``pace`` and ``parallel`` mean the same as in `fixed_sample.judge`.
    If ``levels`` is empty, nothing was judged, and each limit fails.
    """
    invalid = not_real_time(budget, pace, parallel)
    if not levels:
        return Judgement(
            budget,
            tuple(_unjudged(budget, limit, Simple.NO_LEVEL) for limit in budget.limits),
        )
    return Judgement(
        budget,
        tuple(
            _judge(budget, limit, level, invalid)
            for limit in budget.limits
            for level in levels
        ),
    )


def _judge(
    budget: Budget, limit: Limit, level: JudgedLevel, invalid: Reason | None
) -> Finding:
    metric = LEVELS[budget.metric]
    found = metric(level.values)
    if found is None:
        return _unjudged(budget, limit, NotMeasuredOfLevel(metric.needs), level)
    within = _within(limit, found)
    verdict, reason = Verdict.PASS if within else Verdict.FAIL, invalid
    prompt = metric(level.values.worst if within else level.values.best)
    if invalid is not None:
        verdict = Verdict.INVALID
    elif prompt is None or _within(limit, prompt) is not within:
        verdict, reason = Verdict.INVALID, level.client
    return Finding(
        metric=budget.metric,
        limit=limit,
        verdict=verdict,
        n=found.n,
        level=DEFAULT_LEVEL,
        observed=found.value,
        interval=found.interval,
        over=int(not within),
        lost=level.lost,
        proven=_proven(limit, found, verdict),
        late_ms=level.client.max_ms if level.client is not None else 0.0,
        reason=reason,
        of_level=OfLevel(level.streams, level.number, found.units),
    )


def _unjudged(
    budget: Budget, limit: Limit, reason: Reason, level: JudgedLevel | None = None
) -> Finding:
    """Return a failing finding for a level whose metric has no value.

    If ``level`` is ``None``, the test has run no level.
    """
    return Finding(
        budget.metric,
        limit,
        Verdict.FAIL,
        0,
        DEFAULT_LEVEL,
        lost=() if level is None else level.lost,
        reason=reason,
        of_level=None if level is None else OfLevel(level.streams, level.number),
    )


def _within(limit: Limit, found: Estimate) -> bool:
    if limit.side is Side.AT_MOST:
        return found.value <= limit.value
    return found.value >= limit.value


def _proven(limit: Limit, found: Estimate, verdict: Verdict) -> bool:
    """Return whether the confidence interval proves a verdict.

    For ``PASS``, the whole interval must be within the limit; for ``FAIL``, beyond it.
    """
    if found.interval is None:
        return False
    low, high = found.interval
    if limit.side is Side.AT_LEAST:
        low, high, most = -high, -low, -limit.value
    else:
        most = limit.value
    if verdict is Verdict.PASS:
        return high <= most
    return verdict is Verdict.FAIL and low > most
