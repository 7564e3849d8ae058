"""A small dialect whose results come in segments, with the times of words.

The client sends audio in binary frames, and ends an utterance by ``Flush``. The server
settles each two words as a segment; a segment that is sent again replaces its text. The
times of words count from the start of the session's audio.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import NO_REQUEST, Dialect, Reaction, Request, Traits
from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.fake.frame_edits import event
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.order import Table
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.requirements.scenario_steps import Exercise, Misuse
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Frame, Record, Sender
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Usage,
    WordTime,
)

RATE = 16_000
SEGMENT = 2  # words
_FLUSH = json.dumps({"type": "Flush"})


@dataclass(frozen=True)
class Read:
    move: str
    content: Mapping[str, Any]


def parse(record: Record) -> Read:
    if record.text is None:
        return Read("audio", {})
    content = event(record.text)
    return Read(str(content.get("type")), content)


class Reader:
    ready: int | None = None
    session = ""

    def __init__(self) -> None:
        self._item = self._samples = self._heard = 0
        self._ends: list[int] = []  # samples of the session's audio
        self._segments = Segments()

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        assert isinstance(message, Read)
        content = message.content
        due, woke = record.times
        match message.move:
            case "audio":
                assert record.span is not None
                count = record.span.stop - record.span.start
                self._samples += count
                self._heard += count
                times = (due, woke, record.at)
                return (Heard(len(self._ends), self._samples, *times, 2 * count),)
            case "Flush":
                self._ends.append(self._heard)
                self._samples = 0
                return (Commit(len(self._ends) - 1, due, woke, record.at),)
            case "Segment":
                return self._segment(record.at, content)
            case "End":
                return (self._final(record.at),)
        return ()

    def _segment(self, at: int, content: Mapping[str, Any]) -> Sequence[Event]:
        words = [WordTime(**word) for word in content["words"]]
        number, text = content["number"], content["text"]
        if number < self._segments.count:
            return self._segments.revise(number, text, at, words=words)
        change = self._segments.settle if content["is_final"] else self._segments.show
        return change(text, at, words=words)

    def _final(self, at: int) -> Final:
        segments = self._segments
        final = Final(self._item, at, segments.text, words=segments.words)
        start = self._ends[self._item] / RATE
        self._item += 1
        segments.begin(self._item, offset=start)
        return final


class Caller:
    rate, binary, tail, query = RATE, True, 0.0, ""
    headers: Mapping[str, str] = {}

    def configure(self) -> Sequence[Frame]:
        return ()

    def begin(self) -> Sequence[Frame]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        return pcm

    def finish(self) -> Sequence[Frame]:
        return (_FLUSH,)


@dataclass
class _Spoken:
    """An utterance; its audio starts at ``start`` s of the session's audio."""

    start: float
    text: str = ""
    settled: int = 0  # segments
    words: Sequence[WordTime] = field(default_factory=tuple)


class Server:
    rate = RATE

    def __init__(self) -> None:
        self._samples = 0
        self._open = False
        self._spoken: list[_Spoken] = []

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return ()

    def hear(self, frame: Frame) -> Reaction:
        if isinstance(frame, bytes):
            begin, self._open = not self._open, True
            if begin:
                self._spoken.append(_Spoken(self._samples / RATE))
            self._samples += len(frame) // 2
            return Reaction(begin=begin, audio=frame)
        finish, self._open = self._open, False
        return Reaction(finish=finish)

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    def partial(
        self, added: str, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]:
        spoken = self._spoken[item]
        spoken.text += added
        spoken.words = words
        count = len(spoken.text.split())
        while count - spoken.settled * SEGMENT > SEGMENT:
            yield self._segment(spoken, is_final=True)
            spoken.settled += 1
        yield self._segment(spoken, is_final=False)

    def final(
        self, text: str, usage: Usage, item: int, *, words: Sequence[WordTime] = ()
    ) -> Iterable[Frame]:
        spoken = self._spoken[item]
        spoken.text, spoken.words = text, words
        if len(text.split()) > spoken.settled * SEGMENT:
            yield self._segment(spoken, is_final=True)
        yield json.dumps({"type": "End"})

    def _segment(self, spoken: _Spoken, *, is_final: bool) -> str:
        begin = spoken.settled * SEGMENT
        part = slice(begin, begin + SEGMENT)
        words = [
            {
                "text": word.text,
                "start": spoken.start + word.start,
                "end": spoken.start + word.end,
            }
            for word in spoken.words[part]
        ]
        return json.dumps(
            {
                "type": "Segment",
                "number": spoken.settled,
                "is_final": is_final,
                "text": " ".join(spoken.text.split()[part]),
                "words": words,
            }
        )


CAPABILITIES = frozenset(
    {
        Capability.SEVERAL_UTTERANCES,
        Capability.PARTIALS,
        Capability.SETTLED,
        Capability.WORD_TIMES,
    }
)


TABLE: Table = {
    Sender.CLIENT: {"open": {"audio": ("open",), "Flush": ("open",)}},
    Sender.SERVER: {"open": {"Segment": ("open",), "End": ("open",)}},
}


class Segmented:
    name, rate, path, start = "segmented", RATE, "/segmented", "open"
    traits = Traits(capabilities=CAPABILITIES)
    requirements: tuple[Requirement, ...] = (shared.SETTLED_TEXT,)
    misuses: tuple[Misuse, ...] = ()
    exercises: tuple[Exercise, ...] = ()
    table = TABLE

    @property
    def profiles(self) -> Mapping[str, str]:
        return {}

    def profiled(self, words: Sequence[str]) -> Dialect:
        raise ValueError("it has no profiles")

    def parse(self, record: Record) -> Message:
        return parse(record)

    def reader(self) -> dialects.Reader:
        return Reader()

    def headers(self, key: str) -> Mapping[str, str]:
        return {}

    def greets(self, record: Record) -> bool:
        return False

    def caller(self, model: str, options: Mapping[str, object]) -> dialects.Caller:
        return Caller()

    def refusal(self, request: Request, models: Sequence[str]) -> None:
        return None

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> dialects.Server:
        return Server()


SEGMENTED: Dialect = Segmented()
