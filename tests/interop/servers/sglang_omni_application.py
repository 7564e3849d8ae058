"""SGLang-Omni's own realtime transcription in front of a stub client of the engine."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import soundfile
from bench import MODEL, add_pages, recognised
from fastapi import FastAPI, WebSocket
from release import Release
from speech import is_speech
from starlette.applications import Starlette

from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser

REALTIME = "sglang_omni.serve.realtime"
REAL = {
    "sglang_omni.audio.vad",
    "sglang_omni.models.qwen3_asr.streaming",
    "sglang_omni.serve.transcription_chunking",
    f"{REALTIME}.audio_buffer",
    f"{REALTIME}.events",
    f"{REALTIME}.manager",
    f"{REALTIME}.transcription_session",
}


@dataclass
class GenerateRequest:
    """A request to the engine: the audio of a segment so far, as a WAV file."""

    audio: bytes
    extra_params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class CompletionResult:
    """The text of a segment."""

    text: str
    language: str | None = None


class Client:
    """The stub engine, which recognises the audio of each request from its start."""

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    async def completion(
        self, request: GenerateRequest, *, request_id: str
    ) -> CompletionResult:
        """Return the text of the audio."""
        samples, rate = soundfile.read(io.BytesIO(request.audio), dtype="int16")
        assert rate == self._recogniser.rate
        words = await recognised(self._recogniser, samples.astype("<i2").tobytes())
        return CompletionResult(" ".join(word.text for word in words))

    async def abort(self, request_id: str) -> None:
        """Do nothing: the task that waits for the completion is cancelled."""


def build_request(*, audio_bytes: bytes, **others: object) -> GenerateRequest:
    """Return the request for this audio."""
    return GenerateRequest(audio_bytes)


class Frame:
    """As much of torch.Tensor as the handler's voice activity detection calls."""

    def __init__(self, samples: npt.NDArray[np.float32]) -> None:
        self.samples = samples

    def unsqueeze(self, axis: int) -> Frame:
        """Return the frame with one more axis."""
        return Frame(np.expand_dims(self.samples, axis))


class SpeechModel:
    """A stand-in for the Silero model of voice activity."""

    def __call__(self, frame: Frame, rate: int) -> np.float32:
        """Return the probability of speech."""
        return np.float32(is_speech(frame.samples.reshape(-1)))


STAND_INS: dict[str, object] = {
    "Client": Client,
    "GenerateRequest": GenerateRequest,
    "build_speech_to_text_generate_request": build_request,
    "from_numpy": Frame,
    "inference_mode": contextlib.nullcontext,
    "load_silero_vad": lambda **others: SpeechModel(),
}


def application(
    files: Sequence[Path], *, version: str, recogniser: Recogniser, key: str | None
) -> Starlette:
    """Return the application of a release, which cannot ask for a key."""
    release = Release(
        files,
        real=REAL,
        emptied=("sglang_omni", "silero_vad", "torch"),
        stand_ins=STAND_INS,
    )
    sessions = release.load("manager", (REALTIME,))
    strategy = release.load("streaming", ("sglang_omni.models.qwen3_asr",))
    assert sessions is not None
    assert strategy is not None
    manager = sessions.RealtimeSessionManager(
        client=Client(recogniser),
        model_name=MODEL,
        # What the pipeline of Qwen3-ASR declares.
        transcription_config=SimpleNamespace(
            strategy_cls=strategy.Qwen3ASRStreamingStrategy,
            decode_interval_ms=2000,
            server_vad=True,
            max_segment_s=30.0,
        ),
    )
    app = FastAPI(openapi_url=None)

    async def endpoint(websocket: WebSocket) -> None:
        intent = websocket.query_params.get("intent", "conversation")
        session = manager.open(websocket, intent=intent)
        try:
            await websocket.accept()
            await session.run()
        finally:
            await manager.close(session.session_id)

    app.add_api_websocket_route("/v1/realtime", endpoint)
    add_pages(app, {}, owner="sglang-omni")
    return app
