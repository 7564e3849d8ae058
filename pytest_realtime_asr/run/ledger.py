"""What one test did with its sessions, and what is to be said of it at its end.

A session belongs to the test that was running when it opened. At the end of the test
all its sessions are closed and judged, so that it is the test itself that fails.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_realtime_asr import dialects, metrics
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.metrics import Better, Measures
from pytest_realtime_asr.metrics.accuracy import (
    characters,
    pooled,
    unspoken_rate,
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment, Errors, TextUnit
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.keywords import keyword_recall as pooled_recall
from pytest_realtime_asr.metrics.keywords import keywords
from pytest_realtime_asr.metrics.pacing import (
    Counts,
    client_state,
    counts,
    scheduling_delay,
)
from pytest_realtime_asr.report import comparison as comparison_text
from pytest_realtime_asr.report import parity as parity_text
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import Level, Requirement
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Texts, Timeline, Usage
from pytest_realtime_asr.verdicts.budgets import Budget
from pytest_realtime_asr.verdicts.comparison import Comparison
from pytest_realtime_asr.verdicts.finding import Finding, Judgement
from pytest_realtime_asr.verdicts.fixed_sample import judge
from pytest_realtime_asr.verdicts.headline import details, headline, outcome, verdict
from pytest_realtime_asr.verdicts.parity import Parity
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.sequential import judge_in_order
from pytest_realtime_asr.verdicts.utterance_record import Conditions
from pytest_realtime_asr.verdicts.verdict import (
    Effect,
    Verdict,
    effect,
    worst,
)
from pytest_realtime_asr.verdicts.wer import WerFinding, WerRow, judge_wer

_SHOWN = 120  # characters of a text in a message


class Purpose(enum.StrEnum):
    """What an utterance was spoken for; only those of the test are judged by budgets.

    Those of the ``baseline`` go to another server, those of ``parity`` are held under
    conditions in which no time is meant to be kept. A session that the instrument
    ``disturbed`` was run again, and is kept as evidence alone.
    """

    TEST = "test"
    BASELINE = "baseline"
    PARITY = "parity"
    DISTURBED = "disturbed"


@dataclass(frozen=True)
class Transcription:
    """What became of one utterance.

    ``lost`` and ``reason`` say in a word and in a sentence why there is no final, else
    they are empty; ``text`` is then what had been said by then. ``raised`` says that
    the test was told of it by an exception. ``timeline`` is that of the utterance
    alone, ``trace`` that of its whole session. ``conditions`` are how it was spoken,
    ``again`` says that it was in the place of one that the instrument had disturbed,
    ``found`` says how the dialect was found, empty where it was named.
    """

    utterance: Utterance
    timeline: Timeline = field(repr=False)
    trace: Trace = field(repr=False)
    dialect: Dialect = field(repr=False)
    rules: tuple[Requirement, ...] = field(default=(), repr=False)
    found: str = ""
    item: int = 0
    lost: str = ""
    reason: str = ""
    raised: bool = False
    conditions: Conditions = field(default=Conditions(), repr=False)
    purpose: Purpose = Purpose.TEST
    again: bool = False

    @cached_property
    def text(self) -> str:
        """The final text."""
        return self.timeline.text

    @property
    def partials(self) -> Texts:
        """Each text that was shown, the final one last; built when it is asked for."""
        return self.timeline.texts

    @property
    def usage(self) -> Usage | None:
        """What the server counted."""
        return self.timeline.final.usage if self.timeline.final else None

    @cached_property
    def _measures(self) -> Measures:
        return metrics.measures(self.timeline, self.utterance)

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Every metric by name, ``None`` where what it needs is not there."""
        return self._measures.values

    @property
    def premature(self) -> Mapping[str, Premature]:
        """The metrics whose event came before what it answers: no measurements."""
        return self._measures.premature

    @cached_property
    def counts(self) -> Counts:
        """Audio and tokens."""
        return counts(self.timeline)

    @cached_property
    def alignment(self) -> Alignment:
        """The text against the reference, with the normaliser of its language.

        By words or, in a script that puts no spaces between them, by characters.
        """
        heard = None if self.lost else self.text
        return words(self.utterance.text, heard, language=self.utterance.language)

    @cached_property
    def characters(self) -> Alignment:
        """The same by characters, in every script."""
        heard = None if self.lost else self.text
        return characters(self.utterance.text, heard, language=self.utterance.language)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """The rules that its session broke so far."""
        return observe(self.rules, dialects.part(self.dialect, self.trace))

    @property
    def session(self) -> str:
        """The id of its session, as the server knows it."""
        return self.timeline.session

    @property
    def label(self) -> str:
        """The id of its session, with its number where it was not the first in it.

        A session without an id is told by its utterance and its begin.
        """
        begun = f"{self.trace.started:%H:%M:%S.%f}"
        known = shortened(printable(self.session), _SHOWN)
        name = known or f"{self.utterance.id}@{begun}"
        return f"{name}#{self.item + 1}" if self.item else name


