"""Limits that differ by machine, by name, as a repository lists them in TOML.

erasure = 0.2            # the same on every machine

[l4]                     # a profile: what holds on this machine, over what stands above
final = "800ms"

[h100]
final = "300ms"

A marker takes one by its name: ``latency_budget("final_from_commit", p95="$final")``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

Value = str | float


def read(path: Path, profile: str = "") -> dict[str, Value]:
    """The limits of a profile, or without one those that hold on every machine.

    Raises ValueError, which names the file, what is wrong with it and what there is.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{path}: {error}") from error
    profiles = {name: row for name, row in table.items() if isinstance(row, dict)}
    if profile and profile not in profiles:
        there = ", ".join(profiles) or "none: a profile is a table such as [l4]"
        raise ValueError(f"{path}: no profile {profile!r}; there are {there}")
    shared = {name: row for name, row in table.items() if name not in profiles}
    for where, rows in {"": shared, **profiles}.items():
        _check(rows, f"{path}: [{where}]" if where else f"{path}:")
    return {**shared, **profiles.get(profile, {})}


def _check(rows: Mapping[str, object], where: str) -> None:
    for name, value in rows.items():
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(
                f"{where} {name} is no limit; write a time such as '800ms', or a number"
            )
