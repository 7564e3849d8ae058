"""A session chart: what was said, heard and sent in one utterance, over time.

The strip in the terminal, the timeline of the HTML page and the commands for traces all
show this chart. Times are in ms from the instant at which the first audio was due.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Record, Sender
from pytest_realtime_asr.trace.spoken import Spoken
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Settled,
)

_NS_PER_MS = 1_000_000


class Mark(enum.Enum):
    """What happened in the session at one instant."""

    COMMIT = "commit"
    PARTIAL = "partial"
    SETTLED = "settled"
    ENDPOINT = "endpoint"
    FINAL = "final"
    REFUSAL = "refusal"
    END = "end"


@dataclass(frozen=True, slots=True)
class ChartMark:
    """An instant of the chart, ``at`` ms after the start of the audio.

    A partial or a final keeps the first ``kept`` characters of the text that was shown
    before, and adds ``text``. For a refusal and for the end of the session, ``text`` is
    the reason. For settled text, ``kept`` is the number of characters that will not
    change.
    """

    kind: Mark
    at: float
    text: str = ""
    kept: int = 0


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """A frame of the session, ``at`` ms after the start of the audio.

    ``move`` is the name of its event, and ``index`` is its index in the trace. ``late``
    is the client's own scheduling delay in ms; it is ``None`` for a frame of the
    server.
    ``samples`` is the number of samples of audio in the frame.
    """

    index: int
    sender: Sender
    at: float
    move: str
    late: float | None = None
    samples: int = 0


@dataclass(frozen=True, slots=True)
class SessionChart:
    """The chart of one utterance.

    ``spoken`` describes its audio; it is ``None`` if nothing is known of the audio.
    ``seconds`` is the length of the audio that was sent. ``pace`` is the time in ms in
    which one second of audio was sent; it is 1000 in real time. ``opened`` is the time
    of the connection, and ``ready`` is the time of the greeting; each is ``None`` if
    there was none. ``marks`` and ``frames`` are in the order of the session; ``frames``
    has the frames of the whole session.
    ``text`` is the last text of the utterance. ``zero`` is the start of the audio in ns
    on the clock of the trace.
    """

    spoken: Spoken | None
    seconds: float
    pace: float
    opened: float | None
    ready: float | None
    marks: tuple[ChartMark, ...]
    frames: tuple[ChartFrame, ...]
    text: str
    zero: int = 0

    @property
    def end(self) -> float:
        """The time in ms of the last thing that the chart shows."""
        times = [mark.at for mark in self.marks]
        return max([self.pace * self.seconds, *times])

    def first(self, kind: Mark) -> ChartMark | None:
        """Return the first mark of this kind, or ``None``."""
        return next((mark for mark in self.marks if mark.kind is kind), None)


def chart(recording: Recording, item: int) -> SessionChart:
    """Return the chart of an utterance of a session."""
    timeline = recording.timeline.item(item)
    heard = timeline.heard
    zero, pace = timeline.opened or 0, 1e9
    if heard:
        pace = 1e9 / (timeline.pace or 1.0)
        zero = _start(heard[0], timeline.rate, pace)
    elif timeline.commit is not None:
        zero = timeline.commit.due

    def ms(at: int) -> float:
        return (at - zero) / _NS_PER_MS

    opened, ready, end = timeline.opened, timeline.ready, timeline.end
    described = {each.asset: each for each in recording.trace.spoken}
    reason = f"{end.how.value}: {end.reason}" if end.reason else end.how.value
    return SessionChart(
        spoken=described.get(recording.asset(item)),
        seconds=heard[-1].samples / timeline.rate if heard else 0.0,
        pace=pace / _NS_PER_MS,
        opened=None if opened is None else ms(opened),
        ready=None if ready is None else ms(ready),
        marks=(
            *(mark for event in timeline.events for mark in _marks(event, ms)),
            ChartMark(Mark.END, ms(end.at), reason),
        ),
        frames=tuple(
            _frame(index, record, message.move, ms)
            for index, (record, message) in enumerate(
                zip(recording.trace.records, recording.messages, strict=True)
            )
        ),
        text=timeline.text,
        zero=zero,
    )


def _start(first: Heard, rate: int, pace: float) -> int:
    """Return when the audio starts (ns), from its ``first`` frame.

    A frame is due when its last sample has been spoken, so the audio starts one frame
    length before ``first`` is due. ``pace`` is the time in ns in which one second of
    audio is sent.
    """
    return first.due - round(first.samples / rate * pace)


def _marks(event: Event, ms: Callable[[int], float]) -> Iterator[ChartMark]:
    """Yield the mark of an event; an event with audio has none."""
    match event:
        case Commit(sent=at):
            yield ChartMark(Mark.COMMIT, ms(at))
        case Partial(at=at, kept=kept, added=added):
            yield ChartMark(Mark.PARTIAL, ms(at), added, kept)
        case Settled(at=at, length=length):
            yield ChartMark(Mark.SETTLED, ms(at), kept=length)
        case Endpoint(at=at):
            yield ChartMark(Mark.ENDPOINT, ms(at))
        case Final(at=at, text=text):
            yield ChartMark(Mark.FINAL, ms(at), text)
        case Refusal(at=at):
            yield ChartMark(Mark.REFUSAL, ms(at), str(event))


def _frame(
    index: int, record: Record, move: str, ms: Callable[[int], float]
) -> ChartFrame:
    span = record.span
    due, woke = record.times
    return ChartFrame(
        index,
        record.sender,
        ms(record.at),
        move,
        late=(woke - due) / _NS_PER_MS if record.sender is Sender.CLIENT else None,
        samples=0 if span is None else span.stop - span.start,
    )
