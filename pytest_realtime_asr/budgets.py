"""What a server is allowed, and whether what was measured keeps to it.

A verdict is one of four. ``PASS`` and ``FAIL`` speak of the server; ``INCONCLUSIVE``
says that proof was asked for and the sample is too small for it; ``INVALID`` says that
the instrument, not the server, decided the number.

- A lost session (refused, hung, broken, no final) is over every limit: it counts as
  ``+inf`` and is never left out.
- A time has a `latency_budget`, all else (a ratio, a count, a rate) a `budget`, which
  may also ask for at least so much.
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
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from pytest_realtime_asr.metrics import CATALOGUE, Metric
from pytest_realtime_asr.metrics import Unit as Measured
from pytest_realtime_asr.metrics.accuracy import (
    SYNTHETIC,
    Alignment,
    Errors,
    Normalizer,
    Unit,
    lines,
    normalizer_named,
    pooled,
    words,
)
from pytest_realtime_asr.metrics.pacing import Instrument
from pytest_realtime_asr.stats import (
    GOOD_SHARE,
    Decision,
    bootstrap,
    count_interval,
    least_clean,
    mean_interval,
    proven_at_most,
    proven_over,
    quantile,
    quantile_interval,
    samples_needed,
    sequential,
)

LATE_MS = 5.0  # less than this is never late
LATE_SHARE = 0.05  # nor is less than this share of the limit
PATH_SHARE = 0.2  # a way to the server that takes more than this of the limit is told
SHOWN = 0.95  # confidence of intervals and of "proven" where none was asked for
WORST = 3
LEAST_UTTERANCES = 20  # a bootstrap over fewer proves nothing
LEAST_SPEAKERS = 10  # nor does one over fewer speakers, where they are named
MOST_SESSIONS = 400  # that are sent for a verdict in order

NO_ERRORS = Errors()
PUNCTUAL = Instrument()

_MS = {"ms": 1.0, "s": 1000.0, "min": 60_000.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|min)", re.ASCII)
_NOTHING = "judged no session: nothing was measured"
_LIMIT = "$"  # begins the name of a limit

L = TypeVar("L")


class BudgetError(ValueError):
    """A budget that cannot be: what is wrong with it and what may be written."""


class UndecidedWarning(UserWarning):
    """What could not be decided of a test, and did not fail it.

    It is a verdict that is ``INCONCLUSIVE`` or ``INVALID``, with
    ``--realtime-undecided=warn``, or a comparison of too few clips.
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


class Stat(enum.StrEnum):
    """What is made of the values of all sessions; a quantile is the nearest rank."""

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"
    MEAN = "mean"

    @property
    def q(self) -> float | None:
        """The quantile: 1 for the maximum, ``None`` for the mean."""
        if self is Stat.MEAN:
            return None
        return 1.0 if self is Stat.MAX else int(self[1:]) / 100

    @property
    def provable(self) -> float | None:
        """The quantile, where a sample can prove it: a maximum or a mean it cannot."""
        return None if self.q == 1 else self.q


class Over(enum.StrEnum):
    """Over what a budget is pooled, where that is more than one test item."""

    MODULE = "module"


class Side(enum.Enum):
    """On which side of a limit a number keeps to it."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Limit:
    """The most, or the least, that a statistic may be, in the unit of its metric.

    At a least value a quantile counts from above: p95 is what 95 % of the sessions
    reach, and the maximum is the worst of them, which is then the smallest.
    """

    stat: Stat
    value: float
    side: Side = Side.AT_MOST

    @property
    def name(self) -> str:
        """The statistic, as a line shows it."""
        if self.side is Side.AT_MOST or self.stat is Stat.MEAN:
            return str(self.stat)
        return "min" if self.stat is Stat.MAX else f"{self.stat} from above"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one metric is allowed; made by `latency_budget` or `budget`."""

    metric: str
    limits: tuple[Limit, ...]
    confidence: float | None = None
    over: Over | None = None

    @property
    def provable(self) -> bool:
        """Whether a sample can prove all of it."""
        return all(limit.stat.provable is not None for limit in self.limits)


