"""A strip: one utterance over time in plain characters, for terminals and logs.

The rows show the level of the audio, the words as they were spoken, the words as the
server first showed them, and marks such as the commit, the final and a limit. All rows
share one time axis in s, which starts at the first audio.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from pytest_realtime_asr.report.alignment import beginning, column, columns
from pytest_realtime_asr.report.layout import USUAL, Markup
from pytest_realtime_asr.report.session_chart import Mark, SessionChart
from pytest_realtime_asr.text.messages import printable
from pytest_realtime_asr.text.number_format import plain
from pytest_realtime_asr.trace.spoken import STEP
from pytest_realtime_asr.trace.timeline import common_prefix

LEAST = 40  # columns
LONGEST = 60_000  # ms that a strip without points shows at most
CLOSE = 15_000  # ms that a strip with points shows at most
_INDENT = "  "
_MARGIN = 8  # columns for the indent and the name of a row
_LEVELS = " .:-=+*#"
_DECIBELS = 4  # the step between two levels
_STAR = "*"
_FREE = 12 / 11
_CUT = "~"
_LABEL = 40  # the most columns of a label
_OFTEN = 2  # the most marks of one kind
_TICK = 8  # the least columns between two numbers of the axis
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600)  # s
_KINDS = {Mark.COMMIT, Mark.ENDPOINT, Mark.FINAL, Mark.REFUSAL}
_FIRST, _LAST = "  audio ", "  s     |"  # the first and the last line with an axis
_PLAIN: Markup = {}
_COLOURS: dict[str, Markup] = {
    "limit": {"red": True, "bold": True},
    "lost": {"red": True},
    "mark": {"bold": True},
    "changed": {"yellow": True},
}
_LIMIT = r"limit \S+ ms(?: \(\w+~?\)?)?"
_LOST = r"(?:end|refusal|violation)\b[^^]*?"
_MARK = r"(?:commit|endpoint|final|first partial|text complete)"
_LINE = re.compile(r"(?P<limit>\|)")
_COLOURED = re.compile(
    rf"(?P<limit>\^{_LIMIT}|{_LIMIT}\^|\|)"
    rf"|(?P<lost>\^{_LOST}(?=  |$)|{_LOST}\^)"
    rf"|(?P<mark>\^{_MARK}|{_MARK}\^)"
    r"|(?P<changed>\S+\*(?= |$))"
)


@dataclass(frozen=True, slots=True)
class Point:
    """An instant that a strip points at, ``at`` ms after the start of the audio.

    If ``line`` is true, a vertical line also shows the instant in the rows above.
    """

    name: str
    at: float
    line: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """The time that a strip shows in its columns: ``span`` ms from ``start`` ms on."""

    start: float
    span: float
    columns: int

    @property
    def stop(self) -> float:
        return self.start + self.span

    @property
    def step(self) -> float:
        """The ms of one column."""
        return self.span / self.columns

    def column(self, at: float) -> int | None:
        """Return the column of an instant; ``None`` if it is not shown."""
        if not self.start <= at <= self.stop:
            return None
        return min(self.columns - 1, int((at - self.start) / self.step))


@dataclass(frozen=True, slots=True)
class _Word:
    """A word that a strip shows at the instant ``at``, in ms.

    ``end`` is the index after its last character in the text. ``joined`` says that no
    space is before it. ``changed`` says that a later text changed or removed it.
    """

    text: str
    at: float
    end: int = 0
    joined: bool = False
    changed: bool = False


def lines(
    chart: SessionChart,
    *,
    width: int = USUAL,
    points: Sequence[Point] = (),
    texts: bool = True,
) -> list[str]:
    """Return the lines of a strip; there are none if no audio was sent.

    No line is wider than ``width``. ``points`` are shown beside the marks of the chart.
    A long session is shown in part: the time around the points, or the last `LONGEST`
    ms if there are no points. The last line says what is left out. If ``texts`` is
    false, a star stands for each partial, and neither words nor the server's reasons
    are shown. Raises ValueError if ``width`` is less than `LEAST`.
    """
    if width < LEAST:
        raise ValueError(
            f"width={width} is too narrow for a strip; give {LEAST} or more"
        )
    if not chart.seconds:
        return []
    shown = [*points, *_marks(chart, {point.name for point in points}, texts=texts)]
    scale = _scale(chart, points, shown, width - _MARGIN)
    heard = _heard(chart) if texts else []
    rows = [("audio", [_audio(chart, scale)])]
    if texts:
        if said := _said(chart):
            rows.append(("said", _words(said, scale)))
        rows.append(("heard", _words(heard, scale)))
    else:
        rows.append(("heard", [_stars(chart, scale)]))
    _draw([row for _, each in rows for row in each], points, scale)
    rows += [("", _labels(shown, scale)), ("s", [_axis(scale)])]
    found = [
        f"{_INDENT}{'' if place else name:{_MARGIN - len(_INDENT)}}{''.join(row)}"
        for name, each in rows
        for place, row in enumerate(each)
    ]
    notes = []
    if not texts:
        notes.append(f"{_STAR}: a partial")
    elif any(word.changed and scale.column(word.at) is not None for word in heard):
        notes.append(f"{_STAR}: a later text changed the word")
    notes += _left_out(chart, shown, scale)
    return [line.rstrip() for line in (*found, *_wrapped(notes, width))]


def coloured(texts: Iterable[str]) -> Iterator[list[tuple[str, Markup]]]:
    """Yield the parts of each line with their markup.

    Only lines of a strip have colours. The limit, the end of a lost session, marks and
    changed words are coloured.
    """
    inside = False
    for line in texts:
        inside = line.startswith(_FIRST) or (inside and not line.startswith(_LAST))
        if not inside:
            yield [(line, _PLAIN)]
            continue
        # The level of the audio may look like a changed word.
        pattern = _LINE if line.startswith(_FIRST) else _COLOURED
        parts, end = list[tuple[str, Markup]](), 0
        for match in pattern.finditer(line):
            parts.append((line[end : match.start()], _PLAIN))
            parts.append((match[0], _COLOURS[str(match.lastgroup)]))
            end = match.end()
        yield [part for part in [*parts, (line[end:], _PLAIN)] if part[0]]


# What is shown


def _marks(
    chart: SessionChart, named: Iterable[str], *, texts: bool
) -> Iterator[Point]:
    """Yield the marks to show; a mark whose name is in ``named`` is left out."""
    known = set(named)
    ended = chart.first(Mark.FINAL) is None
    for kind in Mark:
        marks = [mark for mark in chart.marks if mark.kind is kind]
        if kind.value in known or not (kind in _KINDS or (kind is Mark.END and ended)):
            continue
        for mark in marks[:_OFTEN]:
            why = mark.text if kind in (Mark.END, Mark.REFUSAL) else ""
            if not texts:  # only how the session ended
                why = why.partition(":")[0] if kind is Mark.END else ""
            yield Point(f"{kind.value}: {why}" if why else kind.value, mark.at)


def _scale(
    chart: SessionChart,
    points: Sequence[Point],
    shown: Sequence[Point],
    room: int,
) -> _Scale:
    """Return the part of the time that is shown.

    The last twelfth of the columns comes after the last mark; it is free for words and
    labels.
    """
    times = [point.at for point in shown]
    low, high = min([0.0, *times]), max([chart.seconds * chart.pace, *times, 1.0])
    if points:
        first, last = (end(point.at for point in points) for end in (min, max))
        longest = max(CLOSE, (last - first) * 1.5)
        if high - low > longest:
            high = min(high, max(low + longest, last + longest / 5))
            low = max(low, high - longest)
    else:
        low = max(low, high - LONGEST)
    return _Scale(low, (high - low) * _FREE, room)


def _left_out(chart: SessionChart, shown: Sequence[Point], scale: _Scale) -> list[str]:
    """Return what the strip leaves out and, for a long strip, the time per column."""
    times = [point.at for point in shown]
    high = max([chart.seconds * chart.pace, *times])
    notes = []
    if scale.start > min([0.0, *times]) or scale.stop < high:
        notes.append(
            f"shown: {_seconds(scale.start)} to {_seconds(min(scale.stop, high))} of "
            f"{_seconds(high)} s"
        )
    hidden = [point for point in shown if scale.column(point.at) is None]
    notes += [f"{_clean(point.name)} at {_seconds(point.at)} s" for point in hidden]
    if scale.span > _FREE * CLOSE:
        notes.append(f"a column is {plain(round(scale.step / 1000, 2))} s")
    return notes


def _seconds(ms: float) -> str:
    return f"{ms / 1000:.1f}"


# The words


def _said(chart: SessionChart) -> list[_Word]:
    """Return the words in the audio that was sent, each at the instant of its start."""
    words = () if chart.spoken is None else chart.spoken.words
    return [
        _Word(word.text, word.start * chart.pace)
        for word in words
        if word.start < chart.seconds
    ]


def _heard(chart: SessionChart) -> list[_Word]:
    """Return the recognised words, each at the instant at which it first appeared."""
    text, words, gone = "", list[_Word](), list[_Word]()
    for mark in chart.marks:
        if mark.kind not in (Mark.PARTIAL, Mark.FINAL):
            continue
        new = text[: mark.kept] + mark.text
        kept = common_prefix(text, new)
        if kept == len(text) == len(new):
            continue
        # The word at the first new character may be the start of a longer word.
        stay = bisect_left([word.end for word in words], kept)
        start = words[stay - 1].end if stay else 0
        tail, lost = _merged(words[stay:], list(_split(new, start, mark.at)))
        gone += lost
        words[stay:] = tail
        text = new
    return sorted([*gone, *words], key=lambda word: word.at)


def _merged(
    old: Sequence[_Word], new: Sequence[_Word]
) -> tuple[list[_Word], list[_Word]]:
    """Return the new words, and the old words that were changed or removed.

    A new word that is also an old word keeps the instant of the old word.
    """
    found, lost = list(new), list[_Word]()
    before, after = ([_key(word.text) for word in each] for each in (old, new))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, i, end, j, stop in matcher.get_opcodes():
        for place in range(end - i):
            here = j + place
            if here < stop and after[here].startswith(before[i + place]):
                found[here] = replace(new[here], at=old[i + place].at)
            else:
                lost.append(replace(old[i + place], changed=True))
    return found, lost


def _key(text: str) -> str:
    """Return a word without case and punctuation, to compare it with other words."""
    return "".join(filter(str.isalnum, text)).casefold() or text


def _split(text: str, start: int, at: float) -> Iterator[_Word]:
    """Yield the words of a text from ``start`` on; each wide character is a word."""
    begun = start
    for place in range(start, len(text) + 1):
        char = text[place] if place < len(text) else " "
        if begun < place and (char.isspace() or _wide(char) or _wide(text[begun])):
            joined = begun > 0 and not text[begun - 1].isspace()
            yield _Word(text[begun:place], at, place, joined)
            begun = place
        if char.isspace():
            begun = place + 1


def _wide(char: str) -> bool:
    return column(char) == 2


# The rows, each a list with a text for each column


def _audio(chart: SessionChart, scale: _Scale) -> list[str]:
    """Return the row of the audio's level, relative to its loudest part.

    If the level is not known, the row shows a line where audio was sent.
    """
    envelope = b"" if chart.spoken is None else chart.spoken.envelope
    envelope = envelope[: math.ceil(chart.seconds / STEP)]
    peak = max(envelope, default=0)
    row = []
    for place in range(scale.columns):
        start = (scale.start + place * scale.step) / chart.pace
        stop = start + scale.step / chart.pace
        if stop <= 0 or start >= chart.seconds:
            row.append(" ")
        elif not envelope:
            row.append("-")
        else:
            first = max(0, int(start / STEP))
            levels = envelope[first : max(first + 1, math.ceil(stop / STEP))]
            steps = int((peak - sum(levels) / max(1, len(levels))) / _DECIBELS)
            row.append(_LEVELS[max(0, len(_LEVELS) - 1 - steps)] if peak else " ")
    return row


def _stars(chart: SessionChart, scale: _Scale) -> list[str]:
    row = [" "] * scale.columns
    for mark in chart.marks:
        place = scale.column(mark.at)
        if mark.kind is Mark.PARTIAL and place is not None:
            row[place] = _STAR
    return row


def _words(words: Sequence[_Word], scale: _Scale) -> list[list[str]]:
    """Return one row of words, or two if the words would overlap in one row.

    A word that is still too long is cut.
    """
    texts: dict[int, str] = {}
    for word in words:
        if (place := scale.column(word.at)) is None:
            continue
        text = _clean(word.text) + (_STAR if word.changed else "")
        gap = "" if word.joined or place not in texts else " "
        texts[place] = texts.get(place, "") + gap + text
    if not (places := sorted(texts)):
        return [[" "] * scale.columns]
    ends = [*places[1:], scale.columns + 1]
    fit = all(
        place + columns(texts[place]) < end
        for place, end in zip(places, ends, strict=True)
    )
    count = 1 if fit or len(places) == 1 else 2
    rows = [[" "] * scale.columns for _ in range(count)]
    for index, place in enumerate(places):
        end = (
            places[index + count] - 1 if index + count < len(places) else scale.columns
        )
        _write(rows[index % count], place, _cut(texts[place], end - place))
    return rows


def _labels(points: Sequence[Point], scale: _Scale) -> list[list[str]]:
    """Return rows with a label for each point; a caret marks the point's column."""
    rows: list[list[str]] = []
    placed = [(scale.column(point.at), point) for point in points]
    for place, point in sorted(
        ((place, point) for place, point in placed if place is not None),
        key=lambda each: each[0],
    ):
        name = _cut(
            _clean(point.name), _LABEL if scale.columns > _LABEL else LEAST // 2
        )
        label, start = f"^{name}", place
        if place + columns(label) > scale.columns:
            name = _cut(name, place)
            label, start = f"{name}^", place - columns(name)
        stop = start + columns(label)
        for row in rows:
            if not "".join(row[max(0, start - 1) : stop + 1]).strip():
                break
        else:
            row = [" "] * scale.columns
            rows.append(row)
        _write(row, start, label)
    return rows


