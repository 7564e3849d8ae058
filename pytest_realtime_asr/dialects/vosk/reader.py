"""The reader of vosk-server's protocol: from records to events of the timeline."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.dialects.vosk.events import (
    Audio,
    Config,
    Eof,
    PartialResult,
    Reset,
    Result,
    Word,
)
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record
from pytest_realtime_asr.trace.timeline import Commit, Event, Final, Heard, WordTime


@dataclass(frozen=True, slots=True)
class _Finish:
    """A message that completes the audio of an utterance.

    ``number`` counts the messages so far that the server has to answer. This message
    is the last of them.
    ``seconds`` is the length of the session's audio up to this message.
    """

    number: int
    seconds: float


class Reader:
    """A reader that counts the client's messages to find which one a reply answers.

    A result that answers the end of the audio is the final of the utterance; any other
    result settles a segment. If the server leaves messages unanswered, no result can be
    assigned to the end of the audio, and the utterance gets no final.
    """

    ready: int | None = None
    session = ""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._client_item = 0  # the utterance that the client's frames belong to
        self._server_item = 0  # the utterance that the server's frames belong to
        self._samples = 0  # of the utterance
        self._heard = 0  # samples of the session
        self._asked = 0  # messages that are answered
        self._replies = 0
        self._last: Result | None = None  # the latest reply, if it is a result
        self._finishes: deque[_Finish] = deque()  # those that are not answered yet
        self._over = False  # whether the client has ended the session
        self._segments = Segments()

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        match message:
            case Config(config=settings):
                if settings.sample_rate and not self._asked:
                    self._rate = round(settings.sample_rate)
            case Audio(size=size):
                return (self._audio(record, size),)
            case Eof() | Reset() if not self._over:
                self._over = isinstance(message, Eof)
                return tuple(self._finish(record))
            case PartialResult(partial=text):
                self._replies += 1
                self._last = None
                return self._segments.show(text, record.at)
            case Result():
                self._replies += 1
                self._last = message
                return self._result(message, record.at)
        return ()

    def _audio(self, record: Record, size: int) -> Heard:
        self._asked += not self._over
        self._samples += size // 2
        self._heard += size // 2
        due, woke = record.times
        return Heard(self._client_item, self._samples, due, woke, record.at, size)

    def _finish(self, record: Record) -> Iterator[Event]:
        self._asked += 1
        due, woke = record.times
        yield Commit(self._client_item, due, woke, record.at)
        self._client_item += 1
        self._samples = 0
        self._finishes.append(_Finish(self._asked, self._heard / self._rate))
        # The reply may be recorded before the message that it answers.
        if self._last is not None and self._replies >= self._asked:
            yield self._final(record.at)

    def _result(self, message: Result, at: int) -> Sequence[Event]:
        best = message.best
        settled = self._segments.settle(best.text, at, words=_times(best.result))
        if self._finishes and self._replies >= self._finishes[0].number:
            return (self._final(at),)
        return settled

    def _final(self, at: int) -> Final:
        item, self._server_item = self._server_item, self._server_item + 1
        final = Final(item, at, self._segments.text, words=self._segments.words)
        finish = self._finishes.popleft()
        self._segments.begin(self._server_item, offset=finish.seconds)
        return final


def _times(words: Iterable[Word]) -> Iterator[WordTime]:
    return (WordTime(each.word, each.start, each.end) for each in words)
