"""Decides whether a level of load held the limits of a test.

A level *holds* a limit if the sessions of its steady part prove that the limit is met.
It *misses* the limit if they prove the opposite. Otherwise the limit is undecided at
this level. There are three kinds of proof:

- A quantile is proven by the exact binomial test that every budget uses. If sessions
  are correlated, the test counts fewer sessions (see
  `pytest_realtime_asr.load.correlation`).
- A mean or a word error rate is proven by a bootstrap interval. It resamples whole
  windows of time, not clips. The clips of a capacity test are the same at each level,
  so the result is valid for these clips, not for speech in general.
- A metric of a whole level is proven by its own interval. Each bound of this interval
  is wrong with a probability of 2.5 %. If a smaller risk is asked for, the interval
  proves nothing.

A lost session is over every limit. The client's own delay can make a level INVALID, as
in any verdict (`pytest_realtime_asr.verdicts.client_delay`).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr import metrics
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.correlation import (
    Correlation,
    SampleUnit,
    correlation,
    windows,
)
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.level_values import judged_level
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Errors
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.stats import (
    bootstrap,
    count_interval,
    mean_interval,
    proven_at_most,
    proven_over,
)
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts.budgets import (
    Budget,
    Limit,
    PoolScope,
    Side,
    Stat,
    WerThreshold,
)
from pytest_realtime_asr.verdicts.client_delay import bound
from pytest_realtime_asr.verdicts.finding import Finding
from pytest_realtime_asr.verdicts.level_limits import judge_levels
from pytest_realtime_asr.verdicts.limits import WER, BudgetError
from pytest_realtime_asr.verdicts.sample import (
    Oriented,
    Sample,
    orient,
    restored,
    statistic,
)
from pytest_realtime_asr.verdicts.verdict import Verdict, worst

CONFIDENCE = 0.95  # of the decision on a level, whatever the markers say
_INTERVAL_RISK = 0.025  # of each bound of the interval of a metric of a level
_LEAST_WINDOWS = 6  # a bootstrap over fewer windows proves nothing

_NO_WORDS = (
    "no clip has a reference with words: give a corpus with texts, or remove the limit "
    "of the word error rate"
)

_Array = npt.NDArray[Any]


class Proof(enum.StrEnum):
    """What the sessions of a level prove."""

    HOLDS = "holds"
    MISSES = "misses"
    NONE = "nothing"


@dataclass(frozen=True, slots=True)
class Risk:
    """The largest probabilities of a wrong proof.

    ``holds`` is for the proof that a level holds its limits. ``misses`` is for the
    proof that a level misses a limit.
    """

    holds: float
    misses: float


USUAL = Risk(1 - CONFIDENCE, 1 - CONFIDENCE)


@dataclass(frozen=True, slots=True)
class Held:
    """The limits that a level must hold in a test.

    ``thresholds`` are the limits of the word error rate. ``clips`` maps the id of each
    clip to its utterance, whose reference transcript the word error rate needs.
    """

    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()
    clips: Mapping[str, Utterance] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """Raise `BudgetError` if there is no limit, or if a limit cannot be proven."""
        if not self.budgets and not self.thresholds:
            raise BudgetError(
                "a capacity needs a limit: mark the test, for example with "
                'latency_budget("final_from_commit", p95="800ms")'
            )
        words_said = any(clip.text.strip() for clip in self.clips.values())
        if self.thresholds and self.clips and not words_said:
            raise BudgetError(_NO_WORDS)
        for each in self.budgets:
            if each.over is PoolScope.MODULE:
                raise BudgetError(
                    f"the budget of {each.metric} judges the sessions of a whole "
                    "module, but a capacity needs a limit that judges only its own "
                    "test: remove over= from this budget"
                )
            if each.metric not in metrics.LEVELS and any(
                limit.stat is Stat.MAX for limit in each.limits
            ):
                raise BudgetError(
                    f"a limit of the maximum of {each.metric} cannot be proven by any "
                    "number of sessions: for a capacity, set a limit of a quantile "
                    "such as p99 instead"
                )

    @property
    def strictest(self) -> float | None:
        """The largest quantile that has a limit; ``None`` if no quantile has one."""
        found = [limit.stat.provable for each in self.budgets for limit in each.limits]
        return max((q for q in found if q is not None), default=None)


@dataclass(frozen=True, slots=True)
class LimitDecision:
    """The decision on one limit at one level.

    ``name`` is the name of the metric and of its statistic. ``limit`` is the limit and
    ``observed`` is the statistic, both in the unit of the metric. ``n`` is the number
    of sessions, ``over`` is the number of sessions over the limit, and ``lost`` is the
    number of lost sessions.

    ``excess`` says how much of the limit is used; it is above 1 if the limit is not
    met. For a quantile, ``allowed`` is the share of sessions that may be over the
    limit, and ``excess`` is the observed share divided by ``allowed``. Otherwise,
    ``allowed`` is ``None``, and ``excess`` is the statistic divided by the limit.

    ``effective`` is the number of independent sessions that would prove as much as the
    ``n`` sessions. ``unit`` says what the test counts as independent: sessions or
    windows of time. ``inflation`` is the design effect; it is 1 if the sessions are not
    correlated. ``excused`` says that the limit is not met, but would be met without the
    client's own delay. ``proof`` is what the level proves about this limit.
    """

    name: str
    limit: float
    verdict: Verdict
    n: int
    observed: float
    excess: float
    over: int = 0
    lost: int = 0
    allowed: float | None = None
    effective: float = 0.0
    unit: SampleUnit = SampleUnit.SESSION
    inflation: float = 1.0
    excused: bool = False
    proof: Proof = Proof.NONE

    @property
    def share(self) -> float:
        """The share of the sessions that are over the limit."""
        return self.over / self.n

    @property
    def by_loss(self) -> bool:
        """Return whether the limit is missed only because sessions were lost."""
        if self.excess <= 1 or self.allowed is None:
            return False
        return self.over - self.lost <= self.allowed * (self.n - self.lost)


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on a level.

    ``verdict`` is the verdict at a confidence of 95 %. ``proof`` is what the level
    proves at the `Risk` that was given to `decide`. ``reason`` is a cause that makes
    the level useless as a proof, such as a lost worker; "" if there is none.
    ``aborted`` says that the level was ended early.
    """

    streams: int
    verdict: Verdict
    proof: Proof = Proof.NONE
    limits: tuple[LimitDecision, ...] = ()
    reason: str = ""
    aborted: bool = False

    @property
    def binding(self) -> LimitDecision | None:
        """The decision with the largest ``excess``; ``None`` if there are no limits."""
        order = list(Verdict)
        return max(
            self.limits,
            key=lambda each: (each.excess, order.index(each.verdict)),
            default=None,
        )

    @property
    def within(self) -> bool:
        """Return whether every observed statistic is within its limit."""
        return (
            not self.aborted
            and bool(self.limits)
            and all(each.excess <= 1 for each in self.limits)
        )

    @property
    def by_client(self) -> bool:
        """Return whether the client itself, not the server, determines the result."""
        return self.verdict is Verdict.INVALID or (
            not self.within
            and not self.aborted
            and any(each.excused for each in self.limits)
            and all(each.excused or each.excess <= 1 for each in self.limits)
        )


