"""What a server is allowed, and whether what was measured keeps to it.

A verdict is one of four. ``PASS`` and ``FAIL`` speak of the server; ``INCONCLUSIVE``
says that proof was asked for and the sample is too small for it; ``INVALID`` says that
the instrument, not the server, decided the number.

- A lost session (refused, hung, broken, no final) is over every limit: it counts as
  ``+inf`` and is never left out.
- Our own lateness can only make a latency larger, never smaller. So a statistic that
  is within its limit is within it however late we were. One that is over is judged
  again with the lateness of each late sample taken off its value; if that changes the
  verdict, it is ``INVALID``. A lost session stays lost: lateness delays an answer, it
  does not take one away.
- Without a confidence the observed statistic is judged, and it is said whether the
  sample proves the verdict at 95 %. With one, only proof passes and only proof fails.
- A number that is not there is neither a zero nor a pass.
"""

from __future__ import annotations

import enum
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.accuracy import (
    NORMALIZERS,
    Alignment,
    Errors,
    Normalizer,
    Unit,
    lines,
    pooled,
    words,
)
from pytest_realtime_asr.stats import (
    bootstrap,
    count_interval,
    proven_at_most,
    proven_over,
    quantile,
    quantile_interval,
    samples_needed,
)

LATE_MS = 5.0  # less than this is never late
LATE_SHARE = 0.05  # nor is less than this share of the limit
SHOWN = 0.95  # confidence of intervals and of "proven" where none was asked for
WORST = 3
LEAST_UTTERANCES = 20  # a bootstrap over fewer proves nothing

NO_ERRORS = Errors()

_MS = {"ms": 1.0, "s": 1000.0, "min": 60_000.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)\s*(ms|s|min)", re.ASCII)
_NOTHING = "judged no session: nothing was measured"


class BudgetError(ValueError):
    """A budget that cannot be: what is wrong with it and what may be written."""


class Verdict(enum.Enum):
    """The outcome of judging, from the best to the worst."""

    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    FAIL = "FAIL"


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


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a statistic may be, in milliseconds."""

    stat: Stat
    ms: float


@dataclass(frozen=True, slots=True)
class Budget:
    """What one metric is allowed; made by `budget`."""

    metric: str
    limits: tuple[Limit, ...]
    confidence: float | None = None
    over: Over | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One session under a budget.

    ``label`` is its id. ``value`` is in milliseconds, ``None`` where the metric is not
    there. ``lost`` is the reason, in a word or two, why the session gave no final; then
    it is over every limit, whatever its value. ``late_ms`` is the instrument's own
    lateness in that session, ``trace`` the path of its trace.
    """

    label: str
    value: float | None
    lost: str = ""
    late_ms: float = 0.0
    trace: str = ""

    def __post_init__(self) -> None:
        if self.value is not None and not self.value > -math.inf:
            raise ValueError(f"{self.label}: {self.value} is not a latency")
        if not self.late_ms >= 0:
            raise ValueError(f"{self.label}: {self.late_ms} is not a lateness")

    @property
    def counted(self) -> float:
        """The value as it is judged: infinite where the session is lost."""
        return math.inf if self.lost or self.value is None else self.value


@dataclass(frozen=True, slots=True)
class Finding:
    """What judging one limit found.

    ``observed`` is ``None`` where nothing could be judged, and then ``reason`` says
    why; it also says why a verdict is ``INVALID``. ``interval`` (of confidence
    ``level``) is there for quantiles. ``over`` counts samples over the limit, the lost
    ones among them, ``lost`` those by reason. ``needed`` is the least number of
    sessions with so many over that would prove the limit. ``late_ms`` is the largest
    lateness of the samples that the verdict rests on. ``excused`` counts samples that
    may have been over for our lateness alone.
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


@dataclass(frozen=True, slots=True)
class Judgement:
    """A budget with a finding for each of its limits."""

    budget: Budget
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        return worst(finding.verdict for finding in self.findings)


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

    ``label`` is the id of its session, ``utterance`` that of what was said: rows of
    the same utterance are not independent. ``hypothesis`` is ``None``, or ``lost`` is
    the reason, where the session gave no final: then all words are deleted.
    """

    label: str
    utterance: str
    reference: str
    hypothesis: str | None
    language: str = ""
    lost: str = ""
    trace: str = ""

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
    ``wer+cer``. ``worst`` are the rows with the most errors, with their alignments.
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


def budget(
    metric: str,
    *,
    confidence: float | None = None,
    over: str | None = None,
    **limits: str | timedelta | None,
) -> Budget:
    """The budget of one metric: ``budget("final_from_commit", p95="800ms")``.

    The limits are ``p50``, ``p90``, ``p95``, ``p99``, ``max`` and ``mean``, at least
    one of them. Metrics of the instrument alone (`CATALOGUE`, not ``gated``) are
    refused, and so is a confidence for a maximum or a mean. A `BudgetError` names
    what may be written.
    """
    gated = [name for name, entry in CATALOGUE.items() if entry.gated]
    if metric not in CATALOGUE:
        raise BudgetError(f"there is no metric {metric!r}; there are {_names(gated)}")
    if metric not in gated:
        raise BudgetError(
            f"{metric} measures the instrument, not the server; "
            f"set a budget on one of {_names(gated)}"
        )
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
    _check_confidence(confidence)
    if confidence is not None and not all(limit.stat.provable for limit in made):
        raise BudgetError(
            "no sample proves a maximum, and a mean has no proof here: "
            "with confidence=, give quantiles, or leave confidence= out"
        )
    if over not in (None, *Over):
        raise BudgetError(f"over={over!r} is not known; there is {_names(Over)}")
    return Budget(metric, tuple(made), confidence, None if over is None else Over(over))


