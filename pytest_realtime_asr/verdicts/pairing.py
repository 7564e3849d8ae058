"""Pairs the utterances of two runs, and finds the conditions that differ.

Each utterance of this run is paired with an utterance of the other run that has the
same id, audio and conditions. The conditions (corpus, normaliser, dialect, pace, chunk,
number of sessions at a time) influence the measured values, so records with different
conditions are never paired.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.verdicts.change import Pair
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a condition, a model or a label in both runs."""

    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]


def pair(
    before: Iterable[UtteranceRecord], now: Iterable[UtteranceRecord]
) -> tuple[list[Pair], list[UtteranceRecord], list[UtteranceRecord]]:
    """Return the pairs, the unpaired records of ``before``, and those of ``now``.

    Pairs have the order of ``now``. Repeats of an utterance are paired in their order.
    """
    waiting: dict[object, list[UtteranceRecord]] = {}
    for row in _by_start(before):
        waiting.setdefault(_key(row), []).append(row)
    pairs, alone = [], []
    for row in _by_start(now):
        if partners := waiting.get(_key(row)):
            pairs.append((partners.pop(0), row))
        else:
            alone.append(row)
    return pairs, [row for rows in waiting.values() for row in rows], alone


def mismatches(
    before: Sequence[UtteranceRecord], now: Sequence[UtteranceRecord]
) -> tuple[Values, ...]:
    """Return the conditions that differ between the unpaired records."""
    if not (before and now):
        return ()
    found = []
    for name in before[0].fixed:
        old, new = (
            tuple(sorted({f"{row.fixed[name]}" for row in rows}))
            for rows in (before, now)
        )
        if old != new:
            found.append(Values(name, old, new))
    return tuple(found)


def context(*runs: Iterable[UtteranceRecord]) -> tuple[Values, ...]:
    """Return the models and the labels of both runs."""
    found: list[dict[str, set[str]]] = []
    for rows in runs:
        values: dict[str, set[str]] = {}
        for row in rows:
            conditions = row.conditions
            for name, value in {"model": conditions.model, **conditions.labels}.items():
                values.setdefault(name, set()).add(value)
        found.append(values)
    names = dict.fromkeys(name for values in found for name in values)
    before, now = found
    return tuple(
        Values(
            name,
            tuple(sorted(before.get(name, ()))),
            tuple(sorted(now.get(name, ()))),
        )
        for name in names
    )


def _by_start(rows: Iterable[UtteranceRecord]) -> list[UtteranceRecord]:
    return sorted(rows, key=lambda row: row.started)


def _key(row: UtteranceRecord) -> object:
    return (row.utterance, row.audio, *row.fixed.values())