def decide(level: Level, held: Held, risk: Risk = USUAL) -> Decision:
    """Return the decision on a level, from the sessions of its steady part.

    One missed limit is enough to prove that the level does not hold. So the risk of
    this proof (``misses``) is divided by the number of limits. To prove that the level
    holds, every limit must be proven. So the risk of this proof (``holds``) is not
    divided.
    """
    # The client itself cut off the cancelled ones, so they say nothing of the server.
    rows = [row for row in level.steady if row.lost is not Loss.CANCELLED]
    if unopened := [row for row in level.rows if row.unopened]:
        return Decision(
            level.streams,
            Verdict.INVALID,
            reason=f"{unopened_sessions(level)}: {unopened[0].reason}",
            aborted=bool(level.aborted),
        )
    if not rows:
        reason = level.aborted or "no session was planned to end in the steady part"
        verdict = Verdict.INVALID if level.lost_workers else Verdict.INCONCLUSIVE
        aborted = bool(level.aborted)
        return Decision(level.streams, verdict, reason=reason, aborted=aborted)
    busy = frozenset(each.worker for each in level.workers if _overloaded(each.cpu))
    length = math.fsum(row.planned - row.speech for row in rows) / len(rows)
    window = windows([row.planned for row in rows], length)
    count = len(held.thresholds) + sum(len(each.limits) for each in held.budgets)
    shared = replace(risk, misses=risk.misses / max(1, count))
    of_session = [each for each in held.budgets if each.metric not in metrics.LEVELS]
    limits = [
        _budget(budget, limit, rows, window, busy, held, shared)
        for budget in of_session
        for limit in budget.limits
    ]
    limits += _of_level(level, held, shared)
    limits += [_wer(each, rows, window, held, shared) for each in held.thresholds]
    return decided(
        level.streams,
        limits,
        aborted=level.aborted,
        lost_workers=tuple(each.reason for each in level.lost_workers),
    )


