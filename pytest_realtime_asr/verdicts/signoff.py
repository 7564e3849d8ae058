"""Compares two releases of a server, and finds what became worse beyond noise.

- Latency and error rate of each test: each complete run of the new release is compared
  with all runs of the old release, as `compare_runs` does. For each metric, only the
  run of the new release with the median change counts. If the number of runs is even,
  this is the worse of the two runs in the middle. So a single slow or fast night does
  not decide, and the number of runs does not influence the correction of the p-values.
  The margins are those of `BESIDE`. A change counts only if it is larger than its
  margin. If there are at least five old runs, it must also be larger than the range of
  the old runs.
- Lost sessions: Fisher's exact test compares all sessions of both releases.
- Capacity of each test: for each release, an interval reaches from the lowest to the
  highest bound of its runs. The two intervals are compared.
- Requirements: their states are compared. Known failures are not counted.

What cannot be decided makes the verdict INCONCLUSIVE; only a proven change for the
worse makes it FAIL.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.stats import larger_share_p_value
from pytest_realtime_asr.verdicts.change import LEVEL, Change, Outcome
from pytest_realtime_asr.verdicts.comparison import BESIDE, Comparison, compare_runs
from pytest_realtime_asr.verdicts.earlier_runs import EarlierRun
from pytest_realtime_asr.verdicts.recorded_run import RecordedRun
from pytest_realtime_asr.verdicts.trend import Point, capacity_point
from pytest_realtime_asr.verdicts.utterance_record import (
    UtteranceRecord,
    shared_test_name,
)
from pytest_realtime_asr.verdicts.verdict import Verdict


class State(enum.Enum):
    """The state of a requirement in a release."""

    SATISFIED = "satisfied"
    VIOLATED = "violated"
    OPEN = "not judged"


@dataclass(frozen=True, slots=True)
class Release:
    """The results of one release, from at least one report.

    ``requirements`` maps the dialect and the id of each MUST and SHOULD requirement to
    its state. ``replayed`` says whether the reports are of runs in which recorded
    sessions were replayed: ``{False}``, ``{True}`` or, if the release has both,
    ``{False, True}``.
    """

    name: str
    runs: tuple[RecordedRun, ...] = ()
    requirements: Mapping[tuple[str, str], State] | None = None
    replayed: frozenset[bool] = frozenset({False})


@dataclass(frozen=True, slots=True)
class TestChange:
    """The change of a test from the old to the new release.

    ``comparison`` is ``None`` if only one release has the test. ``runs`` has a name
    for each change of the comparison: the run of the new release that this change
    describes.
    """

    __test__ = False  # pytest does not collect it

    test: str
    comparison: Comparison | None
    runs: tuple[str, ...] = ()

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcome of each metric; one undecided outcome if nothing was compared."""
        if self.comparison is None or not self.comparison.pairs:
            return (Outcome.UNDECIDED,)
        return tuple(change.outcome for change in self.comparison.changes)


@dataclass(frozen=True, slots=True)
class LostChange:
    """The change of the share of lost sessions from the old to the new release.

    ``before`` (old release) and ``now`` (new release) hold the number of lost sessions
    and the number of all sessions. ``p`` is the one-sided p-value.
    """

    before: tuple[int, int]
    now: tuple[int, int]
    p: float

    @property
    def outcome(self) -> Outcome:
        """The outcome.

        It is undecided if more sessions were lost but this may be chance.
        """
        (lost, n), (more, m) = self.before, self.now
        if more * n <= lost * m:
            return Outcome.SAME
        return Outcome.WORSE if self.p <= 1 - LEVEL else Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class CapacityChange:
    """The capacity of a test in the old release (``before``) and in the new (``now``).

    Each of the two is the capacity of the newest run of the release, with the lowest
    and the highest bound of all its runs; ``None`` if the release states no capacity.
    """

    test: str
    before: Point | None
    now: Point | None

    @property
    def outcome(self) -> Outcome:
        """The outcome; a change is proven if the two intervals do not overlap."""
        old, new = self.before, self.now
        if old is None or new is None:
            return Outcome.UNDECIDED
        if new.high < old.low:
            return Outcome.WORSE
        if new.low > old.high:
            return Outcome.BETTER
        same = old.low <= new.value <= old.high and math.isfinite(old.low)
        return Outcome.SAME if same else Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class RequirementChange:
    """A requirement whose state differs between the releases.

    A state is ``None`` if the release does not have the requirement.
    """

    dialect: str
    id: str
    before: State | None
    now: State | None

    @property
    def outcome(self) -> Outcome:
        """The outcome; undecided if a release did not judge the requirement."""
        match self.before, self.now:
            case State.SATISFIED, State.VIOLATED:
                return Outcome.WORSE
            case State.VIOLATED, State.SATISFIED:
                return Outcome.BETTER
        return Outcome.UNDECIDED


