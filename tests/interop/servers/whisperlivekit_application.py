"""WhisperLiveKit's own application in front of a stub recogniser.

Its endpoint ``/v1/listen``, its audio processor and the alignment of its tokens are its
own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from release import Release
from speech import is_speech
from starlette.applications import Starlette

from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)

Floats = npt.NDArray[np.float32]
Result = TypeVar("Result")

PACKAGE = "whisperlivekit"
REAL = {PACKAGE} | {
    f"{PACKAGE}.{module}"
    for module in (
        "api_auth",
        "audio_processor",
        "basic_server",
        "config",
        "deepgram_compat",
        "diff_protocol",
        "ffmpeg_manager",
        "metrics_collector",
        "parse_args",
        "timed_objects",
        "tokens_alignment",
    )
}
RATE = 16000
FRAME = 512  # samples that voice activity detection judges at once
PAUSE = 8000  # samples without speech that end a stretch of speech


class Engine:
    """A stand-in for the loaded models."""

    vac_session = asr = diarization_model = translation_model = None
    recogniser: Recogniser

    def __init__(self, config: Any) -> None:
        self.args = self.config = config


class Online:
    """A stand-in for the recognition of one session.

    It is called in worker threads, while the listener belongs to the event loop.
    """

    SAMPLING_RATE = RATE
    asr = SimpleNamespace(sep=" ")

    def __init__(self, recogniser: Recogniser, tokens: Any) -> None:
        self._recogniser = recogniser
        self._loop = asyncio.get_running_loop()
        self._listener: Listener | None = None
        self._types = tokens
        self._pcm = bytearray()
        self._heard = 0  # samples
        self._end = 0.0  # s, of the last word

    def insert_audio_chunk(self, audio: Floats, end: float) -> None:
        """Add audio, which ends at this time in s."""
        self._pcm += (audio * 32768).astype("<i2").tobytes()

    def process_iter(self) -> tuple[list[Any], float]:
        """Return the new words, and the time in s up to which audio was recognised."""
        return self._tokens(self._wait(self._hear())), self._heard / RATE

    def start_silence(self) -> tuple[list[Any], float]:
        """Return the new words, as ``process_iter``."""
        return self.process_iter()

    def end_silence(self, duration: float, offset: float) -> None:
        """Add the silence, which was not given as audio, with its duration in s."""
        self._pcm += bytes(2 * round(duration * RATE))

    def get_buffer(self) -> Any:
        """Return the words that may still change: none."""
        return self._types.Transcript()

    def finish(self) -> tuple[list[Any], float]:
        """Return the remaining words, and the time in s at which the audio ends."""
        return self._tokens(self._wait(self._finish())), self._heard / RATE

    def _wait(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _hear(self) -> Sequence[RecognisedWord]:
        if self._listener is None:
            self._listener = await self._recogniser.listen()
        pcm = bytes(self._pcm)
        self._pcm.clear()
        self._heard += len(pcm) // 2
        return await self._listener.hear(pcm)

    async def _finish(self) -> Sequence[RecognisedWord]:
        words = await self._hear()
        assert self._listener is not None
        return [*words, *await self._listener.finish()]

    def _tokens(self, words: Sequence[RecognisedWord]) -> list[Any]:
        """Return words as tokens, each of which starts where the one before ends."""
        tokens = []
        for word in words:
            end = max(self._end, word.end / RATE)
            tokens.append(self._types.ASRToken(self._end, end, word.text))
            self._end = end
        return tokens


class VoiceActivity:
    """A stand-in for the iterator of voice activity."""

    def __init__(self, model: object) -> None:
        self._rest = np.zeros(0, np.float32)
        self._at = 0
        self._last_speech: int | None = None  # its end, while speech lasts

    def __call__(self, audio: Floats) -> list[dict[str, int]]:
        """Return where speech starts and ends, in samples from the first audio."""
        self._rest = np.concatenate([self._rest, audio])
        events = []
        while len(self._rest) >= FRAME:
            speaks = is_speech(self._rest[:FRAME])
            self._rest = self._rest[FRAME:]
            if speaks and self._last_speech is None:
                events.append({"start": self._at})
            self._at += FRAME
            if speaks:
                self._last_speech = self._at
            elif self._last_speech is not None and self._at - self._last_speech > PAUSE:
                events.append({"end": self._at})
                self._last_speech = None
        return events


def application(
    files: Sequence[Path], *, version: str, recogniser: Recogniser, key: str | None
) -> Starlette:
    """Return the application of a release; it asks for the key if there is one."""
    stand_ins: dict[str, object] = {
        "FixedVADIterator": VoiceActivity,
        "TranscriptionEngine": Engine,
        "load_jit_vad": lambda: None,
        "online_factory": lambda *_, language: Online(recogniser, types),
    }
    release = Release(files, real=REAL, emptied=(PACKAGE,), stand_ins=stand_ins)
    types: Any = release.load("timed_objects", (PACKAGE,))
    sys.argv = [PACKAGE, *(["--api-token", key] if key else [])]  # its own options
    server = release.load("basic_server", (PACKAGE,))
    assert server is not None
    app: Starlette = server.app
    return app
