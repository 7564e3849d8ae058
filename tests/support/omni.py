"""Sessions of SGLang-Omni's protocol, written as short lists of events."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending, Record, Sender
from tests.support.sessions import trace_of

OMNI = dialects.load("sglang-omni")
MS = 1_000_000  # ns
RATE = 16  # samples in 1 ms


@dataclass(frozen=True)
class Sent:
    """A frame of one side."""

    sender: Sender
    content: dict[str, Any]
    raw: bool = False


def append(ms: int, *, raw: bool = False) -> Sent:
    """Return an append of silence of this length."""
    return append_of(base64.b64encode(bytes(2 * RATE * ms)).decode(), raw=raw)


def append_of(audio: str, *, raw: bool = False) -> Sent:
    """Return an append of this base64."""
    return asked("input_audio_buffer.append", raw=raw, audio=audio)


def asked(kind: str, *, raw: bool = False, **fields: object) -> Sent:
    """Return an event of the client."""
    return Sent(Sender.CLIENT, {"type": kind, **fields}, raw)


def said(kind: str, **fields: object) -> Sent:
    """Return an event of the server; `heard` numbers it, unless it has an index."""
    return Sent(Sender.SERVER, {"type": kind, **fields})


def segment(
    number: int, start: int, end: int, text: str, *, final: bool = True
) -> Sent:
    """Return the text of a segment with these times in ms."""
    return said(
        "transcription.segment",
        segment_id=number,
        audio_start_ms=start,
        audio_end_ms=end,
        text=text,
        is_final=final,
    )


def committed(number: int) -> Sent:
    return said("input_audio_buffer.committed", segment_id=number)


def error(code: str, *, kind: str = "invalid_request_error") -> Sent:
    content = {"type": kind, "code": code, "message": "refused"}
    return said("error", error=content)


def session(**changed: object) -> dict[str, object]:
    """Return the session object of a server."""
    return {
        "id": "sess_1",
        "object": "realtime.session",
        "model": "m",
        "intent": "transcription",
        "input_audio_format": "pcm16",
        "language": None,
        "decode_interval_ms": 2000,
        "turn_detection": None,
        **changed,
    }


CREATED = said("session.created", session=session())
COMMIT = asked("input_audio_buffer.commit")
CLEAR = asked("input_audio_buffer.clear")
CLEARED = said("input_audio_buffer.cleared")
DONE = asked("transcription.done")


def heard(*frames: Sent, end: Ending = Ending.CLOSED_BY_US) -> Recording:
    """Return the recording of a session; frame number n comes after n ms."""
    records, index = [], 0
    for number, frame in enumerate(frames):
        content = frame.content
        if frame.sender is Sender.SERVER:
            index += 1
            names = {"event_id": f"evt_{index}", "event_index": index}
            content = {**names, **content}
        text = json.dumps(content)
        records.append(Record(frame.sender, number * MS, text, raw=frame.raw))
    return dialects.recording(OMNI, trace_of(records, how=end, dialect=OMNI.name))


def kinds(frames: Iterable[str | bytes]) -> list[str]:
    """Return the types of the events in these frames."""
    return [json.loads(frame)["type"] for frame in frames]