@dataclass(frozen=True, slots=True)
class Sample:
    """One session under a budget.

    ``label`` is its id, ``clip`` that of what was said, where it is known. ``value`` is
    in the unit of the metric, ``None`` where it is not there. ``lost`` is the reason,
    in a word or two, why the session gave no final; then it is beyond every limit,
    whatever its value. ``late_ms`` is the instrument's own lateness in that session,
    ``own`` its state, ``trace`` the path of its trace. ``blocked_ms`` is for how long
    the socket would not take a frame, ``path_ms`` how long a ping took there and back,
    ``None`` where none was answered. ``again`` says that it was run in the place of one
    that the instrument had disturbed. ``beside`` is the value of the metric beside
    which this one is to be read, where there is such a one.
    """

    label: str
    value: float | None
    lost: str = ""
    late_ms: float = 0.0
    trace: str = ""
    clip: str = ""
    own: Instrument = PUNCTUAL
    blocked_ms: float = 0.0
    path_ms: float | None = None
    again: bool = False
    beside: float | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not self.value > -math.inf:
            raise ValueError(f"{self.label}: {self.value} is no measured value")
        if not self.late_ms >= 0:
            raise ValueError(f"{self.label}: {self.late_ms} is not a lateness")

    @property
    def counted(self) -> float:
        """The value against a limit from above: infinite where the session is lost."""
        return math.inf if self.lost or self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging one limit found.

    ``observed`` is ``None`` where nothing could be judged, and then ``reason`` says
    why; it also says why a verdict is ``INVALID``. ``interval`` (of confidence
    ``level``) is there for quantiles, and for a mean without lost sessions; in order,
    there is none, since a number of sessions that hangs on their values bends it.
    ``over`` counts samples beyond the limit, the lost ones among them, ``lost`` those
    by reason. ``needed`` is the least number of sessions with so many over that would
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


@dataclass(frozen=True, slots=True)
class WerThreshold:
    """The most that a pooled error rate may be; made by `wer_threshold`.

    ``normalizer`` is ``None`` where each reference's language chooses it.
    """

    limit: float
    normalizer: Normalizer | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class WerRow:
    """One transcription under a threshold.

    ``label`` is the id of its session, ``utterance`` that of what was said, ``speaker``
    that of who said it, where it is known: rows of the same utterance or speaker are
    not independent. ``hypothesis`` is ``None``, or ``lost`` is the reason, where the
    session gave no final: then all words are deleted. ``synthetic`` says that a machine
    spoke.
    """

    label: str
    utterance: str
    reference: str
    hypothesis: str | None
    language: str = ""
    lost: str = ""
    trace: str = ""
    speaker: str = ""
    synthetic: bool = False

    @property
    def block(self) -> tuple[str, str]:
        """What it shares with the rows that resemble it."""
        return self.speaker, "" if self.speaker else self.utterance

    def align(self, normalizer: Normalizer | None) -> Alignment:
        """The alignment as it is judged."""
        heard = None if self.lost else self.hypothesis
        return words(
            self.reference, heard, normalizer=normalizer, language=self.language
        )


@dataclass(frozen=True, slots=True)
class WerFinding:
    """What judging a threshold found; the fields of the same name are as in `Finding`.

    ``name`` is ``wer``, ``cer`` where all rows were counted by characters, or
    ``wer+cer``. ``speakers`` is how many are named. ``worst`` are the rows with the
    most errors, with their alignments. ``synthetic`` says that a machine spoke any.
    """

    name: str
    limit: float
    verdict: Verdict
    n: int
    level: float
    observed: float | None = None
    interval: tuple[float, float] | None = None
    errors: Errors = NO_ERRORS
    normalizers: tuple[str, ...] = ()
    lost: tuple[tuple[str, int], ...] = ()
    proven: bool = False
    reason: str = ""
    worst: tuple[tuple[WerRow, Alignment], ...] = ()
    speakers: int = 0
    synthetic: bool = False


def parse_duration(value: str | timedelta) -> float:
    """Milliseconds of ``"800ms"``, ``"1.2s"`` or a timedelta; else a `BudgetError`."""
    if isinstance(value, timedelta):
        ms = value / timedelta(milliseconds=1)
    else:
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise BudgetError(
                f"{value!r} is not a duration: write a number with its unit, "
                "such as '800ms', '1.2s' or '10min', or give a timedelta"
            )
        ms = float(found[1]) * _MS[found[2]]
    if not 0 <= ms < math.inf:
        raise BudgetError(f"{value!r} is not a duration: it is negative or too long")
    return ms


