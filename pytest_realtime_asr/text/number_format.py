"""Formats numbers in messages.

``more`` is the number of digits that are added to show a small difference.
"""

from __future__ import annotations

import math


def plain(value: float, *, more: int = 0) -> str:
    """Return a number without a unit, with at most three decimals."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{3 + more}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def ms(value: float, *, more: int = 0) -> str:
    """Return a time in ms as text, with one decimal if it is below 100 ms."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    digits = (0 if abs(value) >= 99.95 else 1) + more
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def share(rate: float, *, more: int = 0) -> str:
    """Return a rate or a share as text with three decimals, such as "0.125"."""
    return "inf" if math.isinf(rate) else f"{rate:.{3 + more}f}"


def length(seconds: float) -> str:
    """Return a length of time as text, in s below two minutes, otherwise in min."""
    return f"{seconds:.1f} s" if seconds < 119.95 else f"{seconds / 60:.1f} min"


def about(seconds: float) -> str:
    """Return an estimated time as text, in whole s below two minutes, else in min."""
    return f"about {seconds:.0f} s" if seconds < 119.5 else f"about {length(seconds)}"


def several(count: int, noun: str) -> str:
    """Return a number and a noun, in the plural unless the number is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
