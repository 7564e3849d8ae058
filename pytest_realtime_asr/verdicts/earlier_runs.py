"""Chooses the median of several earlier runs, and measures how far these runs differ.

The runs of many nights differ although the server is the same. So today is compared
with one of them, once: with the *median run* of a metric. It is the run from which
today differs by the median effect (the lower one of two). A real run is taken, and not
the median of each clip over the runs: the sum of the medians of error counts is smaller
than the median of their sums, so that an equal server would seem worse, and a real run
has texts and lost sessions to show.

With at least `LEAST_RUNS` runs, their own differences from the median run have a range.
An effect within this range is what happens from night to night, however small its
p-value. A run that lost at least half of the sessions says nothing about a metric and
is left out.
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
    """The records of one test in an earlier run; ``name`` is that of its report."""

    name: str
    rows: tuple[UtteranceRecord, ...]


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a metric of this run is compared with.

    ``pairs`` are the pairs of this run with the median run, ``name`` is the name of the
    median run, and ``runs`` the number of earlier runs. ``spread`` is the range of the
    differences of the other earlier runs from the median run, in the unit of the
    margin; ``None`` if there are too few runs.
    """

    pairs: tuple[Pair, ...]
    name: str = ""
    runs: int = 1
    spread: tuple[float, float] | None = None


def baseline(
    margin: Margin, runs: Sequence[EarlierRun], now: Sequence[UtteranceRecord]
) -> Baseline:
    """Return what a metric is compared with; without pairs if no run has a value."""
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
    """Return the range of the differences of the other runs from the median run."""
    found = [measured(pair(run.rows, each.rows)[0], margin.metric) for each in others]
    values = [_effect(margin, pairs) for pairs in found if pairs]
    if len(values) + 1 < LEAST_RUNS:
        return None
    return min(0.0, *values), max(0.0, *values)


def _effect(margin: Margin, pairs: Sequence[Pair]) -> float:
    """Return the effect; 0 if it is not known, since a value has no ratio."""
    found = effect(margin, pairs)
    return 0.0 if math.isnan(found) else found


def _mostly_lost(pairs: Sequence[Pair], metric: str) -> bool:
    missing = sum(not is_measured(row, metric) for row, _ in pairs)
    return 2 * missing >= len(pairs)