def wer_threshold(
    limit: float,
    *,
    normalizer: str | Normalizer | None = None,
    confidence: float | None = None,
) -> WerThreshold:
    """The threshold of a pooled error rate; the limit is a share: 0.12 is 12 %.

    ``normalizer`` is the name of one of `NORMALIZERS`, or one's own.
    """
    if not _is_number(limit) or not 0 <= limit <= 1:
        raise BudgetError(f"the limit {limit!r} is not a share: write 0.12 for 12 %")
    _check_confidence(confidence)
    if isinstance(normalizer, str):
        if normalizer not in NORMALIZERS:
            raise BudgetError(
                f"there is no normalizer {normalizer!r}; "
                f"there are {_names(NORMALIZERS)}"
            )
        normalizer = NORMALIZERS[normalizer]
    return WerThreshold(float(limit), normalizer, confidence)


def judge(
    budget: Budget,
    samples: Sequence[Sample],
    *,
    pace: float = 1.0,
    parallel: bool = False,
) -> Judgement:
    """One finding for each limit of the budget, over all samples.

    ``pace`` is how many times faster than real time the audio was handed over;
    ``parallel`` says that sessions of other processes ran at the same time. Either
    makes every latency ``INVALID``.
    """
    disturbed = ""
    if pace != 1.0:
        disturbed = f"a latency at pace {pace:g} is not real time"
    elif parallel:
        disturbed = "sessions of other workers ran at the same time"
    return Judgement(
        budget,
        tuple(_judge(budget, limit, samples, disturbed) for limit in budget.limits),
    )


