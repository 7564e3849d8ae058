"""The strips of the worst sessions of a failed test.

A strip draws a session over time in plain characters. It is drawn from the trace
without its secrets. The strips of a private run have no texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.metrics import CATALOGUE, LEVELS
from pytest_realtime_asr.metrics.declaration import Instant
from pytest_realtime_asr.report import strip
from pytest_realtime_asr.report.session_chart import SessionChart, chart
from pytest_realtime_asr.report.strip import Point
from pytest_realtime_asr.run.results import BrokenRule, Cause, Results, UnjudgedLoss
from pytest_realtime_asr.text.number_format import ms
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import loads
from pytest_realtime_asr.trace.timeline import Timeline
from pytest_realtime_asr.verdicts.budgets import Side
from pytest_realtime_asr.verdicts.finding import WORST, Finding
from pytest_realtime_asr.verdicts.recall import RecallFinding
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.verdict import Verdict
from pytest_realtime_asr.verdicts.wer import WerFinding

Strips = Mapping[str, Sequence[str]]
"""The lines of each strip, by the label of its session."""

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class _Excess:
    """The sample of a session, and the finding whose limit it exceeds."""

    finding: Finding
    sample: Sample


Shown = _Excess | BrokenRule
"""An excess or a violation; a strip marks it in addition to its usual marks."""


def of_causes(results: Results, *, width: int) -> list[Strips]:
    """Return, for each cause of a test's failure, the strips of the worst sessions.

    If several causes name a session, its strip appears only at the first of them, and
    shows the limits of all these causes.
    """
    takes = {take.label: take for take in (*results.takes, *results.judged.values())}
    named = [_named(cause, takes) for cause in results.failing]
    found: list[Strips] = []
    drawn: set[str] = set()
    for labels in named:
        strips = {
            label: _strip(
                takes[label],
                [one for each in named for one in each.get(label, ())],
                width=width,
                private=results.private,
            )
            for label in labels
            if label not in drawn
        }
        drawn |= strips.keys()
        found.append(strips)
    return found


def of_losses(results: Results, *, width: int) -> Strips:
    """Return the strips of the first lost utterances of a test."""
    lost = [take for take in results.takes if take.lost][:WORST]
    return {
        take.label: _strip(take, (), width=width, private=results.private)
        for take in lost
    }


def _named(
    cause: Cause, takes: Mapping[str, Transcription]
) -> Mapping[str, Sequence[Shown]]:
    """Return the labels of a cause's sessions, each with the marks of its strip."""
    labels: Iterable[str] = ()
    match cause:
        case Finding(metric=metric) if metric not in LEVELS:
            return {
                sample.label: [_Excess(cause, sample)]
                for sample in cause.worst
                if sample.label in takes and _exceeds(cause, sample)
            }
        case WerFinding():
            labels = [row.label for row, _ in cause.worst]
        case RecallFinding():
            labels = [miss.row.label for miss in cause.misses]
        case UnjudgedLoss():
            labels = [take.label for take in cause.lost]
        case BrokenRule(violation=violation) if violation.session is not None:
            recording = violation.session.recording
            here = [take for take in takes.values() if take.recording is recording]
            if len(here) == 1:  # a session with one utterance
                return {here[0].label: [cause]}
    return {label: () for label in [each for each in labels if each in takes][:WORST]}


def _exceeds(finding: Finding, sample: Sample) -> bool:
    """Return whether a sample is beyond the limit; false if the finding is INVALID."""
    if finding.verdict is Verdict.INVALID:
        return False
    value, limit = sample.measured, finding.limit
    if value is None:
        return True
    over = value > limit.value if limit.side is Side.AT_MOST else value < limit.value
    return over


def _strip(
    take: Transcription, shown: Sequence[Shown], *, width: int, private: bool
) -> Sequence[str]:
    """Return the lines of a strip; none if the trace was dropped or has no audio."""
    if (recording := _recording(take)) is None:
        return ()
    timeline = recording.timeline.item(take.item)
    private = private or take.trace.redactor.private
    found = chart(recording, take.item)
    if private:
        found = replace(found, spoken=None)
    elif found.spoken is None:
        found = replace(found, spoken=described(take.utterance))
    limits = {each.finding.metric for each in shown if isinstance(each, _Excess)}
    points = [
        point
        for each in shown
        for point in _points(each, take, found, timeline, several=len(limits) > 1)
    ]
    points = list(dict.fromkeys(points))  # two limits have the same start
    return strip.lines(found, width=width, points=points, texts=not private)


def _recording(take: Transcription) -> Recording | None:
    """Return the recording without secrets; ``None`` if it was dropped."""
    if take.kept is None:
        trace = take.trace.redacted()
        if trace is take.trace:
            return take.recording
    elif take.written is None:
        return None
    else:
        trace = loads(take.written)
    return dialects.recording(take.dialect, trace)


def _points(
    shown: Shown,
    take: Transcription,
    chart: SessionChart,
    timeline: Timeline,
    *,
    several: bool,
) -> Iterator[Point]:
    """Yield the points that a strip marks for a limit or for a violation.

    ``several`` says that the strip has limits of several metrics. Each limit is then
    shown with the name of its metric.
    """
    if isinstance(shown, BrokenRule):
        for record in shown.violation.records[:1]:
            yield Point("violation", chart.frames[record].at, line=True)
        return
    metric = CATALOGUE[shown.finding.metric]
    if metric.start is None or not metric.timed:
        return
    at = _instant(metric.start, take, timeline)
    if at is None:
        return
    start = (at - chart.zero) / _NS_PER_MS
    limit = shown.finding.limit.value
    yield Point(metric.start.value, start)
    of = f" ({metric.name})" if several else ""
    yield Point(f"limit {ms(limit)} ms{of}", start + limit, line=True)
    end, _, known = metric.name.partition("_from_")
    if known and (value := shown.sample.value) is not None and not shown.sample.lost:
        yield Point(end.replace("_", " "), start + value)


def _instant(instant: Instant, take: Transcription, timeline: Timeline) -> int | None:
    """Return the time of an instant in the trace (ns); ``None`` if it never came."""
    match instant:
        case Instant.COMMIT:
            return None if timeline.commit is None else timeline.commit.due
        case Instant.SPEECH_START:
            at = take.utterance.speech_start
        case Instant.SPEECH_END:
            at = take.utterance.speech_end
    return None if at is None else timeline.due(at)
