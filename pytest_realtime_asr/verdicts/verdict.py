"""Whether what was measured keeps to its budget.

A verdict is one of four. ``PASS`` and ``FAIL`` speak of the server; ``INCONCLUSIVE``
says that proof was asked for and the sample is too small for it; ``INVALID`` says that
the instrument, not the server, decided the number.

- A lost session (refused, hung, broken, no final) is over every limit: it counts as
  ``+inf`` and is never left out. So is one whose event came before what it answers: its
  latency is not a measurement.
- Our own lateness can only make a latency larger, never smaller. So a statistic that
  is within its limit is within it however late we were. One that is over is judged
  again with the lateness of each late sample taken off its value; if that changes the
  verdict, it is ``INVALID``. Where our own loop was overloaded, nobody knows by how
  much, and the sample is then judged as if there had been no latency at all. A lost
  session stays lost: lateness delays an answer, it does not take one away.
- What the socket would not take (``send_blocked``) is no lateness of ours, and the way
  to the server is part of what its users wait for: both are told and never taken off.
- Without a confidence the observed statistic is judged, and it is said whether the
  sample proves the verdict at 95 %. With one, only proof passes and only proof fails.
- Judged in their order (`judge_in_order`), sessions need no fixed number: a sequential
  test says when there have been enough.
- Where clips repeat, sessions are not independent: the interval draws whole clips, and
  a proof holds for this corpus and not for speech in general.
- A number that is not there is neither a zero nor a pass.
"""

from __future__ import annotations

import enum
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics import Unit as Measured
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.stats import (
    GOOD_SHARE,
    Decision,
    least_clean,
    mean_interval,
    proven_at_most,
    proven_over,
    quantile,
    quantile_interval,
    samples_needed,
    sequential,
)
from pytest_realtime_asr.text.number_format import ms, several
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Side, Stat
from pytest_realtime_asr.verdicts.limits import BudgetError

LATE_MS = 5.0  # less than this is never late
LATE_SHARE = 0.05  # nor is less than this share of the limit
SHOWN = 0.95  # confidence of intervals and of "proven" where none was asked for
WORST = 3
MOST_SESSIONS = 400  # that are sent for a verdict in order
PUNCTUAL = ClientState()
NOTHING = "judged no session: nothing was measured"


class UndecidedWarning(UserWarning):
    """What could not be decided of a test, and did not fail it.

    It is a verdict that is ``INCONCLUSIVE`` or ``INVALID``, with
    ``--realtime-undecided=warn``, a comparison of too few clips, or a claim that so
    few sessions can never prove, which is told before the first of them.
    """


class Verdict(enum.Enum):
    """The outcome of judging, from the best to the worst."""

    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    FAIL = "FAIL"


class Undecided(enum.StrEnum):
    """What becomes of a test whose verdict is ``INCONCLUSIVE`` or ``INVALID``."""

    FAIL = "fail"
    WARN = "warn"


