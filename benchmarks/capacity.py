"""The largest number of streams that one process holds on time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from math import sqrt

from benchmarks.comparison import Comparison
from benchmarks.streams import Client, Kind, client

LATE = 5.0  # ms; the p99 of the lateness of a frame must be below it
LATEST = 75.0  # s from the start
NEAR = 1.15  # the result is at most this factor too small
TRIES = 2  # of a level, since another process may take the machine for a moment
FIRST, MOST = 400, 6_400  # streams: of the first level, and at most


def search(
    *, start: int, factor: float = 2.0, near: float = 1.1
) -> Generator[int, bool, int]:
    """Search the largest number that holds; the result is 0 if none does.

    Each number that is yielded is answered by whether it holds. From ``start`` on, the
    number is multiplied or divided by ``factor`` until one holds and one does not; the
    range between is bisected until its ends are within ``near`` of each other.
    """
    low = high = start
    if (yield start):
        while low == high:
            if low >= MOST:
                return low
            number = max(low + 1, round(low * factor))
            low, high = (number, number) if (yield number) else (low, number)
    else:
        while low == high:
            number = int(high / factor)
            if not number:
                return 0
            low, high = (number, high) if (yield number) else (number, number)
    while high - low > 1 and high / low > near:
        middle = round(sqrt(low * high))
        low, high = (middle, high) if (yield middle) else (low, middle)
    return low


def compare(
    url: str,
    *,
    fast: bool,
    pairs: int,
    seconds: float,
    first: int | None = None,
    told: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Compare the largest numbers of own and of bare streams.

    The searches of a pair take turns level by level, so that what else the machine does
    meets both. Every pair but the first begins at what the one before has found; the
    first begins at ``first``, if it is known about where the result is. On a busy
    machine a search takes longer: no pair begins later than `LATEST`.
    """
    found: dict[Kind, list[int]] = {"own": [], "bare": []}
    begun = time.monotonic()
    for pair in range(pairs):
        if pair and time.monotonic() - begun > LATEST:
            told(f"no more pairs after {LATEST:g} s")
            break
        with (
            client("own", url, fast=fast) as own,
            client("bare", url, fast=fast) as bare,
        ):
            clients: dict[Kind, Client] = {"own": own, "bare": bare}
            results = _pair(clients, found, first, seconds)
        for kind, count in results.items():
            found[kind].append(count)
        told(", ".join(f"{kind}: {count} streams" for kind, count in results.items()))
    loop = "uvloop" if fast else "asyncio"
    return Comparison(
        f"streams with p99 < {LATE:g} ms late, beside bare, {loop}",
        "streams",
        found["own"],
        found["bare"],
        limit="at least 0.6",
    )


def _pair(
    clients: Mapping[Kind, Client],
    found: Mapping[Kind, Sequence[int]],
    first: int | None,
    seconds: float,
) -> dict[Kind, int]:
    """Return the largest number of streams of each kind."""
    searches: dict[Kind, Generator[int, bool, int]] = {}
    for kind in clients:
        about = found[kind][-1] or 1 if found[kind] else first
        if about is None:
            searches[kind] = search(start=FIRST, near=NEAR)
        else:
            searches[kind] = search(start=about, factor=1.25, near=NEAR)
    numbers = {kind: next(each) for kind, each in searches.items()}
    results: dict[Kind, int] = {}
    while numbers:
        for kind, number in list(numbers.items()):
            try:
                holds = _on_time(clients[kind], number, seconds)
                numbers[kind] = searches[kind].send(holds)
            except StopIteration as end:
                results[kind] = end.value
                del numbers[kind]
    return results


def _on_time(it: Client, streams: int, seconds: float) -> bool:
    return any(it.level(streams, seconds).late_p99 < LATE for _ in range(TRIES))