def limits(text: L | str, names: Mapping[str, L | str]) -> L | str:
    """A limit, by its name in a table where it is written as ``"$name"``, else itself.

    A `BudgetError` names the names that there are.
    """
    if not isinstance(text, str) or not text.startswith(_LIMIT):
        return text
    name = text.removeprefix(_LIMIT)
    if name not in names:
        known = _names(f"{_LIMIT}{each}" for each in names)
        known = known or "none: see --realtime-budgets"
        raise BudgetError(f"there is no limit {text!r}; there are {known}")
    return names[name]


def latency_budget(
    metric: str,
    *,
    confidence: float | None = None,
    over: str | None = None,
    **limits: str | timedelta | None,
) -> Budget:
    """The budget of a time: ``latency_budget("final_from_commit", p95="800ms")``.

    The limits are ``p50``, ``p90``, ``p95``, ``p99``, ``max`` and ``mean``, at least
    one of them. What is no time, or not for judging (`CATALOGUE`, not ``gated``), is
    refused, and so is a confidence for a maximum or a mean. A `BudgetError` names
    what may be written.
    """
    _metric(metric, timed=True)
    unknown = sorted(set(limits) - set(Stat))
    if unknown:
        raise BudgetError(
            f"a budget has no keyword {_names(unknown)}; "
            f"there are {_names([*Stat, 'confidence', 'over'])}"
        )
    given = {stat: limits.get(stat) for stat in Stat}
    made = [
        Limit(stat, parse_duration(value))
        for stat, value in given.items()
        if value is not None
    ]
    if not made:
        raise BudgetError(f"a budget needs a limit: one of {_names(Stat)}")
    return _budget(metric, made, confidence, over)


def budget(
    metric: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    stat: str = Stat.MEAN,
    confidence: float | None = None,
    over: str | None = None,
) -> Budget:
    """The budget of what is no time: ``budget("normalized_erasure", at_most=0.2)``.

    The limits are plain numbers in the unit of the metric, at least one of them. What
    is judged is the mean over the sessions of the test: of a count it is the count for
    each session, and is 0 only where all are; of a ratio each session weighs the same,
    however much was said in it. With ``stat`` it is a quantile or the maximum instead
    (`Limit`), and only a quantile can have a confidence. A time, or what is not for
    judging (`CATALOGUE`, not ``gated``), is refused. A `BudgetError` names what may be
    written.
    """
    _metric(metric, timed=False)
    if stat not in set(Stat):
        raise BudgetError(f"there is no stat={stat!r}; there are {_names(Stat)}")
    given = {Side.AT_MOST: at_most, Side.AT_LEAST: at_least}
    made = []
    for side, value in given.items():
        if value is None:
            continue
        if not _is_number(value) or not math.isfinite(value):
            raise BudgetError(
                f"the limit {value!r} of {metric} is no number: write at_most=0.2"
            )
        made.append(Limit(Stat(stat), float(value), side))
    if not made:
        raise BudgetError("a budget needs a limit: at_most= or at_least=")
    if at_most is not None and at_least is not None and at_least > at_most:
        raise BudgetError(f"no {metric} is at least {at_least} and at most {at_most}")
    return _budget(metric, made, confidence, over)


def wer_threshold(
    limit: float,
    *,
    normalizer: str | Normalizer | None = None,
    confidence: float | None = None,
) -> WerThreshold:
    """The threshold of a pooled error rate; the limit is a share: 0.12 is 12 %.

    ``normalizer`` is a name (`normalizer_named`), or one's own.
    """
    if not _is_number(limit) or not 0 <= limit <= 1:
        raise BudgetError(f"the limit {limit!r} is not a share: write 0.12 for 12 %")
    _check_confidence(confidence)
    if isinstance(normalizer, str):
        try:
            normalizer = normalizer_named(normalizer)
        except LookupError as error:
            raise BudgetError(error.args[0]) from None
    return WerThreshold(float(limit), normalizer, confidence)


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
    return _bound(min(most)) if most else None


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
            return (
                f"{budget.metric} {limit.name} can never be proven at "
                f"{level * 100:g} % with {most} sessions: it needs {needed}, all "
                "within the limit"
            )
    return ""