def unopened_sessions(level: Level) -> str:
    """Return a text that says how many sessions this machine could not open."""
    count = sum(row.unopened for row in level.rows)
    return (
        f"{count} of {several(len(level.rows), 'session')} could not be opened by this "
        "machine"
    )


def decided(
    streams: int,
    limits: Iterable[LimitDecision],
    *,
    aborted: str = "",
    lost_workers: Sequence[str] = (),
) -> Decision:
    """Return the decision on a level, from the decisions on its limits.

    A level that was aborted proves nothing, since it was ended because of its own
    results. A level that lost a worker proves nothing either, since it had fewer
    streams than planned.
    """
    every = tuple(limits)
    if lost_workers:
        return Decision(
            streams,
            Verdict.INVALID,
            limits=every,
            reason=f"a worker was lost: {lost_workers[0]}",
        )
    if aborted:
        return Decision(
            streams,
            Verdict.INCONCLUSIVE,
            limits=every,
            reason=aborted,
            aborted=True,
        )
    verdict = worst(each.verdict for each in every)
    proof = Proof.NONE
    if any(each.proof is Proof.MISSES for each in every):
        proof = Proof.MISSES
    elif every and all(each.proof is Proof.HOLDS for each in every):
        proof = Proof.HOLDS
    return Decision(streams, verdict, proof, every)


def decide_share(
    name: str,
    limit: Limit,
    oriented: Oriented,
    window: _Array,
    risk: Risk = USUAL,
) -> LimitDecision:
    """Return the decision on a quantile, from the share of sessions over its limit.

    ``window`` has, for each sample, the index of the time window it belongs to. Raises
    ValueError if the limit is on a mean or on a maximum.
    """
    q = limit.stat.provable
    if q is None:
        raise ValueError(
            f"the {limit.stat} of {name} cannot be proven by the share of sessions "
            "over a limit"
        )
    values, prompt = np.asarray(oriented.values), np.asarray(oriented.prompt)
    most = oriented.limit
    found = correlation(values, most, q, window)
    over, attributed = int((values > most).sum()), int((prompt > most).sum())
    lost = sum(1 for each in oriented.samples if each.lost)

    def proven(over: int, risk: Risk) -> Proof:
        return share_proof(over, found, q, risk)

    verdict, proof = _verdict(proven, over, attributed, risk)
    allowed = 1 - q
    return LimitDecision(
        name=name,
        limit=limit.value,
        verdict=verdict,
        n=found.n,
        observed=restored(limit, statistic(oriented.values, limit.stat)),
        excess=over / found.n / allowed,
        over=over,
        lost=lost,
        allowed=allowed,
        effective=found.effective(CONFIDENCE),
        unit=found.unit,
        inflation=found.inflation,
        excused=attributed <= allowed * found.n < over,
        proof=proof,
    )


def share_proof(over: int, found: Correlation, q: float, risk: Risk) -> Proof:
    """Return what the number of sessions over a limit proves about the q-quantile.

    ``over`` is this number. ``found`` is the correlation of all sessions.
    """
    share = over / found.n
    n = found.effective(1 - risk.holds)
    if proven_at_most(share * n, n, q, 1 - risk.holds):
        return Proof.HOLDS
    n = found.effective(1 - risk.misses)
    if proven_over(share * n, n, q, 1 - risk.misses):
        return Proof.MISSES
    return Proof.NONE


_VERDICTS = {
    Proof.HOLDS: Verdict.PASS,
    Proof.MISSES: Verdict.FAIL,
    Proof.NONE: Verdict.INCONCLUSIVE,
}


