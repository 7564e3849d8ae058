"""What one test did with its sessions, and what is to be said of it at its end.

A session belongs to the test that was running when it opened. At the end of the test
all its sessions are closed and judged, so that it is the test itself that fails.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_realtime_asr import dialects, metrics
from pytest_realtime_asr.budgets import (
    Budget,
    Finding,
    Judgement,
    Sample,
    Verdict,
    WerFinding,
    WerRow,
    details,
    headline,
    judge,
    judge_wer,
    worst,
)
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.evidence import Part
from pytest_realtime_asr.metrics.accuracy import (
    Alignment,
    Errors,
    Unit,
    characters,
    pooled,
    words,
)
from pytest_realtime_asr.metrics.pacing import Counts, counts, lateness
from pytest_realtime_asr.rules import Level, Requirement, Violation, observe
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.terms import Terms
from pytest_realtime_asr.timeline import Timeline, Usage
from pytest_realtime_asr.trace import Trace

_SHOWN = 120  # characters of a text in a message


@dataclass(frozen=True)
class Transcription:
    """What became of one utterance.

    ``lost`` and ``reason`` say in a word and in a sentence why there is no final, else
    they are empty; ``text`` is then what had been said by then. ``raised`` says that
    the test was told of it by an exception. ``timeline`` is that of the utterance
    alone, ``trace`` that of its whole session. ``found`` says how the dialect was
    found, empty where it was named.
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

    @cached_property
    def text(self) -> str:
        """The final text."""
        return self.timeline.text

    @property
    def partials(self) -> tuple[str, ...]:
        """Each text that was shown, the final one last."""
        return tuple(text for _, text in self.timeline.hypotheses())

    @property
    def usage(self) -> Usage | None:
        """What the server counted."""
        return self.timeline.final.usage if self.timeline.final else None

    @cached_property
    def metrics(self) -> Mapping[str, float | None]:
        """Every metric by name, ``None`` where what it needs is not there."""
        return metrics.measure(self.timeline, self.utterance)

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
        name = self.session or f"{self.utterance.id}@{begun}"
        return f"{name}#{self.item + 1}" if self.item else name


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be said of one test, the same for every view.

    ``failures`` says why it fails, ``paths`` are the trace files that were written.
    """

    test: str
    takes: tuple[Transcription, ...]
    judgements: tuple[Judgement, ...] = ()
    wer: tuple[WerFinding, ...] = ()
    violations: tuple[tuple[Violation, Trace], ...] = ()
    failures: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

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
        return worst(found) if found else None


def report(
    test: str,
    takes: Sequence[Transcription],
    sessions: Iterable[tuple[tuple[Requirement, ...], Part]],
    terms: Terms,
    *,
    pools: Mapping[Budget, Sequence[Transcription]],
    paths: Mapping[str, str],
) -> Report:
    """Judge a test by its terms.

    ``sessions`` are all that it opened, each with its rules. ``pools`` are the budgets
    that are judged here, each with its takes. ``paths`` are the trace files that were
    written, by label.
    """
    violated = tuple(
        (violation, part.trace)
        for rules, part in sessions
        for violation in observe(rules, part)
    )
    failures: list[str] = []
    judgements = []
    for budget, pool in pools.items():
        counted = [take for take in pool if _counts(take, budget.metric)]
        samples = [_sample(take, budget.metric, paths) for take in counted]
        found = judge(budget, samples, pace=terms.pace, parallel=terms.parallel)
        judgements.append(found)
        failures += [
            _explain(finding, pool)
            for finding in found.findings
            if finding.verdict is not Verdict.PASS
        ]
    wer = tuple(judge_wer(t, [_row(take) for take in takes]) for t in terms.thresholds)
    failures += [
        "\n".join(filter(None, (headline(finding), details(finding))))
        for finding in wer
        if finding.verdict is not Verdict.PASS
    ]
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
    )


def _counts(take: Transcription, metric: str) -> bool:
    """Whether a take counts for a metric: those of the connection count once."""
    return take.item == 0 or metric not in metrics.ONCE


def _sample(take: Transcription, metric: str, paths: Mapping[str, str]) -> Sample:
    return Sample(
        label=take.label,
        value=take.metrics[metric],
        lost=take.lost,
        late_ms=lateness(take.timeline) or 0.0,
        trace=paths.get(take.label, ""),
    )


def _row(take: Transcription) -> WerRow:
    return WerRow(
        label=take.label,
        utterance=take.utterance.id,
        reference=take.utterance.text,
        hypothesis=None if take.lost else take.text,
        language=take.utterance.language,
        lost=take.lost,
    )


def _explain(finding: Finding, takes: Sequence[Transcription]) -> str:
    """The headline, and the worst sessions below it."""
    lines = [headline(finding)]
    by_label = {take.label: take for take in takes}
    for sample in finding.worst:
        take = by_label[sample.label]
        value = sample.lost or (
            "not measured" if sample.value is None else f"{sample.value:.0f} ms"
        )
        when = f"{take.trace.started:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"  {value:>12}  {take.utterance.id}  {sample.label}  {when}")
        if take.reason:
            lines.append(f"{'':14}{take.reason}")
        if sample.trace:
            lines.append(f"{'':14}trace: {sample.trace}")
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
    return pooled(each.errors for each in aligned if each.unit is Unit.WORD)


def character_errors(takes: Iterable[Transcription]) -> Errors:
    """The pooled errors of all takes by characters: the CER."""
    return pooled(take.characters.errors for take in takes)


def statistics(takes: Sequence[Transcription]) -> dict[str, dict[str, float]]:
    """``p50``, ``p95``, ``max`` and ``n`` of each metric that some take has.

    A lost take is infinite in every metric of the server. Metrics of the connection
    count once for each session.
    """
    found: dict[str, dict[str, float]] = {}
    for name, metric in metrics.CATALOGUE.items():
        counted = (take for take in takes if _counts(take, name))
        given = (
            math.inf if take.lost and metric.gated else take.metrics[name]
            for take in counted
        )
        values = [value for value in given if value is not None]
        if any(map(math.isfinite, values)):
            found[name] = {
                "p50": quantile(values, 0.5),
                "p95": quantile(values, 0.95),
                "max": max(values),
                "n": len(values),
            }
    return found
