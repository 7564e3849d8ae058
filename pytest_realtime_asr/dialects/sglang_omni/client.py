"""The client's side of SGLang-Omni's protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pytest_realtime_asr.dialects import option_types
from pytest_realtime_asr.dialects.option_types import OptionType
from pytest_realtime_asr.dialects.sglang_omni.events import COMMIT, RATE, UPDATE
from pytest_realtime_asr.text import encoded_bytes

QUERY = "intent=transcription"  # without it, the session is a conversation
_FORMAT = "pcm16"  # the only audio format
_SERVER_VAD = "server_vad"  # the only kind of turn detection


class _Detection(msgspec.Struct, frozen=True):
    """The settings of the turn detection; times are in ms."""

    type: Literal["server_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None


_TYPES = {
    "language": OptionType(str | None, "a text or null"),
    "turn_detection": OptionType(
        _Detection | None,
        "server_vad, null, or an object of the type server_vad with any of the "
        "numbers threshold, prefix_padding_ms and silence_duration_ms",
    ),
}


class Caller:
    """The client's side of a session, which writes the events of the client.

    The options are ``language`` and ``turn_detection``. Raises ValueError for another
    option, and for a value of another type. The model is not sent, since a server has
    only one model.
    """

    rate = RATE
    binary = False
    tail = 0.0
    query = QUERY
    headers: Mapping[str, str] = {}

    def __init__(self, options: Mapping[str, object]) -> None:
        for name in options:
            if name not in _TYPES:
                raise ValueError(
                    f"{name}: a session has no such option; choose from "
                    f"{', '.join(_TYPES)}"
                )
        if options.get("turn_detection") == _SERVER_VAD:
            options = {**options, "turn_detection": {"type": _SERVER_VAD}}
        option_types.check(options, _TYPES)
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
