"""A soak is a long load of a few streams that is judged by what grows with time.

The load is a closed load. Other sessions run beside it: one long session, sessions that
open and close without audio, and one idle session. The idle session opens before the
load and closes after it. Before and after the load there are quiet times, some with
only the idle session and some without any session, to compare the server's memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.growth import (
    Growth,
    Point,
    Quantity,
    failures,
    idle_memory,
    trend,
)
from pytest_realtime_asr.load.level import Level, Sampled
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.verdicts.client_delay import allowed_delay, without_delay
from pytest_realtime_asr.verdicts.verdict import Verdict, worst

LATENCY = "final_from_commit"  # the latency whose trend is judged
MOST_DRIFT = 0.02  # s by which the lag may grow per s of audio
_LEAST_DRIFT = 1.0  # s; a smaller growth of the lag of a session is tolerated

Period = tuple[float, float]
"""The start and the end of a period, in s since the start of the level."""


@dataclass(frozen=True, slots=True)
class LongSession:
    """The long session of a soak.

    ``seconds`` is the length in s of the audio that was sent. ``lost`` says how the
    session was lost, and ``reason`` says why. ``drift`` is the growth of the lag per
    second of audio, which is the metric ``lag_drift``; it is ``None`` if it could not
    be measured.
    """

    label: str
    seconds: float
    lost: Loss = Loss.NONE
    reason: str = ""
    drift: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict of the session.

        The verdict is ``FAIL`` if the session was lost, or if its lag grew by more than
        1 s and by more than `MOST_DRIFT` s per second of audio. If the server refused
        the session, or the client cut it off, nothing is judged, and the verdict is
        ``PASS``.
        """
        if self.lost in (Loss.REFUSED, Loss.CANCELLED):
            return Verdict.PASS
        late = 0.0 if self.drift is None else self.drift * self.seconds
        if self.lost or late > max(_LEAST_DRIFT, MOST_DRIFT * self.seconds):
            return Verdict.FAIL
        return Verdict.PASS


@dataclass(frozen=True, slots=True)
class SilentSession:
    """A session without audio, with the times at which it was opened and closed.

    The times are in s since the start of the level. ``lost`` says why the session was
    lost; it is "" if the session was not lost.
    """

    opened: float
    closed: float
    lost: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """The sessions that ran beside the load of a soak.

    ``idle`` are the sessions that were kept open without audio, one at a time: if the
    server closed one, another was opened. ``short`` are the sessions that were opened
    and closed at once. In the periods ``alone``, only the idle session was open; in the
    periods ``empty``, no session was open.
    """

    long: LongSession | None = None
    long_period: Period | None = None
    short: tuple[SilentSession, ...] = ()
    idle: tuple[SilentSession, ...] = ()
    alone: tuple[Period, ...] = ()
    empty: tuple[Period, ...] = ()


@dataclass(frozen=True, slots=True)
class Soak:
    """The result of a soak.

    ``growths`` are the trends that could be measured. ``unmeasured`` says, for each
    other quantity, why it could not be measured. ``left_open`` says how many more
    sessions the server held open after the soak than before; ``None`` if the server
    does not show its open sessions.
    """

    level: Level = field(repr=False)
    beside: Beside = field(repr=False)
    growths: tuple[Growth, ...]
    unmeasured: Mapping[Quantity, str] = field(default_factory=dict)
    left_open: float | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the trends and of the long session."""
        found = [each.verdict for each in self.growths]
        if self.beside.long is not None:
            found.append(self.beside.long.verdict)
        return worst(found)

    @property
    def grown(self) -> tuple[Growth, ...]:
        """The trends that are not ``PASS``, the worst verdict first."""
        order = list(Verdict)
        found = [each for each in self.growths if each.verdict is not Verdict.PASS]
        return tuple(sorted(found, key=lambda each: -order.index(each.verdict)))


def judge(level: Level, beside: Beside, sampled: Sampled) -> Soak:
    """Judge a soak by its level, by what ran beside it and by the server's metrics."""
    start, stop = level.load.ramp, min(level.load.planned, level.seconds)
    rows = level.steady
    growths = [latency(rows, start, stop)]
    growths.append(failures([*_outcomes(rows), *_silent(beside)], start, stop))
    unmeasured: dict[Quantity, str] = {}
    values, why = sampled.values, sampled.failed
    memory, sessions = values.get("memory", ()), values.get("sessions", ())
    if memory:
        growths.append(trend(Quantity.MEMORY, memory, start, stop))
        if beside.alone:
            growths.append(idle_memory(memory, beside.alone, beside.empty))
    else:
        unmeasured[Quantity.MEMORY] = why or "the server does not show its memory"
    if sessions:
        points = unknown_sessions(sessions, level.rows, beside)
        growths.append(trend(Quantity.OPEN_SESSIONS, points, start, stop))
    else:
        unmeasured[Quantity.OPEN_SESSIONS] = (
            why or "the server does not show its open sessions"
        )
    return Soak(
        level=level,
        beside=beside,
        growths=tuple(growths),
        unmeasured=unmeasured,
        left_open=sessions[-1][1] - sessions[0][1] if len(sessions) > 1 else None,
    )


