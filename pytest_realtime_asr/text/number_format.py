"""How numbers are written in a line; ``more`` digits tell two apart."""

from __future__ import annotations

import math


def plain(value: float, *, more: int = 0) -> str:
    """A number without a unit, with three digits behind its point at most."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{3 + more}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def ms(value: float, *, more: int = 0) -> str:
    """Milliseconds, with one digit behind the point where they are under 100."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    digits = (0 if abs(value) >= 99.95 else 1) + more
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def share(rate: float, *, more: int = 0) -> str:
    """A share of 1, always with three digits behind its point."""
    return "inf" if math.isinf(rate) else f"{rate:.{3 + more}f}"


def several(count: int, noun: str) -> str:
    """A number of things by their name, of which one is not called several."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
