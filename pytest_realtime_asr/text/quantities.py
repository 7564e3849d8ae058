"""Quantities that a user writes as a number with its unit: "800ms", "10dB", "5%"."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta

from pytest_realtime_asr.text.inputs import InputError, shown

_QUANTITY = re.compile(r"([+-]?)(\d+\.?\d*|\.\d+)\s*([A-Za-z]+|%)", re.ASCII)
_MS = {"ms": 1.0, "s": 1000.0, "min": 60_000.0, "h": 3_600_000.0}


def quantity(
    value: object, units: Collection[str], *, signed: bool = False
) -> tuple[float, str] | None:
    """Return the number and the unit that a string contains.

    Returns ``None`` if the value is not a number with one of the ``units``, or if the
    number has a sign although ``signed`` is false.
    """
    found = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None or found[3] not in units or (found[1] and not signed):
        return None
    return float(found[1] + found[2]), found[3]


def milliseconds(value: str | timedelta) -> float:
    """Convert a duration, such as ``"800ms"`` or a timedelta, to milliseconds.

    Raises `InputError` if the value is not a duration.
    """
    if isinstance(value, timedelta):
        return value / timedelta(milliseconds=1)
    found = quantity(value, _MS)
    if found is None:
        raise InputError(
            f"{shown(value)} is not a duration: write a number with its unit, "
            "such as '800ms', '1.2s', '10min' or '1h', or give a timedelta"
        )
    return found[0] * _MS[found[1]]


def decibels(value: str) -> float:
    """Convert a level such as ``"10dB"`` to a number of dB. Raises `InputError`."""
    found = quantity(value, ("dB",), signed=True)
    if found is None:
        raise InputError(
            f"{shown(value)} is not a level: write a number with its unit, such as "
            "'10dB' or '-6dB'"
        )
    return found[0]


def percent(value: str) -> float:
    """Convert a share such as ``"5%"`` to a number, 0.05. Raises `InputError`."""
    found = quantity(value, ("%",))
    if found is None:
        raise InputError(
            f"{shown(value)} is not a share: write a number with its unit, such as '5%'"
        )
    return found[0] / 100
