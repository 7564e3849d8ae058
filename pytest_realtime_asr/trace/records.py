"""The evidence of one session: every frame with its times, as it crossed the wire.

All times are integer nanoseconds of one monotonic clock, counted from the start of the
connection attempt. A trace stores frames and not their meaning, so that a later version
can judge an old trace again. Audio is stored as a span of an asset (a named piece of
audio), which takes thirty times less space than the bytes of the audio.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from pytest_realtime_asr.text.inputs import regular
from pytest_realtime_asr.text.privacy import without_bytes, without_texts
from pytest_realtime_asr.text.redaction import REMOVED, WRITTEN, Redactor
from pytest_realtime_asr.trace.spoken import Spoken

FORMAT = 1
NOT_RECORDED = 4404  # the close code if a replay has no recording of the session
NO_CODE = 1005  # the code of a close frame without a code (RFC 6455, 7.4.1)
START = 100  # characters or bytes that are kept of a frame that is too long
TAIL = "tail"  # the asset name of the silence that ends an utterance
# Ends a shortened frame that had a secret.
HIDDEN = f"... [the rest is left out; the frame contained {REMOVED}]"


Frame = str | bytes
"""The content of a frame: text, or the data of a binary frame."""


def content(frame: Frame) -> tuple[str | None, bytes | None]:
    """Return the text and the data of a frame; one of them is ``None``."""
    return (frame, None) if isinstance(frame, str) else (None, frame)


class Sender(enum.Enum):
    """The side that sent a frame."""

    CLIENT = "client"
    SERVER = "server"


class Vantage(enum.Enum):
    """The side that recorded a trace."""

    CLIENT = "client"
    SERVER = "server"


class Ending(enum.Enum):
    """The way a session ended.

    "us" is the recorder of the trace, and "peer" is the other side.
    """

    CLOSED_BY_US = "closed by us"
    CLOSED_BY_PEER = "closed by peer"
    REFUSED = "refused"
    DEADLINE = "deadline"
    LIMIT = "limit"
    BROKEN = "broken"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Span:
    """A part of an asset, which is a named piece of audio.

    The part begins at the sample ``start`` and ends before the sample ``stop``.
    """

    asset: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Record:
    """One frame on the wire.

    ``at`` is the time at which the recorder had received a frame of the other side, or
    at which the socket had accepted the recorder's own frame. A frame that the recorder
    sent has two more times: ``due``, at which the audio clock says that the frame
    should leave, and ``woke``, at which the recorder started to send the frame. The
    recorder's scheduling delay is ``woke - due``. The difference ``at - woke`` is long
    if the receiver or the network path does not read. ``text`` is the content of a text
    frame, ``data`` is the content of a binary frame. If ``span`` is set, the audio is
    left out of the content. ``raw`` marks a frame that was written by hand. ``size`` is
    the number of characters or bytes of the complete frame if only a part of the frame
    is kept, ``None`` otherwise.
    """

    sender: Sender
    at: int
    text: str | None = None
    data: bytes | None = None
    due: int | None = None
    woke: int | None = None
    span: Span | None = None
    raw: bool = False
    size: int | None = None

    @property
    def length(self) -> int:
        """The characters or bytes of the complete frame, without its audio."""
        if self.size is not None:
            return self.size
        return len(self.data or b"") if self.text is None else len(self.text)

    @property
    def begin(self) -> bytes:
        """The first bytes of a binary frame, without the note after them."""
        data = self.data or b""
        return data if self.size is None else data[:START]

    @property
    def times(self) -> tuple[int, int]:
        """The times ``due`` and ``woke``; ``at`` replaces a time that is not set."""
        due = self.at if self.due is None else self.due
        return due, self.at if self.woke is None else self.woke


@dataclass(frozen=True, slots=True)
class End:
    """The end of a session, with its cause and its time.

    ``code`` is the WebSocket close code or, for a refused handshake, the HTTP status.
    """

    how: Ending
    at: int
    code: int | None = None
    reason: str = ""

    @property
    def coded(self) -> str:
        """The close code as part of a sentence; see `with_code`."""
        return with_code(self.code)


def with_code(code: int | None) -> str:
    """Return a close code as part of a sentence, such as "with code 1000"."""
    return "without a code" if code in (None, NO_CODE) else f"with code {code}"


@dataclass(frozen=True, slots=True)
class Ping:
    """The times of a ping; ``answered`` is ``None`` if no pong came."""

    sent: int
    answered: int | None = None


@dataclass(frozen=True, slots=True)
class Lag:
    """The delays in ns of the recorder's own clock, which ticks every 10 ms.

    ``ticks`` is the number of ticks that were due. ``late`` holds the delay of each
    tick that came more than 1 ms late. A tick that a stall skipped counts as if it came
    at the end of the stall. ``paused`` is the longest pause in ns for garbage
    collection. ``load`` is the share of a CPU core that the recorder's event loop used.
    """

    ticks: int = 0
    late: tuple[int, ...] = ()
    paused: int = 0
    load: float = 0.0


NO_LAG = Lag()


@dataclass(frozen=True, slots=True)
class Trace:
    """All frames of one session, in the order in which the recorder saw them.

    ``rate`` is the sample rate of the audio in Hz. ``spoken`` describes the assets of
    the audio, as far as they are known. ``opened`` is the time at which the connection
    opened, ``None`` if it never opened. ``version`` is the version that the server
    reports, "" if it reports none. The frames are unchanged and may contain secrets, so
    only the result of `redacted` may be written or shown. ``replayed`` says that the
    server replayed a recorded session. ``redactor`` removes the secrets. ``port`` is
    the client's own port during the run; a written trace does not have it.
    """

    vantage: Vantage
    dialect: str
    rate: int
    target: str
    started: datetime
    opened: int | None
    records: tuple[Record, ...]
    end: End
    lag: Lag = NO_LAG
    pings: tuple[Ping, ...] = ()
    version: str = ""
    spoken: tuple[Spoken, ...] = ()
    replayed: bool = False
    redactor: Redactor = field(default=Redactor(), repr=False, compare=False)
    port: int | None = field(default=None, repr=False, compare=False)

    @property
    def unrecorded(self) -> bool:
        """Return whether a replayed session says nothing about the recorded server.

        This is so if the replay had no recording of what the client did, or if the
        client sent nothing.
        """
        if not self.replayed:
            return False
        sent = any(each.sender is Sender.CLIENT for each in self.records)
        return self.end.code == NOT_RECORDED or not sent

    def redacted(self) -> Trace:
        """Return the trace without secrets, so that it may be written or shown.

        If texts are private, each string of a frame, except types, ids, codes and the
        like, is replaced by its length.
        """
        redactor = self.redactor
        if not redactor and not redactor.private:
            return self
        records = list(self.records)
        for sender in Sender:
            places = [
                index
                for index, record in enumerate(records)
                if record.sender is sender and record.text is not None
            ]
            texts = [str(records[index].text) for index in places]
            for index, text in zip(places, redactor.clean_frames(texts), strict=True):
                if redactor.private and not records[index].span:
                    text = without_texts(text, records[index].length)
                records[index] = replace(records[index], text=text)
        for index, record in enumerate(records):
            if record.data is not None:
                data = redactor.clean_bytes(record.data)
                if redactor.private:
                    data = without_bytes(record.length)
                    if record.span is None:
                        record = replace(record, size=record.length)
                records[index] = replace(record, data=data)
        spoken = self.spoken
        if redactor.private:
            spoken = tuple(each.without_texts for each in spoken)
        reason = redactor.clean(self.end.reason)
        if self.end.how is Ending.CLOSED_BY_PEER:
            reason = redactor.message(reason)
        return replace(
            self,
            records=tuple(records),
            target=redactor.clean(self.target),
            version=redactor.clean(self.version),
            spoken=spoken,
            end=replace(self.end, reason=reason),
            redactor=WRITTEN,
        )

    def dumps(self) -> bytes:
        """Return the trace as JSON Lines, without secrets.

        The first line is the head, the last line is the end, and each line between them
        is one record.
        """
        trace = self.redacted()
        head: dict[str, object] = {
            "format": FORMAT,
            "vantage": trace.vantage,
            "dialect": trace.dialect,
            "rate": trace.rate,
            "target": trace.target,
            "started": trace.started,
            "opened": trace.opened,
        }
        lag: dict[str, object] = {"ticks": trace.lag.ticks, "late": trace.lag.late}
        tail: dict[str, object] = {"end": trace.end, "lag": lag}
        # Empty optional fields are left out, so that an old trace is written unchanged.
        if trace.version:
            head["version"] = trace.version
        if trace.replayed:
            head["replayed"] = True
        if trace.lag.paused:
            lag["paused"] = trace.lag.paused
        if trace.lag.load:
            lag["load"] = trace.lag.load
        if trace.pings:
            tail["pings"] = trace.pings
        if trace.spoken:
            tail["spoken"] = [_sparse(each) for each in trace.spoken]
        lines = [head, *map(_sparse, trace.records), tail]
        return msgspec.json.Encoder().encode_lines(lines)

    def write(self, path: Path) -> None:
        """Write the trace to ``path`` as JSON Lines, without secrets."""
        path.write_bytes(self.dumps())


class _Format(msgspec.Struct):
    format: int


class _Vantage(msgspec.Struct):
    vantage: str  # only the head of a trace has this field


class _Kind(msgspec.Struct):
    kind: str = ""  # only the lines of a report have kinds


class _Head(msgspec.Struct):
    vantage: Vantage
    dialect: str
    rate: int
    target: str
    started: datetime
    opened: int | None
    version: str = ""
    replayed: bool = False


class _Tail(msgspec.Struct):
    end: End
    lag: Lag
    pings: tuple[Ping, ...] = ()
    spoken: tuple[Spoken, ...] = ()


def _sparse(value: Record | Spoken) -> dict[str, object]:
    """Return the fields that are neither ``None``, false nor empty."""
    fields = msgspec.to_builtins(value)
    # Compared by identity: a time of 0 equals False, but must be kept.
    return {
        name: each
        for name, each in fields.items()
        if each is not None and each is not False and each not in _EMPTY.get(name, ())
    }


# The fields of a description that are left out if they are empty. A text frame may be
# empty, so its text is kept.
_EMPTY: Mapping[str, tuple[object, ...]] = {
    name: ("", [], ()) for name in ("digest", "language", "words", "envelope")
}


def loads(lines: bytes) -> Trace:
    """Return the trace that ``lines`` contains as JSON Lines.

    Raises ValueError, whose message names the wrong line.
    """
    rows = lines.splitlines()
    if len(rows) < 2:
        raise ValueError("not a trace: a trace has a head line and an end line")
    _refuse_report(rows[0])
    try:
        number = _decode(rows[0], _Format, 1).format
    except ValueError as error:
        raise ValueError(f"not a trace: {error}") from None
    if number != FORMAT:
        raise ValueError(
            f"the trace has format {number}, but this version reads format {FORMAT} "
            "only; read the trace with the version that wrote it"
        )
    head = _decode(rows[0], _Head, 1)
    records = [_decode(row, Record, n) for n, row in enumerate(rows[1:-1], 2)]
    try:
        tail = _decode(rows[-1], _Tail, len(rows))
    except ValueError as error:
        raise ValueError(
            f"{error}; the last line must describe the end of the session, so the file "
            "may be cut off"
        ) from None
    return Trace(
        vantage=head.vantage,
        dialect=head.dialect,
        rate=head.rate,
        target=head.target,
        started=head.started,
        opened=head.opened,
        records=tuple(records),
        end=tail.end,
        lag=tail.lag,
        pings=tail.pings,
        spoken=tail.spoken,
        version=head.version,
        replayed=head.replayed,
        redactor=WRITTEN,
    )


def is_trace(path: Path) -> bool:
    """Return whether a file begins like a trace. Raises OSError."""
    with path.open("rb") as file:
        first = file.readline()
    try:
        return bool(msgspec.json.decode(first, type=_Vantage).vantage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def is_report(line: bytes) -> bool:
    """Return whether ``line`` is the first line of a JSON Lines report."""
    try:
        return bool(msgspec.json.decode(line, type=_Kind).kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _refuse_report(row: bytes) -> None:
    """Raise ValueError if the first line of a file belongs to a JSON Lines report."""
    if is_report(row):
        raise ValueError(
            "not a trace, but a JSON Lines report; the traces of a run are in its "
            "folder realtime-traces"
        )


def read(path: Path) -> Trace:
    """Return the trace in a file.

    Raises ValueError, whose message names the file and the wrong line.
    """
    regular(path)
    try:
        return loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


_T = TypeVar("_T")


def _decode(row: bytes, kind: type[_T], number: int) -> _T:
    try:
        return msgspec.json.decode(row, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"line {number}: {error}") from error
