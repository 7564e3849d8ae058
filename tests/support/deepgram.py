"""Deepgram's protocol for tests: its frames, and sessions that are written by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Dialect, Request
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Record, Sender, Span
from tests.support.sessions import trace_of

DEEPGRAM = dialects.load("deepgram")
CLOSING = dialects.load("deepgram:whisperlivekit-listen")  # CloseStream ends utterances
RATE = DEEPGRAM.rate
FINALIZE = '{"type":"Finalize"}'
CLOSE = '{"type":"CloseStream"}'
ALIVE = '{"type":"KeepAlive"}'
SECOND = "a second of audio"  # stands for a frame of the client


def asked(**options: object) -> Request:
    """The request for a session with these options, or with those of a client."""
    return Request.of(f"/v1/listen?{DEEPGRAM.caller('fake', options).query}", {})


def word(text: str, start: float, end: float, **changes: Any) -> dict[str, Any]:
    return {"word": text, "start": start, "end": end, "confidence": 0.5, **changes}


def results(
    transcript: str,
    start: float = 0.0,
    duration: float = 1.0,
    *,
    words: Sequence[dict[str, Any]] = (),
    **changes: Any,
) -> str:
    """An interim result; ``changes`` are changes to its fields."""
    alternative = {"transcript": transcript, "confidence": 0.5, "words": list(words)}
    return json.dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start,
            "duration": duration,
            "is_final": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {"request_id": "r-1", "model_uuid": "m-1"},
            **changes,
        }
    )


def settled(
    transcript: str, start: float = 0.0, duration: float = 1.0, **changes: Any
) -> str:
    return results(transcript, start, duration, is_final=True, **changes)


def finalized(
    transcript: str, start: float = 0.0, duration: float = 1.0, **changes: Any
) -> str:
    return settled(transcript, start, duration, from_finalize=True, **changes)


def metadata(duration: float = 0.0, request_id: str = "r-1") -> str:
    return json.dumps(
        {
            "type": "Metadata",
            "request_id": request_id,
            "created": "2026-11-30T00:00:00Z",
            "duration": duration,
            "channels": 1,
        }
    )


def recording(
    *frames: str | bytes, dialect: Dialect = DEEPGRAM, **ending: Any
) -> Recording:
    """The recording of these frames, one each ms; bytes are audio written by hand."""
    records = []
    for number, frame in enumerate(frames, 1):
        at = number * 1_000_000
        if frame == SECOND:
            span = Span("clip", 0, RATE)
            records.append(Record(Sender.CLIENT, at, data=b"", span=span))
        elif isinstance(frame, bytes):
            records.append(Record(Sender.CLIENT, at, data=frame, raw=True))
        else:
            ours = frame in (FINALIZE, CLOSE, ALIVE)
            sender = Sender.CLIENT if ours else Sender.SERVER
            records.append(Record(sender, at, text=frame))
    return dialects.recording(dialect, trace_of(records, rate=RATE, **ending))
