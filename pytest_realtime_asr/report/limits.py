"""Formats an observed value beside its limit, and its confidence interval."""

from __future__ import annotations

from collections.abc import Callable

from pytest_realtime_asr.verdicts.budgets import Side


def interval(
    bounds: tuple[float, float], level: float, show: Callable[..., str]
) -> str:
    """Return a confidence interval with its confidence; ``show`` formats a bound."""
    low, high = bounds
    dash = "-" if low >= 0 else " to "
    return f"{level * 100:g}% CI {show(low)}{dash}{show(high)}"


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
