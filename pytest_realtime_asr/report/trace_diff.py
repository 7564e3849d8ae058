"""The text that says where two recorded sessions begin to differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import offline
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics import CATALOGUE, measure
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.report import alignment, messages, trace_show
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.report.session_chart import Mark, SessionChart, chart
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.number_format import ms, several
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Sender, Trace
from pytest_realtime_asr.verdicts.divergence import (
    Parting,
    Step,
    parting,
    steps,
    word_times,
)

_INDENT = 6  # columns before a step
_NAME = 34  # columns for the name of a row
_COLUMN = 12  # columns for a time
_ROWS = 20  # words that are shown at most
_LONGEST = 200  # characters of a text
_SIDES = (Sender.CLIENT, Sender.SERVER)
_MARKS = {Mark.PARTIAL: "first partial", Mark.COMMIT: "commit", Mark.FINAL: "final"}


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two sessions: its name, its recording and the compared utterance."""

    name: str
    path: Path
    recording: Recording
    item: int
    utterance: Utterance | None

    @property
    def chart(self) -> SessionChart:
        return chart(self.recording, self.item)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The lines about two sessions; ``same`` says that frames and texts are equal."""

    lines: tuple[str, ...]
    same: bool


def compare(
    first: Path,
    second: Path,
    *,
    item: int | None = None,
    whole: bool = False,
    width: int = USUAL,
) -> Comparison:
    """Compare the sessions in two files.

    ``item`` is the number of the utterance in both sessions, counted from 0. ``None``
    selects the first utterance that each trace describes. With ``whole``, the times of
    all words are shown. Raises ValueError if a file is no trace, if the sessions have
    different dialects, or if there is no such utterance. Raises LookupError if a
    dialect is not installed.
    """
    traces = [records.read(path) for path in (first, second)]
    names = [trace.dialect for trace in traces]
    if len({name.partition(":")[0] for name in names}) > 1:
        raise ValueError(
            f"the sessions have different dialects ({', '.join(names)}), so their "
            "frames cannot be compared; run `trace judge` on each session instead"
        )
    one = _side("A", first, traces[0], item)
    other = _side("B", second, traces[1], item)
    found: list[str] = []
    for each in (one, other):
        server, session = trace_show.head(each.recording)
        found += [f"{each.name}  {each.path}: {server}", f"   {session}"]
    same = True
    for sender in _SIDES:
        sides = [steps(each.recording, sender) for each in (one, other)]
        apart = parting(*sides)
        same = same and apart is None
        found += _frames(sender, sides, apart, width=width)
    text, equal = _texts(one, other, width=width)
    found += [*text, *_times(one, other, whole=whole), *_metrics(one, other)]
    return Comparison(tuple(found), same and equal)


def _side(name: str, path: Path, trace: Trace, item: int | None) -> _Side:
    recording = dialects.recording(dialects.load(trace.dialect), trace)
    try:
        shown = trace_show.items(recording, item)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not shown:
        raise ValueError(f"{path}: no audio was sent in the session")
    try:
        known = offline.utterances(recording)
    except offline.OfflineError:
        known = {}
    return _Side(name, path, recording, shown[0], known.get(shown[0]))


def _frames(
    sender: Sender,
    sides: Sequence[Sequence[Step]],
    apart: Parting | None,
    *,
    width: int,
) -> Iterator[str]:
    """Yield the lines about the frames of one sender in both sessions."""
    if apart is None:
        moves = dict.fromkeys("audio" if s.audio else s.move for s in sides[0])
        names = printable(", ".join(moves))
        yield from wrapped(
            f"{sender.value}: the same {several(len(sides[0]), 'step')} ({names})",
            width,
            then="   ",
        )
        one, other = (sum(each.frames for each in side if each.audio) for side in sides)
        if one != other:
            yield f"   the audio is divided into {one} frames in A, {other} in B"
        return
    yield f"{sender.value}: differs after {several(apart.place, 'equal step')}"
    if apart.place:
        yield f"   A  {_step(sides[0][apart.place - 1], width)}"
        yield f"   B  {_step(sides[1][apart.place - 1], width)}"
    yield f" > A  {_step(apart.one, width)}"
    yield f" > B  {_step(apart.other, width)}"


def _step(step: Step | None, width: int) -> str:
    """Return one line about a step."""
    if step is None:
        return "has no further frame"
    at = f"{step.index + 1:>5} {step.at / 1e9:8.3f} s ({step.heard:.1f} s heard)"
    text = printable(" ".join(filter(None, [step.move, step.content])))
    room = max(20, width - len(at) - _INDENT - 2)
    return f"{at}  {text if len(text) <= room else f'{text[: room - 3]}...'}"


def _texts(one: _Side, other: _Side, *, width: int) -> tuple[list[str], bool]:
    """Return the lines about the texts of both sessions, and whether they are equal."""
    left, right = one.chart.text, other.chart.text
    if left == right:
        return [f"text: the same: {shortened(printable(left), _LONGEST)!r}"], True
    languages = (each.utterance.language for each in (one, other) if each.utterance)
    language = next(languages, "")
    aligned = words(left, right, language=language)
    if not aligned.errors.wrong:
        return ["text: differs only in case, punctuation or spelling"], False
    text = alignment.lines(aligned, width=width, names=("A: ", "B: "))
    return ["text:", *text.splitlines()], False


def _times(one: _Side, other: _Side, *, whole: bool) -> Iterator[str]:
    """Yield the times of marks and words in both sessions."""
    charts = one.chart, other.chart
    rows: list[tuple[str, float | None, float | None]] = []
    for kind, name in _MARKS.items():
        found = [each.first(kind) for each in charts]
        if any(mark is not None for mark in found):
            left, right = (None if mark is None else mark.at for mark in found)
            rows.append((name, left, right))
    spoken = word_times(
        one.recording,
        other.recording,
        (one.item, other.item),
        one.utterance or other.utterance,
    )
    shown = spoken if whole else spoken[:_ROWS]
    rows += [
        (
            f"  {printable(each.word)}",
            None if each.one is None else (each.one - charts[0].zero) / 1e6,
            None if each.other is None else (each.other - charts[1].zero) / 1e6,
        )
        for each in shown
    ]
    yield ""
    yield "ms from the start of the audio; for a word, the time when it was first shown"
    yield _row("", "A", "B", "B - A")
    for name, left, right in rows:
        yield _row(name, _ms(left), _ms(right), _change(left, right))
    if len(shown) < len(spoken):
        more = several(len(spoken) - len(shown), "more word")
        yield f"  {more}; --all shows them"


def _metrics(one: _Side, other: _Side) -> Iterator[str]:
    """Yield the metrics in which the sessions differ."""
    traces = (each.recording.trace for each in (one, other))
    if any(map(offline.is_private, traces)):
        return
    found = [
        measure(each.recording.timeline.item(each.item), each.utterance)
        for each in (one, other)
    ]
    yield ""
    yield _row("metrics", "A", "B", "B - A")
    for name, metric in CATALOGUE.items():
        left, right = found[0][name], found[1][name]
        if left == right:
            continue
        texts = ["-" if v is None else messages.shown(name, v) for v in (left, right)]
        change = _change(left, right) if metric.timed else ""
        yield _row(f"  {name}", *texts, change)


def _row(name: str, *cells: str) -> str:
    text = name if len(name) < _NAME else f"{name[: _NAME - 4]}..."
    return f"{text:{_NAME}}{''.join(f'{cell:>{_COLUMN}}' for cell in cells)}".rstrip()


def _ms(value: float | None) -> str:
    return "-" if value is None else ms(value)


def _change(left: float | None, right: float | None) -> str:
    if left is None or right is None:
        return ""
    change = ms(right - left)
    return change if change == "0" or change.startswith("-") else f"+{change}"
