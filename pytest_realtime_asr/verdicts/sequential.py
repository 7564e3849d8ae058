"""Judges a budget by a sequential test of the sessions in their order.

A sequential test needs no fixed number of sessions: after each session it decides
whether more are needed. It uses only whether each sample is beyond the limit, not how
far (`pytest_realtime_asr.verdicts.sprt.sequential`).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from pytest_realtime_asr.stats import samples_needed
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.budgets import Budget, Limit
from pytest_realtime_asr.verdicts.client_delay import bound, not_real_time
from pytest_realtime_asr.verdicts.finding import (
    DEFAULT_LEVEL,
    Finding,
    Judgement,
    client_delayed,
    finding,
    unmeasured,
)
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.reasons import NotDecided, NotGood, Reason
from pytest_realtime_asr.verdicts.sample import Sample, orient
from pytest_realtime_asr.verdicts.sprt import (
    GOOD_SHARE,
    SequentialDecision,
    least_clean,
    sequential,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

MOST_SESSIONS = 400  # most sessions that are sent for a sequential verdict


def judge_in_order(
    budget: Budget,
    samples: Sequence[Sample],
    *,
    most: int = MOST_SESSIONS,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """Judge each limit of a budget by a sequential test of the samples in their order.

    Samples after the decision are ignored, and so are samples after the first ``most``
    samples. Without a decision, the verdict is ``INCONCLUSIVE``; more samples may bring
    a decision. ``FAIL`` means that the server is not a good server. A good server has
    at most a fifth as many sessions over the limit as the budget allows; for p95, this
    is 1 % of all sessions. If a sample may be over the limit only because of the
    client's delay, the test is run twice: once with the sample over the limit, and once
    within it; if the decisions differ, the verdict is ``INVALID``.

    The order of the clips must be random: with the easy clips first, a budget could
    pass before the hard clips are sent. Raises `BudgetError` if a limit is a mean or a
    maximum, since a sequential test cannot decide these.
    """
    for limit in budget.limits:
        if limit.stat.provable is None:
            raise BudgetError(
                f"{budget.metric} {limit.name}: a sequential test cannot decide a "
                "maximum or a mean; limit a quantile such as p95"
            )
    invalid = not_real_time(budget, pace, parallel)
    return Judgement(
        budget,
        tuple(
            _judge(budget, limit, samples[:most], most, invalid)
            for limit in budget.limits
        ),
    )


def unprovable(budget: Budget, most: int, *, in_order: bool = False) -> str | None:
    """Return why at most ``most`` sessions can never prove a budget.

    The text also says how many sessions would be enough. Returns ``None`` if ``most``
    sessions can prove the budget, or if nothing has to be proven: a budget without a
    confidence needs a proof only in a sequential test (``in_order``).
    """
    if budget.confidence is None and not in_order:
        return None
    level = budget.confidence or DEFAULT_LEVEL
    least = least_clean if in_order else samples_needed
    for limit in budget.limits:
        q = limit.stat.provable
        if q is not None and (needed := least(q, level)) > most:
            return (
                f"{budget.metric} {limit.name} can never be proven at "
                f"{level * 100:g} % with {several(most, 'session')}: "
                f"it needs {needed}, all within the limit"
            )
    return None


def _judge(
    budget: Budget,
    limit: Limit,
    samples: Sequence[Sample],
    most: int,
    invalid: Reason | None,
) -> Finding:
    q, level = limit.stat.provable, budget.confidence or DEFAULT_LEVEL
    assert q is not None
    delay = bound(budget.metric, limit.value)
    measured = list(itertools.takewhile(lambda each: not each.missing, samples))
    oriented = orient(limit, measured, delay)
    ways = [sequential(way, q, level) for way in (oriented.over, oriented.attributed)]
    pending = [way for way in ways if way.decision is SequentialDecision.UNDECIDED]
    if not samples or (pending and len(measured) < len(samples)):
        return unmeasured(budget, limit, samples)
    decided = None if pending else max(way.n for way in ways)
    oriented = orient(limit, measured[:decided], delay)
    n, verdict = len(oriented.values), _VERDICTS[ways[0].decision]
    reason: Reason | None = None
    if invalid is not None:
        verdict, reason, decided = Verdict.INVALID, invalid, 0
    elif ways[0].decision is not ways[1].decision:
        verdict, reason = Verdict.INVALID, client_delayed(oriented)
    elif verdict is Verdict.INCONCLUSIVE:
        reason = NotDecided(n, most)
    elif verdict is Verdict.FAIL:
        reason = NotGood((1 - q) * GOOD_SHARE, limit.side)
    return replace(
        finding(budget, limit, oriented, verdict),
        reason=reason,
        decided=decided,
        proven=verdict in (Verdict.PASS, Verdict.FAIL),
    )


_VERDICTS = {
    SequentialDecision.PASS: Verdict.PASS,
    SequentialDecision.FAIL: Verdict.FAIL,
    SequentialDecision.UNDECIDED: Verdict.INCONCLUSIVE,
}
