"""Follows the statistics of the same tests over several runs, and finds changes.

A run is compared only if it has at least half of the utterances of the newest run, sent
under the same conditions (see `UtteranceRecord.fixed`). The other runs are left out,
and the conditions that differ are named. Only utterances that all complete runs have
are counted, so that a statistic changes with the server, not with the choice of clips.
An interrupted run is shown, but does not take part in the search for change points.

The search for change points uses one number of each run:

- for a p50, the trimmed mean of the logarithms of ratios. There is one ratio for each
  utterance: its value in this run, divided by its median over all runs. This mean does
  not depend on how much the clips differ from each other, and scatters less than a
  median;
- for a p95, its logarithm;
- for the error rate, the share of lost sessions and the capacity, the value itself.

Logarithms are not used for a metric that is not a duration, or that has values of zero
or less. Its p95 is searched as it is; for its p50, differences from the medians are
used instead of the ratios.

The false positive rate is divided among all series (Bonferroni). A number that is
infinite because too many sessions were lost is left out of the search; the share of
lost sessions has a series of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.accuracy import pooled
from pytest_realtime_asr.metrics.alignment import TextUnit
from pytest_realtime_asr.metrics.declaration import Better, Unit
from pytest_realtime_asr.stats import quantile, quantile_interval, share_interval
from pytest_realtime_asr.verdicts.change import is_measured
from pytest_realtime_asr.verdicts.change_points import LEVEL, change_points
from pytest_realtime_asr.verdicts.limits import WER, BudgetError, listed
from pytest_realtime_asr.verdicts.pairing import Values, mismatches
from pytest_realtime_asr.verdicts.recorded_run import Capacity, RecordedRun
from pytest_realtime_asr.verdicts.utterance_record import (
    UtteranceRecord,
    completed,
    shared_test_name,
)
from pytest_realtime_asr.verdicts.wer import rate_interval

METRICS = ("final_from_commit", "first_partial_from_speech")
"""The metrics of every trend; metrics with a limit in any run are added."""

CAPACITY = "capacity"
LOST = "lost sessions"
_QUANTILES = {"p50": 0.5, "p95": 0.95}
_WIDTH = 2 * 1.96  # standard deviations in an interval of 95 %


@dataclass(frozen=True, slots=True)
class Point:
    """The value of a series in one run, with the bounds of its confidence interval.

    A bound may be infinite.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Shift:
    """A change that begins at the run at ``index`` and exceeds the noise between runs.

    ``before`` is the median of the values from the previous shift to this shift, and
    ``after`` is the median of the values from this shift to the next shift. ``worse``
    says whether the server got worse.
    """

    index: int
    before: float
    after: float
    p: float
    worse: bool


