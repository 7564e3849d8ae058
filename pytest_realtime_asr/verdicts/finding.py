"""The results of judging the limits of a budget, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.verdicts.budgets import Budget, Limit
from pytest_realtime_asr.verdicts.reasons import (
    ClientDelayed,
    NotMeasured,
    Reason,
    Simple,
)
from pytest_realtime_asr.verdicts.sample import (
    Oriented,
    Sample,
    restored,
    statistic,
    tally,
)
from pytest_realtime_asr.verdicts.verdict import Verdict, worst

DEFAULT_LEVEL = 0.95  # the confidence of intervals and proofs if the user set none
WORST = 3  # number of worst sessions that a finding names


@dataclass(frozen=True, slots=True)
class OfLevel:
    """The level of load that a finding judges.

    ``number`` is the number of the level in its test, counted from 1. ``units`` is the
    name of what `Finding.n` counts.
    """

    streams: int
    number: int
    units: str = "session"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of judging one limit, from ``n`` sessions.

    ``observed`` is the statistic; it is ``None`` if nothing could be judged. ``reason``
    says why nothing could be judged, or why the verdict is ``INVALID`` or
    ``INCONCLUSIVE``. ``interval`` is the confidence interval with confidence ``level``.
    It exists for a quantile, and for a mean if no session was lost. A sequential test
    has no interval, since early stopping would bias it. ``over`` is the number of
    samples beyond the limit. It includes lost and premature samples, which ``lost`` and
    ``premature`` count by reason. ``needed`` is the smallest sample size that proves
    the limit if ``over`` samples are beyond it.

    ``late_ms`` is the largest client delay. ``blocked_ms`` is the longest time for
    which the socket did not accept a frame. ``path_ms`` is the median ping round trip.
    These three values describe only the samples that are over the limit even without
    the client's delay; if there are none, they describe all samples. ``excused`` is the
    number of samples that may be over the limit only because of the client's delay.
    ``again`` is the number of retries of disturbed sessions. ``clips`` is the number of
    distinct clips if a clip was sent more than once, and otherwise 0. ``decided`` is
    the number of sessions after which a sequential test was decided. It is 0 if the
    test was ``INVALID`` before the first session, and ``None`` if there is no decision
    or no sequential test. ``beside`` is the mean of another metric that must be read
    together with this one. ``pooled`` says that sessions of several tests were judged
    together. ``unserved`` is the number of lost sessions that found no server.

    For a metric of a level of load, ``of_level`` says which level; it is ``None`` for
    all other metrics. ``over`` is then 1 if the value of the level is beyond the limit.
    """

    metric: str
    limit: Limit
    verdict: Verdict
    n: int
    level: float
    observed: float | None = None
    interval: tuple[float, float] | None = None
    over: int = 0
    lost: tuple[tuple[str, int], ...] = ()
    premature: tuple[tuple[Premature, int], ...] = ()
    proven: bool = False
    needed: int | None = None
    late_ms: float = 0.0
    excused: int = 0
    reason: Reason | None = None
    worst: tuple[Sample, ...] = ()
    clips: int = 0
    decided: int | None = None
    again: int = 0
    blocked_ms: float = 0.0
    path_ms: float | None = None
    beside: float | None = None
    pooled: bool = False
    unserved: int = 0
    of_level: OfLevel | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A budget with a finding for each of its limits."""

    budget: Budget
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of the findings."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def decided(self) -> int | None:
        """The number of sessions after which the budget was decided.

        It is ``None`` if the sequential test is undecided. The budget fails as soon as
        one limit is missed. It passes only when every limit is decided.
        """
        found = [(each.verdict, each.decided) for each in self.findings]
        missed = [
            n for verdict, n in found if verdict is Verdict.FAIL and n is not None
        ]
        if missed:
            return min(missed)
        every = [n for _, n in found if n is not None]
        return max(every, default=None) if len(every) == len(found) else None


def unmeasured(budget: Budget, limit: Limit, samples: Sequence[Sample]) -> Finding:
    """Return a failed finding: no session ran, or a session has no value."""
    missing = [sample for sample in samples if sample.missing]
    needs = CATALOGUE[budget.metric].needs
    reason: Reason = Simple.NOTHING_JUDGED
    if samples:
        reason = NotMeasured(len(missing), len(samples), needs)
    return Finding(
        budget.metric,
        limit,
        Verdict.FAIL,
        len(samples),
        budget.confidence or DEFAULT_LEVEL,
        lost=tally(sample.lost for sample in samples if sample.lost),
        premature=_premature(samples),
        reason=reason,
        worst=tuple(missing[:WORST]),
        pooled=budget.over is not None,
    )


def finding(
    budget: Budget, limit: Limit, oriented: Oriented, verdict: Verdict
) -> Finding:
    """Return an incomplete finding, which the judge of the budget completes."""
    samples, over, attributed = oriented.samples, oriented.over, oriented.attributed
    rows = zip(samples, attributed, strict=True)
    servers = [sample for sample, attributed in rows if attributed]
    by_value = zip(samples, oriented.values, strict=True)
    ordered = sorted(by_value, key=lambda pair: pair[1], reverse=True)
    clips = {sample.clip or sample.label for sample in samples}
    rests = servers or samples
    paths = [sample.path_ms for sample in rests if sample.path_ms is not None]
    return Finding(
        metric=budget.metric,
        limit=limit,
        verdict=verdict,
        n=len(samples),
        level=budget.confidence or DEFAULT_LEVEL,
        observed=restored(limit, statistic(oriented.values, limit.stat)),
        over=sum(over),
        lost=tally(sample.lost for sample in samples if sample.lost),
        premature=_premature(samples),
        late_ms=max(sample.late_ms for sample in rests),
        blocked_ms=max(sample.blocked_ms for sample in rests),
        path_ms=quantile(paths, 0.5) if paths else None,
        beside=_mean(sample.beside for sample in samples),
        again=sum(sample.again for sample in samples),
        excused=sum(over) - len(servers),
        worst=tuple(sample for sample, _ in ordered[:WORST]),
        clips=len(clips) if oriented.repeats else 0,
        pooled=budget.over is not None,
    )


def client_delayed(oriented: Oriented) -> ClientDelayed:
    """Return the client's delay, and the state of the client in the worst session."""
    found = [
        sample
        for sample in oriented.samples
        if sample.late_ms > oriented.bound or sample.own.overloaded
    ]
    late = [sample.late_ms for sample in found if sample.late_ms > oriented.bound]
    worst = max(found, key=lambda sample: (sample.late_ms, sample.own.cpu))
    return ClientDelayed(
        late=len(late),
        overloaded=sum(sample.own.overloaded for sample in found),
        of=len(oriented.samples),
        max_ms=max(late, default=0.0),
        tolerated_ms=oriented.bound,
        worst=worst.label,
        state=worst.own,
    )


def _premature(samples: Iterable[Sample]) -> tuple[tuple[Premature, int], ...]:
    """Return, by reason, how many samples are premature but not lost."""
    kept = (sample.premature for sample in samples if not sample.lost)
    return tuple(Counter(filter(None, kept)).most_common())


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of the values that are known."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
