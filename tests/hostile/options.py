"""Options, ini keys and environment variables that cannot work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hostile import Case, message
from pytest_realtime_asr.settings import SettingError, settings


def told(
    given: Mapping[str, object],
    *,
    ini: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path(),
) -> str:
    """Return the message that refuses these options."""
    return message(
        SettingError,
        lambda: settings(
            lambda option: given.get(option.name),
            lambda option: (ini or {}).get(option.name),
            environment or {},
            origin=folder,
        ),
    )


CASES = (
    Case(
        "pace-without-a-number",
        "the user gives a word as the pace",
        ("--realtime-pace", "'fast'", "1.0 is real time"),
        5,
        lambda folder: told({"pace": "fast"}),
    ),
)
