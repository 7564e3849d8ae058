"""The wording of the result of a soak."""

from __future__ import annotations

import math
from collections.abc import Iterator

from pytest_realtime_asr.load.growth import CONFIDENCE, Growth, Quantity
from pytest_realtime_asr.load.soak import LongSession, Soak
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.number_format import length, ms, plain, several
from pytest_realtime_asr.verdicts.verdict import Verdict

_LONGEST = 200  # characters of a reason
_MEBIBYTE = 2**20
_NAMES = {
    Quantity.LATENCY: "final_from_commit",
    Quantity.FAILURES: "lost sessions",
    Quantity.MEMORY: "memory of the server",
    Quantity.OPEN_SESSIONS: "sessions that the server did not free",
    Quantity.IDLE_MEMORY: "memory that an idle session holds",
}


def summary(soak: Soak) -> str:
    """Return one line about the whole result."""
    long = soak.beside.long
    found = [_grown(each) for each in soak.grown]
    if long is not None and long.verdict is not Verdict.PASS:
        found.append(_long(long))
    head = f"soak: {'; '.join(found)}" if found else "soak: nothing grew"
    return f"{head} ({'; '.join(_conditions(soak))}); {soak.verdict.value}"


def details(soak: Soak) -> str:
    """Return the summary, then lines on the trends and the sessions beside the load."""
    return "\n".join([summary(soak), *(f"  {line}" for line in _lines(soak))])


def _conditions(soak: Soak) -> Iterator[str]:
    load = soak.level.load
    yield several(load.streams, "stream")
    yield f"hold {length(load.hold)}"
    yield f"talk {plain(load.talk)}"
    yield several(len(soak.level.steady), "session")
    if soak.level.aborted:
        yield f"aborted: {soak.level.aborted}"
    for quantity, why in soak.unmeasured.items():
        yield f"{_NAMES[quantity]} not measured: {_short(why)}"


def _grown(growth: Growth) -> str:
    """Return how much a quantity grew, or a note that it has too few values."""
    name, verdict = _NAMES[growth.quantity], growth.verdict
    if verdict is Verdict.INCONCLUSIVE:
        return f"{name}: too few values; give a longer duration"
    own = ""
    if verdict is Verdict.INVALID:
        own = ", only because of the client's own delay"
    return f"{name} grew{own} ({_trend(growth)})"


def trend(growth: Growth) -> str:
    """Return one line about a trend."""
    if growth.verdict is Verdict.INCONCLUSIVE:
        return _grown(growth)
    return f"{_NAMES[growth.quantity]}: {_trend(growth)}; {growth.verdict.value}"


def _trend(growth: Growth) -> str:
    quantity, hours = growth.quantity, growth.seconds / 3600
    low, high = (_value(quantity, bound * hours) for bound in growth.interval)
    words = [
        f"{_value(quantity, growth.grown, signed=True)} in {length(growth.seconds)} "
        f"from {_value(quantity, growth.start)}",
        f"{CONFIDENCE:.0%} interval {low} to {high}",
        f"{_value(quantity, growth.allowed)} allowed",
    ]
    if growth.p is not None:
        words.append(f"early against late half: p={growth.p:.2g}")
    words.append(f"n={growth.n}")
    return "; ".join(words)


def _value(quantity: Quantity, value: float, *, signed: bool = False) -> str:
    """Return a value of a quantity with its unit."""
    sign = "+" if signed and value >= 0 else ""
    if math.isinf(value):
        return f"{sign}{plain(value)}"
    match quantity:
        case Quantity.LATENCY:
            return f"{sign}{ms(value)} ms"
        case Quantity.FAILURES:
            return f"{sign}{plain(100 * value)} %"
        case Quantity.MEMORY | Quantity.IDLE_MEMORY:
            return f"{sign}{value / _MEBIBYTE:.1f} MiB"
        case Quantity.OPEN_SESSIONS:
            return f"{sign}{value:.1f}"


def _long(long: LongSession) -> str:
    name = f"the long session {shortened(printable(long.label), 120)}"
    if long.lost:
        lost = f"{long.lost}: {_short(long.reason)}"
        return f"{name} was lost after {length(long.seconds)} of audio: {lost}"
    if long.drift is None:
        return f"{name}: {length(long.seconds)} of audio, lag not measured"
    late = long.drift * long.seconds
    return (
        f"{name}: its lag changed by {late:+.1f} s in {length(long.seconds)} of audio"
    )


def _lines(soak: Soak) -> Iterator[str]:
    yield from map(trend, soak.growths)
    beside = soak.beside
    if beside.long is not None:
        yield _long(beside.long)
    failed = [each.lost for each in beside.short if each.lost]
    first = f", {len(failed)} lost: {_short(failed[0])}" if failed else ""
    short = several(len(beside.short), "session")
    yield f"{short} opened and closed without audio{first}"
    closed = [each.lost for each in beside.idle if each.lost]
    if closed:
        yield f"the idle session ended {several(len(closed), 'time')}: {closed[0]}"
    if soak.left_open is not None and soak.left_open > 0:
        more = several(round(soak.left_open), "more open session")
        yield f"the server had {more} after the soak than before it"


def _short(reason: str) -> str:
    return shortened(printable(reason), _LONGEST)