def latency(rows: Sequence[Row], start: float, stop: float) -> Growth:
    """Return how the latency of the finals grew; lost sessions are left out.

    Clips differ in their latency, so each value counts as its difference from the
    median of its clip. If the verdict is ``FAIL``, the growth is computed again without
    the client's own delay, and without the sessions of an overloaded client. If the
    second verdict is not ``FAIL``, the result is ``INVALID``.
    """
    known = [
        (row, value)
        for row in rows
        if not row.lost and (value := row.measured.metrics.get(LATENCY)) is not None
    ]
    found = trend(Quantity.LATENCY, _by_clip(known), start, stop)
    if found.verdict is not Verdict.FAIL:
        return found
    bound = allowed_delay(found.start)
    own = [
        (row, without_delay(value, row.measured.scheduling_delay, state, bound))
        for row, value in known
        if not (state := row.measured.client_state).overloaded
    ]
    again = trend(Quantity.LATENCY, _by_clip(own), start, stop)
    if again.verdict is Verdict.FAIL:
        return found
    return replace(found, verdict=Verdict.INVALID)


def unknown_sessions(
    sampled: Sequence[Point], rows: Sequence[Row], beside: Beside
) -> tuple[Point, ...]:
    """Return, for each time, how many sessions are open only at the server.

    At each time of ``sampled``, the number of the client's open sessions is subtracted
    from the number that the server shows.
    """
    ours = [(row.began, row.ended) for row in rows]
    ours += [(each.opened, each.closed) for each in (*beside.short, *beside.idle)]
    if beside.long_period is not None:
        ours.append(beside.long_period)
    changes = sorted([(at, 1) for at, _ in ours] + [(at, -1) for _, at in ours])
    found: list[Point] = []
    now, place = 0, 0
    for at, shown in sampled:
        while place < len(changes) and changes[place][0] <= at:
            now += changes[place][1]
            place += 1
        found.append((at, shown - now))
    return tuple(found)


def _by_clip(values: Sequence[tuple[Row, float]]) -> list[Point]:
    """Return a point for each session: the planned end of its audio, and its value.

    Each value is shifted by the difference between the median of all values and the
    median of its clip, so that differences between clips have no influence.
    """
    clips: defaultdict[str, list[float]] = defaultdict(list)
    for row, value in values:
        clips[row.clip].append(value)
    middles = {clip: median(each) for clip, each in clips.items()}
    middle = median(value for _, value in values) if values else 0.0
    return [(row.planned, value - middles[row.clip] + middle) for row, value in values]


def _outcomes(rows: Sequence[Row]) -> Iterator[tuple[float, bool]]:
    """Yield the planned start of each session, and whether the session failed.

    Sessions that the client cut off are left out.
    """
    for row in rows:
        if row.lost is not Loss.CANCELLED:
            yield row.speech, bool(row.lost)


def _silent(beside: Beside) -> Iterator[tuple[float, bool]]:
    for each in beside.short:
        yield each.opened, bool(each.lost)