@dataclass(frozen=True, slots=True)
class Order:
    """Clips that came by chance, with this seed, for a verdict in ``most`` sessions."""

    seed: int
    most: int


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be said of one test, the same for every view.

    ``failures`` says why it fails, ``warnings`` what is undecided and fails nothing,
    ``paths`` are the trace files that were written.
    """

    test: str
    takes: tuple[Transcription, ...]
    judgements: tuple[Judgement, ...] = ()
    wer: tuple[WerFinding, ...] = ()
    violations: tuple[tuple[Violation, Trace], ...] = ()
    failures: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    against: tuple[Comparison, ...] = ()
    parities: tuple[Parity, ...] = ()
    order: Order | None = None
    warnings: tuple[str, ...] = ()

    @property
    def private(self) -> bool:
        """Whether no text may be quoted."""
        return any(take.trace.redactor.private for take in self.takes)

    @property
    def planned(self) -> int:
        """Utterances that were begun."""
        return len(self.takes)

    @property
    def lost(self) -> int:
        """Utterances without a final."""
        return sum(bool(take.lost) for take in self.takes)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of all verdicts; ``None`` where there was nothing to judge."""
        found = [judgement.verdict for judgement in self.judgements]
        found += [finding.verdict for finding in self.wer]
        found += [parity.verdict for parity in self.parities]
        found += [
            Verdict.INVALID if each.invalid else Verdict.FAIL
            for each in self.against
            if each.failed
        ]
        return worst(found) if found else None

    @property
    def findings(self) -> list[Finding | WerFinding]:
        """Those of all budgets and thresholds."""
        found = [f for judgement in self.judgements for f in judgement.findings]
        return [*found, *self.wer]

    @property
    def lines(self) -> list[str]:
        """Each verdict in one line, and what it was compared with."""
        found = [verdict(finding) for finding in self.findings]
        if self.order is not None:
            found.append(
                f"the clips came by chance (seed {self.order.seed}), until decided or "
                f"{several(self.order.most, 'session')}"
            )
        found += [parity_text.summary(parity) for parity in self.parities]
        return found + [
            line for each in self.against for line in comparison_text.summary(each)
        ]


def report(
    test: str,
    takes: Sequence[Transcription],
    sessions: Iterable[tuple[tuple[Requirement, ...], Part]],
    terms: Terms,
    *,
    pools: Mapping[Budget, Sequence[Transcription]],
    paths: Mapping[str, str],
    order: Order | None = None,
    against: Sequence[Comparison] = (),
    parities: Sequence[Parity] = (),
) -> Report:
    """Judge a test by its terms.

    ``sessions`` are all that it opened, each with its rules. ``pools`` are the budgets
    that are judged here, each with its takes. ``paths`` are the trace files that were
    written, by label. With an ``order``, what can be proven in it is judged in it.
    """
    violated = tuple(
        (violation, part.trace)
        for rules, part in sessions
        for violation in observe(rules, part)
    )
    failures: list[str] = []
    warnings: list[str] = []

    def tell(verdict: Verdict, line: str, explained: str) -> None:
        match effect(verdict, terms.undecided):
            case Effect.FAIL:
                failures.append(explained)
            case Effect.WARN:
                warnings.append(line)

    judgements = []
    for budget, pool in pools.items():
        samples = _samples(pool, budget.metric, paths)
        if order is not None and _in_order(budget):
            found = _judge_in_order(budget, samples, terms, order)
        else:
            found = judge(budget, samples, pace=terms.pace, parallel=terms.parallel)
        judgements.append(found)
        for finding in found.findings:
            tell(finding.verdict, verdict(finding), _explain(finding, pool))
    wer = tuple(judge_wer(t, [_row(take) for take in takes]) for t in terms.thresholds)
    for threshold in wer:
        below = details(threshold, texts=not terms.private)
        both = filter(None, (headline(threshold), below))
        tell(threshold.verdict, verdict(threshold), "\n".join(both))
    for parity in parities:
        line = parity_text.summary(parity)
        explained = line if terms.private else parity_text.details(parity)
        tell(parity.verdict, line, explained)
    for each in against:
        failures += comparison_text.failures(each)
        warnings += comparison_text.warnings(each)
    failures += broken(violated, _levels(terms.rules))
    if terms.rules is not None and not pools and not wer:
        failures += _unjudged(takes)
    return Report(
        test=test,
        takes=tuple(takes),
        judgements=tuple(judgements),
        wer=wer,
        violations=violated,
        failures=tuple(failures),
        paths=tuple(paths.values()),
        against=tuple(against),
        parities=tuple(parities),
        order=order,
        warnings=tuple(warnings),
    )