@dataclass(frozen=True, slots=True)
class Series:
    """The values of a statistic; ``points`` has ``None`` for a run without a value."""

    metric: str
    statistic: str
    unit: Unit
    points: tuple[Point | None, ...]
    shifts: tuple[Shift, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that is not compared, with the conditions that differ from the newest run.

    ``conditions`` is empty if only the utterances differ.
    """

    run: str
    conditions: tuple[Values, ...]


@dataclass(frozen=True, slots=True)
class ContextChange:
    """A value of the context that changed in the run at ``index``."""

    index: int
    values: Values


@dataclass(frozen=True, slots=True)
class Trend:
    """The series of several runs; the runs are sorted by their start.

    ``utterances`` is the number of utterances that are counted in each run.
    ``uncounted`` is the number of utterances of the newest run that are not counted.
    """

    runs: tuple[RecordedRun, ...]
    series: tuple[Series, ...]
    utterances: int
    uncounted: int
    left_out: tuple[LeftOut, ...]
    context: tuple[ContextChange, ...]


def trend(runs: Iterable[RecordedRun], *, metrics: Sequence[str] = ()) -> Trend:
    """Return the trend of at least one run.

    ``metrics`` are the metrics to follow; if it is empty, `METRICS` and the metrics
    with a limit are followed. Runs of replayed sessions are left out, unless there are
    no other runs. Raises BudgetError for an unknown metric.
    """
    for name in metrics:
        if name not in CATALOGUE:
            raise BudgetError(
                f"{name!r} is not a metric of an utterance: write one of "
                f"{listed(CATALOGUE)}"
            )
    ordered = sorted(runs, key=lambda run: run.started)
    live = [run for run in ordered if not run.replayed] or ordered
    newest = next((run for run in live[::-1] if not run.interrupted), live[-1])
    ordered = [
        replace(run, rows=tuple(completed(run.rows, newest.rows))) for run in ordered
    ]
    known = _keys(newest)
    compared, left_out = [], []
    for run in ordered:
        if run.interrupted or 2 * len(_keys(run) & known) >= len(known):
            compared.append(run)
        else:
            left_out.append(LeftOut(run.name, mismatches(run.rows, newest.rows)))
    complete = [run for run in compared if not run.interrupted] or compared
    common = frozenset.intersection(*map(_keys, complete))
    counted = [
        replace(run, rows=tuple(row for row in run.rows if _key(row) in common))
        for run in compared
    ]
    limited = {name for run in counted for name in run.limited if name in CATALOGUE}
    names = metrics or list(dict.fromkeys((*METRICS, *sorted(limited))))
    return Trend(
        runs=tuple(compared),
        series=tuple(_series(counted, names)),
        utterances=len(common),
        uncounted=len(known - common),
        left_out=tuple(left_out),
        context=tuple(_context(compared)),
    )


def _key(row: UtteranceRecord) -> tuple[object, ...]:
    test = shared_test_name(row.test, row.utterance)
    return (test, row.utterance, row.audio, *row.fixed.values())


def _keys(run: RecordedRun) -> frozenset[tuple[object, ...]]:
    return frozenset(map(_key, run.rows))


def _context(runs: Sequence[RecordedRun]) -> Iterable[ContextChange]:
    """Yield each change of a value of the context from one run to the next."""
    values = [run.context for run in runs]
    for index in range(1, len(runs)):
        old, new = values[index - 1], values[index]
        for name in dict.fromkeys((*old, *new)):
            before, now = old.get(name, ""), new.get(name, "")
            if before != now:
                yield ContextChange(index, Values(name, (before,), (now,)))


# The numbers of the runs, and what is searched for change points


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A series before the search for change points.

    ``searched`` has, for each run, the number that the search uses. ``variance`` is the
    mean sampling variance of these numbers; it is 0 if it is not known.
    """

    series: Series
    searched: Sequence[float | None]
    higher_is_worse: bool = True
    variance: float = 0.0


def _series(runs: Sequence[RecordedRun], metrics: Iterable[str]) -> list[Series]:
    found: list[_Numbers] = []
    for name in metrics:
        found += _of_metric(runs, name)
    found += [*_error_rate(runs), *_lost(runs), *_capacities(runs)]
    searched = [_varying(runs, each) for each in found]
    level = LEVEL / max(1, sum(len({*values}) > 1 for _, values in searched))
    return [
        replace(each.series, shifts=tuple(_shifts(each, places, values, level)))
        for each, (places, values) in zip(found, searched, strict=True)
    ]


def _varying(
    runs: Sequence[RecordedRun], each: _Numbers
) -> tuple[list[int], list[float]]:
    """Return the indices of the runs to search, and one number for each of them."""
    usable = [
        (index, value)
        for index, (run, value) in enumerate(zip(runs, each.searched, strict=True))
        if value is not None and math.isfinite(value) and not run.interrupted
    ]
    return [index for index, _ in usable], [value for _, value in usable]


def _shifts(
    each: _Numbers, places: Sequence[int], values: Sequence[float], level: float
) -> Iterable[Shift]:
    """Yield one shift for each change point of a series."""
    points = change_points(values, level=level, variance=each.variance)
    if not points:
        return
    bounds = [0, *(point.index for point in points), len(values)]
    shown = [each.series.points[place] for place in places]
    middles = [
        median(point.value for point in shown[start:stop] if point is not None)
        for start, stop in pairwise(bounds)
    ]
    for number, point in enumerate(points):
        rises = point.after > point.before
        yield Shift(
            index=places[point.index],
            before=middles[number],
            after=middles[number + 1],
            p=point.p,
            worse=rises is each.higher_is_worse,
        )


def _of_metric(runs: Sequence[RecordedRun], name: str) -> Iterable[_Numbers]:
    """Yield the series of the p50 and the p95 of a metric, if any run has a value."""
    entry = CATALOGUE[name]
    values = [
        [(_key(row), _value(row, name)) for row in run.rows if _has(row, name)]
        for run in runs
    ]
    every = [value for each in values for _, value in each if math.isfinite(value)]
    if not every:
        return
    scaled = math.log if entry.unit is Unit.MS and min(every) > 0 else float
    for statistic, q in _QUANTILES.items():
        points = tuple(_quantile_point(each, q) for each in values)
        if statistic == "p50":
            searched = _typical(values, scaled)
        else:
            searched = [None if p is None else _scaled(p.value, scaled) for p in points]
        yield _Numbers(
            Series(name, statistic, entry.unit, points),
            searched,
            higher_is_worse=entry.better is Better.LOWER,
        )


def _has(row: UtteranceRecord, name: str) -> bool:
    lost = bool(row.lost) or name in row.premature
    return lost or row.metrics.get(name) is not None


def _value(row: UtteranceRecord, name: str) -> float:
    value = row.metrics.get(name)
    return math.inf if value is None or not is_measured(row, name) else value


def _quantile_point(
    values: Sequence[tuple[tuple[object, ...], float]], q: float
) -> Point | None:
    if not values:
        return None
    numbers = [value for _, value in values]
    keys = [key for key, _ in values]
    return Point(quantile(numbers, q), *quantile_interval(numbers, q, blocks=keys))


def _typical(
    values: Sequence[Sequence[tuple[tuple[object, ...], float]]],
    scaled: Callable[[float], float],
) -> list[float | None]:
    """Return one number for each run: how far its values are from the usual values.

    The usual value of an utterance is its median over all runs. The number is the
    trimmed mean of the differences from the usual values; it is infinite if more than a
    tenth of the sessions were lost.
    """
    of_key: dict[tuple[object, ...], list[float]] = {}
    for each in values:
        for key, value in each:
            of_key.setdefault(key, []).append(_scaled(value, scaled))
    usual = {
        key: median(finite)
        for key, numbers in of_key.items()
        if (finite := [number for number in numbers if math.isfinite(number)])
    }
    return [
        trimmed_mean(
            [_scaled(value, scaled) - usual[key] for key, value in each if key in usual]
        )
        for each in values
    ]


def _scaled(value: float, scaled: Callable[[float], float]) -> float:
    return scaled(value) if math.isfinite(value) else value


def trimmed_mean(values: Iterable[float]) -> float | None:
    """Return the mean without the extreme values; ``None`` without values.

    A tenth of the values, rounded up, is left out at each end. If there are only one or
    two values, none is left out.
    """
    ordered = sorted(values)
    cut = max(0, min(math.ceil(len(ordered) / 10), (len(ordered) - 1) // 2))
    return fmean(ordered[cut : len(ordered) - cut]) if ordered else None


def _error_rate(runs: Sequence[RecordedRun]) -> Iterable[_Numbers]:
    spoken = [[row for row in run.rows if row.errors.reference] for run in runs]
    units = {row.unit for rows in spoken for row in rows}
    if not units:
        return
    points: list[Point | None] = []
    variances: list[float] = []
    for rows in spoken:
        errors = [row.errors for row in rows]
        every = pooled(errors)
        if every.rate is None:
            points.append(None)
            continue
        low, high = rate_interval(errors, [row.clip for row in rows])
        points.append(Point(every.rate, low, high))
        variances.append((every.wrong + 1) / every.reference**2)
    name = "cer" if units == {TextUnit.CHARACTER} else WER
    yield _Numbers(
        Series(name, "rate", Unit.RATIO, tuple(points)),
        [None if point is None else point.value for point in points],
        variance=fmean(variances),
    )


def _lost(runs: Sequence[RecordedRun]) -> Iterable[_Numbers]:
    """Yield the series of the share of lost sessions, if any session was lost."""
    if not any(run.lost for run in runs):
        return
    sizes = [(run.lost, len(run.rows)) for run in runs]
    points = tuple(
        Point(lost / n, *share_interval(lost, n)) if n else None for lost, n in sizes
    )
    shares = [((lost + 0.5) / (n + 1), n) for lost, n in sizes if n]
    yield _Numbers(
        Series(LOST, "share", Unit.RATIO, points),
        [None if point is None else point.value for point in points],
        variance=fmean(share * (1 - share) / n for share, n in shares),
    )


def _capacities(runs: Sequence[RecordedRun]) -> Iterable[_Numbers]:
    """Yield the series of the capacity of each test that searched for its capacity."""
    tests = dict.fromkeys(test for run in runs for test in run.capacities)
    for test in tests:
        points = tuple(capacity_point(run.capacities, test) for run in runs)
        known = [point for point in points if point is not None]
        if not known:
            continue
        widths = [p.high - p.low for p in known if math.isfinite(p.high - p.low)]
        yield _Numbers(
            Series(
                CAPACITY if len(tests) == 1 else f"{CAPACITY} of {test}",
                "streams",
                Unit.COUNT,
                points,
            ),
            [None if point is None else point.value for point in points],
            higher_is_worse=False,
            variance=fmean((width / _WIDTH) ** 2 for width in widths) if widths else 0,
        )


def capacity_point(found: Mapping[str, Capacity], test: str) -> Point | None:
    """Return the capacity that a test found; ``None`` if it found none."""
    each = found.get(test)
    if each is None or each.streams is None:
        return None
    low, high = each.interval or (-math.inf, math.inf)
    return Point(each.streams, low, high)
