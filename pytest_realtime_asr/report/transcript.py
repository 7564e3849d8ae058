"""Shows the frames of a session around a violation, with numbers and times."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Ping, Record, Sender, Trace

WIDTH = 98  # columns; the caller may indent the lines by two
HEAD = 3  # rows shown at the start
BEFORE, AFTER = 4, 2  # rows shown around a violation
FULL = 6  # the most lines for a marked frame; any other frame has one line
_BYTES = 200  # the most bytes that are shown of a binary frame
_MARGIN = 29  # columns before the text
_TEXT_WIDTH = WIDTH - _MARGIN
# The most characters in a column: a text may consist of combining marks only.
_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the output: a frame, several frames of audio, or a ping.

    ``number`` is the number of the row's first frame in the session, counted from 1;
    ``None`` for a ping. ``frames`` is the number of frames in the row; 0 for a ping. A
    ``marked`` row has a ``>``. A row that is shown in ``full`` may have several lines.
    """

    at: int
    side: str
    text: str
    number: int | None = None
    frames: int = 0
    marked: bool = False
    full: bool = False


def transcript(
    trace: Trace, marked_records: Collection[int] = (), *, whole: bool = False
) -> list[str]:
    """Return lines that show a session; the records at the given indexes are marked.

    The lines show the start of the session, the frames around the first and the last
    marked record, and the end of the session. If no record is marked, they show the
    last frames. If ``whole`` is true, they show all frames. Consecutive audio
    frames are shown in one row. No line is wider than `WIDTH`.
    """
    rows = list(_rows(trace, frozenset(marked_records)))
    lines = []
    if trace.opened is not None:
        lines += _lines(_Row(trace.opened, "", "connected"))
    hidden: list[_Row] = []
    for row, visible in zip(rows, _shown(rows), strict=True):
        if visible or whole:
            lines += [*_gap(hidden), *_lines(row)]
            hidden = []
        else:
            hidden.append(row)
    end = trace.end
    code = "" if end.code is None else f", code {end.code}"
    reason = f": {end.reason}" if end.reason else ""
    last = _Row(end.at, "", f"{end.how.value}{code}{reason}", full=True)
    return [*lines, *_gap(hidden), *_lines(last)]


def _shown(rows: Sequence[_Row]) -> list[bool]:
    """Return, for each row, whether `transcript` shows it.

    A single row between two shown rows is never hidden.
    """
    shown = [i < HEAD or (row.full and not row.marked) for i, row in enumerate(rows)]
    marks = [i for i, row in enumerate(rows) if row.marked] or [len(rows) - 1]
    for mark in (marks[0], marks[-1]):
        around = slice(max(0, mark - BEFORE), mark + AFTER + 1)
        shown[around] = [True] * len(shown[around])
    for i in range(HEAD, len(rows)):
        shown[i] |= shown[i - 1] and (i + 1 == len(rows) or shown[i + 1])
    return shown


# The rows of a trace


def _rows(trace: Trace, marked_records: frozenset[int]) -> Iterator[_Row]:
    pings = deque(trace.pings)
    for group in _groups(trace.records, marked_records):
        while pings and pings[0].sent < trace.records[group[0]].at:
            yield _ping(pings.popleft())
        yield _frames(trace, group, marked=not marked_records.isdisjoint(group))
    yield from map(_ping, pings)


def _groups(
    records: Sequence[Record], marked_records: frozenset[int]
) -> Iterator[Sequence[int]]:
    """Yield the indexes of the records in groups.

    Consecutive audio frames form one group. Any other frame, and any marked frame, is a
    group of its own.
    """
    group: list[int] = []
    for index, record in enumerate(records):
        apart = not marked_records.isdisjoint((index - 1, index))
        if group and (apart or not _continues(records[index - 1], record)):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _continues(before: Record, record: Record) -> bool:
    """Return whether a record continues the audio of the record before."""
    one, other = before.span, record.span
    if one is None or other is None or before.raw != record.raw:
        return False
    return (one.asset, one.stop) == (other.asset, other.start)


def _frames(trace: Trace, group: Sequence[int], *, marked: bool) -> _Row:
    first, last = trace.records[group[0]], trace.records[group[-1]]
    if first.span is not None and last.span is not None:
        start, stop = first.span.start / trace.rate, last.span.stop / trace.rate
        text = f"audio: {first.span.asset}, {start:.3f} to {stop:.3f} s"
        if len(group) > 1:
            text += f", in {len(group)} frames until {last.at / 1e9:.3f} s"
    elif first.text is None:
        text = f"binary, {first.length} bytes: {first.begin[:_BYTES].hex(' ')}"
    else:
        text = first.text
    return _Row(
        at=first.at,
        side=first.sender.value,
        text=f"raw: {text}" if first.raw else text,
        number=group[0] + 1,
        frames=len(group),
        marked=marked,
        full=marked,
    )


def _ping(ping: Ping) -> _Row:
    side = Sender.CLIENT.value
    if ping.answered is None:
        return _Row(ping.sent, side, "ping, never answered", full=True)
    after = (ping.answered - ping.sent) / 1e6
    return _Row(ping.sent, side, f"ping, answered after {after:.0f} ms")


# The lines of a row


def _gap(hidden: Sequence[_Row]) -> list[str]:
    """Return one line that counts the hidden rows; no line if no row is hidden."""
    if not hidden:
        return []
    parts = [
        several(count, name)
        for name, count in (
            ("frame", sum(row.frames for row in hidden)),
            ("ping", sum(not row.frames for row in hidden)),
        )
        if count
    ]
    if marked := sum(row.marked for row in hidden):
        parts.append(f"{marked} of them marked")
    return [f"{'...':>7}{'':{_MARGIN - 7}}{', '.join(parts)}"]


def _lines(row: _Row) -> list[str]:
    """Return the lines of a row: one, or several if the row is shown in full."""
    mark = ">" if row.marked else ""
    number = "" if row.number is None else row.number
    margin = f"{mark:1}{number:>6}  {row.at / 1e9:8.3f} s  {row.side:6}  "
    lines = []
    left = _visible(row.text)
    for _ in range(FULL - 1 if row.full else 0):
        lines.append(left[: _break(left)])
        left = left[len(lines[-1]) :]
    if _fit(left, _TEXT_WIDTH) < len(left):
        note = f"... {len(left)} more"
        kept = _fit(left, _TEXT_WIDTH - len(note))
        left = f"{left[:kept]}... {len(left) - kept} more"
    lines.append(left)
    return [
        f"{'' if i else margin:{_MARGIN}}{line}".rstrip()
        for i, line in enumerate(lines)
        if line or not i
    ]


def _visible(text: str) -> str:
    """Return a text with its unprintable characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def _break(text: str) -> int:
    """Return the length of the first line of a text that is broken into lines.

    The line ends after the last comma or space that fits, if there is one in the second
    half of the width. Otherwise it is cut at the width.
    """
    end = _fit(text, _TEXT_WIDTH)
    if end == len(text):
        return end
    late = max(text.rfind(char, end // 2, end) for char in ", ")
    return late + 1 if late >= 0 else end


def _fit(text: str, width: int) -> int:
    """Return how many characters of a text fit into ``width`` columns.

    Combining marks have no width; wide East Asian characters take two columns.
    """
    columns = 0
    for index, char in enumerate(text):
        if not unicodedata.combining(char):
            columns += 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if columns > width or index >= _CHARACTERS * width:
            return index
    return len(text)