def decided(takes: Sequence[Transcription], terms: Terms, order: Order) -> bool:
    """Whether more sessions can change no verdict that is found in order."""
    for budget in in_order(terms):
        samples = _samples(takes, budget.metric, {})
        found = _judge_in_order(budget, samples, terms, order)
        # A value that is missing stays so, and fails whatever comes.
        hopeless = bool(samples) and found.verdict is Verdict.FAIL
        if found.decided is None and not hopeless:
            return False
    return True


def in_order(terms: Terms) -> list[Budget]:
    """The budgets that a sequence of sessions can decide."""
    return list(filter(_in_order, terms.budgets))


def _in_order(budget: Budget) -> bool:
    return budget.over is None and budget.provable


def _judge_in_order(
    budget: Budget, samples: Sequence[Sample], terms: Terms, order: Order
) -> Judgement:
    return judge_in_order(
        budget, samples, most=order.most, pace=terms.pace, parallel=terms.parallel
    )


def _samples(
    takes: Iterable[Transcription], metric: str, paths: Mapping[str, str]
) -> list[Sample]:
    counted = (take for take in takes if _counts(take, metric))
    return [_sample(take, metric, paths) for take in counted]


def _counts(take: Transcription, metric: str) -> bool:
    """Whether a take counts for a metric: those of the connection count once."""
    if metric in metrics.SILENT:
        return not take.utterance.text.strip()
    return take.item == 0 or metric not in metrics.ONCE


def _sample(take: Transcription, metric: str, paths: Mapping[str, str]) -> Sample:
    beside = metrics.CATALOGUE[metric].beside
    return Sample(
        label=take.label,
        value=take.metrics[metric],
        lost=take.lost,
        late_ms=scheduling_delay(take.timeline) or 0.0,
        trace=paths.get(take.label, ""),
        clip=take.utterance.id,
        own=client_state(take.timeline),
        blocked_ms=take.metrics["send_blocked"] or 0.0,
        path_ms=take.metrics["path_round_trip"],
        again=take.again,
        beside=None if beside is None else take.metrics[beside],
        premature=take.premature.get(metric),
    )


def _row(take: Transcription) -> WerRow:
    return WerRow(
        label=take.label,
        utterance=take.utterance.id,
        reference=take.utterance.text,
        # A normaliser would spell a secret in a way that nothing finds any more.
        hypothesis=None if take.lost else take.trace.redactor.clean(take.text),
        language=take.utterance.language,
        lost=take.lost,
        speaker=take.utterance.speaker,
        synthetic=take.utterance.synthetic,
    )


def _explain(finding: Finding, takes: Sequence[Transcription]) -> str:
    """The headline, and the worst sessions below it."""
    lines = [headline(finding)]
    by_label = {take.label: take for take in takes}
    for sample in finding.worst:
        take = by_label[sample.label]
        value = outcome(finding.metric, sample)
        when = f"{take.trace.started:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"  {value:>12}  {take.utterance.id}  {sample.label}  {when}")
        if take.reason:
            lines.append(f"{'':14}{take.reason}")
        if sample.trace:
            lines.append(f"{'':14}trace: {sample.trace}")
        if take.trace.redactor.private:
            continue
        text = take.text if len(take.text) <= _SHOWN else f"{take.text[:_SHOWN]}..."
        lines.append(f"{'':14}text: {text!r}")
    return "\n".join(lines)


