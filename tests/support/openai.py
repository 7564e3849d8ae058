"""Frames of OpenAI's dialect, talks with its server, and what they mean."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.openai.events import TABLE
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.records import (
    TAIL,
    Record,
    Sender,
    Span,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.timeline import Commit as Committing
from pytest_realtime_asr.trace.timeline import Final, Heard, Partial, Timeline, Usage
from tests.support.sessions import CLIENT, CREATED_AT, MS, SERVER, trace_of

BUFFER = "input_audio_buffer"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
KINDS: Mapping[Sender, frozenset[str]] = {
    sender: frozenset(move for moves in states.values() for move in moves)
    for sender, states in TABLE.items()
}


def frame(kind: str, **content: object) -> str:
    return json.dumps({"type": kind, **content})


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def samples(data: bytes) -> list[int]:
    values: list[int] = np.frombuffer(data, "<i2").tolist()
    return values


VAD = {"type": "server_vad", "silence_duration_ms": 200}


def loud(seconds: float, rate: int = 24_000) -> bytes:
    return pcm(*[4000, -4000] * round(seconds * rate / 2))


def quiet(seconds: float, rate: int = 24_000) -> bytes:
    return bytes(2 * round(seconds * rate))


SOUND = quiet(0.5) + loud(0.3) + quiet(0.4) + loud(0.2) + quiet(0.8)
SOUND += loud(0.02) + quiet(0.3) + loud(0.1) + quiet(0.6)


def cut(sound: bytes, *seconds: float) -> bytes:
    start, stop = (2 * round(each * 24_000) for each in seconds)
    return sound[start:stop]


class Talk:
    """A server of this dialect, and what it said."""

    def __init__(
        self, name: str = "openai", *, limit: float = 3600.0, model: str = "m"
    ) -> None:
        self.dialect = dialects.load(name)
        self.server = self.dialect.server([model], limit=limit)
        self.said: list[dict[str, Any]] = []
        self.tell(self.server.open("sess-abcdefghijkl", CREATED_AT))

    def tell(self, frames: Iterable[str | bytes]) -> list[dict[str, Any]]:
        """The events of these frames of the server; each must be in the dialect."""
        told = []
        for each in frames:
            message = self.dialect.parse(Record(SERVER, 0, *content(each)))
            assert not isinstance(message, Unknown | Malformed), each
            told.append(json.loads(each))
        self.said += told
        return told

    def hear(self, *frames: str | bytes) -> tuple[list[dict[str, Any]], Reaction]:
        """The answers of the server to all frames, and its reaction to the last."""
        reaction = Reaction()
        told = []
        for each in frames:
            reaction = self.server.hear(each)
            told += self.tell(reaction.replies)
        return told, replace(reaction, replies=())

    def kinds(self, *frames: str | bytes) -> list[str]:
        """The types of the server's answers."""
        return [event["type"] for event in self.hear(*frames)[0]]


def append(data: bytes, **more: object) -> str:
    return frame(f"{BUFFER}.append", audio=base64.b64encode(data).decode(), **more)


def update(**fields: object) -> str:
    """An update of the input in the general shape."""
    held = {"type": "transcription", "audio": {"input": fields}}
    return frame("session.update", session=held, event_id="c7")


def flat(**fields: object) -> str:
    return frame("transcription_session.update", session=fields, event_id="c7")


MANUAL = update(turn_detection=None)
COMMIT = frame(f"{BUFFER}.commit", event_id="c7")
CLEAR = frame(f"{BUFFER}.clear", event_id="c7")
DONE = frame(f"{BUFFER}.done", event_id="c7")


SESSION = {"type": "transcription", "audio": {"input": {}}}


@dataclass(frozen=True)
class Said:
    """Audio that the client sends: the samples of an asset from `start` to `stop`."""

    start: int
    stop: int
    asset: str = "clip"


Row = str | Said
CARRIER = append(b"")


def lived(
    *rows: Row, name: str = "openai", vantage: Vantage = Vantage.CLIENT
) -> Timeline:
    """The timeline of these frames, one each millisecond from the first on."""
    records = []
    for at, row in enumerate(rows, 1):
        if isinstance(row, Said):
            span = Span(row.asset, row.start, row.stop)
            record = Record(CLIENT, at * MS, CARRIER, span=span)
        else:
            ours = json.loads(row)["type"] in KINDS[CLIENT]
            record = Record(CLIENT if ours else SERVER, at * MS, row)
        if (record.sender is CLIENT) == (vantage is Vantage.CLIENT):
            record = replace(record, due=at * MS, woke=at * MS)
        records.append(record)
    dialect = dialects.load(name)
    held = trace_of(records, rate=dialect.rate, dialect=name, vantage=vantage)
    return dialects.read(dialect, held)


def greeting(detection: object = None) -> str:
    held = {"id": "sess-1", "audio": {"input": {"turn_detection": detection}}}
    return frame("session.created", event_id="e", session=held)


def updated(detection: object = None, **fields: object) -> str:
    fields["turn_detection"] = detection
    held = {"type": "transcription", "audio": {"input": fields}}
    return frame("session.updated", event_id="e", session=held)


def commit(name: str | None = None) -> str:
    return frame(f"{BUFFER}.commit", event_id=name)


def committed(item: str) -> str:
    return frame(f"{BUFFER}.committed", event_id="e", item_id=item)


def started(item: str) -> str:
    return frame(f"{BUFFER}.speech_started", item_id=item, audio_start_ms=0)


def stopped(item: str, end: int = 0) -> str:
    return frame(f"{BUFFER}.speech_stopped", item_id=item, audio_end_ms=end)


def delta(item: str, added: str | None) -> str:
    return frame(f"{TRANSCRIPTION}.delta", item_id=item, delta=added)


def completed(item: str, text: str, **more: object) -> str:
    return frame(f"{TRANSCRIPTION}.completed", item_id=item, transcript=text, **more)


def failed(item: str) -> str:
    problem = {"code": "broken", "message": "no"}
    return frame(f"{TRANSCRIPTION}.failed", item_id=item, error=problem)


def error(code: str | None, name: str | None = None, **more: object) -> str:
    problem = {"code": code, "message": "no", "event_id": name, **more}
    return frame("error", event_id="e", error=problem)


HELLO = greeting()
CLEARED = frame(f"{BUFFER}.cleared", event_id="e")
PCM = Said(0, 2400)


def heard(item: int, at: int, samples: int = 2400, size: int = 2400) -> Heard:
    return Heard(item, samples, at * MS, at * MS, at * MS, 2 * size)


def ended(item: int, at: int) -> Committing:
    return Committing(item, at * MS, at * MS, at * MS)


def partial(item: int, at: int, added: str, kept: int = 0) -> Partial:
    return Partial(item, at * MS, kept, added)


def final(item: int, at: int, text: str, usage: Usage | None = None) -> Final:
    return Final(item, at * MS, text, usage)


# Where the server detects turns: 500 ms of silence are 12,000 samples, by which they
# are over, and 2,500 ms are 60,000, by which they surely are

DETECT = update(turn_detection={"type": "server_vad"})
DETECTS = updated({"type": "server_vad"})


def tail(start: int, stop: int) -> Said:
    return Said(start, stop, TAIL)
