"""Compares the results of a test in two runs, utterance by utterance.

Each utterance of this run is paired with an utterance of the other run that has the
same test, id, audio and conditions. The conditions (corpus, normaliser, dialect, pace,
chunk, number of sessions at a time) influence the numbers, as the server does. Records
with different conditions are never paired; the conditions that differ are reported with
both values. Utterances that only one run has are reported too.

If the other run lost a session, or did not measure a value, the missing value is not
the fault of this server. Each metric is then compared twice: with the worst possible
values in place of the missing ones, and with the best possible. The change is INVALID
if the missing values may decide its outcome, or if at least half of the pairs lack a
value.

If many comparisons are made, some find a change by chance. So all p-values are
corrected together (Holm). A change is WORSE or BETTER if the interval excludes zero,
the p-value is small enough and the effect is larger than the margin. It is SAME if the
whole interval is within the margin on both sides. Otherwise it is UNDECIDED.

Source: Holm (1979).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.stats import holm
from pytest_realtime_asr.verdicts.change import (
    Change,
    Invalid,
    Outcome,
    Pair,
    change,
    measured,
)
from pytest_realtime_asr.verdicts.limits import Margin, parse_margins
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord, completed

RESAMPLES = 2000  # least number of resamples
FINE = 50  # least number for each comparison; Holm's correction needs small p-values

DEFAULT_MARGINS = parse_margins(
    "first_partial_from_speech:5%, final_from_commit:5%, final_from_speech_end:20ms, "
    "wer:1pp"
)
"""The metrics that are always compared, and their margins, which never fail a test."""


@dataclass(frozen=True, slots=True)
class Values:
    """The values of a condition, a model or a label in both runs."""

    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a test with the same test in another run.

    ``other`` is the name of the other run. ``context`` holds the models and the labels
    of both runs. ``pairs`` is the number of paired utterances. ``alone_before`` are the
    ids of the utterances that only the other run has, and ``alone_now`` are the ids of
    those that only this run has. ``mismatches`` are the conditions that differ between
    the two. ``unmeasured`` are the metrics that have a margin, but no pair with a
    value. ``gated`` is true if the user set margins; without margins, no test fails.
    """

    other: str
    context: tuple[Values, ...]
    pairs: int
    changes: tuple[Change, ...]
    mismatches: tuple[Values, ...]
    alone_before: tuple[str, ...]
    alone_now: tuple[str, ...]
    unmeasured: tuple[str, ...]
    gated: bool

    @property
    def refused(self) -> bool:
        """Return whether the other run has the test, but no utterance to compare.

        A test that the other run does not have is new, and is not refused.
        """
        return bool(not self.pairs and self.alone_before)

    @property
    def failed(self) -> bool:
        """Return whether the test fails.

        It fails if a change is beyond its margin, or if nothing could be compared.
        """
        return self.gated and (
            self.refused or any(change.failed for change in self.changes)
        )

    @property
    def invalid(self) -> bool:
        """Return whether the test fails although no metric became worse."""
        worse = any(c.gated and c.outcome is Outcome.WORSE for c in self.changes)
        return self.failed and not worse


def compare(
    other: str,
    before: Iterable[UtteranceRecord],
    now: Iterable[UtteranceRecord],
    margins: Sequence[Margin] = (),
    *,
    tests: int = 1,
) -> Comparison:
    """Compare the records of one test in this run with those in another run.

    Only a change beyond one of the ``margins`` fails the test. The metrics of
    `DEFAULT_MARGINS` are compared in addition; their p-values are corrected separately.
    ``tests`` is the number of all tests that are compared: each test has an equal share
    of the false positive rate (Bonferroni), which is divided among the metrics of the
    test (Holm). The same records give the same comparison.
    """
    gated = {margin.metric for margin in margins}
    beside = [margin for margin in DEFAULT_MARGINS if margin.metric not in gated]
    now = _by_start(now)
    pairs, left, right = _pair(completed(_by_start(before), now), now)
    judged = _family(pairs, margins, tests)
    judged_metrics = {change.margin.metric for change in judged}
    old, new = zip(*pairs, strict=True) if pairs else ((), ())
    return Comparison(
        other=other,
        context=_context([*old, *left], [*new, *right]),
        pairs=len(pairs),
        changes=(
            *(replace(change, gated=True) for change in judged),
            *_family(pairs, beside, tests),
        ),
        mismatches=_mismatches(left, right),
        alone_before=tuple(row.utterance for row in left),
        alone_now=tuple(row.utterance for row in right),
        unmeasured=tuple(m.metric for m in margins if m.metric not in judged_metrics),
        gated=bool(margins),
    )


def _family(
    pairs: Sequence[Pair], margins: Iterable[Margin], tests: int
) -> list[Change]:
    """Return the changes, with corrected p-values, of the metrics that have values."""
    found = [(each, measured(pairs, each.metric)) for each in margins]
    rows = [(margin, some) for margin, some in found if some]
    changes = _corrected(rows, tests, best=False)
    if not any(change.unmeasured for change in changes):
        return changes
    strict = _corrected(rows, tests, best=True)
    return list(map(_certain, changes, strict))


def _certain(lenient: Change, strict: Change) -> Change:
    """Return the change; it is invalid if it depends on the missing values.

    ``lenient`` is computed with the worst possible values in place of those that the
    other run lacks, and ``strict`` with the best possible.
    """
    missing = sum(count for _, count in lenient.unmeasured)
    if not missing:
        return lenient
    if 2 * missing < lenient.n:
        if lenient.outcome is Outcome.WORSE:
            return lenient
        if strict.outcome in (Outcome.SAME, Outcome.BETTER):
            return strict
    return replace(lenient, invalid=Invalid.BASELINE)


def _corrected(
    rows: Sequence[tuple[Margin, Sequence[Pair]]], tests: int, *, best: bool
) -> list[Change]:
    """Return the changes of the metrics, with corrected p-values; see also `change`."""
    size = tests * len(rows)
    resamples = max(RESAMPLES, FINE * size)
    changes = [
        change(margin, found, resamples=resamples, best=best) for margin, found in rows
    ]
    return [
        replace(each, p=min(1.0, tests * p), family=size)
        for each, p in zip(changes, holm([c.p for c in changes]), strict=True)
    ]


def _by_start(rows: Iterable[UtteranceRecord]) -> list[UtteranceRecord]:
    return sorted(rows, key=lambda row: row.started)


def _pair(
    before: Sequence[UtteranceRecord], now: Sequence[UtteranceRecord]
) -> tuple[list[Pair], list[UtteranceRecord], list[UtteranceRecord]]:
    """Return the pairs, and the unpaired records of the other run and of this run.

    Pairs have the order of this run. Repeats of an utterance are paired in their order.
    """
    waiting: dict[object, list[UtteranceRecord]] = {}
    for row in before:
        waiting.setdefault(_key(row), []).append(row)
    pairs, alone = [], []
    for row in now:
        if partners := waiting.get(_key(row)):
            pairs.append((partners.pop(0), row))
        else:
            alone.append(row)
    return pairs, [row for rows in waiting.values() for row in rows], alone


def _key(row: UtteranceRecord) -> object:
    return (row.utterance, row.audio, *row.fixed.values())


def _mismatches(
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


def _context(*runs: Iterable[UtteranceRecord]) -> tuple[Values, ...]:
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