def broken(
    found: Iterable[tuple[Violation, Trace]],
    levels: Iterable[Level] = (Level.MUST, Level.SHOULD),
) -> list[str]:
    """One line for each broken rule of these levels: how often, and one example."""
    wanted = set(levels)
    by_id: dict[str, list[Violation]] = {}
    for violation, _ in found:
        if violation.requirement.level in wanted:
            by_id.setdefault(violation.requirement.id, []).append(violation)
    return [
        f"rule {each[0]}{_sessions(len(each))}; {each[0].requirement.clause}"
        for each in by_id.values()
    ]


def _sessions(count: int) -> str:
    return f", in {count} sessions" if count > 1 else ""


def _levels(weakest: Level | None) -> tuple[Level, ...]:
    if weakest is None:
        return ()
    return (Level.MUST,) if weakest is Level.MUST else (Level.MUST, Level.SHOULD)


def _unjudged(takes: Sequence[Transcription]) -> list[str]:
    """Lost utterances that neither a marker nor the test itself has judged."""
    lost = [take for take in takes if take.lost and not take.raised]
    if not lost:
        return []
    first = lost[0]
    return [
        f"{len(lost)} of {len(takes)} utterances have no final; "
        f"{first.utterance.id} {first.lost}: {first.reason}"
    ]


def word_errors(takes: Iterable[Transcription]) -> Errors:
    """The pooled errors of the takes that are counted by words: the WER."""
    aligned = (take.alignment for take in takes)
    return pooled(each.errors for each in aligned if each.unit is TextUnit.WORD)


def character_errors(takes: Iterable[Transcription]) -> Errors:
    """The pooled errors of all takes by characters: the CER."""
    return pooled(take.characters.errors for take in takes)


def keyword_recall(
    takes: Iterable[Transcription], entities: Iterable[str]
) -> float | None:
    """The share of these entities that was heard of what was said of them, pooled.

    Each counts as often as it stands in a reference; in a lost take all are missed.
    ``None`` where none was said. As `pytest_realtime_asr.metrics.accuracy`.
    """
    wanted = list(entities)
    found = []
    for take in takes:
        spoken, language = take.utterance.text, take.utterance.language
        # As often as the reference itself has it: what it misses was not said.
        said = [
            entity
            for entity in wanted
            for count in range(1, len(spoken.split()) + 1)
            if not keywords([entity] * count, spoken, language=language).missed
        ]
        heard = None if take.lost else take.text
        found.append(keywords(said, heard, language=language))
    return pooled_recall(found)


def unspoken(takes: Iterable[Transcription]) -> float | None:
    """Words a minute that were heard where nothing was said, pooled."""
    return unspoken_rate((take.alignment, take.counts.seconds) for take in takes)


def statistics(takes: Sequence[Transcription]) -> dict[str, dict[str, float]]:
    """``p50``, ``p95``, the worst and ``n`` of each metric that some take has.

    The worst is ``max``, or ``min`` of what is better the more it is; there, ``p95`` is
    what 95 % of the takes reach. A lost take is the worst there is in every metric of
    the server, and so is a value that is premature, and not a measurement. Metrics of
    the connection count once for each session.
    """
    found: dict[str, dict[str, float]] = {}
    for name, metric in metrics.CATALOGUE.items():
        sign = 1 if metric.better is Better.LOWER else -1
        turned, measured = [], False
        for take in takes:
            value = take.metrics[name]
            if not _counts(take, name):
                continue
            if take.lost and metric.gated:
                turned.append(math.inf)
            elif value is not None:
                turned.append(math.inf if name in take.premature else sign * value)
                measured = True
        if measured:
            found[name] = {
                "p50": sign * quantile(turned, 0.5),
                "p95": sign * quantile(turned, 0.95),
                "max" if sign > 0 else "min": sign * max(turned),
                "n": len(turned),
            }
    return found
