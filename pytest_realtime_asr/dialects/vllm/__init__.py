"""vLLM's own protocol on ``/v1/realtime``; see `events` for its events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pytest_realtime_asr.dialects import (
    NO_REQUEST,
    Caller,
    Dialect,
    HttpRefusal,
    Operations,
    Reaction,
    Request,
    Traits,
)
from pytest_realtime_asr.dialects.vllm.events import (
    RATE,
    SHAPES,
    START,
    TABLE,
    UPDATE,
    CommitEvent,
    SessionCreated,
)
from pytest_realtime_asr.dialects.vllm.invalid_frames import MISUSES
from pytest_realtime_asr.dialects.vllm.reader import Reader
from pytest_realtime_asr.dialects.vllm.reference import REFERENCE
from pytest_realtime_asr.dialects.vllm.requirements import REQUIREMENTS
from pytest_realtime_asr.dialects.vllm.scenario_steps import EXERCISES
from pytest_realtime_asr.dialects.vllm.server import Server
from pytest_realtime_asr.text import encoded_bytes
from pytest_realtime_asr.trace.json_events import encode
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record


class _VLLM:
    name = "vllm"
    rate = RATE
    path = "/v1/realtime"
    profiles: Mapping[str, str] = {}
    requirements = REQUIREMENTS
    misuses = MISUSES
    exercises = EXERCISES
    table = TABLE
    start = START
    reference = REFERENCE
    traits = Traits(
        operations=Operations(
            version="0.33.0",
            gauge="vllm:websocket_connections_active",
            counter="vllm:websocket_connections_total",
            running="vllm:num_requests_running",
            waiting="vllm:num_requests_waiting",
            kv_cache="vllm:kv_cache_usage_perc",
        ),
        final="transcription.done",
    )

    def parse(self, record: Record) -> Message:
        return SHAPES.parse(record)

    def reader(self) -> Reader:
        return Reader()

    def headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def greets(self, record: Record) -> bool:
        return isinstance(self.parse(record), SessionCreated)

    def caller(self, model: str, options: Mapping[str, object]) -> Caller:
        return _Caller(model, options)

    def refusal(
        self, request: Request, models: Sequence[str]
    ) -> HttpRefusal | Reaction | None:
        return None

    def server(
        self,
        models: Sequence[str],
        *,
        limit: float = 3600.0,
        request: Request = NO_REQUEST,
    ) -> Server:
        return Server(models)

    def profiled(self, words: Sequence[str]) -> Dialect:
        raise ValueError("this dialect has no profiles; name the dialect alone")


class _Caller:
    rate = RATE
    binary = False
    tail = 0.0
    query = ""
    headers: Mapping[str, str] = {}

    def __init__(self, model: str, options: Mapping[str, object]) -> None:
        if "type" in options:
            raise ValueError(
                "type: this field is the type of the event, not an option; remove it"
            )
        self._update = {"type": UPDATE, "model": model, **options}

    def configure(self) -> Sequence[str]:
        return (msgspec.json.encode(self._update).decode(),)

    def begin(self) -> Sequence[str]:
        return (encode(CommitEvent()),)

    def append(self, pcm: bytes) -> bytes:
        audio = encoded_bytes.base64(pcm)
        return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'

    def finish(self) -> Sequence[str]:
        return (encode(CommitEvent(final=True)),)


VLLM = _VLLM()
