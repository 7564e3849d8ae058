"""Growth: whether a value gets worse during a long load.

A trend is the slope of points over time. The time is cut into windows of equal length,
and each window gives one value, the median of its points. `theil_sen` computes the
slope of these medians, and `theil_sen_interval` its interval. The interval is valid for
any distribution, if the medians scatter independently around their line. Neighbouring
points are not independent: after a busy second, the next second is slow too. But such
an effect is much shorter than a window, so the medians are nearly independent. A single
step, such as the memory that is allocated at the first request, is no trend. Its
interval includes zero.

A trend counts as growth under two conditions: its whole interval is above zero, and the
value has grown over the whole time by more than the tolerated growth. The second
condition is needed since with many points, even a tiny trend is significant.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from pytest_realtime_asr.slope import theil_sen, theil_sen_interval
from pytest_realtime_asr.stats import larger_share_p_value, share_interval
from pytest_realtime_asr.verdicts.verdict import Verdict

WINDOWS = 12  # into which the time of a trend is cut
CONFIDENCE = 0.95  # of intervals; growth is one of their two sides
_HOUR = 3600.0  # s

Point = tuple[float, float]
"""A time in s and the value at this time."""


class Quantity(enum.StrEnum):
    """What may grow: a latency in ms, a share, bytes, or a number of sessions.

    `OPEN_SESSIONS` are the sessions that the server holds open although the client has
    closed them. `IDLE_MEMORY` is memory that grows only while an idle session is open.
    """

    LATENCY = "latency"
    FAILURES = "failures"
    MEMORY = "memory"
    OPEN_SESSIONS = "open_sessions"
    IDLE_MEMORY = "idle_memory"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much a value may grow: the larger of two limits.

    One limit is the value at the start times ``share``. The other limit is ``least``.
    """

    share: float
    least: float

    def of(self, start: float) -> float:
        """Return the tolerated growth of a value that starts at ``start``."""
        return max(self.share * start, self.least)


TOLERANCES = {
    Quantity.LATENCY: Tolerance(0.10, 10.0),  # ms; a client's clock is 1 ms late
    Quantity.FAILURES: Tolerance(0.0, 0.01),
    Quantity.MEMORY: Tolerance(0.05, 0.0),
    Quantity.OPEN_SESSIONS: Tolerance(0.0, 1.0),
    Quantity.IDLE_MEMORY: Tolerance(0.05, 0.0),  # in an hour
}


@dataclass(frozen=True, slots=True)
class Growth:
    """The trend of a quantity during a load.

    ``n`` is the number of values. ``grown`` is the growth in ``seconds`` seconds, and
    ``allowed`` is the largest growth that is tolerated in this time. ``start`` is the
    value of the trend at its start. ``slope`` is the growth per hour, and ``interval``
    is the confidence interval of the slope (`CONFIDENCE`). ``p`` is the p-value of the
    exact test of the failures, and is ``None`` for any quantity other than
    `Quantity.FAILURES`.

    The verdict is ``FAIL`` if the quantity grew, ``INVALID`` if it grew only because of
    the client's own delay, and ``INCONCLUSIVE`` if there are too few values.
    """

    quantity: Quantity
    verdict: Verdict
    n: int
    seconds: float
    start: float = 0.0
    slope: float = 0.0
    interval: tuple[float, float] = (-math.inf, math.inf)
    grown: float = 0.0
    allowed: float = 0.0
    p: float | None = None

    @property
    def excluded(self) -> bool:
        """Whether the upper bound of the interval is within the allowed growth."""
        return self.interval[1] * self.seconds / _HOUR <= self.allowed


@dataclass(frozen=True, slots=True)
class Line:
    """The line through the medians of the windows of points.

    ``slope`` is the growth per s, and ``low`` and ``high`` are the bounds of its
    confidence interval. ``start`` is the value at the start.
    """

    slope: float
    low: float
    high: float
    start: float


def line(points: Iterable[Point], start: float, stop: float) -> Line | None:
    """Return the line through the medians of the windows from ``start`` to ``stop``.

    ``start`` and ``stop`` are in s. The result is ``None`` if fewer than two windows
    have points. The bounds of the slope are infinite if fewer than six windows have
    points.
    """
    windows: dict[int, list[Point]] = {}
    for at, value in points:
        if start <= at <= stop:
            number = min(WINDOWS - 1, int(WINDOWS * (at - start) / (stop - start)))
            windows.setdefault(number, []).append((at, value))
    xs = [median(at for at, _ in each) for each in windows.values()]
    ys = [median(value for _, value in each) for each in windows.values()]
    slope = theil_sen(xs, ys)
    if slope is None:
        return None
    low, high = theil_sen_interval(xs, ys, confidence=CONFIDENCE)
    first = median(y - slope * (x - start) for x, y in zip(xs, ys, strict=True))
    return Line(slope, low, high, first)