@dataclass(frozen=True, slots=True)
class Signoff:
    """The comparison of two releases.

    ``compared`` are the runs of the new release whose latency and error rate were
    compared. ``lost`` is ``None`` if one release has no sessions.
    """

    old: Release
    new: Release
    compared: tuple[str, ...]
    tests: tuple[TestChange, ...]
    lost: LostChange | None
    capacities: tuple[CapacityChange, ...]
    requirements: tuple[RequirementChange, ...]

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of all comparisons of the two releases."""
        one_sided = [
            Outcome.UNDECIDED
            for old, new in (
                (bool(self.old.runs), bool(self.new.runs)),
                (self.old.requirements is None, self.new.requirements is None),
            )
            if old != new
        ]
        return (
            *(each for test in self.tests for each in test.outcomes),
            *(() if self.lost is None else (self.lost.outcome,)),
            *(each.outcome for each in self.capacities),
            *(each.outcome for each in self.requirements),
            *one_sided,
        )

    @property
    def verdict(self) -> Verdict:
        """The verdict on the new release.

        It is FAIL if anything became worse, else INCONCLUSIVE if anything is undecided
        or nothing was compared, else PASS.
        """
        found = self.outcomes
        if Outcome.WORSE in found:
            return Verdict.FAIL
        compared = found or self.old.requirements
        open = {Outcome.UNDECIDED, Outcome.INVALID} & {*found}
        return Verdict.INCONCLUSIVE if open or not compared else Verdict.PASS


def signoff(old: Release, new: Release) -> Signoff:
    """Return the comparison of two releases.

    Raises ValueError if only some of the reports are of replayed sessions.
    """
    if len(old.replayed | new.replayed) > 1:
        some = [each.name for each in (old, new) if True in each.replayed]
        raise ValueError(
            f"{' and '.join(some)}: replayed sessions are not compared with live ones; "
            "leave out the reports of replayed runs"
        )
    runs = sorted(old.runs, key=lambda run: run.started)
    later = sorted(new.runs, key=lambda run: run.started)
    complete = [run for run in later if not run.interrupted] or later
    return Signoff(
        old=old,
        new=new,
        compared=tuple(run.name for run in complete),
        tests=tuple(_tests(runs, complete)),
        lost=_lost(runs, later),
        capacities=tuple(_capacities(runs, later)),
        requirements=tuple(_requirements(old, new)),
    )


def _by_test(run: RecordedRun) -> dict[str, list[UtteranceRecord]]:
    found: dict[str, list[UtteranceRecord]] = {}
    for row in run.rows:
        found.setdefault(shared_test_name(row.test, row.utterance), []).append(row)
    return found


def _tests(
    runs: Sequence[RecordedRun], later: Sequence[RecordedRun]
) -> Iterable[TestChange]:
    if not runs or not later:
        return
    before = [(run.name, _by_test(run)) for run in runs]
    now = [(run.name, _by_test(run)) for run in later]
    names = dict.fromkeys(name for _, tests in before for name in tests)
    new = dict.fromkeys(name for _, tests in now for name in tests)
    shared = len(names.keys() & new.keys())
    for name in dict.fromkeys((*names, *new)):
        if name not in names or name not in new:
            yield TestChange(name, None)
            continue
        earlier = [EarlierRun(of, tuple(each.get(name, ()))) for of, each in before]
        yield _median(
            name,
            [
                (
                    of,
                    compare_runs(
                        "the old release", earlier, each[name], BESIDE, tests=shared
                    ),
                )
                for of, each in now
                if name in each
            ],
        )


def _median(test: str, found: Sequence[tuple[str, Comparison]]) -> TestChange:
    """Return the comparison whose changes are the medians of all runs.

    ``found`` has the comparison of each run, the newest run last. Everything except the
    changes is taken from the newest run.
    """
    paired = [each for each in found if each[1].pairs] or found
    changes: dict[str, list[tuple[Change, str]]] = {}
    for run, comparison in paired:
        for change in comparison.changes:
            changes.setdefault(change.margin.metric, []).append((change, run))
    chosen = [
        sorted(each, key=lambda pair: _effect(pair[0]))[len(each) // 2]
        for each in changes.values()
    ]
    return TestChange(
        test,
        replace(paired[-1][1], changes=tuple(change for change, _ in chosen)),
        tuple(run for _, run in chosen),
    )


def _effect(change: Change) -> float:
    """Return the effect of a change; 0 if a ratio is not possible."""
    return 0.0 if math.isnan(change.effect) else change.effect


def _lost(
    runs: Sequence[RecordedRun], later: Sequence[RecordedRun]
) -> LostChange | None:
    (lost, n), (more, m) = (
        (sum(run.lost for run in each), sum(len(run.rows) for run in each))
        for each in (runs, later)
    )
    if not n or not m:
        return None
    return LostChange((lost, n), (more, m), larger_share_p_value(more, m, lost, n))


def _capacities(
    runs: Sequence[RecordedRun], later: Sequence[RecordedRun]
) -> Iterable[CapacityChange]:
    tests = dict.fromkeys(name for run in (*runs, *later) for name in run.capacities)
    for test in tests:
        yield CapacityChange(test, _widest(runs, test), _widest(later, test))


def _widest(runs: Sequence[RecordedRun], test: str) -> Point | None:
    """Return the capacity in the newest run, with the widest bounds of all runs."""
    points = [capacity_point(run.capacities, test) for run in runs]
    known = [point for point in points if point is not None]
    if not known:
        return None
    low, high = min(p.low for p in known), max(p.high for p in known)
    return Point(known[-1].value, low, high)


def _requirements(old: Release, new: Release) -> Iterable[RequirementChange]:
    """Yield the requirements whose state differs, if both releases were judged."""
    before, now = old.requirements, new.requirements
    if before is None or now is None:
        return
    for dialect, id in dict.fromkeys((*before, *now)):
        states = before.get((dialect, id)), now.get((dialect, id))
        judged = {State.SATISFIED, State.VIOLATED} & {*states}
        if states[0] is not states[1] and judged:
            yield RequirementChange(dialect, id, *states)
