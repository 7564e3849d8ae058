"""Reads the timeline of a session of SGLang-Omni's protocol.

An utterance is the audio between two commits of the client. The server divides it into
one or more segments. The reader assigns a segment to an utterance by the times of the
segment, which count from the start of the session's audio. A segment belongs to the
first open utterance whose audio ends at or after the end of the segment. An utterance
is over when a settled segment reaches the end of the utterance's audio.

The server may accept or refuse a frame that was written by hand. After such a frame,
the reader knows only a lower and an upper bound of how much audio the server has.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.dialects.sglang_omni.events import (
    RATE,
    Append,
    Clear,
    Commit,
    Done,
    Error,
    Segment,
    SessionCreated,
    SpeechStopped,
)
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record, Sender
from pytest_realtime_asr.trace.timeline import Commit as Committing
from pytest_realtime_asr.trace.timeline import (
    Endpoint,
    Event,
    Final,
    Heard,
    Refusal,
)

OVERFLOW = "audio_buffer_overflow"
FAILED = "transcription_failed"
_ROUNDING = 1  # ms by which a time may differ, since both sides round it


@dataclass(slots=True)
class _Utterance:
    """An utterance, whose audio ends between the positions ``low`` and ``high``.

    Both positions are in samples from the start of the session's audio. ``is_empty``
    says that the utterance has no audio.
    """

    number: int
    low: int = 0
    high: int = 0
    is_empty: bool = True
    is_committed: bool = False
    texts: Segments = field(default_factory=Segments)
    places: dict[int, int] = field(default_factory=dict)  # of settled segments, by id

    def __post_init__(self) -> None:
        self.texts.begin(self.number)


class Reader:
    """A reader that turns the records of one session into events of a timeline."""

    def __init__(self) -> None:
        self.ready: int | None = None
        self.session = ""
        self._low = self._high = 0  # samples of the session that the server has
        self._samples = 0  # of the open utterance
        self._largest = 0  # samples of the longest append
        self._current = _Utterance(0)
        self._pending: list[_Utterance] = []  # committed and not over
        self._settled: dict[int, _Utterance] = {}  # by the id of a settled segment

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        if record.sender is Sender.CLIENT:
            return tuple(self._from_client(record, message))
        return tuple(self._from_server(record.at, message))

    # Records of the client

    def _from_client(self, record: Record, message: Message) -> Iterator[Event]:
        match message:
            case Append():
                yield from self._appended(record, message)
            case Commit():
                yield from self._commit(record)
            case Done() if self._samples:
                yield from self._commit(record)
            case Clear():
                self._samples = 0
                self._current.is_empty = True

    def _appended(self, record: Record, message: Append) -> Iterator[Event]:
        if record.span is not None:
            samples = possible = record.span.stop - record.span.start
        else:
            samples, possible = _samples(message.audio)
        self._low += samples
        self._high += possible
        self._samples += samples
        self._largest = max(self._largest, possible)
        if samples:
            self._current.is_empty = False
            due, woke = record.times
            yield Heard(
                *(self._current.number, self._samples),
                *(due, woke, record.at, 2 * samples),
            )

    def _commit(self, record: Record) -> Iterator[Event]:
        current = self._current
        current.low, current.high = self._low, self._high
        current.is_committed = True
        self._pending.append(current)
        self._current = _Utterance(current.number + 1)
        self._samples = 0
        due, woke = record.times
        yield Committing(current.number, due, woke, record.at)

    # Records of the server

    def _from_server(self, at: int, message: Message) -> Iterator[Event]:
        match message:
            case SessionCreated(session=session) if self.ready is None:
                self.ready, self.session = at, session.id
            case Segment():
                yield from self._segment(at, message)
            case SpeechStopped(audio_end_ms=end):
                yield Endpoint(self._owner(end, end).number, at)
            case Error(error=problem):
                code = problem.code or ""
                if code == OVERFLOW:
                    self._overflow()
                item = self._failed(code)
                yield Refusal(at, code, problem.message, item)

    def _segment(self, at: int, segment: Segment) -> Iterator[Event]:
        name = segment.segment_id
        if name in self._settled:  # the server breaks its promise
            texts, place = self._settled[name].texts, self._settled[name].places[name]
            yield from texts.revise(place, segment.text, at)
            return
        utterance = self._owner(segment.audio_start_ms, segment.audio_end_ms)
        texts = utterance.texts
        if not segment.is_final:
            yield from texts.show(segment.text, at)
            return
        utterance.places[name] = texts.count
        self._settled[name] = utterance
        yield from texts.settle(segment.text, at)
        ends = segment.audio_end_ms >= _ms(utterance.low) - _ROUNDING
        if utterance.is_committed and ends:
            self._pending.remove(utterance)
            yield Final(utterance.number, at, texts.text)

    def _owner(self, start: int, end: int) -> _Utterance:
        """Return the utterance that owns a segment with these times in ms.

        An utterance without audio can only own a segment without audio.
        """
        for each in self._pending:
            fits = end <= _ms(each.high) + _ROUNDING
            if fits and (not each.is_empty or start >= end):
                return each
        return self._current

    def _overflow(self) -> None:
        """Remove refused audio from the counts of samples.

        The refused audio is assumed to be the audio of the longest append.
        """
        refused = min(self._largest, self._low)
        self._low -= refused
        self._high -= refused
        if self._samples >= refused or not self._pending:
            self._samples = max(self._samples - refused, 0)
            self._current.is_empty = not self._samples
        else:  # the client has committed since
            self._pending[-1].low -= refused
            self._pending[-1].high -= refused

    def _failed(self, code: str) -> int | None:
        """Return the number of the utterance that an error ends, or ``None``.

        The server transcribes utterances in their order, so a failed transcription ends
        the oldest pending utterance. Any other error may refuse a commit without
        audio, so it ends the oldest pending utterance without audio.
        """
        for each in self._pending:
            if each.is_empty:
                self._pending.remove(each)
                return each.number
            if code == FAILED:
                return each.number
        return None


def _samples(audio: str) -> tuple[int, int]:
    """Return the smallest and the largest number of samples a server may read.

    ``audio`` is in base64. If it is not valid or ends in half a sample, the smallest
    number is 0, since a strict server refuses such audio.
    """
    possible = len(audio) * 3 // 8
    try:
        pcm = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        return 0, possible
    return (0, possible) if len(pcm) % 2 else (len(pcm) // 2, len(pcm) // 2)


def _ms(samples: int) -> float:
    return samples * 1000 / RATE