def judge_wer(
    threshold: WerThreshold, rows: Sequence[WerRow], *, seed: int = 0
) -> WerFinding:
    """The pooled error rate of all rows against the threshold.

    The interval is the wider one, on each side, of a bootstrap over speakers, or over
    utterances where no speaker is named, and of what as many independent errors would
    give. Fewer than `LEAST_UTTERANCES` utterances prove nothing, nor do fewer than
    `LEAST_SPEAKERS` speakers. Words that were heard where the reference is empty are
    counted, but have no part in the rate.
    """
    level = threshold.confidence or SHOWN
    limit = threshold.limit
    aligned = [(row, row.align(threshold.normalizer)) for row in rows]
    units = sorted({alignment.unit for _, alignment in aligned}, reverse=True)
    name = "+".join("wer" if unit is Unit.WORD else "cer" for unit in units) or "wer"
    counted = [(row, alignment.errors) for row, alignment in aligned]
    errors = pooled(each for _, each in counted)
    observed = errors.rate
    if observed is None:
        reason = "cannot be measured: needs a reference" if rows else _NOTHING
        return WerFinding(
            name, limit, Verdict.FAIL, len(rows), level, errors=errors, reason=reason
        )
    spoken = [(row, each) for row, each in counted if each.reference]
    blocks = [row.block for row, _ in spoken]
    wide = bootstrap(
        [each.wrong for _, each in spoken],
        [each.reference for _, each in spoken],
        seed=seed,
        confidence=level,
        blocks=blocks,
    )
    exact = count_interval(errors.wrong, errors.reference, level)
    low, high = min(wide[0], exact[0]), max(wide[1], exact[1])
    few = ""
    if len({row.utterance for row, _ in spoken}) < LEAST_UTTERANCES:
        few = f"fewer than {LEAST_UTTERANCES} utterances prove nothing"
    elif len(set(blocks)) < LEAST_SPEAKERS:
        few = f"fewer than {LEAST_SPEAKERS} speakers prove nothing"
    within = observed <= limit
    proven = not few and (high <= limit if within else low > limit)
    verdict = Verdict.PASS if within else Verdict.FAIL
    reason = ""
    if threshold.confidence is not None and not proven:
        verdict = Verdict.INCONCLUSIVE
        reason = few or "the interval holds the limit; more utterances would narrow it"
    missed = [pair for pair in aligned if _missed(pair[1])]
    missed.sort(key=lambda pair: _missed(pair[1]), reverse=True)
    return WerFinding(
        name=name,
        limit=limit,
        verdict=verdict,
        n=len(rows),
        level=level,
        observed=observed,
        interval=(low, high),
        errors=errors,
        normalizers=tuple(sorted({alignment.normalizer for _, alignment in aligned})),
        lost=_tally(
            row.lost or "no final" for row in rows if row.lost or row.hypothesis is None
        ),
        proven=proven,
        reason=reason,
        worst=tuple(missed[:WORST]),
        speakers=len({row.speaker for row, _ in spoken if row.speaker}),
        synthetic=any(row.synthetic for row in rows),
    )


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


def standing(finding: Finding | WerFinding) -> str:
    """The verdict by its name, and whether n proves it.

    ``PASS (not proven: n=24, needs 59)``
    """
    counts = f"n={finding.n}"
    if finding.proven:
        return f"{finding.verdict.value} (proven: {counts})"
    hopeful = finding.verdict in (Verdict.PASS, Verdict.INCONCLUSIVE)
    if hopeful and isinstance(finding, Finding) and finding.needed:
        counts += f", needs {finding.needed}"
    return f"{finding.verdict.value} (not proven: {counts})"


def shown(metric: str, value: float) -> str:
    """A value of a metric with its unit, as in a line."""
    if CATALOGUE[metric].unit is Measured.MS:
        return f"{_number(value)} ms"
    return f"{_plain(value)}{_unit(CATALOGUE[metric])}"


