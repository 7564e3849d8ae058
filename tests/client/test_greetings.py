"""Each server is recognised by what it sends first, or said to be unknown.

The first events are those of the servers' own code, as of November 2026, with their
fields in the order of the server.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import greetings
from pytest_realtime_asr.client.dialect_detection import likeness
from pytest_realtime_asr.trace.records import Record, Sender

DETECTION = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
}
PCM = {"type": "audio/pcm", "rate": 24000}


def session(kind: str = "session.created", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": "event_1", "session": {"id": "sess_1", **fields}}


def general(detection: object, **fields: Any) -> dict[str, Any]:
    """The first event of a server of the general shape."""
    audio = {
        "format": PCM,
        "noise_reduction": None,
        "transcription": {"model": None, "language": None},
        "turn_detection": detection,
    }
    return session(
        type="transcription",
        object="realtime.transcription_session",
        audio={"input": audio},
        include=None,
        **fields,
    )


VLLM = {"type": "session.created", "id": "sess-1", "created": 1764400000}
OPENAI = general(DETECTION, expires_at=1764400000)
OPENAI_LIVE = general(None, expires_at=1764400000)
LOCALAI = general(DETECTION, model="whisper-1")
SGLANG = general(None)
SPARSE = session(type="transcription")
SPEACHES = session(
    model="gpt-4o-realtime-preview",
    modalities=["audio", "text"],
    instructions="",
    speech_model="kokoro",
    voice="af_heart",
    input_audio_format="pcm16",
    output_audio_format="pcm16",
    input_audio_transcription={"model": "whisper", "language": None},
    turn_detection=DETECTION,
    temperature=0.8,
    tools=[],
)
RIVA = {
    "type": "conversation.created",
    "event_id": "event_1",
    "conversation": {"id": "conv_1", "object": "realtime.conversation"},
}
BETA = session(
    "transcription_session.created",
    object="realtime.transcription_session",
    input_audio_format="pcm16",
    input_audio_transcription=None,
)
SGLANG_OMNI = session(
    object="realtime.session",
    model="qwen3-asr",
    intent="transcription",
    input_audio_format="pcm16",
    language=None,
    decode_interval_ms=2000,
    turn_detection=None,
) | {"event_index": 1}
MISTRAL = {
    "type": "session.created",
    "session": {
        "request_id": "r",
        "model": "voxtral",
        "audio_format": {"encoding": "pcm_s16le", "sample_rate": 16000},
        "target_streaming_delay_ms": None,
    },
}
HALF_VLLM = {"type": "session.created", "id": "sess-1"}
UNKNOWN = {"type": "session.ready", "session": {"id": "sess_1"}}


def record(content: object) -> Record:
    text = content if isinstance(content, str) else json.dumps(content)
    return Record(Sender.SERVER, 0, text)


@pytest.mark.parametrize(
    ("greeting", "name"),
    [
        (VLLM, "vllm"),
        (OPENAI, "openai"),
        (OPENAI_LIVE, "openai"),
        (LOCALAI, "openai"),
        (SPARSE, "openai"),
        (SGLANG, "openai:sglang"),
        (SPEACHES, "openai-beta:speaches"),
        (BETA, "openai-beta"),
        (RIVA, "openai-beta:riva"),
        (SGLANG_OMNI, "sglang-omni"),
    ],
)
def test_a_known_server(greeting: object, name: str) -> None:
    assert greetings.greeted(record(greeting)) == (name,)
    assert greetings.unsupported(record(greeting)) is None
    near = greetings.nearest(record(greeting))
    assert near is not None
    assert near.name.partition(":")[0] == name.partition(":")[0]


@pytest.mark.parametrize(
    ("greeting", "name", "kind"),
    [
        (MISTRAL, "sglang-omni", "Mistral"),  # `type` and `session.model` are shared
        (HALF_VLLM, "vllm", None),
        (UNKNOWN, "openai", None),
    ],
)
def test_an_unknown_server(greeting: object, name: str, kind: str | None) -> None:
    assert greetings.greeted(record(greeting)) == ()
    assert greetings.unsupported(record(greeting)) == kind
    near = greetings.nearest(record(greeting))
    assert near is not None
    assert near.name.startswith(name), near


def test_the_differences_are_named() -> None:
    near = greetings.nearest(record(HALF_VLLM))
    assert near is not None
    assert likeness(near) == "the nearest dialect is vllm, but `created` is missing"
    near = greetings.nearest(record(UNKNOWN))
    assert near is not None
    assert near.differences[0] == "`type` is session.ready, not session.created"


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"a":1}', "[" * 100_000])
def test_a_frame_of_another_kind_resembles_no_greeting(text: str) -> None:
    assert greetings.greeted(record(text)) == ()
    assert greetings.nearest(record(text)) is None
    assert greetings.unsupported(record(text)) is None
    assert greetings.nearest(Record(Sender.SERVER, 0, data=b"\0")) is None


def test_a_dialect_can_be_excluded() -> None:
    near = greetings.nearest(record(VLLM), besides="vllm")
    assert near is not None
    assert near.name.startswith("openai")


def test_every_server_is_nearest_to_its_own_dialect() -> None:
    for name in set(dialects.installed()) - set(greetings.silent()):
        for each in (name, *(f"{name}:{p}" for p in dialects.load(name).profiles)):
            (frame,) = dialects.load(each).server(["m"]).open("sess-2", 5)
            near = greetings.nearest(record(frame))
            assert near is not None
            assert near.differences == ()


def test_the_dialects_without_a_first_event_are_silent() -> None:
    assert "vosk" in greetings.silent()
    assert "vllm" not in greetings.silent()
