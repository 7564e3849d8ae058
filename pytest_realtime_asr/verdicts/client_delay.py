"""The client's own scheduling delay, and when it makes a verdict INVALID.

The delay can only make a latency larger, never smaller. So a statistic within its limit
is within it however large the delay was. A statistic over its limit is judged again
with the delay of each delayed sample subtracted; if that changes the verdict, it is
``INVALID``. Where the client was overloaded, the size of its delay is unknown, and the
sample is judged as if there had been no latency at all. A lost session stays lost: a
delay makes an answer late, it does not remove one.

The time for which the socket did not accept a frame (``send_blocked``) is not the
client's delay, and the network path is part of what users wait for: both are reported
and never subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.reasons import NotRealTime, Reason, Simple

MIN_DELAY = 5.0  # ms; a smaller delay is always tolerated
DELAY_SHARE = 0.05  # of a limit; so is a smaller share of it


def allowed_delay(limit: float) -> float:
    """Return the client's delay (ms) that is tolerated under a latency limit (ms)."""
    return max(MIN_DELAY, DELAY_SHARE * limit)


def bound(metric: str, limit: float) -> float:
    """Return the delay (ms) that is tolerated; infinite where it changes nothing."""
    return allowed_delay(limit) if CATALOGUE[metric].timed else math.inf


def without_delay(
    value: float, delay: float, state: ClientState, bound: float
) -> float:
    """Return a value less the client's delay, where that is over the bound."""
    if math.isinf(value) or math.isinf(bound):
        return value
    if state.overloaded:
        return min(value, 0.0)
    return value - delay if delay > bound else value


def tolerance(
    budgets: Iterable[Budget], *, pace: float = 1.0, parallel: bool = False
) -> float | None:
    """Return the delay (ms) beyond which a session under these budgets is disturbed.

    ``None`` where no latency is judged, or none can be.
    """
    limits = [
        limit.value
        for budget in budgets
        if CATALOGUE[budget.metric].timed
        and not_real_time(budget, pace, parallel) is None
        for limit in budget.limits
    ]
    return allowed_delay(min(limits)) if limits else None


def not_real_time(budget: Budget, pace: float, parallel: bool) -> Reason | None:
    """Return why a latency is not that of a server in real time, if so.

    Metrics that are not durations can be judged at any pace.
    """
    if not CATALOGUE[budget.metric].timed:
        return None
    if pace != 1.0:
        return NotRealTime(pace)
    if parallel:
        return Simple.OTHER_WORKERS
    return None
