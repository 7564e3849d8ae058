"""The reader of Deepgram's protocol: from records to events of the timeline."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.dialects.deepgram.events import (
    Audio,
    CloseStream,
    Error,
    Finalize,
    Metadata,
    Results,
)
from pytest_realtime_asr.dialects.deepgram.profile import Profile
from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Heard,
    Refusal,
    WordTime,
)

_SAMPLE = 2  # bytes


class Reader:
    """A reader that numbers utterances by their order, since no frame names them.

    The audio up to `Finalize` is an utterance, whose final is the result with
    ``from_finalize``. The audio up to `CloseStream` is also an utterance, whose final
    is complete when `Metadata` comes.
    """

    def __init__(self, profile: Profile) -> None:
        self.ready: int | None = None
        self.session = ""
        self._greets = profile.greeting
        self._finalizes = profile.finalizes
        self._client_item = 0  # the utterance that the client's frames belong to
        self._server_item = 0  # the utterance that the server's frames belong to
        self._samples = 0
        self._closing = False
        self._segments = Segments()
        self._settled: list[float | None] = []  # the starts of its settled segments

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        match message:
            case Audio():
                return (self._heard(record, message),)
            case Finalize() if self._samples:
                return (self._commit(record),)
            case CloseStream() if not self._closing:
                self._closing = True
                if self._samples or not self._finalizes:
                    return (self._commit(record),)
            case Results():
                return self._results(record.at, message)
            case Metadata(request_id=session):
                self.session = self.session or session
                if self._greets and self.ready is None:
                    self.ready = record.at
                elif self._closing:
                    return self._final(record.at)
            case Error():
                code = message.variant or message.code or ""
                return (Refusal(record.at, code, message.description),)
        return ()

    def _heard(self, record: Record, message: Audio) -> Heard:
        span = record.span
        samples = message.size // _SAMPLE if span is None else span.stop - span.start
        self._samples += samples
        due, woke = record.times
        size = _SAMPLE * samples
        return Heard(self._client_item, self._samples, due, woke, record.at, size)

    def _commit(self, record: Record) -> Commit:
        due, woke = record.times
        commit = Commit(self._client_item, due, woke, record.at)
        self._client_item += 1
        self._samples = 0
        return commit

    def _results(self, at: int, message: Results) -> Sequence[Event]:
        self.session = self.session or message.metadata.request_id
        words = [
            WordTime(each.punctuated_word or each.word, each.start, each.end)
            for each in message.best.words
        ]
        text = message.best.transcript
        if not message.is_final:
            return self._segments.show(text, at, words=words)
        events: list[Event] = [*self._settle(message, text, at, words)]
        if message.from_finalize:
            return [*events, *self._final(at, offset=message.end)]
        if message.speech_final:
            events.append(Endpoint(self._server_item, at))
        return events

    def _settle(
        self, message: Results, text: str, at: int, words: Sequence[WordTime]
    ) -> Sequence[Event]:
        """Settle the open segment with the text of the result.

        A server must not send another result for a segment that is already settled. If
        it does, the new text replaces the text of this segment.
        """
        if message.start in self._settled:
            index = self._settled.index(message.start)
            return self._segments.revise(index, text, at, words=words)
        self._settled.append(message.start if message.duration else None)
        return self._segments.settle(text, at, words=words)

    def _final(self, at: int, *, offset: float = 0.0) -> Sequence[Event]:
        """Return the final of the oldest utterance without a final, if any.

        ``offset`` is the time at which the audio of the next utterance starts, in
        seconds from the start of the session's audio.
        """
        if self._server_item == self._client_item:
            return ()  # no audio came since the final before
        segments = self._segments
        final = Final(self._server_item, at, segments.text, words=segments.words)
        self._server_item += 1
        segments.begin(self._server_item, offset=offset)
        self._settled.clear()
        return (final,)
