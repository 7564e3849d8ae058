"""Comparison of two runs, utterance by utterance.

Each utterance of one run is paired with the same one of the other: the same test, id,
audio, and conditions. What decides the numbers beside the server (corpus, normaliser,
dialect, pace, chunk, sessions at a time) must be equal; rows in which it is not are
never paired, and it is named with both values. Utterances that are in one run alone are
named too.

A pair gives a difference, and the differences of a test give an effect, its interval
and the chance p that it is chance:

- Of a time, the effect is the median of the differences (limit in ms) or of the ratios
  (limit in %), and its interval a bootstrap. p is that of the signed ranks, which
  needs no shape and takes what is infinite.
- Of the word error rate, it is the difference of the pooled rates; interval and p are
  those of matched pairs.
- A session of this run without a final is infinitely late and has all its words
  deleted. A latency whose event came before what it answers is infinite. So is a value
  that this run does not have and the other has.
- What the other run lost, or did not measure, says nothing of this server. Each metric
  is then compared twice: as if those sessions of the other run had been the worst, and
  as if they had been the best. Only what both agree on stands, else the change is
  INVALID; and so it is where half of the other run's sessions were not measured.

Source: Wilcoxon (1945) for the ranks, Gillick and Cox (1989) for the matched pairs,
Holm (1979).

Many comparisons find something by chance, so all their p values are corrected together
(Holm). A change is for the worse where the interval excludes zero, p is small enough
and the effect is above its limit; it is the same where the whole interval is within the
limit on both sides; between the two, nothing is decided.
"""

from __future__ import annotations

import enum
import math
import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics import Unit as Measure
from pytest_realtime_asr.metrics.accuracy import (
    SYNTHETIC,
    Alignment,
    Errors,
    Unit,
    lines,
    pooled,
    words,
)
from pytest_realtime_asr.metrics.causality import PREMATURE, Premature
from pytest_realtime_asr.stats import by_chance, holm, matched_pairs, paired, quantile
from pytest_realtime_asr.text.number_format import several

LEVEL = 0.95  # of the intervals; p is small enough at 1 - LEVEL
RESAMPLES = 2000  # at least, and so many for each comparison:
FINE = 50  # else no p would be small enough for Holm's correction
WER = "wer"
_NAMED = 3  # utterances that are named in a line
_MARGIN = re.compile(r"(\d+\.?\d*|\.\d+)\s*(%|ms|s|pp)", re.ASCII)
_LARGEST = 1_000_000
_FORMS = "final_from_commit:5%, final_from_commit:20ms or wer:1pp"


