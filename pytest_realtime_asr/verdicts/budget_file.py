"""Limits that differ by machine, by name, as a repository lists them in TOML.

erasure = 0.2            # the same on every machine

[l4]                     # a profile: what holds on this machine, over what stands above
final = "800ms"

[h100]
final = "300ms"

A marker takes one by its name: ``latency_budget("final_from_commit", p95="$final")``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_realtime_asr.text.inputs import InputError, toml, within

Value = str | float
_MOST = 1e12  # more than any metric can be


def read(path: Path, profile: str = "") -> dict[str, Value]:
    """The limits of a profile, or without one those that hold on every machine.

    Raises `InputError`, which names the file, what is wrong with it and what there is.
    """
    table = toml(path)
    profiles = {name: row for name, row in table.items() if isinstance(row, dict)}
    if profile and profile not in profiles:
        there = ", ".join(profiles) or "none: a profile is a table such as [l4]"
        raise InputError(f"{path}: no profile {profile!r}; there are {there}")
    shared = {name: row for name, row in table.items() if name not in profiles}
    for where, rows in {"": shared, **profiles}.items():
        _check(rows, f"{path}: [{where}]" if where else f"{path}:")
    return {**shared, **profiles.get(profile, {})}


def _check(rows: Mapping[str, object], where: str) -> None:
    for name, value in rows.items():
        if not isinstance(value, str) and not within(value, -_MOST, _MOST):
            raise InputError(
                f"{where} {name} is no limit; write a time such as '800ms', or a number"
            )
