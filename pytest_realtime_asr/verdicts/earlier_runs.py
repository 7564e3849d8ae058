"""Chooses the median of several earlier runs, and measures how far these runs differ.

The runs of many nights differ although the server is the same. So each metric of this
run is compared with only one of them, the *median run*. For each earlier run, the
effect is computed: how much the metric differs between that run and this run. The
earlier run with the median effect is the median run. For an even number of runs, it is
the run with the lower of the two middle effects.

An artificial run, made of the median of each clip over all runs, would be an
alternative. It is not used, for two reasons. The sum of the median error counts of all
clips is usually smaller than the error count of a whole run, so an unchanged server
would seem worse. And only a real run has texts and lost sessions to show.

With at least `LEAST_RUNS` runs, the range of the differences between the median run and
the other earlier runs is computed. An effect within this range is usual from night to
night, even if its p-value is small. If at least half of the sessions of a run have no
value of a metric, the run is left out for this metric.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.verdicts.change import Pair, effect, is_measured, measured
from pytest_realtime_asr.verdicts.limits import Margin
from pytest_realtime_asr.verdicts.pairing import pair
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

LEAST_RUNS = 5  # fewer have no range that means anything


@dataclass(frozen=True, slots=True)
class EarlierRun:
    """The records of one test in an earlier run; ``name`` is the report's name."""

    name: str
    rows: tuple[UtteranceRecord, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """The median run, with which a metric of this run is compared.

    ``pairs`` are the pairs of this run with the median run. ``name`` is the name of the
    median run, and ``runs`` is the number of earlier runs. ``spread`` is the range of
    the differences between the median run and the other earlier runs, in the unit of
    the margin. It is ``None`` if there are too few runs.
    """

    pairs: tuple[Pair, ...]
    name: str = ""
    runs: int = 1
    spread: tuple[float, float] | None = None


def baseline(
    margin: Margin, runs: Sequence[EarlierRun], now: Sequence[UtteranceRecord]
) -> Baseline:
    """Return the baseline of a metric; ``pairs`` is empty if no run has a value."""
    found = [
        (run, tuple(measured(pair(run.rows, now)[0], margin.metric))) for run in runs
    ]
    found = [(run, pairs) for run, pairs in found if pairs]
    usable = [each for each in found if not _mostly_lost(each[1], margin.metric)]
    usable = usable or found
    if len(usable) < 2:
        return Baseline(usable[0][1], usable[0][0].name) if usable else Baseline(())
    effects = [_effect(margin, pairs) for _, pairs in usable]
    order = sorted(range(len(usable)), key=effects.__getitem__)
    run, pairs = usable[order[(len(order) - 1) // 2]]
    others = [other for other, _ in usable if other is not run]
    return Baseline(pairs, run.name, len(usable), _spread(margin, run, others))


def _spread(
    margin: Margin, run: EarlierRun, others: Sequence[EarlierRun]
) -> tuple[float, float] | None:
    """Return the range of the differences between the median run and the others."""
    found = [measured(pair(run.rows, each.rows)[0], margin.metric) for each in others]
    values = [_effect(margin, pairs) for pairs in found if pairs]
    if len(values) + 1 < LEAST_RUNS:
        return None
    return min(0.0, *values), max(0.0, *values)


def _effect(margin: Margin, pairs: Sequence[Pair]) -> float:
    """Return the effect, or 0 if a value of zero or less makes a ratio impossible."""
    found = effect(margin, pairs)
    return 0.0 if math.isnan(found) else found


def _mostly_lost(pairs: Sequence[Pair], metric: str) -> bool:
    missing = sum(not is_measured(row, metric) for row, _ in pairs)
    return 2 * missing >= len(pairs)
