"""Formats an observed value with its limit and its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Callable

from pytest_realtime_asr.verdicts.budgets import Side


def interval(
    bounds: tuple[float, float],
    level: float,
    show: Callable[..., str],
    *,
    size: str,
    by: str = "",
) -> str:
    """Return a confidence interval with its confidence; ``show`` formats a bound.

    ``size`` is the size of the sample, such as ``n=12``; it is shown if the sample is
    too small for a bound on one side or on both sides. ``by`` names the unit of the
    sample if it is not the session, as in " by clip". If both bounds are infinite with
    the same sign, the text says that the interval is over, or under, every limit.
    """
    low, high = bounds
    name = f"{level * 100:g}% CI{by}"
    match math.isinf(low), math.isinf(high):
        case True, True if low == high:
            return f"{name} {'over' if low > 0 else 'under'} every limit"
        case True, True:
            return f"no two-sided {name} with {size}"
        case True, False:
            return f"{name} up to {show(high)}, no lower bound with {size}"
        case False, True:
            return f"{name} from {show(low)}, no upper bound with {size}"
    dash = "-" if low >= 0 else " to "
    return f"{name} {show(low)}{dash}{show(high)}"


def compared(
    observed: float,
    limit: float,
    show: Callable[..., str],
    unit: str = "",
    side: Side = Side.AT_MOST,
) -> str:
    """Return a value and its limit, with enough digits to show which is larger."""
    if side is Side.AT_MOST:
        sign = "<=" if observed <= limit else ">"
    else:
        sign = ">=" if observed >= limit else "<"
    left, right, more = show(observed), show(limit), 1
    while left == right and observed != limit and more < 9:
        left, right = show(observed, more=more), show(limit, more=more)
        more += 1
    return f"{left}{unit} {sign} {right}{unit}"
