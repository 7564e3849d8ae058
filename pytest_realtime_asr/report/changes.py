"""Formats the values and the change of a metric between two runs."""

from __future__ import annotations

from pytest_realtime_asr.verdicts.change import Change
from pytest_realtime_asr.verdicts.limits import WER, Scale


def value(change: Change, value: float) -> str:
    """Return a value of a metric in one of the two runs, with its unit."""
    return shown(value, Scale.SHARE if change.margin.metric == WER else Scale.MS)


def shown(value: float, scale: Scale, sign: str = "") -> str:
    """Return a change with its unit; ``sign`` is "+" to show the sign."""
    if scale is Scale.MS:
        digits = 0 if abs(value) >= 99.95 else 1
        return f"{value:{sign}.{digits}f} ms"
    unit = "%" if scale is Scale.SHARE else " pp"
    return f"{100 * value:{sign}.{1 if scale is Scale.SHARE else 2}f}{unit}"