class Effect(enum.Enum):
    """What a verdict does to its test."""

    NONE = "none"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Sample:
    """One session under a budget.

    ``label`` is its id, ``clip`` that of what was said, where it is known. ``value`` is
    in the unit of the metric, ``None`` where it is not there. ``lost`` is the reason,
    in a word or two, why the session gave no final; then it is beyond every limit,
    whatever its value. ``late_ms`` is the instrument's own lateness in that session,
    ``own`` its state. ``blocked_ms`` is for how long
    the socket would not take a frame, ``path_ms`` how long a ping took there and back,
    ``None`` where none was answered. ``again`` says that it was run in the place of one
    that the instrument had disturbed. ``beside`` is the value of the metric beside
    which this one is to be read, where there is such a one. ``premature`` says why the
    value is not a measurement; then it, too, is beyond every limit.
    """

    label: str
    value: float | None
    lost: str = ""
    late_ms: float = 0.0
    clip: str = ""
    own: ClientState = PUNCTUAL
    blocked_ms: float = 0.0
    path_ms: float | None = None
    again: bool = False
    beside: float | None = None
    premature: Premature | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not self.value > -math.inf:
            raise ValueError(f"{self.label}: {self.value} is no measured value")
        if not self.late_ms >= 0:
            raise ValueError(f"{self.label}: {self.late_ms} is not a lateness")

    @property
    def measured(self) -> float | None:
        """The value, or ``None`` where it counts as over every limit."""
        return None if self.lost or self.premature is not None else self.value

    @property
    def counted(self) -> float:
        """The value against a limit from above."""
        return math.inf if self.measured is None else self.measured


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging one limit found.

    ``observed`` is ``None`` where nothing could be judged, and then ``reason`` says
    why; it also says why a verdict is ``INVALID``. ``interval`` (of confidence
    ``level``) is there for quantiles, and for a mean without lost sessions; in order,
    there is none, since a number of sessions that hangs on their values bends it.
    ``over`` counts samples beyond the limit, among them the lost and the premature
    ones, which ``lost`` and ``premature`` count by reason.
    ``needed`` is the least number of sessions with so many over that would
    prove the limit. ``late_ms`` is the largest lateness of the samples that the verdict
    rests on, ``blocked_ms`` the longest time for which the socket took no frame in
    them, and ``path_ms`` what a ping took there and back in half of them. ``excused``
    counts samples that may have been over for our lateness alone, ``again`` those that
    were run in the place of a disturbed one.
    ``clips`` is the number of different clips, where some repeat, else 0. ``decided``
    is the session by which it was decided, where they were judged in order; 0 where no
    session could change it. ``beside`` is the mean of the metric beside which this one
    is to be read, such as the share of the words that a word-level latency speaks of.
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
    reason: str = ""
    worst: tuple[Sample, ...] = ()
    clips: int = 0
    decided: int | None = None
    again: int = 0
    blocked_ms: float = 0.0
    path_ms: float | None = None
    beside: float | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """A budget with a finding for each of its limits."""

    budget: Budget
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(finding.verdict for finding in self.findings)

    @property
    def decided(self) -> int | None:
        """By which session it was decided in order, ``None`` where it is not.

        One limit that is missed decides it; to keep to it takes all of them.
        """
        found = [(each.verdict, each.decided) for each in self.findings]
        missed = [
            n for verdict, n in found if verdict is Verdict.FAIL and n is not None
        ]
        if missed:
            return min(missed)
        every = [n for _, n in found if n is not None]
        return max(every, default=None) if len(every) == len(found) else None