def _verdict(
    proven: Callable[[int, Risk], Proof], over: int, attributed: int, risk: Risk
) -> tuple[Verdict, Proof]:
    """Return the verdict at a confidence of 95 %, and the proof at ``risk``.

    ``over`` is the number of sessions over the limit. ``attributed`` is the number of
    sessions that would be over it even without the client's own delay. ``proven``
    returns what such a number proves. If ``over`` and ``attributed`` give different
    verdicts, the verdict is INVALID. If they give different proofs, nothing is proven.
    """
    verdict, proof = _VERDICTS[proven(over, USUAL)], proven(over, risk)
    if attributed == over:
        return verdict, proof
    if _VERDICTS[proven(attributed, USUAL)] is not verdict:
        verdict = Verdict.INVALID
    if proven(attributed, risk) is not proof:
        proof = Proof.NONE
    return verdict, proof


def _budget(
    budget: Budget,
    limit: Limit,
    rows: Sequence[Row],
    window: _Array,
    busy: frozenset[int],
    held: Held,
    risk: Risk,
) -> LimitDecision:
    name = f"{budget.metric} {limit.name}"
    counted = [
        place for place, row in enumerate(rows) if _counts(row, budget.metric, held)
    ]
    if not counted:
        return LimitDecision(name, limit.value, Verdict.FAIL, 0, math.inf, math.inf)
    samples = [sample(rows[place], budget.metric, busy) for place in counted]
    if all(each.missing for each in samples):
        needs = metrics.CATALOGUE[budget.metric].needs
        raise BudgetError(
            f"{budget.metric} was measured in no session of the level: it needs {needs}"
        )
    oriented = orient(limit, samples, bound(budget.metric, limit.value))
    blocks = window[counted]
    if limit.stat.provable is not None:
        return decide_share(name, limit, oriented, blocks, risk)
    return _mean(name, limit, oriented, blocks, risk)


def _mean(
    name: str, limit: Limit, oriented: Oriented, window: _Array, risk: Risk
) -> LimitDecision:
    """Return the decision on a mean; a lost session makes the mean infinite."""

    def proven(values: list[float], risk: Risk) -> Proof:
        if not all(map(math.isfinite, values)):
            return Proof.MISSES
        return _interval_proof(
            lambda confidence: mean_interval(
                values, confidence=confidence, blocks=window.tolist()
            ),
            oriented.limit,
            window,
            risk,
        )

    usual = proven(oriented.values, USUAL)
    verdict, proof = _VERDICTS[usual], proven(oriented.values, risk)
    mean, prompt = (
        statistic(each, Stat.MEAN) for each in (oriented.values, oriented.prompt)
    )
    if prompt != mean:
        if proven(oriented.prompt, USUAL) is not usual:
            verdict = Verdict.INVALID
        if proven(oriented.prompt, risk) is not proof:
            proof = Proof.NONE
    observed = restored(limit, mean)
    return LimitDecision(
        name=name,
        limit=limit.value,
        verdict=verdict,
        n=len(oriented.values),
        observed=observed,
        excess=_excess(observed, limit),
        over=sum(oriented.over),
        lost=sum(1 for each in oriented.samples if each.lost),
        effective=float(len(np.unique(window))),
        unit=SampleUnit.WINDOW,
        excused=prompt <= oriented.limit < mean,
        proof=proof,
    )


def _of_level(level: Level, held: Held, risk: Risk) -> list[LimitDecision]:
    """Return the decisions on the metrics of the whole level."""
    budgets = [each for each in held.budgets if each.metric in metrics.LEVELS]
    if not budgets:
        return []
    judged = judged_level(level, held.budgets, held.clips)
    return [
        _found(found, risk)
        for budget in budgets
        for found in judge_levels(budget, [judged]).findings
    ]


def _found(found: Finding, risk: Risk) -> LimitDecision:
    """Return the decision on a metric of a whole level, from the finding about it."""
    verdict, proof = found.verdict, Proof.NONE
    if verdict in (Verdict.PASS, Verdict.FAIL) and not found.proven:
        verdict = Verdict.INCONCLUSIVE
    if verdict is Verdict.PASS and risk.holds >= _INTERVAL_RISK:
        proof = Proof.HOLDS
    if verdict is Verdict.FAIL and risk.misses >= _INTERVAL_RISK:
        proof = Proof.MISSES
    observed = math.inf if found.observed is None else found.observed
    known = found.observed is not None
    return LimitDecision(
        name=found.metric,
        limit=found.limit.value,
        verdict=verdict,
        n=found.n,
        observed=observed,
        excess=_excess(observed, found.limit) if known else math.inf,
        effective=float(found.n),
        excused=found.verdict is Verdict.INVALID,
        proof=proof,
    )


