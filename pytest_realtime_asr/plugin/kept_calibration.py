"""The last calibration of this machine, kept in pytest's cache."""

from __future__ import annotations

import json
import platform
from datetime import UTC, datetime

import pytest

from pytest_realtime_asr.plugin.options import CALIBRATION
from pytest_realtime_asr.run.calibration import Calibration


def keep(config: pytest.Config, found: Calibration) -> bool:
    """Keep a calibration; returns whether there is a cache to keep it in."""
    cache = getattr(config, "cache", None)
    if cache is None:
        return False
    cache.set(CALIBRATION, {"line": str(found), **json.loads(found.dumps())})
    return True


def line(config: pytest.Config) -> str:
    """Return the last calibration in one line, or an empty text.

    The line says how old the calibration is, and whether it is of another machine,
    from which the cache was copied.
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