def judge_wer(
    threshold: WerThreshold, rows: Sequence[WerRow], *, seed: int = 0
) -> WerFinding:
    """The pooled error rate of all rows against the threshold.

    The interval is the wider one, on each side, of a bootstrap over utterances and of
    what as many independent errors would give. Fewer than `LEAST_UTTERANCES`
    utterances prove nothing. Words that were heard where the reference is empty are
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
    spoken = [(row.utterance, each) for row, each in counted if each.reference]
    wide = bootstrap(
        [each.wrong for _, each in spoken],
        [each.reference for _, each in spoken],
        seed=seed,
        confidence=level,
        blocks=[utterance for utterance, _ in spoken],
    )
    exact = count_interval(errors.wrong, errors.reference, level)
    low, high = min(wide[0], exact[0]), max(wide[1], exact[1])
    enough = len({utterance for utterance, _ in spoken}) >= LEAST_UTTERANCES
    within = observed <= limit
    proven = enough and (high <= limit if within else low > limit)
    verdict = Verdict.PASS if within else Verdict.FAIL
    reason = ""
    if threshold.confidence is not None and not proven:
        verdict = Verdict.INCONCLUSIVE
        reason = "the interval holds the limit; more utterances would narrow it"
        if not enough:
            reason = f"fewer than {LEAST_UTTERANCES} utterances prove nothing"
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
    )


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none it is ``FAIL``: nothing was measured."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.FAIL)


def headline(finding: Finding | WerFinding) -> str:
    """All of a finding in one line, the first and often the only one that is kept."""
    if isinstance(finding, WerFinding):
        return _wer_line(finding)
    name = f"{finding.metric} {finding.limit.stat}"
    if finding.observed is None:
        return f"{name} <= {_number(finding.limit.ms)} ms: {finding.reason}"
    compared = _compared(finding.observed, finding.limit.ms, _number, " ms")
    parts = [_counted([f"n={finding.n}", f"{finding.over} over"], finding.lost)]
    if finding.interval is not None:
        parts.insert(0, _interval(finding.interval, finding.level, _number))
    if finding.verdict is not Verdict.INVALID:
        parts += _proof(finding)
    tail = ""
    if finding.verdict is Verdict.FAIL:
        late = f"late {_number(finding.late_ms)} ms"
        if finding.excused:
            late += f"; {finding.excused} more over but late, not counted against it"
        tail = f"; server, not instrument ({late})"
    elif finding.verdict is Verdict.INVALID:
        tail = f"; INVALID, the server is not blamed: {finding.reason}"
    elif finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{name} = {compared} ({'; '.join(parts)}){tail}"


def details(finding: WerFinding, *, width: int = 80) -> str:
    """The worst rows of a threshold with their aligned texts; empty without errors."""
    blocks = []
    for row, alignment in finding.worst:
        errors = alignment.errors
        head = f"{row.label} {row.utterance}: {_missed(alignment)} wrong of"
        head += f" {errors.reference}" + (f", {row.lost}" if row.lost else "")
        blocks.append(f"{head}\n{lines(alignment, width=width)}")
    return "\n".join(blocks)


def _judge(
    budget: Budget, limit: Limit, samples: Sequence[Sample], disturbed: str
) -> Finding:
    n = len(samples)
    level = budget.confidence or SHOWN
    lost = _tally(sample.lost for sample in samples if sample.lost)
    missing = [each for each in samples if each.value is None and not each.lost]
    if missing or not samples:
        needs = CATALOGUE[budget.metric].needs
        reason = f"cannot be measured in {len(missing)} of {n} sessions: needs {needs}"
        return Finding(
            budget.metric,
            limit,
            Verdict.FAIL,
            n,
            level,
            lost=lost,
            reason=reason if samples else _NOTHING,
            worst=tuple(missing[:WORST]),
        )
    stat, most = limit.stat, limit.ms
    values = [sample.counted for sample in samples]
    bound = max(LATE_MS, LATE_SHARE * most)
    over = [sample for sample in samples if sample.counted > most]
    prompt = [s.counted - (s.late_ms if s.late_ms > bound else 0.0) for s in samples]
    excused = [
        sample
        for sample, least in zip(samples, prompt, strict=True)
        if least <= most < sample.counted
    ]
    blamed = [
        sample for sample, least in zip(samples, prompt, strict=True) if least > most
    ]
    verdict = _verdict(values, limit, budget.confidence)
    again = _verdict(prompt, limit, budget.confidence)
    needed = None
    if stat.provable is not None:
        needed = samples_needed(stat.provable, level, over=len(over))
    reason = ""
    if verdict is Verdict.INCONCLUSIVE and needed is not None:
        reason = f"{needed - n} more sessions within the limit would prove it"
    if disturbed:
        verdict, reason = Verdict.INVALID, disturbed
    elif again is not verdict:
        verdict = Verdict.INVALID
        late = [sample.late_ms for sample in samples if sample.late_ms > bound]
        reason = (
            f"the instrument was late in {len(late)} of {n} sessions "
            f"(up to {_number(max(late))} ms; more than {_number(bound)} ms is late)"
        )
    return Finding(
        metric=budget.metric,
        limit=limit,
        verdict=verdict,
        n=n,
        level=level,
        observed=_statistic(values, stat),
        interval=None
        if stat.provable is None
        else quantile_interval(values, stat.provable, level),
        over=len(over),
        lost=lost,
        proven=_is_proven(verdict, stat, len(over), len(blamed), n, level),
        needed=needed,
        late_ms=max(sample.late_ms for sample in blamed or samples),
        excused=len(excused),
        reason=reason,
        worst=tuple(sorted(samples, key=lambda s: s.counted, reverse=True)[:WORST]),
    )


def _verdict(values: list[float], limit: Limit, confidence: float | None) -> Verdict:
    q = limit.stat.provable
    if confidence is None or q is None:
        within = _statistic(values, limit.stat) <= limit.ms
        return Verdict.PASS if within else Verdict.FAIL
    over = sum(value > limit.ms for value in values)
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
    counts = [f"n={finding.n}", f"{errors.reference} {_UNITS[finding.name]}"]
    wrong = f"S={errors.substitutions} D={errors.deletions} I={errors.insertions}"
    if errors.unspoken:
        wrong += f", {errors.unspoken} heard where nothing was said"
    parts = [
        _interval(finding.interval, finding.level, _share),
        _counted([*counts, wrong], finding.lost),
        "+".join(finding.normalizers),
        "proven" if finding.proven else "not proven",
    ]
    tail = ""
    if finding.verdict is Verdict.INCONCLUSIVE:
        tail = f"; INCONCLUSIVE: {finding.reason}"
    return f"{finding.name} = {compared} ({'; '.join(parts)}){tail}"


_UNITS = {"wer": "words", "cer": "characters", "wer+cer": "words and characters"}


def _proof(finding: Finding) -> list[str]:
    if finding.proven:
        return ["proven"]
    if finding.limit.stat is Stat.MEAN:
        return []
    if finding.limit.stat is Stat.MAX:
        return ["not proven: no sample proves a maximum"]
    if finding.verdict is Verdict.FAIL:
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
    observed: float, limit: float, show: Callable[..., str], unit: str = ""
) -> str:
    """Both numbers, with so many digits that the one over the other looks so."""
    sign = "<=" if observed <= limit else ">"
    left, right, more = show(observed), show(limit), 1
    while left == right and observed != limit and more < 9:
        left, right = show(observed, more), show(limit, more)
        more += 1
    return f"{left}{unit} {sign} {right}{unit}"


def _number(ms: float, more: int = 0) -> str:
    if math.isinf(ms):
        return "inf" if ms > 0 else "-inf"
    digits = (0 if abs(ms) >= 99.95 else 1) + more
    text = f"{ms:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _share(rate: float, more: int = 0) -> str:
    return "inf" if math.isinf(rate) else f"{rate:.{3 + more}f}"
