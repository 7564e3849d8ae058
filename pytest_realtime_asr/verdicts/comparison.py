"""Compares the results of a test in two runs, utterance by utterance.

`pairing` pairs the utterances of both runs. The comparison names the conditions that
differ, with their values in both runs. It also names the utterances that only one run
has. If there are several earlier runs, `earlier_runs` chooses the median one.

If the other run lost a session, or did not measure a value, the missing value is not
the fault of this server. Each metric is then compared twice: with the worst possible
values in place of the missing values, and with the best possible values. The change is
INVALID if the missing values may decide its outcome, or if at least half of the pairs
lack a value.

If many comparisons are made, some find a change by chance. So all p-values are
corrected together (Holm). A change is WORSE or BETTER if the interval excludes zero,
the p-value is small enough and the effect is larger than the margin. It is SAME if the
whole interval is within the margin on both sides. Otherwise it is UNDECIDED.

Several earlier runs may differ from their median run as much as this run does. A change
that is not SAME is then UNDECIDED, too.

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
    change,
)
from pytest_realtime_asr.verdicts.earlier_runs import Baseline, EarlierRun, baseline
from pytest_realtime_asr.verdicts.limits import Margin, parse_margins
from pytest_realtime_asr.verdicts.pairing import Values, context, mismatches, pair
from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord, completed
from pytest_realtime_asr.verdicts.verdict import Verdict

RESAMPLES = 2000  # least number of resamples
FINE = 50  # least number for each comparison; Holm's correction needs small p-values

BESIDE = parse_margins(
    "first_partial_from_speech:5%, final_from_commit:5%, final_from_speech_end:20ms, "
    "wer:1pp"
)
"""The metrics of every comparison; a "worse" or "better" change exceeds the margin.

These margins never fail a test.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of a test with the same test in another run.

    ``other`` is the name of the other run. ``this`` is the name of the target if the
    other run tested another server, otherwise "". ``context`` holds the models and
    the labels of both runs. ``pairs`` is the number of paired utterances.
    ``alone_before`` are the ids of the utterances that only the other run has, and
    ``alone_now`` are the ids of the utterances that only this run has. These unpaired
    utterances of the two runs differ in the conditions ``mismatches``.
    ``unmeasured`` are the metrics that have a margin, but no value in any pair.
    ``gated`` is true if there are margins; without margins, no test fails.
    """

    other: str
    this: str
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
        """Return whether the other run has the test, but no utterance could be paired.

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
    def verdict(self) -> Verdict | None:
        """The verdict about the test; ``None`` if nothing was judged.

        An undecided change makes the verdict ``INCONCLUSIVE``, but does not fail the
        test.
        """
        if self.failed:
            return Verdict.INVALID if self.invalid else Verdict.FAIL
        judged = [change for change in self.changes if change.gated]
        if any(change.outcome is Outcome.UNDECIDED for change in judged):
            return Verdict.INCONCLUSIVE
        return Verdict.PASS if judged else None

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
    this: str = "",
) -> Comparison:
    """Compare the records of one test in this run with those in another run.

    Only a change beyond one of the ``margins`` fails the test. The metrics of `BESIDE`
    are compared in addition; their p-values are corrected separately. ``tests`` is the
    number of all tests that are compared: each test has an equal share of the false
    positive rate (Bonferroni), and this share is divided among the metrics of the test
    (Holm). The same records give the same comparison. ``this`` is the name of the
    target if the other run tested another server.
    """
    runs = [EarlierRun(other, tuple(before))]
    return compare_runs(other, runs, now, margins, tests=tests, this=this)


def compare_runs(
    other: str,
    runs: Sequence[EarlierRun],
    now: Iterable[UtteranceRecord],
    margins: Sequence[Margin] = (),
    *,
    tests: int = 1,
    this: str = "",
) -> Comparison:
    """Compare the records of one test in this run with the median of several runs.

    ``runs`` has at least one run. The last run is the newest; its pairs and conditions
    are reported. Each metric is compared once, so that the number of runs does not
    influence the correction of the p-values. The other arguments are as in `compare`.
    """
    rows = sorted(now, key=lambda row: row.started)
    gated = {margin.metric for margin in margins}
    runs = [replace(run, rows=tuple(completed(run.rows, rows))) for run in runs]
    beside = [margin for margin in BESIDE if margin.metric not in gated]
    # A test that the newest run does not have may be in an older one.
    known = [run for run in runs if run.rows] or list(runs)
    paired = [run for run in known if pair(run.rows, rows)[0]] or known
    pairs, left, right = pair(paired[-1].rows, rows)
    judged = _family(known, rows, margins, tests)
    judged_metrics = {change.margin.metric for change in judged}
    old, new = zip(*pairs, strict=True) if pairs else ((), ())
    return Comparison(
        other=other,
        this=this,
        context=context([*old, *left], [*new, *right]),
        pairs=len(pairs),
        changes=(
            *(replace(change, gated=True) for change in judged),
            *_family(known, rows, beside, tests),
        ),
        mismatches=mismatches(left, right),
        alone_before=tuple(row.utterance for row in left),
        alone_now=tuple(row.utterance for row in right),
        unmeasured=tuple(m.metric for m in margins if m.metric not in judged_metrics),
        gated=bool(margins),
    )


def _family(
    runs: Sequence[EarlierRun],
    now: Sequence[UtteranceRecord],
    margins: Iterable[Margin],
    tests: int,
) -> list[Change]:
    """Return the changes of the metrics that have values, with corrected p-values."""
    found = [(each, baseline(each, runs, now)) for each in margins]
    rows = [(margin, base) for margin, base in found if base.pairs]
    changes = _corrected(rows, tests, best=False)
    if not any(change.unmeasured for change in changes):
        return changes
    strict = _corrected(rows, tests, best=True)
    return list(map(_certain, changes, strict))


def _certain(lenient: Change, strict: Change) -> Change:
    """Return the change; it is INVALID if missing values may decide its outcome.

    These are the values that the other run lacks. ``lenient`` is computed with the
    worst possible values in their place, and ``strict`` with the best possible values.
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
    rows: Sequence[tuple[Margin, Baseline]], tests: int, *, best: bool
) -> list[Change]:
    """Return the changes of the metrics, with corrected p-values; see also `change`."""
    size = tests * len(rows)
    resamples = max(RESAMPLES, FINE * size)
    changes = [
        replace(
            change(margin, base.pairs, resamples=resamples, best=best),
            run=base.name,
            runs=base.runs,
            spread=base.spread,
        )
        for margin, base in rows
    ]
    return [
        replace(each, p=min(1.0, tests * p), family=size)
        for each, p in zip(changes, holm([c.p for c in changes]), strict=True)
    ]
