"""The server's side of vLLM's protocol."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.vllm.events import (
    BEGIN,
    FINISH,
    RATE,
    SHAPES,
    TABLE,
    UPDATE,
    Append,
    Delta,
    Done,
    Error,
    SessionCreated,
    SessionUpdate,
    Tokens,
)
from pytest_realtime_asr.trace.json_events import Malformed, Unknown, encode
from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import Usage


class Server:
    """The server's side of a session as in vLLM 0.33, with three more error events.

    Unlike vLLM, this server sends an error in answer to each of these frames: a binary
    frame, a starting commit before the previous final, and a final commit of audio
    without a starting commit.
    """

    rate = RATE

    def __init__(self, models: Sequence[str]) -> None:
        self._models = models
        self._state = "fresh"
        self._has_audio = False  # there is audio for which no utterance was begun

    def open(self, session: str, created: int) -> Iterable[str]:
        return (encode(SessionCreated(session, created)),)

    def hear(self, frame: str | bytes) -> Reaction:
        if isinstance(frame, bytes):
            return _refuse("invalid_frame", "Binary frames are not supported")
        message = SHAPES.read(frame, Sender.CLIENT)
        match message:
            case Malformed(json=False):
                return _refuse("invalid_json", "Invalid JSON")
            case Malformed(reason=reason):
                missing = reason.startswith(f"{UPDATE}:")
                code = "invalid_event" if missing else "processing_error"
                return _refuse(code, reason)
            case Unknown(type=kind):
                return _refuse("unknown_event", f"Unknown event type: {kind}")
            case SessionUpdate(model=model) if model not in self._models:
                return _refuse("model_not_found", f"The model `{model}` does not exist")
            case Append(audio=audio):
                return self._append(audio)
        moves = TABLE[Sender.CLIENT][self._state]
        if message.move in (BEGIN, FINISH) and self._state == "fresh":
            return _refuse("model_not_validated", "Send session.update first")
        if message.move == BEGIN and self._state == "finishing":
            return _refuse("invalid_event", "Wait for transcription.done first")
        if message.move == FINISH and self._has_audio:
            return _refuse("invalid_event", "Begin an utterance by a commit first")
        if message.move not in moves:
            return Reaction()  # a final commit without audio, or a second one
        before, (self._state,) = self._state, moves[message.move]
        if message.move == BEGIN:
            self._has_audio = False
        return Reaction(
            begin=self._state == "hearing" and before == "idle",
            finish=self._state == "finishing" and before == "hearing",
        )

    def _append(self, audio: str) -> Reaction:
        try:
            pcm = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            pcm = b""
        if not pcm or len(pcm) % 2:
            return _refuse("invalid_audio", "Invalid audio data")
        if self._state == "finishing":
            return Reaction()  # vLLM discards this audio when it sends `done`
        self._has_audio = self._state != "hearing"
        return Reaction(audio=pcm)

    def expire(self) -> Reaction:
        return Reaction(close=1001)

    def partial(self, added: str, item: int) -> Iterable[str]:
        return (encode(Delta(added)),)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[str]:
        self._state = "idle"
        prompt, completion = usage.prompt or 0, usage.completion or 0
        tokens = Tokens(prompt, completion, prompt + completion)
        return (encode(Done(text, tokens)),)


def _refuse(code: str, message: str) -> Reaction:
    return Reaction(replies=(encode(Error(message, code)),))
