"""Traces in Chrome's trace event format, for ui.perfetto.dev or chrome://tracing.

Each session is shown as a process that has two counters and a thread for each kind of
event. The document is a JSON object (Google, "Trace Event Format", JSON Object Format).
In it, ``X`` is an event with a duration, ``i`` is an instant, ``C`` is a counter, and
``M`` is the name of a process or a thread. Times are in us.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import offline
from pytest_realtime_asr.report import trace_show
from pytest_realtime_asr.report.session_chart import Mark, SessionChart, chart
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.records import Record, Sender, Trace
from pytest_realtime_asr.trace.spoken import QUIETEST, STEP

_NS_PER_US = 1000
_US_PER_MS = 1000
_LONGEST_NAME = 120  # characters of the name of an event
_LONGEST_FRAME = 2000  # characters of a frame
_TRACKS = 100  # more than the threads of a session


class Track(enum.IntEnum):
    """The threads of a session, in the order in which they are shown."""

    CONNECTION = 1
    SPOKEN = 2
    CLIENT = 3
    SERVER = 4
    TEXT = 5
    VIOLATIONS = 6
    PINGS = 7


_NAMES = {
    Track.CONNECTION: "connection",
    Track.SPOKEN: "words as spoken",
    Track.CLIENT: "client frames",
    Track.SERVER: "server frames",
    Track.TEXT: "text shown",
    Track.VIOLATIONS: "violations",
    Track.PINGS: "pings",
}
LEVEL, LATENESS = "audio level", "client lateness"
"""The names of the counters; the first is in dB of full scale, the second is in ms."""


class TraceEvent(msgspec.Struct, omit_defaults=True):
    """An event of the document, with the field names of the trace event format."""

    name: str
    ph: str
    pid: int
    tid: int
    ts: float = 0.0
    dur: float | None = None
    cat: str = ""
    s: str = ""  # the scope of an instant: t for its thread
    args: Mapping[str, Any] = msgspec.field(default_factory=dict)


def document(traces: Sequence[Trace]) -> bytes:
    """Return the document of one or several sessions.

    Each session is placed at the time at which it started. Raises LookupError if a
    dialect is not installed.
    """
    first = min((trace.started for trace in traces), default=None)
    events = [
        event
        for number, trace in enumerate(traces, 1)
        for event in _Session(number, _seconds(trace, first), trace).events()
    ]
    found = {
        "traceEvents": [_sparse(event) for event in events],
        "displayTimeUnit": "ms",
        "otherData": {"targets": sorted({trace.target for trace in traces})},
    }
    return msgspec.json.encode(found)


def _seconds(trace: Trace, first: Any) -> float:
    return float((trace.started - first).total_seconds())


def _sparse(event: TraceEvent) -> dict[str, Any]:
    """Return the fields of an event that are set.

    The time is always set, except in an event that names a process or a thread.
    """
    fields: dict[str, Any] = msgspec.to_builtins(event)
    if event.ph != "M":
        fields["ts"] = event.ts
    return fields


class _Session:
    """Makes the events of one session, which is shown as the process ``number``.

    The session started ``offset`` seconds after the first session of the document.
    """

    def __init__(self, number: int, offset: float, trace: Trace) -> None:
        self._number = number
        self._offset = offset * 1e6
        self._trace = trace
        dialect = dialects.load(trace.dialect)
        self._recording = dialects.recording(dialect, trace)
        self._charts = [chart(self._recording, item) for item in self._recording.items]

    def events(self) -> Iterator[TraceEvent]:
        """Yield all events of the session."""
        yield from self._names()
        yield from self._connection()
        yield from self._spoken()
        yield from self._levels()
        yield from self._texts()
        yield from self._frames()
        yield from self._violations()
        yield from self._pings()

    # One method for each kind of event

    def _names(self) -> Iterator[TraceEvent]:
        assets = (self._recording.asset(item) for item in self._recording.items)
        session = self._recording.timeline.session or "session"
        name = ", ".join([*dict.fromkeys(filter(None, assets)), session])
        yield self._name("process_name", 0, name=_short(name))
        yield self._name("process_sort_index", 0, sort_index=self._number)
        for track, text in _NAMES.items():
            yield self._name("thread_name", track, name=text)
            yield self._name("thread_sort_index", track, sort_index=int(track))

    def _connection(self) -> Iterator[TraceEvent]:
        timeline, end = self._recording.timeline, self._trace.end
        opened, ready = timeline.opened, timeline.ready
        yield self._span(
            Track.CONNECTION, "connect", 0, end.at if opened is None else opened
        )
        if opened is not None and ready is not None and ready > opened:
            yield self._span(Track.CONNECTION, "until ready", opened, ready)
        args = {"code": end.code, "reason": _short(end.reason)}
        yield self._instant(Track.CONNECTION, end.how.value, end.at, **args)

    def _spoken(self) -> Iterator[TraceEvent]:
        """Yield an event for each reference word whose audio was sent."""
        words: list[tuple[int, int, str]] = []
        for found in self._charts:
            spoken = () if found.spoken is None else found.spoken.words
            words += [
                (_at(found, word.start), _at(found, word.end), word.text)
                for word in spoken
                if word.start < found.seconds
            ]
        words.sort()
        nexts = [start for start, _, _ in words[1:]] + [None]
        for (start, end, text), after in zip(words, nexts, strict=False):
            stop = end if after is None else min(end, after)
            yield self._span(Track.SPOKEN, _short(text), start, stop)

    def _levels(self) -> Iterator[TraceEvent]:
        """Yield the loudness of the audio that was sent, as values of a counter."""
        for found in self._charts:
            envelope = b"" if found.spoken is None else found.spoken.envelope
            for place, level in enumerate(envelope):
                if place * STEP < found.seconds:
                    at = _at(found, place * STEP)
                    yield self._counter(LEVEL, "dB", at, QUIETEST + level)

    def _texts(self) -> Iterator[TraceEvent]:
        """Yield an event for each shown text; the event ends when the text changes."""
        shown: list[tuple[int, str, dict[str, Any]]] = []
        for item, found in zip(self._recording.items, self._charts, strict=True):
            text = ""
            for mark in found.marks:
                if mark.kind not in (Mark.PARTIAL, Mark.FINAL):
                    continue
                kept = mark.kept if mark.kind is Mark.PARTIAL else 0
                text = text[:kept] + mark.text
                args = {"kind": mark.kind.value, "utterance": item + 1, "kept": kept}
                args["added"] = _short(mark.text)
                at = found.zero + round(mark.at * 1e6)
                shown.append((at, _tail(text) or "(empty)", args))
        shown.sort(key=lambda each: each[0])
        stops = [at for at, _, _ in shown[1:]] + [self._trace.end.at]
        for (start, name, args), stop in zip(shown, stops, strict=False):
            yield self._span(Track.TEXT, name, start, stop, **args)

    def _frames(self) -> Iterator[TraceEvent]:
        """Yield an event for each frame, and the lateness of each client frame.

        The event of a client frame ends when the socket has taken the frame. It never
        begins before the previous one ends, since events of a thread must not overlap.
        """
        busy = 0  # ns, the end of the last event of the client
        pairs = zip(self._trace.records, self._recording.messages, strict=True)
        for number, (record, message) in enumerate(pairs, 1):
            args = {"number": number, **self._content(record)}
            name = _short(message.move)
            if record.sender is Sender.SERVER:
                yield self._instant(Track.SERVER, name, record.at, **args)
                continue
            due, woke = record.times
            args |= {"due_us": self._us(due), "sent_us": self._us(record.at)}
            start = max(woke, busy)
            busy = max(start, record.at)
            yield self._span(Track.CLIENT, name, start, busy, **args)
            late = max(0.0, (woke - due) / _NS_PER_US / _US_PER_MS)
            yield self._counter(LATENESS, "ms", woke, late)

    def _content(self, record: Record) -> dict[str, Any]:
        """Return what a frame contains: the span of its audio, its text or its size."""
        span = record.span
        if span is not None:
            rate = self._trace.rate
            return {
                "audio": _short(span.asset),
                "from_s": span.start / rate,
                "to_s": span.stop / rate,
            }
        if record.text is not None:
            return {"frame": printable(shortened(record.text, _LONGEST_FRAME))}
        return {"bytes": record.length}

    def _violations(self) -> Iterator[TraceEvent]:
        if offline.is_private(self._trace):
            return
        for found in trace_show.violations(self._recording):
            args = {"level": found.requirement.level.name, "message": found.message}
            for record in found.records:
                at = self._trace.records[record].at
                yield self._instant(Track.VIOLATIONS, found.requirement.id, at, **args)

    def _pings(self) -> Iterator[TraceEvent]:
        pings = self._trace.pings
        nexts = [*(ping.sent for ping in pings[1:]), None]
        for ping, after in zip(pings, nexts, strict=False):
            if ping.answered is None:
                yield self._instant(Track.PINGS, "ping, never answered", ping.sent)
                continue
            stop = ping.answered if after is None else min(ping.answered, after)
            trip = (ping.answered - ping.sent) / _NS_PER_US / _US_PER_MS
            yield self._span(Track.PINGS, "ping", ping.sent, stop, round_trip_ms=trip)

    # The forms of an event

    def _us(self, at: int) -> float:
        """Convert a time of the trace (ns) into a time of the document (us)."""
        return max(0.0, self._offset + at / _NS_PER_US)

    def _tid(self, track: Track) -> int:
        return self._number * _TRACKS + track

    def _name(self, kind: str, track: Track | int, **args: Any) -> TraceEvent:
        tid = self._number * _TRACKS + track
        return TraceEvent(kind, "M", self._number, tid, args=args)

    def _span(
        self, track: Track, name: str, start: int, stop: int, **args: Any
    ) -> TraceEvent:
        begun = self._us(start)
        long = max(0.0, self._us(stop) - begun)
        return TraceEvent(
            name, "X", self._number, self._tid(track), begun, long, args=args
        )

    def _instant(self, track: Track, name: str, at: int, **args: Any) -> TraceEvent:
        tid = self._tid(track)
        return TraceEvent(name, "i", self._number, tid, self._us(at), s="t", args=args)

    def _counter(self, name: str, series: str, at: int, value: float) -> TraceEvent:
        tid = self._number * _TRACKS
        return TraceEvent(
            name, "C", self._number, tid, self._us(at), args={series: value}
        )


def _at(found: SessionChart, seconds: float) -> int:
    """Return when the audio at ``seconds`` was due, in ns on the clock of the trace."""
    return found.zero + round(seconds * found.pace * 1e6)


def _short(text: str) -> str:
    return printable(shortened(text, _LONGEST_NAME))


def _tail(text: str) -> str:
    """Return the end of a text, since a text changes mostly at its end."""
    if len(text) <= _LONGEST_NAME:
        return printable(text)
    return printable(f"...{text[-_LONGEST_NAME:]}")
