"""A session to be read: its frames around an offence, with numbers and times."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace.records import Ping, Record, Sender, Trace

WIDTH = 98  # columns; whoever prints the lines may indent them by two
HEAD = 3  # rows of the begin that are shown
BEFORE, AFTER = 4, 2  # rows that are shown around an offence
FULL = 6  # lines that an offence may take; any other frame takes one
_BYTES = 200  # of a binary frame that are shown at most
_MARGIN = 29  # columns before the text
_ROOM = WIDTH - _MARGIN
_SIGNS = 4


@dataclass(frozen=True, slots=True)
class _Row:
    """A frame, several frames of audio, or what is no frame and has no number."""

    at: int
    side: str
    text: str
    number: int | None = None
    frames: int = 0
    marked: bool = False
    full: bool = False


def transcript(trace: Trace, offences: Collection[int] = ()) -> list[str]:
    """The lines of a session around the records with these indexes, which are marked.

    Shown are its begin, what stands around the first and the last of them, and its end;
    without an offence, its last frames. Audio that follows audio is one row. No line is
    wider than `WIDTH`.
    """
    rows = list(_rows(trace, frozenset(offences)))
    lines = []
    if trace.opened is not None:
        lines += _lines(_Row(trace.opened, "", "connected"))
    hidden: list[_Row] = []
    for row, visible in zip(rows, _shown(rows), strict=True):
        if visible:
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
    """Which rows are shown; a gap of one row is none."""
    shown = [i < HEAD or (row.full and not row.marked) for i, row in enumerate(rows)]
    marks = [i for i, row in enumerate(rows) if row.marked] or [len(rows) - 1]
    for mark in (marks[0], marks[-1]):
        around = slice(max(0, mark - BEFORE), mark + AFTER + 1)
        shown[around] = [True] * len(shown[around])
    for i in range(HEAD, len(rows)):
        shown[i] |= shown[i - 1] and (i + 1 == len(rows) or shown[i + 1])
    return shown


# The rows of a trace


def _rows(trace: Trace, offences: frozenset[int]) -> Iterator[_Row]:
    pings = deque(trace.pings)
    for group in _groups(trace.records, offences):
        while pings and pings[0].sent < trace.records[group[0]].at:
            yield _ping(pings.popleft())
        yield _frames(trace, group, marked=not offences.isdisjoint(group))
    yield from map(_ping, pings)


def _groups(
    records: Sequence[Record], offences: frozenset[int]
) -> Iterator[Sequence[int]]:
    """The indexes of the records, those of audio in one piece together."""
    group: list[int] = []
    for index, record in enumerate(records):
        apart = not offences.isdisjoint((index - 1, index))
        if group and (apart or not _continues(records[index - 1], record)):
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _continues(before: Record, record: Record) -> bool:
    """Whether it is the next piece of the same audio, sent in the same way."""
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
        data = first.data or b""
        text = f"binary, {len(data)} bytes: {data[:_BYTES].hex(' ')}"
    else:
        text = first.text
    return _Row(
        at=first.at,
        side=first.sender.value,
        text=f"by hand: {text}" if first.raw else text,
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
    """One line in place of several rows."""
    if not hidden:
        return []
    told = [
        several(count, name)
        for name, count in (
            ("frame", sum(row.frames for row in hidden)),
            ("ping", sum(not row.frames for row in hidden)),
        )
        if count
    ]
    if marked := sum(row.marked for row in hidden):
        told.append(f"{marked} of them marked")
    return [f"{'...':>7}{'':{_MARGIN - 7}}{', '.join(told)}"]


def _lines(row: _Row) -> list[str]:
    """The row in one line, or in several where it is to be told in full."""
    mark = ">" if row.marked else ""
    number = "" if row.number is None else row.number
    margin = f"{mark:1}{number:>6}  {row.at / 1e9:8.3f} s  {row.side:6}  "
    lines = []
    left = _visible(row.text)
    for _ in range(FULL - 1 if row.full else 0):
        lines.append(left[: _break(left)])
        left = left[len(lines[-1]) :]
    if _fit(left, _ROOM) < len(left):
        note = f"... {len(left)} more"
        kept = _fit(left, _ROOM - len(note))
        left = f"{left[:kept]}... {len(left) - kept} more"
    lines.append(left)
    return [
        f"{'' if i else margin:{_MARGIN}}{line}".rstrip()
        for i, line in enumerate(lines)
        if line or not i
    ]


def _visible(text: str) -> str:
    """The text with what a terminal cannot show, or would obey, written out."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in text
    )


def _break(text: str) -> int:
    """Where a line of a text ends: behind a comma or a blank, if there is one late."""
    end = _fit(text, _ROOM)
    if end == len(text):
        return end
    late = max(text.rfind(sign, end // 2, end) for sign in ", ")
    return late + 1 if late >= 0 else end


def _fit(text: str, width: int) -> int:
    """How many signs of a text fit into so many columns, marks of no width among them.

    They are at most `_SIGNS` a column: a text may be nothing but marks.
    """
    columns = 0
    for index, sign in enumerate(text):
        if not unicodedata.combining(sign):
            columns += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if columns > width or index >= _SIGNS * width:
            return index
    return len(text)