def headline(finding: Finding | WerFinding) -> str:
    """All of a finding in one line, the first and often the only one that is kept."""
    if isinstance(finding, WerFinding):
        return _wer_line(finding)
    limit, metric = finding.limit, CATALOGUE[finding.metric]
    timed = metric.unit is Measured.MS
    show, unit = (_number if timed else _plain), _unit(metric)
    name = f"{finding.metric} {limit.name}"
    if finding.observed is None:
        return f"{name} {limit.side.value} {show(limit.value)}{unit}: {finding.reason}"
    compared = _compared(finding.observed, limit.value, show, unit, limit.side)
    n = f"n={finding.n}" + (" in order" if finding.decided else "")
    n += f" of {finding.clips} clips" if finding.clips else ""
    n += f", {finding.again} run again" if finding.again else ""
    beyond = "over" if limit.side is Side.AT_MOST else "under"
    parts = [_counted([n, f"{finding.over} {beyond}"], finding.lost)]
    if finding.interval is not None:
        shown = _interval(finding.interval, finding.level, show)
        parts.insert(0, f"{shown} by clip" if finding.clips else shown)
    if finding.verdict is not Verdict.INVALID:
        parts += _proof(finding)
    if finding.beside is not None:
        parts.append(f"{metric.beside} {_plain(finding.beside)}")
    if timed and finding.path_ms is not None:
        parts.append(f"path {_number(finding.path_ms)} ms")
    tail = _blame(finding) if finding.verdict is Verdict.FAIL and timed else ""
    if finding.verdict is Verdict.FAIL and finding.reason:
        tail = f"; FAIL: {finding.reason}{tail}"
    elif finding.verdict is Verdict.INVALID:
        tail = f"; INVALID, the server is not blamed: {finding.reason}"
    elif finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{name} = {compared} ({'; '.join(parts)}){tail}"


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _blame(finding: Finding) -> str:
    """Who is to blame for a latency that is over its limit."""
    most = finding.limit.value
    told = [f"late {_number(finding.late_ms)} ms"]
    if finding.excused:
        told.append(f"{finding.excused} more over but late, not counted against it")
    if finding.blocked_ms > _bound(most):
        told.append(
            f"send_blocked {_number(finding.blocked_ms)} ms: our audio was not read"
        )
    who, path = "server", finding.path_ms
    if path is not None and path > PATH_SHARE * most:
        who = "server or path"
        told.append(f"path {_number(path)} ms, over a fifth of the limit")
    return f"; {who}, not instrument ({'; '.join(told)})"


def details(finding: WerFinding, *, width: int = 80) -> str:
    """The worst rows of a threshold with their aligned texts; empty without errors."""
    blocks = []
    for row, alignment in finding.worst:
        errors = alignment.errors
        head = f"{row.label} {row.utterance}: {_missed(alignment)} wrong of"
        head += f" {errors.reference}" + (f", {row.lost}" if row.lost else "")
        blocks.append(f"{head}\n{lines(alignment, width=width)}")
    return "\n".join(blocks)


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
                f"{_number(max(late))} ms; more than {_number(self.bound)} ms is late)"
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
        bound = _bound(limit.value)
    prompt = [
        _prompt(sample, value, bound)
        for sample, value in zip(samples, values, strict=True)
    ]
    return _Turned(samples, values, prompt, most, bound)


def _bound(most: float) -> float:
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
    return math.inf if sample.lost or sample.value is None else -sample.value


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
        lost=_tally(sample.lost for sample in samples if sample.lost),
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
        lost=_tally(sample.lost for sample in samples if sample.lost),
        reason=f"{reason}needs {needs}" if samples else _NOTHING,
        worst=tuple(missing[:WORST]),
    )


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


def _metric(name: str, *, timed: bool) -> None:
    """Refuse a metric that is not for this kind of budget."""
    fit = [
        each.name
        for each in CATALOGUE.values()
        if each.gated and (each.unit is Measured.MS) is timed
    ]
    entry = CATALOGUE.get(name)
    if entry is None:
        raise BudgetError(f"there is no metric {name!r}; there are {_names(fit)}")
    if not entry.gated:
        raise BudgetError(
            f"{name} has no budget: {entry.why}; set one on one of {_names(fit)}"
        )
    if timed and entry.unit is not Measured.MS:
        raise BudgetError(
            f'{name} is no time but a {entry.unit}: write budget("{name}", at_most=...)'
        )
    if not timed and entry.unit is Measured.MS:
        raise BudgetError(
            f'{name} is a time: write latency_budget("{name}", p95="800ms")'
        )


