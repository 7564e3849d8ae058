"""A recorded session in the form in which it is replayed: actions and answers.

Each answer of the server has its cause. The *actions* are what the client did: the
speech that it sent, the silence after speech in a dialect without a commit, and all
other frames. A *position* is a point in these actions. The cause of an answer is the
position that the client had reached when the answer came. So an answer can be replayed
to a client that sends the same audio in frames of another length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio.levels import envelope
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.audio_payload import AudioPayload
from pytest_realtime_asr.trace.records import (
    HIDDEN,
    NO_CODE,
    TAIL,
    Ending,
    Frame,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.spoken import QUIETEST, STEP, Spoken

_SHORTENED = re.compile(r"\.\.\. \[\d+ more\]$")


class NotReplayable(ValueError):
    """Raised for a trace that cannot be replayed; the message says why."""


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio that the client sent; ``samples`` is its length.

    ``digest`` is the hash of the whole audio, or "" if the hash is not known.
    ``levels`` has a byte for each `STEP` of the audio, as `envelope` returns it. It is
    ``None`` if the audio starts in the middle of its asset.
    """

    samples: int
    digest: str
    levels: bytes | None


@dataclass(frozen=True, slots=True)
class Silence:
    """Silence that the client sent after speech, until the server had answered."""


@dataclass(frozen=True, slots=True)
class Control:
    """A frame of the client without audio; ``move`` is the name of its event."""

    move: str
    frame: Frame


Action = Speech | Silence | Control


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A point in the actions of a client.

    ``action`` is the index of an action, and -1 before the first action. ``samples`` is
    the number of samples of this action that were sent; it is 0 for a `Control`.
    """

    action: int
    samples: int


OPENED = Position(-1, 0)


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection by the server.

    ``code`` is the code of the close frame, or ``None`` if there is no close frame.
    """

    code: int | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame of the server, or the end of the connection by the server.

    It came ``delay`` ns after the client reached ``cause``.
    """

    cause: Position
    delay: int
    content: Frame | Close


@dataclass(frozen=True, slots=True)
class RecordedSession:
    """One session to replay; ``rate`` is the sample rate of its audio in Hz.

    ``session`` is the id that the server gave the session, or "" if it gave no id.
    """

    started: datetime
    rate: int
    session: str
    version: str
    actions: tuple[Action, ...]
    answers: tuple[Answer, ...]

    @property
    def audio(self) -> str:
        """The digest of the first audio, or "" if there is no audio or no digest."""
        found = (each.digest for each in self.actions if isinstance(each, Speech))
        return next(found, "")


def recorded_session(trace: Trace, dialect: Dialect) -> RecordedSession:
    """Return the session that a trace recorded.

    Raises `NotReplayable` if the session cannot be replayed.
    """
    if trace.vantage is not Vantage.CLIENT:
        raise NotReplayable(
            "the trace was recorded by a server, and only the trace of a client has "
            "the times at which a client gets the answers; use the client's trace"
        )
    if trace.opened is None:
        raise NotReplayable(
            "the server refused the connection, so there are no answers to replay"
        )
    writer = _Writer(trace, dialect)
    for record in trace.records:
        writer.add(record)
    writer.end()
    return RecordedSession(
        started=trace.started,
        rate=trace.rate,
        session=dialects.read(dialect, trace).session,
        version=trace.version,
        actions=tuple(writer.actions),
        answers=tuple(writer.answers),
    )


class _Writer:
    """Collects the actions and the answers of a trace, record by record."""

    def __init__(self, trace: Trace, dialect: Dialect) -> None:
        self._trace = trace
        self._dialect = dialect
        self._payload = AudioPayload(dialect)
        self._spoken: Mapping[str, Spoken] = {each.asset: each for each in trace.spoken}
        keepalive = dialect.traits.keepalive
        self._ignored = None if keepalive is None else keepalive.frame
        self.actions: list[Action] = []
        self.answers: list[Answer] = []
        self._position = OPENED
        self._since = trace.opened or 0  # when the client reached the position, in ns
        self._next = Span("", 0, 0)  # the place in its asset at which the audio stands

    def add(self, record: Record) -> None:
        """Add one record of the trace."""
        frame = record.text if record.text is not None else record.data or b""
        if is_shortened(frame):
            raise NotReplayable(
                "a frame is longer than a trace keeps, so its end is missing"
            )
        if record.sender is Sender.SERVER:
            self._answer(record.at, frame)
            return
        if frame == self._ignored:
            return
        if record.span is not None:
            self._hear(record.span)
        elif pcm := self._payload.pcm(frame):
            self._hear_by_hand(pcm)
        else:
            move = self._dialect.parse(record).move
            self.actions.append(Control(move, frame))
            self._position = Position(len(self.actions) - 1, 0)
            self._next = Span("", 0, 0)
        self._since = record.at

    def end(self) -> None:
        """Add the end of the connection, if the server ended it."""
        end = self._trace.end
        if end.how is Ending.CLOSED_BY_PEER:
            code = NO_CODE if end.code is None else end.code
            self._answer(end.at, Close(code, end.reason))
        elif end.how is Ending.BROKEN:
            self._answer(end.at, Close(None))

    def _answer(self, at: int, content: Frame | Close) -> None:
        delay = max(0, at - self._since)
        self.answers.append(Answer(self._position, delay, content))

    def _hear(self, span: Span) -> None:
        """Add audio that the trace keeps as a span of its asset."""
        if span.asset == TAIL:
            if not self.actions or not isinstance(self.actions[-1], Silence):
                self.actions.append(Silence())
                self._position = Position(len(self.actions) - 1, 0)
            self._advance(span.stop - span.start)
            self._next = Span("", 0, 0)
            return
        if span.asset != self._next.asset or span.start != self._next.stop:
            self.actions.append(self._speech(span))
            self._position = Position(len(self.actions) - 1, 0)
        self._lengthen(span.stop - span.start)
        self._next = span

    def _hear_by_hand(self, pcm: bytes) -> None:
        """Add audio of a frame written by hand; the trace has its samples."""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        levels = envelope(samples, self._trace.rate, step=STEP, quietest=QUIETEST)
        self.actions.append(Speech(0, "", levels))
        self._position = Position(len(self.actions) - 1, 0)
        self._lengthen(len(samples))
        self._next = Span("", 0, 0)

    def _speech(self, span: Span) -> Speech:
        """Return the `Speech` that a span begins, still with a length of 0."""
        known = self._spoken.get(span.asset)
        if known is None or not known.digest:
            raise NotReplayable(
                f"the audio {span.asset!r} is not described in the trace, because the "
                "run was private, an older version recorded it or the session still "
                "runs; record the session again, without --realtime-private"
            )
        return Speech(0, known.digest, None if span.start else known.envelope)

    def _lengthen(self, samples: int) -> None:
        last = self.actions[-1]
        assert isinstance(last, Speech)
        self.actions[-1] = Speech(last.samples + samples, last.digest, last.levels)
        self._advance(samples)

    def _advance(self, samples: int) -> None:
        place = self._position
        self._position = Position(place.action, place.samples + samples)


def is_shortened(frame: Frame) -> bool:
    """Return whether a trace keeps only the start of this frame."""
    end = frame[-200:] if isinstance(frame, str) else frame[-200:].decode("latin-1")
    return end.endswith(HIDDEN) or _SHORTENED.search(end) is not None
