"""vLLM's own protocol on ``/v1/realtime``: see `events` for what is said in it."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence

import msgspec

from pytest_realtime_asr.dialects.vllm.events import (
    START,
    TABLE,
    UPDATE,
    CommitEvent,
    Malformed,
    encode,
    parse,
)
from pytest_realtime_asr.dialects.vllm.misuses import MISUSES
from pytest_realtime_asr.dialects.vllm.reader import Reader
from pytest_realtime_asr.dialects.vllm.requirements import REQUIREMENTS
from pytest_realtime_asr.dialects.vllm.server import Server
from pytest_realtime_asr.evidence import Message
from pytest_realtime_asr.trace import Record


class _VLLM:
    name = "vllm"
    rate = 16_000
    path = "/v1/realtime"
    requirements = REQUIREMENTS
    misuses = MISUSES
    table = TABLE
    start = START

    def parse(self, record: Record) -> Message:
        if record.text is None:
            return Malformed("a binary frame", json=True)
        return parse(record.text, record.sender)

    def reader(self) -> Reader:
        return Reader()

    def configure(self, model: str, options: Mapping[str, object]) -> Sequence[str]:
        update = {"type": UPDATE, "model": model, **options}
        return (msgspec.json.encode(update).decode(),)

    def begin(self) -> Sequence[str]:
        return (encode(CommitEvent()),)

    def append(self, pcm: bytes) -> bytes:
        audio = binascii.b2a_base64(pcm, newline=False)
        return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'

    def finish(self) -> Sequence[str]:
        return (encode(CommitEvent(final=True)),)

    def server(self, models: Sequence[str]) -> Server:
        return Server(models)


VLLM = _VLLM()