def _axis(scale: _Scale) -> list[str]:
    """Return the row of the time axis: numbers in s, each after a bar at its time."""
    least = _TICK * scale.step / 1000
    step = next((each for each in _TICKS if each >= least), _TICKS[-1])
    row = [" "] * scale.columns
    tick = math.ceil(scale.start / 1000 / step)
    while (place := scale.column(tick * step * 1000)) is not None:
        label = f"|{plain(round(tick * step, 2))}"
        if place + len(label) <= scale.columns:
            _write(row, place, label)
        tick += 1
    return row


def _draw(rows: Sequence[list[str]], points: Sequence[Point], scale: _Scale) -> None:
    """Draw the vertical lines of points into the free columns of rows, in place."""
    for point in points:
        place = scale.column(point.at)
        if not point.line or place is None:
            continue
        for row in rows:
            if all(cell == " " for cell in row[max(0, place - 1) : place + 2]):
                row[place] = "|"


def _write(row: list[str], place: int, text: str) -> None:
    """Write a text into a row from the column ``place`` on; the text must fit."""
    for char in text:
        size = column(char)
        if not size:
            row[max(0, place - 1)] += char
            continue
        row[place : place + size] = [char, *[""] * (size - 1)]
        place += size


def _clean(text: str) -> str:
    """Return a text without characters that would shift the columns of a terminal."""
    kept = (
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" * column(char)
        for char in " ".join(text.split())
    )
    return printable("".join(kept))


def _cut(text: str, room: int) -> str:
    """Return a text in at most ``room`` columns; a longer one ends with a tilde."""
    if beginning(text, room) == text:
        return text
    return beginning(text, room - 1) + _CUT if room > 0 else ""


def _wrapped(notes: Sequence[str], width: int) -> list[str]:
    """Return the notes as lines of at most ``width`` columns."""
    found: list[str] = []
    room = width - _MARGIN
    for note in notes:
        note = _cut(note, room)
        if found and columns(found[-1]) + 2 + columns(note) <= room:
            found[-1] += f"; {note}"
        else:
            found.append(note)
    return [f"{'':{_MARGIN}}{line}" for line in found]
