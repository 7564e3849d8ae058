"""Formats the values of a metric in two runs, and the change between them."""

from __future__ import annotations

import math

from pytest_realtime_asr.verdicts.change import Change
from pytest_realtime_asr.verdicts.limits import WER, Scale


def value(change: Change, value: float) -> str:
    """Return a value of a metric in one of the two runs, with its unit."""
    return shown(value, Scale.SHARE if change.margin.metric == WER else Scale.MS)


def interval(low: float, high: float, scale: Scale) -> str:
    """Return the interval of a change; an infinite bound is written in words."""
    if math.isinf(low) and low == high:
        return shown(low, scale, "+")
    least = "no lower bound" if math.isinf(low) else shown(low, scale, "+")
    most = "no upper bound" if math.isinf(high) else shown(high, scale, "+")
    return f"{least} to {most}"


def shown(value: float, scale: Scale, sign: str = "") -> str:
    """Return a value with its unit.

    If ``sign`` is "+", the value is a change. A session whose event never came has an
    infinite value, which is shown in words.
    """
    if math.isinf(value):
        more = "infinitely more" if value > 0 else "infinitely less"
        return more if sign else "never"
    if scale is Scale.MS:
        digits = 0 if abs(value) >= 99.95 else 1
        return f"{value:{sign}.{digits}f} ms"
    unit = "%" if scale is Scale.SHARE else " pp"
    return f"{100 * value:{sign}.{1 if scale is Scale.SHARE else 2}f}{unit}"
