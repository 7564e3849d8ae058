"""A stand-in for vLLM's engine and its model: one of our own recognisers.

As Voxtral does, the model steps through the audio in frames of 80 ms, and the engine
answers each with a token, most of which have no text. A frame whose samples are all -1
makes a request fail, as any error in the engine does. What the stub does not imitate:
the padding around the audio, the wait for the token of the frame before, and an engine
that stops (vllm#34532: in 0.16.0 an utterance without audio ended it).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
from bench import MODEL

from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)

Floats = npt.NDArray[np.float32]

FRAME = 1280  # samples
FAILING = -1.0  # the value of all samples of a frame at which a request fails
PROMPT = (1,) * 39  # the tokens with which Voxtral begins


class RequestOutputKind(Enum):
    """What the texts of an engine's outputs are."""

    DELTA = 1


@dataclass(frozen=True)
class SamplingParams:
    """The options of a request to the engine; the stub ignores them."""

    max_tokens: int

    @classmethod
    def from_optional(cls, *, max_tokens: int, **others: object) -> SamplingParams:
        """The parameters from those that were given."""
        return cls(max_tokens)


@dataclass(frozen=True)
class StreamingInput:
    """One frame on its way from the model's buffer to the engine."""

    prompt: Floats


@dataclass(frozen=True)
class Completion:
    """The tokens of one step and their text."""

    text: str
    token_ids: tuple[int, ...] = (1,)


@dataclass(frozen=True)
class Output:
    """The output of the engine for one step."""

    outputs: tuple[Completion]
    prompt_token_ids: tuple[int, ...] = PROMPT


class Model:
    """Cuts the audio of an utterance into frames."""

    realtime_max_tokens = 1

    @classmethod
    async def buffer_realtime_audio(
        cls, audio_stream: AsyncIterator[Floats], input_stream: object, config: object
    ) -> AsyncIterator[Floats]:
        """The frames, the last one as long as the audio that is left."""
        rest = np.zeros(0, np.float32)
        async for audio in audio_stream:
            rest = np.concatenate([rest, audio])
            while len(rest) >= FRAME:
                yield rest[:FRAME]
                rest = rest[FRAME:]
        if len(rest):
            yield rest


class Engine:
    """Recognises each request with its own listener, and returns the words.

    It is also what vLLM's serving asks for the names of its models, and its renderer.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._open: dict[str, Listener] = {}
        self.renderer = self
        self.model_config = SimpleNamespace(max_model_len=None)
        self.vllm_config = self.input_processor = self.io_processor = None

    def is_base_model(self, name: str) -> bool:
        """Whether this is the name of the model."""
        return bool(name == MODEL)

    async def render_cmpl_async(self, prompts: Sequence[Floats]) -> Sequence[Floats]:
        """The prompts as they are."""
        return prompts

    async def generate(
        self, prompt: AsyncIterator[StreamingInput], request_id: str, **others: object
    ) -> AsyncIterator[Output]:
        """An output for each frame, and for each further word.

        RuntimeError is raised at a frame of `FAILING` samples.
        """
        listener = await self._recogniser.listen()
        self._open[request_id] = listener
        said = 0
        try:
            async for frame in prompt:
                await asyncio.sleep(0)  # a real engine does not hold up the server
                if request_id not in self._open:
                    return
                if np.all(frame.prompt == FAILING):
                    raise RuntimeError("the request failed")
                words = await listener.hear(_pcm(frame.prompt))
                for output in _outputs(words, said) or [Output((Completion(""),))]:
                    yield output
                said += len(words)
            if request_id in self._open:
                for output in _outputs(await listener.finish(), said):
                    yield output
        finally:
            self._open.pop(request_id, None)
            await listener.close()

    async def abort(self, request_id: str) -> None:
        """Give a request up, if it is still open."""
        listener = self._open.pop(request_id, None)
        if listener is not None:
            await listener.close()


def _pcm(audio: Floats) -> bytes:
    return (audio * 32768).astype("<i2").tobytes()


def _outputs(words: Sequence[RecognisedWord], said: int) -> list[Output]:
    """Each word, behind a space if it is not the first one said."""
    texts = [f" {word.text}" if said + n else word.text for n, word in enumerate(words)]
    return [Output((Completion(text),)) for text in texts]


def _logger(name: str) -> logging.Logger:
    logger = logging.getLogger(name)
    vars(logger)["warning_once"] = logger.warning  # vLLM's loggers have this as well
    return logger


STAND_INS: dict[str, object] = {
    "RequestOutputKind": RequestOutputKind,
    "SamplingParams": SamplingParams,
    "StreamingInput": StreamingInput,
    "get_model_cls": lambda config: Model,
    "init_logger": _logger,
    "parse_model_prompt": lambda config, prompt: prompt,
    "random_uuid": lambda: uuid.uuid4().hex[:16],
}
