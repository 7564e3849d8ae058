"""The last calibration of this machine, kept in pytest's cache."""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import msgspec
import pytest

from pytest_realtime_asr.plugin.options import CALIBRATION
from pytest_realtime_asr.report import calibration
from pytest_realtime_asr.run.calibration import Calibration


def keep(config: pytest.Config, found: Calibration) -> bool:
    """Write a calibration into pytest's cache; return whether there is a cache."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return False
    values = msgspec.to_builtins(found)
    cache.set(CALIBRATION, {"line": calibration.line(found), **values})
    return True


def line(config: pytest.Config) -> str:
    """Return one line about the last calibration, or an empty string if there is none.

    The line says how old the calibration is, and whether it was made on another
    machine, from which the cache was copied.
    """
    cache = getattr(config, "cache", None)
    kept = None if cache is None else cache.get(CALIBRATION, None)
    if kept is None:
        return ""
    text = str(kept["line"])
    days = (datetime.now(UTC) - datetime.fromisoformat(kept["made"])).days
    text += f", {days} day{'s' * (days > 1)} ago" if days > 0 else ""
    here = str(kept["machine"]).startswith(f"{platform.node()},")
    return text if here else f"{text}, on another machine"
