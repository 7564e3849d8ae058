"""Frames whose fields have impossible values."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.trace.recording import Flawed
from pytest_realtime_asr.trace.records import Record, Sender
from tests.hostile import Case

_HUGE = "9" * 400


def told(name: str, frame: str, folder: Path) -> str:
    """Return the message on this frame of a server of this dialect."""
    found = dialects.load(name).parse(Record(Sender.SERVER, 0, frame))
    assert isinstance(found, Flawed), found
    return found.reason


_ROWS = (
    (
        "created-of-400-digits",
        "vllm",
        f'{{"type":"session.created","id":"a","created":{_HUGE}}}',
        ("session.created", "`created` is ", "it must be an integer of 64 bits"),
    ),
    (
        "usage-beyond-64-bits",
        "vllm",
        '{"type":"transcription.done","text":"a","usage":{"prompt_tokens":1,'
        f'"completion_tokens":1,"total_tokens":{2**63}}}}}',
        ("transcription.done", "`usage.total_tokens` is ", "an integer of 64 bits"),
    ),
    (
        "speech-that-starts-at-nan",
        "openai",
        '{"type":"input_audio_buffer.speech_started","event_id":"e","item_id":"i",'
        '"audio_start_ms":NaN}',
        ("speech_started", "`audio_start_ms` is NaN", "an integer of 64 bits"),
    ),
)
CASES = tuple(
    Case(
        id, f"the server sends {id.replace('-', ' ')}", says, 5, partial(told, name, it)
    )
    for id, name, it, says in _ROWS
)
