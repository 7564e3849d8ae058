"""Makes one row for each thing that a test is judged by; all reports use these rows.

The numbers of a row have the unit that its field ``unit`` names. A number that is
infinite or unknown is ``None`` in a row, since JSON has no infinity. For example, a
statistic is ``None`` if it is infinite because too many sessions were lost, and the
upper bound of an interval is ``None`` if there is no such bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from pytest_realtime_asr.load.capacity_finding import CapacityFinding
from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.load.drain import Drain, Fault
from pytest_realtime_asr.load.growth import CONFIDENCE, Growth, Quantity
from pytest_realtime_asr.load.incomplete_level import IncompleteLevel
from pytest_realtime_asr.load.soak import MOST_DRIFT, Soak
from pytest_realtime_asr.metrics import DECLARED
from pytest_realtime_asr.report import capacity as capacities
from pytest_realtime_asr.report import comparison as comparisons
from pytest_realtime_asr.report import cross_talk as cross_talks
from pytest_realtime_asr.report import drain as drains
from pytest_realtime_asr.report import incomplete_level
from pytest_realtime_asr.report import parity as parities
from pytest_realtime_asr.report import soak as soaks
from pytest_realtime_asr.report.reasons import reason_text
from pytest_realtime_asr.run.ledger import LoadFinding
from pytest_realtime_asr.run.results import (
    BrokenRule,
    Results,
    UnjudgedLoss,
    cause_verdict,
)
from pytest_realtime_asr.run.results import broken_rules as broken
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.verdicts.budgets import Limit, Side, Stat
from pytest_realtime_asr.verdicts.change import LEVEL, Change, Outcome
from pytest_realtime_asr.verdicts.comparison import Comparison
from pytest_realtime_asr.verdicts.finding import Finding
from pytest_realtime_asr.verdicts.limits import Scale
from pytest_realtime_asr.verdicts.parity import Parity
from pytest_realtime_asr.verdicts.recall import RecallFinding
from pytest_realtime_asr.verdicts.verdict import Verdict
from pytest_realtime_asr.verdicts.wer import WerFinding

GROWTH_UNITS = {
    Quantity.LATENCY: "ms",
    Quantity.FAILURES: "ratio",
    Quantity.MEMORY: "bytes",
    Quantity.OPEN_SESSIONS: "count",
    Quantity.IDLE_MEMORY: "bytes",
}

CHANGE = "change"
"""The subject of a change between two runs."""

SAMPLED = ("budget", "error rate", "recall")
"""The subjects that are judged from a sample, which may be too small for a proof."""

T = TypeVar("T")
Bounds = tuple[float | None, float | None]
_OF_CHANGE = {
    Outcome.SAME: Verdict.PASS,
    Outcome.BETTER: Verdict.PASS,
    Outcome.UNDECIDED: Verdict.INCONCLUSIVE,
    Outcome.INVALID: Verdict.INVALID,
    Outcome.WORSE: Verdict.FAIL,
}


class VerdictRow(msgspec.Struct, frozen=True, kw_only=True):
    """One limit or requirement of a test, with what was measured and decided.

    ``subject`` says what was judged: a budget, an error rate, a recall, a change
    between two runs, parity, a capacity, cross-talk, a soak, a drain, a requirement,
    lost sessions or an error. ``verdict`` is ``None`` if the value was compared but not
    judged, or if a violated requirement does not fail the test. ``fails`` says that
    this result fails the test. ``beyond`` says that the whole ``interval`` is beyond
    every limit because of lost sessions; both bounds are then ``None``. ``over`` counts
    the samples beyond the limit. ``pooled`` says that sessions of several tests were
    judged together. For a change, ``against`` names the other run, and ``before`` and
    ``now`` are the values of both runs.
    """

    subject: str
    metric: str
    statistic: str = ""
    unit: str = ""
    value: float | None = None
    side: str = Side.AT_MOST.value
    limit: float | None = None
    interval: Bounds | None = None
    beyond: bool = False
    confidence: float | None = None
    n: int = 0
    over: int | None = None
    lost: int = 0
    premature: int = 0
    verdict: str | None = Verdict.FAIL.value
    proven: bool = False
    needed: int | None = None
    reason: str = ""
    fails: bool = False
    pooled: bool = False
    against: str = ""
    before: float | None = None
    now: float | None = None


def rows(results: Results) -> list[VerdictRow]:
    """Return a row for each verdict, each comparison and each other reason to fail."""
    failing = set(map(id, results.failing))
    found: list[tuple[object, VerdictRow]] = []
    found += [(each, _finding(each)) for each in results.findings]
    found += [(each, _wer(each)) for each in results.wer]
    found += [(each, _recall(each)) for each in results.recall]
    found += [(each, _parity(each)) for each in results.parities]
    found += [
        (each, row) for each in results.load_findings for row in _load_finding(each)
    ]
    made = [
        # A soak that fails may have rows that pass.
        msgspec.structs.replace(
            row, fails=id(each) in failing and row.verdict != Verdict.PASS.value
        )
        for each, row in found
    ]
    made += [row for each in results.against for row in _comparison(each)]
    wrong = {rule.violation.requirement.id for rule in _of(BrokenRule, results.failing)}
    made += [
        _rule(each, fails=each.violation.requirement.id in wrong)
        for each in broken(results.violations)
    ]
    made += map(_lost, _of(UnjudgedLoss, (*results.reported, *results.failing)))
    made += [
        VerdictRow(
            subject="error",
            metric="",
            verdict=cause_verdict(error).value,
            reason=error_text(error, private=results.private),
            fails=True,
        )
        for error in _of(Exception, results.failing)
    ]
    return made


def measured(row: VerdictRow) -> float | None:
    """Return the value of a row; ``None`` if nothing was measured.

    Lost and premature samples are beyond every limit. If the row has no number because
    of them, the result is infinity, or minus infinity for a lower limit.
    """
    if row.value is not None:
        return row.value
    if not row.over:
        return None
    return math.inf if row.side == Side.AT_MOST.value else -math.inf


def limit_name(limit: Limit) -> str:
    """Return the name of a statistic in reports.

    For a lower limit, the worst sample is named ``min``, and 95 % of the samples are
    equal to or above ``p95``.
    """
    worst = limit.stat is Stat.MAX and limit.side is Side.AT_LEAST
    return "min" if worst else limit.stat.value


def _finding(found: Finding) -> VerdictRow:
    return VerdictRow(
        subject="budget",
        metric=found.metric,
        statistic=limit_name(found.limit),
        unit=DECLARED[found.metric].unit.value,
        value=_finite(found.observed),
        side=found.limit.side.value,
        limit=found.limit.value,
        interval=_bounds(found.interval),
        beyond=_beyond(found.interval),
        confidence=found.level,
        n=found.n,
        over=found.over,
        lost=_sum(found.lost),
        premature=sum(count for _, count in found.premature),
        verdict=found.verdict.value,
        proven=found.proven,
        needed=found.needed,
        reason=reason_text(found.reason),
        pooled=found.pooled,
    )


def _wer(found: WerFinding) -> VerdictRow:
    return VerdictRow(
        subject="error rate",
        metric=found.name,
        statistic="rate",
        unit="ratio",
        value=_finite(found.observed),
        limit=found.limit,
        interval=_bounds(found.interval),
        beyond=_beyond(found.interval),
        confidence=found.level,
        n=found.n,
        lost=_sum(found.lost),
        verdict=found.verdict.value,
        proven=found.proven,
        reason=reason_text(found.reason),
    )


def _recall(found: RecallFinding) -> VerdictRow:
    return VerdictRow(
        subject="recall",
        metric="keyword_recall",
        statistic="rate",
        unit="ratio",
        value=_finite(found.observed),
        side=Side.AT_LEAST.value,
        limit=found.limit,
        interval=_bounds(found.interval),
        beyond=_beyond(found.interval),
        confidence=found.level,
        n=found.n,
        over=found.missed,
        lost=_sum(found.lost),
        verdict=found.verdict.value,
        proven=found.proven,
        needed=found.needed,
        reason=reason_text(found.reason),
    )


def _parity(found: Parity) -> VerdictRow:
    return VerdictRow(
        subject="parity",
        metric=found.over.value,
        statistic="different clips",
        unit="count",
        value=len(found.differences),
        limit=0,
        n=found.judged,
        over=len(found.differences),
        lost=found.lost,
        verdict=found.verdict.value,
        reason=parities.summary(found),
    )


def _load_finding(found: LoadFinding) -> list[VerdictRow]:
    match found:
        case Drain():
            return [_drain(found)]
        case Soak():
            return _soak(found)
        case CapacityFinding():
            return [_capacity(found)]
        case CrossTalkFinding():
            return [_cross_talk(found)]
        case IncompleteLevel():
            return [_incomplete(found)]


def _cross_talk(found: CrossTalkFinding) -> VerdictRow:
    count = len(found.sessions)
    return VerdictRow(
        subject="cross-talk",
        metric="cross_talk",
        statistic="sessions",
        unit="count",
        value=count,
        limit=0,
        n=found.n,
        over=count,
        verdict=found.verdict.value,
        proven=True,
        reason=cross_talks.summary(found),
    )


def _incomplete(found: IncompleteLevel) -> VerdictRow:
    return VerdictRow(
        subject="incomplete level",
        metric="level",
        statistic="streams",
        unit="count",
        value=found.streams,
        n=found.number,
        verdict=found.verdict.value,
        reason=incomplete_level.summary(found),
    )


def _capacity(found: CapacityFinding) -> VerdictRow:
    known = found.capacity
    binding = None if known is None else known.binding
    return VerdictRow(
        subject="capacity",
        metric="capacity",
        statistic="streams",
        unit="count",
        value=None if known is None else known.streams,
        side=Side.AT_LEAST.value,
        limit=found.at_least,
        interval=None if known is None else known.interval,
        confidence=CONFIDENCE,
        n=0 if binding is None else binding.n,
        over=None if binding is None else binding.over,
        lost=0 if binding is None else binding.lost,
        verdict=found.verdict.value,
        proven=known is not None and found.verdict in (Verdict.PASS, Verdict.FAIL),
        reason=capacities.summary(found),
    )


def _soak(found: Soak) -> list[VerdictRow]:
    """Return a row for each trend, and one row for the long session."""
    rows = [_growth(each) for each in found.growths]
    long = found.beside.long
    if long is not None:
        rows.append(
            VerdictRow(
                subject="soak",
                metric="long_session",
                statistic="lag growth",
                unit="ratio",
                value=_finite(long.drift),
                limit=MOST_DRIFT,
                n=1,
                lost=int(bool(long.lost)),
                verdict=long.verdict.value,
                reason=long.reason,
            )
        )
    return rows


def _growth(found: Growth) -> VerdictRow:
    unit = GROWTH_UNITS[found.quantity]
    return VerdictRow(
        subject="soak",
        metric=found.quantity.value,
        statistic="growth per hour",
        unit=unit,
        value=_finite(found.slope),
        limit=_finite(3600 * found.allowed / found.seconds) if found.seconds else None,
        interval=_bounds(found.interval),
        confidence=CONFIDENCE,
        n=found.n,
        verdict=found.verdict.value,
        proven=found.verdict is Verdict.FAIL or found.excluded,
        reason=soaks.trend(found),
    )


def _drain(found: Drain) -> VerdictRow:
    faults = {**found.faults, Fault.NONE_COMPLETE: 0}  # this fault proves nothing
    wrong = sum(faults.values())
    return VerdictRow(
        subject="drain",
        metric="drain",
        statistic="faults",
        unit="count",
        value=wrong,
        limit=0,
        n=len(found.sessions),
        over=wrong,
        lost=found.faults.get(Fault.LOST_FINAL, 0),
        verdict=found.verdict.value,
        reason=drains.summary(found),
    )


def _comparison(found: Comparison) -> Iterator[VerdictRow]:
    """Yield a row for each change; a single row if no utterance could be paired."""
    for change in found.changes:
        yield _change(found, change)
    if found.refused:
        yield VerdictRow(
            subject=CHANGE,
            metric="",
            verdict=Verdict.INVALID.value if found.failed else None,
            reason=" ".join(comparisons.failures(found)),
            fails=found.failed,
            against=found.other,
        )


def _change(found: Comparison, change: Change) -> VerdictRow:
    timed = change.margin.scale is Scale.MS
    return VerdictRow(
        subject=CHANGE,
        metric=change.name,
        statistic="change",
        unit="ms" if timed else "ratio",
        value=_finite(change.effect),
        limit=change.margin.size if change.gated else None,
        interval=_bounds(change.interval),
        beyond=_beyond(change.interval),
        confidence=LEVEL,
        n=change.n,
        lost=change.lost[1],
        premature=sum(now for _, (_, now) in change.premature),
        verdict=_OF_CHANGE[change.outcome].value if change.gated else None,
        proven=change.outcome not in (Outcome.UNDECIDED, Outcome.INVALID),
        reason=change.outcome.value,
        fails=found.failed and change.failed,
        against=found.other,
        before=_finite(change.before),
        now=_finite(change.now),
    )


def _rule(found: BrokenRule, *, fails: bool) -> VerdictRow:
    return VerdictRow(
        subject="requirement",
        metric=found.violation.requirement.id,
        statistic="sessions",
        unit="count",
        value=found.sessions,
        limit=0,
        over=found.sessions,
        verdict=Verdict.FAIL.value if fails else None,
        proven=True,
        reason=str(found.violation),
        fails=fails,
    )


def _lost(found: UnjudgedLoss) -> VerdictRow:
    count = len(found.lost)
    return VerdictRow(
        subject="lost sessions",
        metric="lost",
        statistic="sessions",
        unit="count",
        value=count,
        limit=0,
        n=found.of,
        over=count,
        lost=count,
        proven=True,
        reason=found.lost[0].reason,
        fails=True,
    )


def _of(kind: type[T], causes: Iterable[object]) -> list[T]:
    return [each for each in causes if isinstance(each, kind)]


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _bounds(interval: tuple[float, float] | None) -> Bounds | None:
    return None if interval is None else (_finite(interval[0]), _finite(interval[1]))


def _beyond(interval: tuple[float, float] | None) -> bool:
    """Return whether both bounds are the same infinity, because of lost sessions."""
    return interval is not None and math.isinf(interval[0]) and len({*interval}) == 1


def _sum(counts: Iterable[tuple[str, int]]) -> int:
    return sum(count for _, count in counts)
