"""Reads named limits, which may differ between machines, from a TOML file.

erasure = 0.2            # the same on every machine

[l4]                     # a profile: these limits replace the limits above
final = "800ms"

[h100]
final = "300ms"

A marker refers to a limit by its name: ``latency_budget(..., p95="$final")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_realtime_asr.text.inputs import InputError, toml, within
from pytest_realtime_asr.verdicts.limits import MAX_LIMIT

Value = str | float


def read(path: Path, profile: str = "") -> dict[str, Value]:
    """Return the limits of a file.

    The limits of ``profile`` are added, and replace other limits of the same name.

    Raises `InputError`; the message names the file and the limit, and says what to
    write.
    """
    table = toml(path)
    profiles = {name: row for name, row in table.items() if isinstance(row, dict)}
    if profile and profile not in profiles:
        there = f"choose from {', '.join(profiles)}"
        if not profiles:
            there = "the file has no profiles, which are tables such as [l4]"
        raise InputError(f"{path}: no profile {profile!r}; {there}")
    shared = {name: row for name, row in table.items() if name not in profiles}
    for where, rows in {"": shared, **profiles}.items():
        _check(rows, f"{path}: [{where}]" if where else f"{path}:")
    return {**shared, **profiles.get(profile, {})}


def _check(rows: Mapping[str, object], where: str) -> None:
    for name, value in rows.items():
        if not isinstance(value, str) and not within(value, -MAX_LIMIT, MAX_LIMIT):
            raise InputError(
                f"{where} {name} is not a limit; write a duration such as '800ms', or "
                "a number"
            )
