"""Reads the last calibration of this machine from pytest's cache.

If the cache has a calibration, every pytest run imports this module, so the module
itself imports little.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime

import pytest

from pytest_realtime_asr.plugin.options import CALIBRATION


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