def judge(
    budget: Budget,
    samples: Sequence[Sample],
    *,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """One finding for each limit of the budget, over all samples.

    Where clips repeat, the proof is one for this corpus: sessions of which each clip
    has its own share over the limit scatter less than the binomial law of their mean
    share says (Hoeffding, 1956). The interval is one for clips like these.

    ``pace`` is how many times faster than real time the audio was handed over;
    ``parallel`` says that sessions of other processes ran at the same time. Either
    makes every latency ``INVALID``. What is no time is judged all the same.
    """
    disturbed = _disturbed(budget, pace, parallel)
    return Judgement(
        budget,
        tuple(_judge(budget, limit, samples, disturbed) for limit in budget.limits),
    )


def judge_in_order(
    budget: Budget,
    samples: Sequence[Sample],
    *,
    most: int = MOST_SESSIONS,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """One finding for each limit, by a sequential test of the samples in their order.

    Of a sample nothing counts but whether it is beyond the limit (`stats.sequential`).
    Samples after the decision, and after the first ``most``, are left out. Without a
    decision it is ``INCONCLUSIVE``, and another sample may bring it. ``FAIL`` says that
    the server is not a good one, with at most a fifth of the share beyond the limit
    that the claim allows. A sample that may be over for our lateness alone is counted
    both ways; where that leads to other decisions, it is ``INVALID``.

    Which clip comes next must be chance: a corpus whose easy clips come first would
    pass before the hard ones were heard. Raises `BudgetError` where a limit is a mean
    or a maximum, which no such test decides.
    """
    for limit in budget.limits:
        if limit.stat.provable is None:
            raise BudgetError(
                f"{budget.metric} {limit.name}: sessions in their order decide a "
                "quantile, not a maximum or a mean"
            )
    disturbed = _disturbed(budget, pace, parallel)
    return Judgement(
        budget,
        tuple(
            _judge_in_order(budget, limit, samples[:most], most, disturbed)
            for limit in budget.limits
        ),
    )


def tolerance(
    budgets: Iterable[Budget], *, pace: float = 1.0, parallel: bool = False
) -> float | None:
    """The lateness in ms beyond which a session under these is disturbed.

    ``None`` where no latency is judged, or none can be.
    """
    most = [
        limit.value
        for budget in budgets
        if CATALOGUE[budget.metric].unit is Measured.MS
        and not _disturbed(budget, pace, parallel)
        for limit in budget.limits
    ]
    return allowed_lateness(min(most)) if most else None


def unprovable(budget: Budget, most: int, *, in_order: bool = False) -> str:
    """Why ``most`` sessions can never prove a budget, and how many could; else empty.

    Without a confidence, and not in order, nothing has to be proven.
    """
    if budget.confidence is None and not in_order:
        return ""
    level = budget.confidence or SHOWN
    least = least_clean if in_order else samples_needed
    for limit in budget.limits:
        q = limit.stat.provable
        if q is not None and (needed := least(q, level)) > most:
            held = several(most, "session")
            return (
                f"{budget.metric} {limit.name} can never be proven at "
                f"{level * 100:g} % with {held}: it needs {needed}, all within the "
                "limit"
            )
    return ""


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none it is ``FAIL``: nothing was measured."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.FAIL)


def effect(verdict: Verdict, undecided: Undecided = Undecided.FAIL) -> Effect:
    """What a verdict does to its test; it is shown by its own name all the same.

    ``FAIL`` fails whatever the policy: it speaks of the server. ``INCONCLUSIVE`` and
    ``INVALID`` do not, and follow ``undecided``.
    """
    if verdict is Verdict.PASS:
        return Effect.NONE
    if verdict is Verdict.FAIL or undecided is Undecided.FAIL:
        return Effect.FAIL
    return Effect.WARN


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


@dataclass(frozen=True, slots=True)
class _Turned:
    """Samples and their limit, so turned that more is worse: a lost one is infinite.

    ``prompt`` are the values with the lateness of those that were late taken off, which
    is more than ``bound`` ms, and no latency where the instrument was overloaded.
    """

    samples: Sequence[Sample]
    values: list[float]
    prompt: list[float]
    most: float
    bound: float

    @property
    def over(self) -> list[bool]:
        return [value > self.most for value in self.values]

    @property
    def blamed(self) -> list[bool]:
        return [value > self.most for value in self.prompt]

    @property
    def late(self) -> str:
        """What was wrong with the instrument, and how it was in the worst session."""
        found, told = [each for each in self.samples if self._is_late(each)], []
        late = [each.late_ms for each in found if each.late_ms > self.bound]
        of = f"of {len(self.samples)} sessions"
        if late:
            told.append(
                f"the instrument was late in {len(late)} {of} (up to "
                f"{ms(max(late))} ms; more than {ms(self.bound)} ms is late)"
            )
        if busy := sum(each.own.overloaded for each in found):
            told.append(
                f"it used over two thirds of a core in {busy} {of}"
                if late
                else f"the instrument used over two thirds of a core in {busy} {of}"
            )
        worst = max(found, key=lambda each: (each.late_ms, each.own.cpu))
        if worst.own != PUNCTUAL:
            told.append(f"in {worst.label}: {worst.own}")
        return "; ".join(told)

    def _is_late(self, sample: Sample) -> bool:
        return sample.late_ms > self.bound or sample.own.overloaded


def _turn(metric: str, limit: Limit, samples: Sequence[Sample]) -> _Turned:
    if limit.side is Side.AT_MOST:
        values, most = [sample.counted for sample in samples], limit.value
    else:
        values, most = [_fallen(sample) for sample in samples], -limit.value
    bound = math.inf
    if CATALOGUE[metric].unit is Measured.MS:
        bound = allowed_lateness(limit.value)
    prompt = [
        _prompt(sample, value, bound)
        for sample, value in zip(samples, values, strict=True)
    ]
    return _Turned(samples, values, prompt, most, bound)


def allowed_lateness(most: float) -> float:
    """The lateness in ms that can bend a latency of at most so much."""
    return max(LATE_MS, LATE_SHARE * most)


def _prompt(sample: Sample, value: float, bound: float) -> float:
    """What is left of a value without the lateness of the instrument."""
    if math.isinf(value) or math.isinf(bound):
        return value
    if sample.own.overloaded:
        return min(value, 0.0)
    return value - sample.late_ms if sample.late_ms > bound else value


def _fallen(sample: Sample) -> float:
    return math.inf if sample.measured is None else -sample.measured


def _judge(
    budget: Budget, limit: Limit, samples: Sequence[Sample], disturbed: str
) -> Finding:
    if not samples or any(map(_missing, samples)):
        return _unmeasured(budget, limit, samples)
    turned = _turn(budget.metric, limit, samples)
    verdict = _verdict(turned.values, turned.most, limit.stat, budget.confidence)
    again = _verdict(turned.prompt, turned.most, limit.stat, budget.confidence)
    found = _finding(budget, limit, turned, verdict)
    n, level, q = found.n, found.level, limit.stat.provable
    needed = None if q is None else samples_needed(q, level, over=found.over)
    reason = ""
    if verdict is Verdict.INCONCLUSIVE and needed is not None:
        reason = f"{needed - n} more sessions within the limit would prove it"
    if disturbed:
        verdict, reason = Verdict.INVALID, disturbed
    elif again is not verdict:
        verdict, reason = Verdict.INVALID, turned.late
    return replace(
        found,
        verdict=verdict,
        reason=reason,
        needed=needed,
        interval=_bounds(turned, limit, level),
        proven=_is_proven(
            verdict, limit.stat, found.over, sum(turned.blamed), n, level
        ),
    )


def _judge_in_order(
    budget: Budget, limit: Limit, samples: Sequence[Sample], most: int, disturbed: str
) -> Finding:
    q, level = limit.stat.provable, budget.confidence or SHOWN
    assert q is not None
    measured = list(itertools.takewhile(lambda each: not _missing(each), samples))
    turned = _turn(budget.metric, limit, measured)
    ways = [sequential(way, q, level) for way in (turned.over, turned.blamed)]
    pending = [way for way in ways if way.decision is Decision.UNDECIDED]
    if not samples or (pending and len(measured) < len(samples)):
        return _unmeasured(budget, limit, samples)
    decided = None if pending else max(way.n for way in ways)
    turned = _turn(budget.metric, limit, measured[:decided])
    n, verdict, reason = len(turned.values), _DECIDED[ways[0].decision], ""
    if disturbed:
        verdict, reason, decided = Verdict.INVALID, disturbed, 0
    elif ways[0].decision is not ways[1].decision:
        verdict, reason = Verdict.INVALID, turned.late
    elif verdict is Verdict.INCONCLUSIVE:
        reason = f"not decided within {most}"
        if n < most:
            reason = f"not decided by {n} of at most {most} sessions"
    elif verdict is Verdict.FAIL:
        beyond = "over" if limit.side is Side.AT_MOST else "under"
        good = f"{(1 - q) * GOOD_SHARE * 100:g} %"
        reason = f"a good server has at most {good} {beyond}"
    return replace(
        _finding(budget, limit, turned, verdict),
        reason=reason,
        decided=decided,
        proven=verdict in (Verdict.PASS, Verdict.FAIL),
    )


_DECIDED = {
    Decision.PASS: Verdict.PASS,
    Decision.FAIL: Verdict.FAIL,
    Decision.UNDECIDED: Verdict.INCONCLUSIVE,
}


def _finding(
    budget: Budget, limit: Limit, turned: _Turned, verdict: Verdict
) -> Finding:
    """What is the same in all ways of judging."""
    samples, over, blamed = turned.samples, turned.over, turned.blamed
    rows = list(zip(samples, blamed, strict=True))
    guilty = [sample for sample, blame in rows if blame]
    by_value = zip(samples, turned.values, strict=True)
    ordered = sorted(by_value, key=lambda pair: pair[1], reverse=True)
    clips = {sample.clip or sample.label for sample in samples}
    rests = guilty or samples
    paths = [sample.path_ms for sample in rests if sample.path_ms is not None]
    return Finding(
        metric=budget.metric,
        limit=limit,
        verdict=verdict,
        n=len(samples),
        level=budget.confidence or SHOWN,
        observed=_back(limit, _statistic(turned.values, limit.stat)),
        over=sum(over),
        lost=tally(sample.lost for sample in samples if sample.lost),
        premature=_premature(samples),
        late_ms=max(sample.late_ms for sample in rests),
        blocked_ms=max(sample.blocked_ms for sample in rests),
        path_ms=quantile(paths, 0.5) if paths else None,
        beside=_mean(sample.beside for sample in samples),
        again=sum(sample.again for sample in samples),
        excused=sum(over) - len(guilty),
        worst=tuple(sample for sample, _ in ordered[:WORST]),
        clips=len(clips) if _repeats(samples) else 0,
    )


def _unmeasured(budget: Budget, limit: Limit, samples: Sequence[Sample]) -> Finding:
    missing = [sample for sample in samples if _missing(sample)]
    needs = CATALOGUE[budget.metric].needs
    reason = f"cannot be measured in {len(missing)} of {len(samples)} sessions: "
    return Finding(
        budget.metric,
        limit,
        Verdict.FAIL,
        len(samples),
        budget.confidence or SHOWN,
        lost=tally(sample.lost for sample in samples if sample.lost),
        premature=_premature(samples),
        reason=f"{reason}needs {needs}" if samples else NOTHING,
        worst=tuple(missing[:WORST]),
    )


def _premature(samples: Iterable[Sample]) -> tuple[tuple[Premature, int], ...]:
    """The samples that are not lost, and yet not measurements, by reason."""
    kept = (sample.premature for sample in samples if not sample.lost)
    return tuple(Counter(filter(None, kept)).most_common())


def _missing(sample: Sample) -> bool:
    return sample.value is None and not sample.lost


def _repeats(samples: Sequence[Sample]) -> bool:
    """Whether a clip was said more than once."""
    clips = [sample.clip for sample in samples if sample.clip]
    return len(set(clips)) < len(clips)


def _bounds(turned: _Turned, limit: Limit, level: float) -> tuple[float, float] | None:
    blocks = None
    if _repeats(turned.samples):
        blocks = [each.clip or (each.label,) for each in turned.samples]
    if limit.stat.provable is not None:
        low, high = quantile_interval(
            turned.values, limit.stat.provable, level, blocks=blocks
        )
    elif limit.stat is Stat.MEAN and all(map(math.isfinite, turned.values)):
        low, high = mean_interval(turned.values, confidence=level, blocks=blocks)
        if math.isinf(high):
            return None
    else:
        return None
    if limit.side is Side.AT_LEAST:
        low, high = high, low
    return _back(limit, low), _back(limit, high)


def _back(limit: Limit, value: float) -> float:
    # The zero is added since a negative zero would be shown as one.
    return value if limit.side is Side.AT_MOST else 0.0 - value


def _verdict(
    values: list[float], most: float, stat: Stat, confidence: float | None
) -> Verdict:
    q = stat.provable
    if confidence is None or q is None:
        within = _statistic(values, stat) <= most
        return Verdict.PASS if within else Verdict.FAIL
    over = sum(value > most for value in values)
    if proven_at_most(over, len(values), q, confidence):
        return Verdict.PASS
    if proven_over(over, len(values), q, confidence):
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE


def _statistic(values: list[float], stat: Stat) -> float:
    return (
        math.fsum(values) / len(values) if stat.q is None else quantile(values, stat.q)
    )


def _is_proven(
    verdict: Verdict, stat: Stat, over: int, blamed: int, n: int, level: float
) -> bool:
    q = stat.provable
    if verdict is Verdict.PASS:
        return q is not None and proven_at_most(over, n, q, level)
    if verdict is Verdict.FAIL:
        return stat is Stat.MAX or (q is not None and proven_over(blamed, n, q, level))
    return False


def _disturbed(budget: Budget, pace: float, parallel: bool) -> str:
    """Why the numbers are not those of a server in real time; empty where they are."""
    if CATALOGUE[budget.metric].unit is not Measured.MS:
        return ""
    if pace != 1.0:
        return f"a latency at pace {pace:g} is not real time"
    return "sessions of other workers ran at the same time" if parallel else ""


def tally(reasons: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(" ".join(reason.split()) for reason in reasons).most_common())
