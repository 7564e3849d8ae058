"""The recorder of one session, whose records become a trace.

A frame of audio is recorded as five integers in an array. It becomes a `Record` when
the records are first read, which is after the audio was sent. So while the sending is
measured, a frame of audio creates no object and takes little memory.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import (
    HIDDEN,
    NO_LAG,
    START,
    End,
    Ending,
    Lag,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)

LONGEST = 2**20  # characters or bytes of a frame that is kept complete
_COLUMNS = 5  # integers of a frame of audio: at, due, woke, start, stop


@dataclass(frozen=True, slots=True)
class AudioFrames:
    """The fields that are the same in all frames of one piece of audio.

    ``asset`` is the name of the audio. ``content`` is the content of a frame,
    without its audio. The other fields have the same meaning as in `Record`.
    """

    sender: Sender
    asset: str
    content: str | bytes
    raw: bool = False


class Recorder:
    """Collects the records of a session and returns them as a trace.

    Frames are kept unchanged; ``redactor`` becomes part of the trace and removes the
    secrets when the trace is written. If a frame is longer than `LONGEST`, only its
    start is kept, without secrets; a note says how much is missing, or that the missing
    part contained a secret. ``clock`` returns nanoseconds. Times are counted from the
    last call of `begin`; the constructor calls `begin` once.

    One thread records; any thread may read the records.
    """

    def __init__(
        self,
        *,
        vantage: Vantage,
        dialect: str,
        rate: int,
        target: str,
        version: str = "",
        redactor: Redactor | None = None,
        replayed: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._redactor = Redactor() if redactor is None else redactor
        self._clock = clock
        self._vantage = vantage
        self._dialect = dialect
        self.rate = rate
        self._target = target
        self._version = version
        self._replayed = replayed
        self._opened: int | None = None
        self._port: int | None = None
        self._end: End | None = None
        self._pings: list[Ping] = []
        # One entry for each frame; a frame of audio has a row in the columns as well.
        self._frames: list[Record | AudioFrames] = []
        self._columns = array("q")
        self._made: list[Record] = []  # the records of the first frames
        self._made_rows = 0  # rows of the columns that these records have used
        self._making = threading.Lock()
        self.begin()

    def begin(self) -> None:
        """Set time zero to now, the start of the connection attempt."""
        self._zero = self._clock()
        self._started = datetime.now(UTC)

    def now(self) -> int:
        """Return the nanoseconds since the start of the connection attempt."""
        return self._clock() - self._zero

    def open(self, *, port: int | None = None) -> None:
        """Record the time at which the connection opened, and the client's own port."""
        self._opened = self.now()
        self._port = port

    def received(
        self, sender: Sender, at: int, frame: str | bytes, *, span: Span | None = None
    ) -> Record:
        """Record a frame that was received at the time ``at``."""
        text, data, size = self._content(frame)
        return self.add(Record(sender, at, text, data, span=span, size=size))

    def sent(
        self,
        sender: Sender,
        frame: str | bytes,
        *,
        due: int,
        woke: int,
        span: Span | None = None,
        raw: bool = False,
    ) -> Record:
        """Record a frame that the socket has just accepted."""
        at = self.now()
        text, data, size = self._content(frame)
        return self.add(Record(sender, at, text, data, due, woke, span, raw, size))

    def sent_audio(
        self, frames: AudioFrames, *, due: int, woke: int, start: int, stop: int
    ) -> int:
        """Record a frame of audio that the socket has just accepted; return its time.

        ``start`` and ``stop`` are the same as in the `Span` of the frame. The frame is
        counted only after its integers are stored, since another thread may read the
        records.
        """
        at = self.now()
        self._columns.extend((at, due, woke, start, stop))
        self._frames.append(frames)
        return at

    def add(self, record: Record) -> Record:
        """Add a record, and return it."""
        self._frames.append(record)
        return record

    def pinged(self, sent: int, answered: int | None) -> None:
        """Record a ping; ``answered`` is ``None`` if it was not answered in time."""
        self._pings.append(Ping(sent, answered))

    def end(self, how: Ending, *, code: int | None = None, reason: str = "") -> None:
        """Record the end of the session; only the first call counts."""
        if self._end is None:
            self._end = End(how, self.now(), code, reason)

    @property
    def ended(self) -> End | None:
        """The end of the session; ``None`` before it is recorded."""
        return self._end

    @property
    def count(self) -> int:
        """The number of records so far."""
        return len(self._frames)

    @property
    def records(self) -> tuple[Record, ...]:
        """The records so far."""
        return tuple(self.since(0, self.count))

    def since(self, index: int, most: int) -> Sequence[Record]:
        """Return at most ``most`` records, beginning with the record at ``index``.

        Each `Record` is made only once.
        """
        with self._making:
            stop = min(index + most, len(self._frames))
            for frame in self._frames[len(self._made) : stop]:
                if isinstance(frame, AudioFrames):
                    frame = self._audio(frame)
                self._made.append(frame)
            return self._made[index:stop]

    def freeze(self, *, lag: Lag = NO_LAG) -> Trace:
        """Return the trace so far.

        If no end is recorded, the trace says that this side closed the session now.
        """
        return Trace(
            vantage=self._vantage,
            dialect=self._dialect,
            rate=self.rate,
            target=self._target,
            started=self._started,
            opened=self._opened,
            records=self.records,
            end=self._end or End(Ending.CLOSED_BY_US, self.now()),
            lag=lag,
            pings=tuple(self._pings),
            version=self._version,
            replayed=self._replayed,
            redactor=self._redactor,
            port=self._port,
        )

    def _audio(self, frames: AudioFrames) -> Record:
        """Return the record of the next frame of audio, from its five integers."""
        row = self._made_rows * _COLUMNS
        at, due, woke, start, stop = self._columns[row : row + _COLUMNS]
        self._made_rows += 1
        text, data, size = self._content(frames.content)
        span = Span(frames.asset, start, stop)
        return Record(frames.sender, at, text, data, due, woke, span, frames.raw, size)

    def _content(
        self, frame: str | bytes
    ) -> tuple[str | None, bytes | None, int | None]:
        """Return the text, the data and the size of a frame, as a `Record` has them.

        Either the text or the data is ``None``. The size is ``None`` if the frame is
        kept complete.
        """
        size = len(frame) if len(frame) > LONGEST else None
        if isinstance(frame, str):
            return self._shortened(frame), None, size
        return None, self._shortened(frame), size

    def _shortened(self, frame: _Frame) -> _Frame:
        """Return a frame, or the start of a frame that is longer than `LONGEST`."""
        if len(frame) <= LONGEST:
            return frame
        note = f"... [{len(frame) - START} more]"
        if isinstance(frame, str):
            shown = self._redactor.shows(frame)
            return self._redactor.clean(frame)[:START] + (HIDDEN if shown else note)
        shown = self._redactor.shows(frame.decode("latin-1"))
        begin = self._redactor.clean_bytes(frame)[:START]
        return begin + (HIDDEN if shown else note).encode()


_Frame = TypeVar("_Frame", str, bytes)
