"""The client's own scheduling delay, and when it makes a verdict INVALID.

The client's delay can only make a latency larger, never smaller. So a statistic within
its limit would be within the limit without the delay, too. If a statistic is over its
limit, it is judged again after the delay has been subtracted from each delayed sample.
If the verdict then changes, the verdict is ``INVALID``. If the client was overloaded,
the size of its delay is unknown, and the sample is judged again as if its latency were
zero. A lost session stays lost: a delay makes an answer late, but does not prevent it.

Two other times are reported but never subtracted. The time for which the socket did not
accept a frame (``send_blocked``) is not the client's delay. The time of the network
path is not subtracted, since users wait for it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pytest_realtime_asr.metrics import CATALOGUE, DECLARED
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.reasons import NotRealTime, Reason, Simple

MIN_DELAY = 5.0  # ms; a smaller delay is always tolerated
DELAY_SHARE = 0.05  # a delay below this share of the limit is tolerated as well


def allowed_delay(limit: float) -> float:
    """Return the client's delay (ms) that is tolerated under a latency limit (ms)."""
    return max(MIN_DELAY, DELAY_SHARE * limit)


def bound(metric: str, limit: float) -> float:
    """Return the tolerated delay (ms); infinite if no delay changes the metric."""
    return allowed_delay(limit) if CATALOGUE[metric].paced else math.inf


def without_delay(
    value: float, delay: float, state: ClientState, bound: float
) -> float:
    """Return a value, minus the client's delay if this delay is over ``bound`` ms.

    If the client was overloaded, a positive value becomes 0. Infinite values stay.
    """
    if math.isinf(value) or math.isinf(bound):
        return value
    if state.overloaded:
        return min(value, 0.0)
    return value - delay if delay > bound else value


def tolerance(
    budgets: Iterable[Budget], *, pace: float = 1.0, parallel: bool = False
) -> float | None:
    """Return the client's delay (ms) above which a session counts as disturbed.

    Returns ``None`` if the budgets limit no latency, or if latencies cannot be judged.
    """
    limits = [
        limit.value
        for budget in budgets
        if budget.metric in CATALOGUE
        and CATALOGUE[budget.metric].paced
        and not_real_time(budget, pace, parallel) is None
        for limit in budget.limits
    ]
    return allowed_delay(min(limits)) if limits else None


def not_real_time(budget: Budget, pace: float, parallel: bool) -> Reason | None:
    """Return why the latencies of a run cannot be judged, or ``None``.

    Latencies can be judged only at a pace of 1.0 and without other test processes.
    Metrics that do not depend on times can always be judged.
    """
    if not DECLARED[budget.metric].paced:
        return None
    if pace != 1.0:
        return NotRealTime(pace)
    if parallel:
        return Simple.OTHER_WORKERS
    return None