def _wer(
    threshold: WerThreshold,
    rows: Sequence[Row],
    window: _Array,
    held: Held,
    risk: Risk,
) -> LimitDecision:
    """Return the decision on a word error rate.

    All words of a lost session count as missing.
    """
    known: dict[tuple[str, str | None], Errors] = {}
    errors, blocks = [], []
    for row, block in zip(rows, window.tolist(), strict=True):
        key = row.clip, None if row.lost else row.measured.text
        if key not in known:
            known[key] = _errors(held.clips[row.clip], key[1], threshold)
        if known[key].reference:
            errors.append(known[key])
            blocks.append(block)
    if not errors:
        raise BudgetError(_NO_WORDS)
    wrong = [each.wrong for each in errors]
    spoken = [each.reference for each in errors]

    def interval(confidence: float) -> tuple[float, float]:
        wide = bootstrap(wrong, spoken, confidence=confidence, blocks=blocks)
        # Equal windows have no spread, so the bound of independent errors counts too.
        exact = count_interval(sum(wrong), sum(spoken), confidence)
        return min(wide[0], exact[0]), max(wide[1], exact[1])

    number = np.asarray(blocks)
    usual = _interval_proof(interval, threshold.limit, number, USUAL)
    rate = sum(wrong) / sum(spoken)
    return LimitDecision(
        name=WER,
        limit=threshold.limit,
        verdict=_VERDICTS[usual],
        n=len(errors),
        observed=rate,
        excess=_excess(rate, Limit(Stat.MEAN, threshold.limit)),
        over=sum(each > 0 for each in wrong),
        lost=sum(1 for row in rows if row.lost),
        effective=float(len(np.unique(number))),
        unit=SampleUnit.WINDOW,
        proof=_interval_proof(interval, threshold.limit, number, risk),
    )


def _interval_proof(
    interval: Callable[[float], tuple[float, float]],
    limit: float,
    window: _Array,
    risk: Risk,
) -> Proof:
    """Return what an interval proves about an upper limit.

    ``interval`` returns the two-sided interval at a confidence c. Each of its bounds is
    wrong with a probability of (1 - c) / 2.
    """
    if len(np.unique(window)) < _LEAST_WINDOWS:
        return Proof.NONE
    if interval(1 - 2 * risk.holds)[1] <= limit:
        return Proof.HOLDS
    if interval(1 - 2 * risk.misses)[0] > limit:
        return Proof.MISSES
    return Proof.NONE


def sample(row: Row, metric: str, busy: frozenset[int] = frozenset()) -> Sample:
    """Return the sample of a metric in a session, as `Transcription.sample` does.

    ``busy`` are the numbers of the workers whose event loop was overloaded during the
    level. The times of all of their sessions count as delayed by the client.
    """
    measured = row.measured
    state = measured.client_state
    overloaded = row.worker in busy and not state.overloaded
    return Sample(
        label=measured.session or f"{row.clip}@{row.stream}.{row.number}",
        value=measured.metrics.get(metric),
        lost=row.lost,
        late_ms=measured.scheduling_delay,
        clip=row.clip,
        own=replace(state, cpu=1.0) if overloaded else state,
        blocked_ms=measured.metrics.get("send_blocked") or 0.0,
        path_ms=measured.metrics.get("path_round_trip"),
        premature=measured.premature.get(metric),
    )


def _counts(row: Row, metric: str, held: Held) -> bool:
    if metric not in metrics.SILENT:
        return True
    clip = held.clips.get(row.clip)
    return clip is not None and not clip.text.strip()


def _errors(clip: Utterance, hypothesis: str | None, threshold: WerThreshold) -> Errors:
    return words(
        clip.text,
        hypothesis,
        normalizer=threshold.normalizer,
        language=clip.language,
    ).errors


def _overloaded(cpu: float) -> bool:
    return ClientState(cpu=cpu).overloaded


def _excess(observed: float, limit: Limit) -> float:
    """Return how much of a limit is used; above 1 if the limit is not met."""
    if limit.side is Side.AT_LEAST:
        above, below = limit.value, observed
    else:
        above, below = observed, limit.value
    if below > 0:
        return above / below
    return 0.0 if above <= below else math.inf
