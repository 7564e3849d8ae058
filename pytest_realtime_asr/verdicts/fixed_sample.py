"""Judges a budget from a sample of fixed size.

Without a confidence, the observed statistic is judged, and the finding says whether the
sample proves the verdict with a confidence of 95 %. With a confidence, the budget
passes only if the sample proves that its limit is met, and fails only if the sample
proves the opposite.

If clips were sent more than once, sessions are not independent. So the interval
resamples whole clips, and a proof is valid only for this corpus, not for speech in
general. The share of sessions over the limit may differ from clip to clip. Then the
number of these sessions varies less than in the assumed binomial distribution with the
mean share (Hoeffding, 1956), so the proof is conservative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_realtime_asr.stats import (
    mean_interval,
    proven_at_most,
    proven_over,
    quantile_interval,
    samples_needed,
)
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Side, Stat
from pytest_realtime_asr.verdicts.client_delay import bound, not_real_time
from pytest_realtime_asr.verdicts.finding import (
    Finding,
    Judgement,
    client_delayed,
    finding,
    unmeasured,
)
from pytest_realtime_asr.verdicts.reasons import MoreSessions, Reason
from pytest_realtime_asr.verdicts.sample import (
    Oriented,
    Sample,
    orient,
    restored,
    statistic,
)
from pytest_realtime_asr.verdicts.verdict import Verdict


def judge(
    budget: Budget,
    samples: Sequence[Sample],
    *,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """Judge each limit of a budget from all samples.

    ``pace`` is the pace of the audio (1.0 is real time). ``parallel`` is true if
    sessions of other processes ran at the same time. A latency is ``INVALID`` if the
    pace is not 1.0 or ``parallel`` is true; other metrics are still judged.
    """
    invalid = not_real_time(budget, pace, parallel)
    return Judgement(
        budget,
        tuple(_judge(budget, limit, samples, invalid) for limit in budget.limits),
    )


def _judge(
    budget: Budget, limit: Limit, samples: Sequence[Sample], invalid: Reason | None
) -> Finding:
    if not samples or any(sample.missing for sample in samples):
        return unmeasured(budget, limit, samples)
    oriented = orient(limit, samples, bound(budget.metric, limit.value))
    most, stat, confidence = oriented.limit, limit.stat, budget.confidence
    verdict = _verdict(oriented.values, most, stat, confidence)
    without_delay = _verdict(oriented.prompt, most, stat, confidence)
    found = finding(budget, limit, oriented, verdict)
    n, level, q = found.n, found.level, stat.provable
    needed = None if q is None else samples_needed(q, level, over=found.over)
    reason: Reason | None = None
    if verdict is Verdict.INCONCLUSIVE and needed is not None:
        reason = MoreSessions(needed - n)
    if invalid is not None:
        verdict, reason = Verdict.INVALID, invalid
    elif without_delay is not verdict:
        verdict, reason = Verdict.INVALID, client_delayed(oriented)
    attributed = sum(oriented.attributed)
    return replace(
        found,
        verdict=verdict,
        reason=reason,
        needed=needed,
        interval=_interval(oriented, limit, level),
        proven=_is_proven(verdict, stat, found.over, attributed, n, level),
    )


def _interval(
    oriented: Oriented, limit: Limit, level: float
) -> tuple[float, float] | None:
    blocks = None
    if oriented.repeats:
        blocks = [each.clip or (each.label,) for each in oriented.samples]
    if limit.stat.provable is not None:
        low, high = quantile_interval(
            oriented.values, limit.stat.provable, level, blocks=blocks
        )
    elif limit.stat is Stat.MEAN and all(map(math.isfinite, oriented.values)):
        low, high = mean_interval(oriented.values, confidence=level, blocks=blocks)
        if math.isinf(high):
            return None
    else:
        return None
    if limit.side is Side.AT_LEAST:
        low, high = high, low
    return restored(limit, low), restored(limit, high)


def _verdict(
    values: list[float], most: float, stat: Stat, confidence: float | None
) -> Verdict:
    q = stat.provable
    if confidence is None or q is None:
        within = statistic(values, stat) <= most
        return Verdict.PASS if within else Verdict.FAIL
    over = sum(value > most for value in values)
    if proven_at_most(over, len(values), q, confidence):
        return Verdict.PASS
    if proven_over(over, len(values), q, confidence):
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE


def _is_proven(
    verdict: Verdict, stat: Stat, over: int, attributed: int, n: int, level: float
) -> bool:
    q = stat.provable
    if verdict is Verdict.PASS:
        return q is not None and proven_at_most(over, n, q, level)
    if verdict is Verdict.FAIL:
        return stat is Stat.MAX or (
            q is not None and proven_over(attributed, n, q, level)
        )
    return False
