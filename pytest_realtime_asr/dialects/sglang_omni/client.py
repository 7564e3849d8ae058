"""The client's side of SGLang-Omni's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from pytest_realtime_asr.dialects.sglang_omni.events import COMMIT, RATE, UPDATE
from pytest_realtime_asr.text import encoded_bytes

QUERY = "intent=transcription"  # without it, the session is a conversation
_FORMAT = "pcm16"  # the only audio format
_OPTIONS = ("language", "turn_detection")


class Caller:
    """The client's side of a session, which writes the events of the client.

    Raises ValueError for an option other than ``language`` and ``turn_detection``. The
    model is not sent, since a server has only one model.
    """

    rate = RATE
    binary = False
    tail = 0.0
    query = QUERY
    headers: Mapping[str, str] = {}

    def __init__(self, options: Mapping[str, object]) -> None:
        for name in options:
            if name not in _OPTIONS:
                raise ValueError(
                    f"{name}: a session has no such option; choose from "
                    f"{', '.join(_OPTIONS)}"
                )
        self._session = {"input_audio_format": _FORMAT, **options}

    def configure(self) -> Sequence[str]:
        update = {"type": UPDATE, "session": self._session}
        return (msgspec.json.encode(update).decode(),)

    def begin(self) -> Sequence[str]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        audio = encoded_bytes.base64(pcm)
        return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'

    def finish(self) -> Sequence[str]:
        return (msgspec.json.encode({"type": COMMIT}).decode(),)
