"""Costs of this package beside the plain way: ``python -m benchmarks``.

Prints a table of ratios, and writes all figures with ``--json FILE``. The parts may be
named; without a name, all of them run. On a machine that is used by others, only the
ratios mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from benchmarks import appends, capacity, pages, sessions, start_up
from benchmarks.comparison import Comparison
from benchmarks.sink import sink
from benchmarks.streams import Kind, Level, client

PARTS = ("appends", "start-up", "sessions", "page", "streams", "capacity")
LEVELS = (1, 100, 400)
SHARING = 50  # streams from which on the cost of the process itself is a small part
KINDS: tuple[Kind, ...] = ("own", "bare")


def main() -> None:
    """Run the parts, and print and write what they found."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("parts", nargs="*", help=f"some of: {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    options = parser.parse_args()
    parts = options.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; {', '.join(PARTS)}")
    begun = time.monotonic()
    print(f"{_machine()}; {_load()}")
    print(f"{'median of the rounds':58}{'own':>10}{'plain':>10}{'ratio':>8}")
    figures: dict[str, list[object]] = {}
    for part, found in _run(parts, quick=options.quick):
        if isinstance(found, Comparison):
            print(found.row, flush=True)
            figures.setdefault(part, []).append(found.as_dict())
        else:
            figures.setdefault(part, []).append(found)
    print(f"{time.monotonic() - begun:.0f} s; {_load()}")
    if options.json is not None:
        written = {"machine": _machine(), "load": _load(), **figures}
        options.json.write_text(json.dumps(written, indent=1) + "\n")


def _run(parts: Sequence[str], *, quick: bool) -> Iterator[tuple[str, object]]:
    rounds = 3 if quick else 7
    if "appends" in parts:
        yield "appends", appends.compare(rounds=rounds)
    if "start-up" in parts:
        for each in start_up.compare(rounds=rounds):
            yield "start-up", each
    loops = (False,) if find_spec("uvloop") is None or quick else (False, True)
    with sink() as url:
        if "sessions" in parts:
            yield "sessions", sessions.compare(url, rounds=rounds)
        if "page" in parts:
            for each in pages.compare(url, rounds=rounds):
                yield "page", each
        first = None
        for fast in loops:
            if "streams" in parts:
                levels = (1, 100) if quick else LEVELS
                yield from _streams(url, levels, fast=fast, seconds=3.0)
            if "capacity" in parts:
                found = capacity.compare(
                    url,
                    fast=fast,
                    pairs=1 if quick else 3,
                    seconds=1.0 if quick else 2.0,
                    first=first,
                    told=lambda line: print(f"  {line}; {_load()}", flush=True),
                )
                first = round(max(found.own[-1], found.plain[-1], 1))
                yield "capacity", found


def _streams(
    url: str, levels: tuple[int, ...], *, fast: bool, seconds: float
) -> Iterator[tuple[str, object]]:
    """Yield the figures of each level, each kind in a process of its own."""
    loop = "uvloop" if fast else "asyncio"
    for streams in levels:
        found: dict[Kind, Level] = {}
        for kind in KINDS:
            with client(kind, url, fast=fast) as it:
                found[kind] = it.level(streams, seconds)
            level = {"loop": loop, "kind": kind, **asdict(found[kind]), "load": _load()}
            yield "streams", level
        own, bare = found["own"], found["bare"]
        name = f"{streams} streams, {loop}"
        shared = streams >= SHARING
        yield from (
            ("streams", Comparison(name, unit, [ours], [theirs], limit))
            for unit, ours, theirs, limit, shown in (
                ("ms late p99", own.late_p99, bare.late_p99, None, True),
                ("% of a core each", own.cpu, bare.cpu, None, not shared),
                ("% of a core each", own.cpu, bare.cpu, "at most 1.5", shared),
                ("KiB each", own.memory, bare.memory, "at most 2", shared),
            )
            if shown
        )


def _machine() -> str:
    """Return what the figures depend on."""
    names = ("websockets", "msgspec", "uvloop", "pybase64")
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"no {name}")
    python = f"Python {platform.python_version()}, {os.cpu_count()} CPUs"
    return f"{python}, {', '.join(found)}"


def _load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
