"""SGLang's own realtime transcription endpoint in front of a stub tokenizer manager."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from bench import MODEL, add_pages, recognised
from fastapi import FastAPI, WebSocket
from release import Release
from starlette.applications import Starlette

from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser

SERVE = "sglang.srt.entrypoints.openai"
REAL = {
    f"{SERVE}.protocol",
    f"{SERVE}.streaming_asr",
    f"{SERVE}.realtime",
    f"{SERVE}.realtime.handler",
    f"{SERVE}.realtime.protocol",
    f"{SERVE}.realtime.session",
    f"{SERVE}.transcription_adapters.base",
    f"{SERVE}.transcription_adapters.qwen3_asr",
}
PROMPT = "<prompt>"
# The defaults of --asr-max-buffer-seconds and --asr-max-concurrent-sessions.
OPTIONS = SimpleNamespace(asr_max_buffer_seconds=60, asr_max_concurrent_sessions=32)


@dataclass
class GenerateReqInput:
    """A request to the engine: the audio of an utterance so far, as a WAV file.

    The text is the prompt and behind it the text that the model has to continue.
    """

    text: str
    audio_data: bytes
    sampling_params: dict[str, object]
    stream: bool
    modalities: list[str]


class TokenizerManager:
    """The stub engine, which recognises the audio of each request from its start."""

    server_args = None
    served_model_name = MODEL

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser

    async def generate_request(
        self, request: GenerateReqInput, raw_request: object
    ) -> AsyncIterator[dict[str, str]]:
        """Yield the words that come after those of the prompt."""
        samples, rate = soundfile.read(io.BytesIO(request.audio_data), dtype="int16")
        assert rate == self._recogniser.rate
        words = await recognised(self._recogniser, samples.astype("<i2").tobytes())
        known = len(request.text.removeprefix(PROMPT).split())
        yield {"text": " ".join(word.text for word in words[known:])}


class Samples:
    """As much of torch.Tensor as the handler's resampling calls."""

    def __init__(self, values: npt.NDArray[np.float32]) -> None:
        self._values = values

    def unsqueeze(self, axis: int) -> Samples:
        """Return the samples with one more axis."""
        return Samples(np.expand_dims(self._values, axis))

    def squeeze(self, axis: int) -> Samples:
        """Return the samples with one axis less."""
        return Samples(np.squeeze(self._values, axis))

    def numpy(self) -> npt.NDArray[np.float32]:
        """Return the samples as an array."""
        return self._values


def resample(audio: Samples, *, orig_freq: int, new_freq: int) -> Samples:
    """Return one channel of audio at another sample rate in Hz."""
    channel = audio.squeeze(0).numpy()
    return Samples(soxr.resample(channel, orig_freq, new_freq)).unsqueeze(0)


STAND_INS: dict[str, object] = {
    "DEFAULT_ASR_PROMPT": PROMPT,
    "GenerateReqInput": GenerateReqInput,
    "TokenizerManager": TokenizerManager,
    "convert_json_schema_to_str": str,
    "from_numpy": Samples,
    "functional": SimpleNamespace(resample=resample),
    "get_serving": lambda: OPTIONS,
    "random_uuid": lambda: uuid.uuid4().hex,
}


def application(
    files: Sequence[Path], *, version: str, recogniser: Recogniser, key: str | None
) -> Starlette:
    """Return the application of a release, which cannot ask for a key."""
    release = Release(
        files,
        real=REAL,
        emptied=("sglang", "torch", "torchaudio"),
        stand_ins=STAND_INS,
    )
    handler = release.load("handler", (f"{SERVE}.realtime",))
    adapters = release.load("qwen3_asr", (f"{SERVE}.transcription_adapters",))
    assert handler is not None
    assert adapters is not None
    manager = TokenizerManager(recogniser)
    adapter = adapters.Qwen3ASRAdapter()
    sessions = asyncio.Semaphore(OPTIONS.asr_max_concurrent_sessions)
    app = FastAPI(openapi_url=None)

    async def endpoint(websocket: WebSocket) -> None:
        await handler.handle_realtime_transcription(
            websocket,
            tokenizer_manager=manager,
            adapter=adapter,
            server_args=manager.server_args,
            session_semaphore=sessions,
        )

    app.add_api_websocket_route("/v1/realtime", endpoint)
    information = {"model_path": MODEL, "version": version}
    add_pages(app, {"/get_server_info": information}, owner="sglang")
    return app