@dataclass(frozen=True, slots=True)
class Conditions:
    """How an utterance was spoken, as far as its trace does not say it.

    ``corpus`` is the digest of the run's corpus, ``chunk`` is in seconds,
    ``concurrency`` is the number of sessions at a time. ``model`` and ``labels``, which
    say what only the user knows, are shown and not compared.
    """

    corpus: str = ""
    pace: float = 1.0
    chunk: float = 0.1
    concurrency: int = 1
    model: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one utterance, as far as two runs are compared by it.

    ``audio`` is the digest of its sound. ``lost`` is empty where there is a final.
    ``premature`` are the metrics that are not measurements, and why.
    """

    test: str
    started: datetime
    dialect: str
    utterance: str
    audio: str
    language: str
    synthetic: bool
    lost: str
    reference: str
    text: str
    normalizer: str
    unit: Unit
    errors: Errors
    metrics: Mapping[str, float | None]
    conditions: Conditions
    premature: Mapping[str, Premature] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, str | float]:
        """What must be equal in both runs, by name."""
        return {
            "corpus": self.conditions.corpus,
            "normalizer": self.normalizer,
            "dialect": self.dialect,
            "pace": self.conditions.pace,
            "chunk": self.conditions.chunk,
            "sessions at a time": self.conditions.concurrency,
        }


_Pair = tuple[Row, Row]


class Scale(enum.StrEnum):
    """In what a change is counted."""

    SHARE = "%"
    MS = "ms"
    POINTS = "pp"


@dataclass(frozen=True, slots=True)
class Margin:
    """How much a metric may grow: a share (0.05), ms, or a rate (0.01 is 1 pp)."""

    metric: str
    size: float
    scale: Scale


class Outcome(enum.Enum):
    """What became of a metric."""

    SAME = "same"
    BETTER = "better"
    UNDECIDED = "undecided"
    INVALID = "INVALID"
    WORSE = "worse"


@dataclass(frozen=True, slots=True)
class Change:
    """A metric of the test in both runs.

    ``before`` and ``now`` are medians in ms, of an error rate the pooled rates.
    ``effect`` and ``interval`` are on the scale of the margin; ``p`` is corrected for
    ``family`` comparisons. ``clips`` are different utterances: pairs of the same one
    are no proof. ``lost`` counts the sessions without a final in either run,
    ``premature`` those whose value is not a measurement, by reason. ``unmeasured``
    counts why sessions of the other run are no measurements.
    ``worst`` is the pair that got worse the most. ``gated`` says that a limit was set,
    so that the test fails by it. ``reason`` says why it cannot be judged, else it is
    empty.
    """

    margin: Margin
    n: int
    clips: int
    before: float
    now: float
    effect: float
    interval: tuple[float, float]
    p: float
    lost: tuple[int, int]
    worst: tuple[Row, Row]
    reason: str = ""
    family: int = 1
    gated: bool = False
    premature: tuple[tuple[Premature, tuple[int, int]], ...] = ()
    unmeasured: tuple[tuple[str, int], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """What became of it, by the interval, by p and by the limit."""
        low, high = self.interval
        size = self.margin.size
        if self.reason:
            return Outcome.INVALID
        if -size <= low and high <= size:
            return Outcome.SAME
        if self.p <= 1 - LEVEL:
            if low > 0 and self.effect > size:
                return Outcome.WORSE
            if high < 0 and self.effect < -size:
                return Outcome.BETTER
        return Outcome.UNDECIDED

    @property
    def few(self) -> str:
        """Why no change of a time could be shown, whatever was measured; else empty.

        The signs of so few clips are all alike by chance too often.
        """
        least = math.ceil(1 + math.log2(self.family / (1 - LEVEL)) - 1e-9)
        if self.margin.metric == WER or self.clips >= least:
            return ""
        needs = "comparison needs" if self.family == 1 else "comparisons need"
        clips = several(self.clips, "clip")
        return (
            f"{self.name} can show no change: it has {clips}, and "
            f"{self.family} {needs} {least}"
        )

    @property
    def failed(self) -> bool:
        """Whether its test fails by it."""
        return self.gated and (self.outcome is Outcome.WORSE or bool(self.reason))

    @property
    def name(self) -> str:
        """The metric; an error rate that counts characters is the CER."""
        chars = self.margin.metric == WER and self.worst[1].unit is Unit.CHARACTER
        return "cer" if chars else self.margin.metric

    @property
    def line(self) -> str:
        """All of it in one line: the number, the limit, how sure, the worst pair."""
        if self.reason:
            return f"{self.name} {self.outcome.value}: {self.reason}"
        scale, (low, high) = self.margin.scale, self.interval
        sign = ">" if self.effect > self.margin.size else "<="
        parts = [
            f"{LEVEL:.0%} CI {_shown(low, scale, '+')} to {_shown(high, scale, '+')}",
            f"p={self.p:.2g} of {several(self.family, 'comparison')}",
            f"n={several(self.n, 'pair')}",
            f"{self._value(self.before)} -> {self._value(self.now)}",
        ]
        if any(self.lost):
            parts.append(f"lost {self.lost[0]} -> {self.lost[1]}")
        for why, (before, now) in self.premature:
            parts.append(f"{PREMATURE[why]} {before} -> {now}")
        if self.margin.metric == WER and self.worst[1].synthetic:
            parts.append(SYNTHETIC)
        compared = f"{_shown(self.effect, scale, '+')} {sign} "
        compared += _shown(self.margin.size, scale)
        few = f"; {self.few}" if self.few and self.outcome is Outcome.UNDECIDED else ""
        return (
            f"{self.name} {self.outcome.value}: {compared} ({'; '.join(parts)})"
            f"{self._example}{few}"
        )

    @property
    def details(self) -> str:
        """The worst pair of an error rate, both texts word by word; else empty."""
        if self.margin.metric != WER:
            return ""
        return "\n".join(
            f"{row.utterance} {when}\n{lines(_aligned(row))}"
            for when, row in zip(("before", "now"), self.worst, strict=True)
        )

    @property
    def _example(self) -> str:
        """The worst pair, if it got worse at all."""
        before, now = self.worst
        if self.margin.metric == WER:
            if now.errors.wrong <= before.errors.wrong:
                return ""
            wrong = f"{before.errors.wrong} -> {now.errors.wrong} wrong"
            return f"; worst {now.utterance}: {wrong} of {now.errors.reference}"
        old, new = (_ms(row, self.margin.metric) for row in self.worst)
        if new <= old:
            return ""
        return f"; worst {now.utterance}: {self._value(old)} -> {self._value(new)}"

    def _value(self, value: float) -> str:
        return _shown(value, Scale.SHARE if self.margin.metric == WER else Scale.MS)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A condition in which two runs of a test differ, with the values of both."""

    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {', '.join(self.before)} -> {', '.join(self.now)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test compared with what it was in another run, which is called ``other``.

    ``head`` says what was compared: the models and the labels. ``pairs`` is how many
    utterances both have, ``alone_before`` and ``alone_now`` are the ids of those
    without a partner, ``mismatches`` the conditions that differ, which may be why.
    ``unmeasured`` are the limits for which no pair has a value. ``gated`` says that
    there are limits at all, without which it fails nothing.
    """

    other: str
    head: tuple[str, ...]
    pairs: int
    changes: tuple[Change, ...]
    mismatches: tuple[Mismatch, ...]
    alone_before: tuple[str, ...]
    alone_now: tuple[str, ...]
    unmeasured: tuple[str, ...]
    gated: bool

    @property
    def refusal(self) -> str:
        """Why nothing of it could be compared, else empty.

        A test that the other run does not have is new, and not refused.
        """
        if self.pairs or not self.alone_before:
            return ""
        why = "; ".join(map(str, self.mismatches)) or self._alone
        return f"no utterance could be paired: {why}"

    @property
    def invalid(self) -> bool:
        """Whether it fails its test, and nothing of that speaks of the server."""
        worse = any(c.gated and c.outcome is Outcome.WORSE for c in self.changes)
        return bool(self.failures) and not worse

    @property
    def failures(self) -> list[str]:
        """Why the test fails by the limits; what cannot be compared does too."""
        if not self.gated:
            return []
        found = [self.refusal] if self.refusal else []
        for change in self.changes:
            if change.failed:
                found.append("\n".join(filter(None, (change.line, change.details))))
        return self._named(found)

    @property
    def warnings(self) -> list[str]:
        """The limits by which the test cannot fail, for want of clips or of values."""
        found = [each.few for each in self.changes if each.gated and not each.reason]
        if self.pairs and self.unmeasured:
            none = ", ".join(self.unmeasured)
            found.append(f"{none} can show no change: no pair has a value")
        return self._named(filter(None, found))

    @property
    def lines(self) -> list[str]:
        """All of it, to be read."""
        if not (self.pairs or self.alone_before):
            return self._named(["this test is not in it"])
        first = "; ".join([*self.head, self.refusal or several(self.pairs, "pair")])
        found = self._named([first])
        if self.pairs and self.mismatches:
            found.append(f"rows not paired: {'; '.join(map(str, self.mismatches))}")
        if self.pairs and self._alone:
            found.append(self._alone)
        return [*found, *(change.line for change in self.changes)]

    @property
    def _alone(self) -> str:
        sides = (("before", self.alone_before), ("now", self.alone_now))
        return "; ".join(f"only {name}: {_some(ids)}" for name, ids in sides if ids)

    def _named(self, lines: Iterable[str]) -> list[str]:
        return [f"compared with {self.other}: {line}" for line in lines]


def parse(text: str) -> tuple[Margin, ...]:
    """The limits of a text such as ``final_from_commit:5%,wer:1pp``.

    A time has its limit in % or as a duration, the word error rate in percentage
    points, since a % of it could be either. Raises ValueError, which says what may be
    written.
    """
    found: dict[str, Margin] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        margin = _margin(part)
        if margin.metric in found:
            raise ValueError(f"{margin.metric} has two limits; give one")
        found[margin.metric] = margin
    if not found:
        raise ValueError(f"no limit; it should look like {_FORMS}")
    return tuple(found.values())


def _margin(part: str) -> Margin:
    name, colon, amount = (each.strip() for each in part.partition(":"))
    read = _MARGIN.fullmatch(amount)
    if not colon or read is None:
        raise ValueError(f"{part!r} is no limit; it should look like {_FORMS}")
    times = [
        each
        for each, entry in CATALOGUE.items()
        if entry.gated and entry.unit is Measure.MS
    ]
    if name != WER and name not in times:
        raise ValueError(
            f"{name!r} is no time of the server to be compared; "
            f"there are {', '.join([WER, *times])}"
        )
    number, unit = float(read[1]), read[2]
    if number > _LARGEST:
        raise ValueError(f"{part!r}: a limit is {_LARGEST} at most")
    match unit:
        case "pp" if name == WER:
            return Margin(name, number / 100, Scale.POINTS)
        case "%" if name != WER:
            return Margin(name, number / 100, Scale.SHARE)
        case "ms" | "s" if name != WER:
            return Margin(name, number * (1000 if unit == "s" else 1), Scale.MS)
    example = "1pp, in percentage points" if name == WER else "5% or 20ms"
    raise ValueError(f"{part!r}: {name} has a limit such as {example}")


SHOWN = parse(
    "first_partial_from_speech:5%, final_from_commit:5%, final_from_speech_end:20ms, "
    "wer:1pp"
)
"""What is compared in any case; it fails no test."""


def together(test: str, utterance: str) -> str:
    """The name of the tests that differ in their utterance alone: they are compared
    as one.

    ``test_it.py::test_it[go-forward]`` is one of ``test_it.py::test_it[*]``; a test
    whose id does not hold that of its utterance is alone, under its own name.
    """
    escaped = utterance.encode("unicode_escape").decode("ascii")  # as pytest does
    for id in (utterance, escaped):
        name, found = re.subn(
            rf"(?<=[\[-]){re.escape(id)}(?=[\]-])", "*", test, count=1
        )
        if found:
            return name
    return test


def compare(
    other: str,
    before: Iterable[Row],
    now: Iterable[Row],
    margins: Sequence[Margin] = (),
    *,
    tests: int = 1,
) -> Comparison:
    """The rows of one test against those that it has in another run.

    The test fails by the ``margins``; what is in `SHOWN` is compared beside them, as a
    family of its own. ``tests`` is how many are compared in all: each has its equal
    part of the chance to fail by chance (Bonferroni), and its metrics share that part
    (Holm). The same rows give the same comparison.
    """
    gated = {margin.metric for margin in margins}
    beside = [margin for margin in SHOWN if margin.metric not in gated]
    pairs, left, right = _pair(_in_order(before), _in_order(now))
    judged = _family(pairs, margins, tests)
    measured = {change.margin.metric for change in judged}
    old, new = zip(*pairs, strict=True) if pairs else ((), ())
    return Comparison(
        other=other,
        head=_head([*old, *left], [*new, *right]),
        pairs=len(pairs),
        changes=(
            *(replace(change, gated=True) for change in judged),
            *_family(pairs, beside, tests),
        ),
        mismatches=_mismatches(left, right),
        alone_before=tuple(row.utterance for row in left),
        alone_now=tuple(row.utterance for row in right),
        unmeasured=tuple(m.metric for m in margins if m.metric not in measured),
        gated=bool(margins),
    )


def _family(
    pairs: Sequence[_Pair], margins: Iterable[Margin], tests: int
) -> list[Change]:
    """What became of the metrics that have a value, corrected together."""
    measured = [(each, _measured(pairs, each.metric)) for each in margins]
    rows = [(margin, found) for margin, found in measured if found]
    changes = _corrected(rows, tests, best=False)
    if not any(change.unmeasured for change in changes):
        return changes
    strict = _corrected(rows, tests, best=True)
    return list(map(_certain, changes, strict))


def _certain(lenient: Change, strict: Change) -> Change:
    """What stands whatever the other run would have measured where it did not.

    It was compared as if that had been the worst (``lenient``) and the best.
    """
    none = sum(count for _, count in lenient.unmeasured)
    if not none:
        return lenient
    if 2 * none < lenient.n:
        if lenient.outcome is Outcome.WORSE:
            return lenient
        if strict.outcome in (Outcome.SAME, Outcome.BETTER):
            return strict
    counts = ", ".join(f"{count} {why}" for why, count in lenient.unmeasured)
    reason = (
        f"the baseline was measured in {lenient.n - none} of "
        f"{several(lenient.n, 'session')} ({counts}), and the outcome depends on "
        "the rest; mend the baseline, or record it again"
    )
    return replace(lenient, reason=reason)


def _corrected(
    rows: Sequence[tuple[Margin, Sequence[_Pair]]], tests: int, *, best: bool
) -> list[Change]:
    """The changes of these metrics; ``best`` as in `_time`."""
    size = tests * len(rows)
    changes = [
        _rate(margin, found, best=best)
        if margin.metric == WER
        else _time(margin, found, max(RESAMPLES, FINE * size), best=best)
        for margin, found in rows
    ]
    return [
        replace(change, p=min(1.0, tests * p), family=size)
        for change, p in zip(changes, holm([c.p for c in changes]), strict=True)
    ]


def _in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.started)


def _pair(
    before: Sequence[Row], now: Sequence[Row]
) -> tuple[list[_Pair], list[Row], list[Row]]:
    """The pairs in the order of now, and the rows of either run that have none.

    Of several rows of an utterance, the first goes with the first, and so on.
    """
    waiting: dict[object, list[Row]] = {}
    for row in before:
        waiting.setdefault(_key(row), []).append(row)
    pairs, alone = [], []
    for row in now:
        if there := waiting.get(_key(row)):
            pairs.append((there.pop(0), row))
        else:
            alone.append(row)
    return pairs, [row for rows in waiting.values() for row in rows], alone


def _key(row: Row) -> object:
    return (row.utterance, row.audio, *row.fixed.values())


def _mismatches(before: Sequence[Row], now: Sequence[Row]) -> tuple[Mismatch, ...]:
    """In what the rows without a partner differ."""
    if not (before and now):
        return ()
    found = []
    for name in before[0].fixed:
        old, new = (
            tuple(sorted({f"{row.fixed[name]}" for row in rows}))
            for rows in (before, now)
        )
        if old != new:
            found.append(Mismatch(name, old, new))
    return tuple(found)


def _measured(pairs: Sequence[_Pair], metric: str) -> list[_Pair]:
    """The pairs that have a part in the comparison of a metric.

    Two that are lost have one, where any other pair has a value.
    """
    if metric == WER:
        return [pair for pair in pairs if pair[1].errors.reference]

    def there(pair: _Pair) -> bool:
        return any(row.metrics.get(metric) is not None for row in pair)

    if not any(map(there, pairs)):
        return []
    return [pair for pair in pairs if there(pair) or all(row.lost for row in pair)]


def _no_value(row: Row, metric: str) -> str:
    """Why a metric of a row is not a measurement, in a few words; else empty."""
    if row.lost or metric == WER:
        return row.lost
    if metric in row.premature:
        return PREMATURE[row.premature[metric]]
    return "without a value" if row.metrics.get(metric) is None else ""


def _unmeasured(pairs: Iterable[_Pair], metric: str) -> tuple[tuple[str, int], ...]:
    """Why sessions of the other run are no measurements, each with its count."""
    found = Counter(filter(None, (_no_value(row, metric) for row, _ in pairs)))
    return tuple(found.most_common())


def _ms(row: Row, metric: str) -> float:
    """The value as it is compared: infinite where it is over every limit."""
    value = row.metrics.get(metric)
    return math.inf if value is None or _no_value(row, metric) else value


def _time(
    margin: Margin, pairs: Sequence[_Pair], resamples: int, *, best: bool
) -> Change:
    """A time in both runs: the median of the differences, or of the ratios.

    What the other run did not measure counts as the worst, or as the ``best``.
    """
    metric, share = margin.metric, margin.scale is Scale.SHARE
    before = [_ms(row, metric) for row, _ in pairs]
    now = [_ms(row, metric) for _, row in pairs]
    reason = ""
    effect, low, high, p = math.nan, -math.inf, math.inf, 1.0
    both = list(zip(before, now, strict=True))
    if share and min(*before, *now) <= 0:
        reason = "values of zero and less have no ratio; give its limit in ms"
    else:
        steps = [
            math.inf if best and math.isinf(old) else _step(old, new, share=share)
            for old, new in both
        ]
        finite = [abs(step) for step in steps if math.isfinite(step)]
        # Only its place among the others matters to a median, so that any number will
        # do for infinity that is larger than all of them.
        far = 1000 * (max(finite, default=0.0) or 1.0)
        clips = [row.utterance for _, row in pairs]
        found = paired(
            [min(far, max(-far, step)) for step in steps],
            median=True,
            blocks=clips,
            confidence=LEVEL,
            resamples=resamples,
        )
        p = by_chance(_ranks(steps), blocks=clips, resamples=resamples)
        effect, low, high = (
            _whole(value, far, share=share)
            for value in (found.value, found.low, found.high)
        )
    return Change(
        margin=margin,
        n=len(pairs),
        clips=_clips(pairs),
        before=quantile(before, 0.5),
        now=quantile(now, 0.5),
        effect=effect,
        interval=(low, high),
        p=p,
        lost=_lost(pairs),
        worst=pairs[max(range(len(both)), key=lambda i: _step(*both[i], share=False))],
        reason=reason,
        premature=_premature(pairs, metric),
        unmeasured=_unmeasured(pairs, metric),
    )


def _rate(margin: Margin, pairs: Sequence[_Pair], *, best: bool) -> Change:
    """The pooled error rates of both runs, and the matched-pairs test of the errors.

    A text that the other run lost counts as all wrong, or as the ``best``: as right.
    """
    errors = [
        Errors(hits=row.errors.reference) if best and row.lost else row.errors
        for row, _ in pairs
    ]
    before = pooled(errors)
    now = pooled(row.errors for _, row in pairs)
    found = matched_pairs(
        [each.wrong for each in errors],
        [row.errors.wrong for _, row in pairs],
        blocks=[row.utterance for _, row in pairs],
        confidence=LEVEL,
    )
    each = found.blocks / now.reference  # of a difference per segment, one of the rate
    return Change(
        margin=margin,
        n=len(pairs),
        clips=_clips(pairs),
        before=before.rate or 0.0,
        now=now.rate or 0.0,
        effect=found.value * each,
        interval=(found.low * each, found.high * each),
        p=found.p,
        lost=_lost(pairs),
        unmeasured=_unmeasured(pairs, WER),
        worst=max(pairs, key=lambda pair: pair[1].errors.wrong - pair[0].errors.wrong),
    )


def _clips(pairs: Iterable[_Pair]) -> int:
    return len({row.utterance for _, row in pairs})


def _step(before: float, now: float, *, share: bool) -> float:
    """The difference, or the logarithm of the ratio; two that are lost are equal."""
    if before == now:
        return 0.0
    both = math.isfinite(before) and math.isfinite(now)
    return math.log(now / before) if share and both else now - before


def _ranks(steps: Sequence[float]) -> list[float]:
    """The place of each step by its size, with its sign; equal ones share a place."""
    sizes = sorted(map(abs, steps))
    places = [bisect_left(sizes, abs(s)) + bisect_right(sizes, abs(s)) for s in steps]
    return [
        math.copysign(place + 1, step) / 2 if step else 0.0
        for place, step in zip(places, steps, strict=True)
    ]


def _whole(value: float, far: float, *, share: bool) -> float:
    """A median as a change, infinite where it is made of a lost session."""
    if abs(value) > far / 3:
        value = math.copysign(math.inf, value)
    return math.expm1(value) if share else value


def _lost(pairs: Iterable[_Pair]) -> tuple[int, int]:
    before, now = zip(*pairs, strict=True)
    return sum(bool(row.lost) for row in before), sum(bool(row.lost) for row in now)


def _premature(
    pairs: Iterable[_Pair], metric: str
) -> tuple[tuple[Premature, tuple[int, int]], ...]:
    """The sessions of either run that are not lost, and yet not measurements."""
    before, now = (
        Counter(row.premature[metric] for row in rows if _is_premature(row, metric))
        for rows in zip(*pairs, strict=True)
    )
    return tuple((why, (before[why], now[why])) for why in before | now)


def _is_premature(row: Row, metric: str) -> bool:
    return metric in row.premature and not row.lost


def _aligned(row: Row) -> Alignment:
    """The text as a person reads it: with the normaliser of today."""
    heard = None if row.lost else row.text
    return words(row.reference, heard, language=row.language)


def _head(*runs: Iterable[Row]) -> tuple[str, ...]:
    """The models and the labels of both runs."""
    told: list[dict[str, set[str]]] = []
    for rows in runs:
        values: dict[str, set[str]] = {}
        for row in rows:
            conditions = row.conditions
            for name, value in {"model": conditions.model, **conditions.labels}.items():
                values.setdefault(name, set()).add(value)
        told.append(values)
    names = dict.fromkeys(name for values in told for name in values)
    lines = []
    for name in names:
        old, new = (", ".join(sorted(v.get(name, ()))) or "-" for v in told)
        lines.append(f"{name} {old}" if old == new else f"{name} {old} -> {new}")
    return tuple(lines)


def _shown(value: float, scale: Scale, sign: str = "") -> str:
    if scale is Scale.MS:
        digits = 0 if abs(value) >= 99.95 else 1
        return f"{value:{sign}.{digits}f} ms"
    unit = "%" if scale is Scale.SHARE else " pp"
    return f"{100 * value:{sign}.{1 if scale is Scale.SHARE else 2}f}{unit}"


def _some(ids: Sequence[str]) -> str:
    every = list(dict.fromkeys(ids))
    more = len(every) - _NAMED
    shown = ", ".join(every[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{len(ids)} ({shown})"