def _budget(
    metric: str, limits: list[Limit], confidence: float | None, over: str | None
) -> Budget:
    _check_confidence(confidence)
    if confidence is not None and not all(limit.stat.provable for limit in limits):
        raise BudgetError(
            "no sample proves a maximum, and a mean has no proof here: "
            "with confidence=, give quantiles, or leave confidence= out"
        )
    if over not in (None, *Over):
        raise BudgetError(f"over={over!r} is not known; there is {_names(Over)}")
    pooled_over = None if over is None else Over(over)
    return Budget(metric, tuple(limits), confidence, pooled_over)


def _check_confidence(confidence: float | None) -> None:
    if confidence is None:
        return
    if not _is_number(confidence) or not 0 < confidence < 1:
        raise BudgetError(f"confidence={confidence!r} is not a share: write 0.95")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _tally(reasons: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(" ".join(reason.split()) for reason in reasons).most_common())


def _missed(alignment: Alignment) -> int:
    return alignment.errors.wrong + alignment.errors.unspoken


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))


def _wer_line(finding: WerFinding) -> str:
    if finding.observed is None or finding.interval is None:
        return f"{finding.name} <= {_share(finding.limit)}: {finding.reason}"
    compared = _compared(finding.observed, finding.limit, _share)
    errors = finding.errors
    n = f"n={finding.n}"
    n += f" of {finding.speakers} speakers" if finding.speakers else ""
    counts = [n, f"{errors.reference} {_UNITS[finding.name]}"]
    wrong = f"S={errors.substitutions} D={errors.deletions} I={errors.insertions}"
    if errors.unspoken:
        wrong += f", {errors.unspoken} heard where nothing was said"
    parts = [
        _interval(finding.interval, finding.level, _share),
        _counted([*counts, wrong], finding.lost),
        "+".join(finding.normalizers),
        "proven" if finding.proven else "not proven",
        *([SYNTHETIC] if finding.synthetic else []),
    ]
    tail = ""
    if finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{finding.name} = {compared} ({'; '.join(parts)}){tail}"


_UNITS = {"wer": "words", "cer": "characters", "wer+cer": "words and characters"}


def _proof(finding: Finding) -> list[str]:
    if finding.proven:
        # What is over its maximum is over it, whatever was said.
        corpus = finding.clips and finding.limit.stat is not Stat.MAX
        return ["proven for this corpus" if corpus else "proven"]
    if finding.limit.stat is Stat.MEAN:
        return []
    if finding.limit.stat is Stat.MAX:
        return ["not proven: no sample proves a maximum"]
    if finding.verdict is Verdict.FAIL or finding.needed is None:
        return ["not proven"]
    return [f"not proven: needs {finding.needed}"]


def _counted(counts: list[str], lost: tuple[tuple[str, int], ...]) -> str:
    return ", ".join([*counts, *(f"{count} {reason}" for reason, count in lost)])


def _interval(
    interval: tuple[float, float], level: float, show: Callable[..., str]
) -> str:
    low, high = interval
    dash = "-" if low >= 0 else " to "
    return f"{level * 100:g}% CI {show(low)}{dash}{show(high)}"


def _compared(
    observed: float,
    limit: float,
    show: Callable[..., str],
    unit: str = "",
    side: Side = Side.AT_MOST,
) -> str:
    """Both numbers, with so many digits that the one over the other looks so."""
    if side is Side.AT_MOST:
        sign = "<=" if observed <= limit else ">"
    else:
        sign = ">=" if observed >= limit else "<"
    left, right, more = show(observed), show(limit), 1
    while left == right and observed != limit and more < 9:
        left, right = show(observed, more), show(limit, more)
        more += 1
    return f"{left}{unit} {sign} {right}{unit}"


def _unit(metric: Metric) -> str:
    """The unit of a number in a line; a ratio and a count have none."""
    if metric.unit in ("ratio", "count"):
        return ""
    return f" {metric.unit.replace('_', ' ')}"


def _plain(value: float, more: int = 0) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{3 + more}f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _number(ms: float, more: int = 0) -> str:
    if math.isinf(ms):
        return "inf" if ms > 0 else "-inf"
    digits = (0 if abs(ms) >= 99.95 else 1) + more
    text = f"{ms:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _share(rate: float, more: int = 0) -> str:
    return "inf" if math.isinf(rate) else f"{rate:.{3 + more}f}"