def trend(
    quantity: Quantity, points: Sequence[Point], start: float, stop: float
) -> Growth:
    """Return how a quantity grew from ``start`` to ``stop``, which are in s."""
    seconds, tolerance = stop - start, TOLERANCES[quantity]
    n = sum(start <= at <= stop for at, _ in points)
    found = line(points, start, stop) if seconds > 0 else None
    if found is None:
        return Growth(quantity, Verdict.INCONCLUSIVE, n, seconds)
    grown, allowed = found.slope * seconds, tolerance.of(found.start)
    if math.isinf(found.low):
        verdict = Verdict.INCONCLUSIVE
    else:
        grew = found.low > 0 and grown > allowed
        verdict = Verdict.FAIL if grew else Verdict.PASS
    return Growth(
        quantity=quantity,
        verdict=verdict,
        n=n,
        seconds=seconds,
        start=found.start,
        slope=_HOUR * found.slope,
        interval=(_HOUR * found.low, _HOUR * found.high),
        grown=grown,
        allowed=allowed,
    )


def failures(events: Sequence[tuple[float, bool]], start: float, stop: float) -> Growth:
    """Return how much more often sessions failed in the second half of a period.

    ``events`` has, for each session, its time in s and whether it failed. Failures are
    too rare for windows, so Fisher's exact test compares the two halves. The test is
    one-sided, with an error probability of (1 - `CONFIDENCE`) / 2. The interval of the
    result is computed from the exact intervals of the two shares of failed sessions.
    This interval is wider than necessary, since each of the two intervals gets only
    half of the error probability.
    """
    middle, half = (start + stop) / 2, (stop - start) / 2
    early = [failed for at, failed in events if start <= at < middle]
    late = [failed for at, failed in events if middle <= at <= stop]
    n = len(early) + len(late)
    if not early or not late:
        return Growth(Quantity.FAILURES, Verdict.INCONCLUSIVE, n, stop - start)
    miss = 1 - CONFIDENCE
    before, after = sum(early), sum(late)
    p = larger_share_p_value(after, len(late), before, len(early))
    low, high = share_interval(before, len(early), 1 - miss / 2)
    low_late, high_late = share_interval(after, len(late), 1 - miss / 2)
    share = before / len(early)
    grown = after / len(late) - share
    allowed = TOLERANCES[Quantity.FAILURES].of(share)
    grew = p <= miss / 2 and grown > allowed
    hours = half / _HOUR  # between the middles of the two halves
    return Growth(
        quantity=Quantity.FAILURES,
        verdict=Verdict.FAIL if grew else Verdict.PASS,
        n=n,
        seconds=half,
        start=share,
        slope=grown / hours,
        interval=((low_late - high) / hours, (high_late - low) / hours),
        grown=grown,
        allowed=allowed,
        p=p,
    )


def idle_memory(
    points: Sequence[Point],
    idle: Sequence[tuple[float, float]],
    empty: Sequence[tuple[float, float]],
) -> Growth:
    """Return how memory grows while an idle session is open.

    ``points`` are times in s, each with the memory in bytes. A period is a start and an
    end in s. In the periods ``idle``, one idle session was open and no other. In the
    periods ``empty``, no session was open. The result is ``FAIL`` only if the memory
    grew in each idle period, and faster than in every empty period. ``grown`` of the
    result is the growth per hour in the idle period with the slowest growth.
    """
    open_lines = [line(points, *period) for period in idle]
    others = [line(points, *period) for period in empty]
    lines = [each for each in open_lines if each is not None]
    beside = [each for each in others if each is not None]
    n = sum(start <= at <= stop for at, _ in points for start, stop in idle)
    missing = len(lines) < len(idle) or len(beside) < len(empty) or not lines
    if missing or any(math.isinf(each.low) for each in lines):
        return Growth(Quantity.IDLE_MEMORY, Verdict.INCONCLUSIVE, n, _HOUR)
    slope = min(each.slope for each in lines)
    slowest = max((each.slope for each in beside), default=0.0)
    low, high = (min(each.low for each in lines), max(each.high for each in lines))
    start = lines[0].start
    grown, allowed = _HOUR * slope, TOLERANCES[Quantity.IDLE_MEMORY].of(start)
    grew = low > max(0.0, slowest) and grown > allowed
    return Growth(
        quantity=Quantity.IDLE_MEMORY,
        verdict=Verdict.FAIL if grew else Verdict.PASS,
        n=n,
        seconds=_HOUR,
        start=start,
        slope=_HOUR * slope,
        interval=(_HOUR * low, _HOUR * high),
        grown=grown,
        allowed=allowed,
    )
