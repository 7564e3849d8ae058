"""Pipecat's OpenAIRealtimeSTTService in a pipeline of its own.

``local``: pipecat's voice activity detection commits; ``server``: the server's does;
``refused``: the server does not have the model, and what becomes of that is waited for.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio
import sys
from typing import Any

from drive import PATIENCE, Task, pieces, task, tell
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.workers.runner import WorkerRunner

MODELS = {  # which of OpenAI's are for this
    "local": "gpt-realtime-whisper",
    "server": "gpt-transcribe",
    "refused": "unheard-of",
}
CHUNK = 20  # ms, as pipecat's transports deliver
RATE = 16000  # Hz, as its voice activity detection wants


async def main(given: Task) -> None:
    """Speak all clips in one session."""
    stt = OpenAIRealtimeSTTService(
        api_key=given.key,
        base_url=given.url.replace("http", "ws", 1) + "/v1/realtime",
        turn_detection={"type": "server_vad"} if given.mode == "server" else False,
        settings=OpenAIRealtimeSTTService.Settings(model=given.model),
    )
    vad = [VADProcessor(vad_analyzer=SileroVADAnalyzer())]
    worker = PipelineWorker(
        Pipeline([*(vad if given.mode == "local" else []), stt]),
        params=PipelineParams(audio_in_sample_rate=RATE),
        enable_rtvi=False,
    )
    worker.set_reached_downstream_filter(
        (TranscriptionFrame, InterimTranscriptionFrame)
    )
    worker.set_reached_upstream_filter((ErrorFrame,))
    texts: asyncio.Queue[str] = asyncio.Queue()
    partials: list[str] = []
    errors: list[str] = []
    started, given_up = asyncio.Event(), asyncio.Event()

    @worker.event_handler("on_pipeline_started")  # type: ignore[untyped-decorator]
    async def begin(_: Any, frame: Any) -> None:
        started.set()

    @worker.event_handler("on_frame_reached_downstream")  # type: ignore[untyped-decorator]
    async def hear(_: Any, frame: Any) -> None:
        if isinstance(frame, TranscriptionFrame):
            texts.put_nowait(frame.text)
        else:
            partials.append(frame.text)

    @worker.event_handler("on_frame_reached_upstream")  # type: ignore[untyped-decorator]
    async def fail(_: Any, frame: Any) -> None:
        errors.append(frame.error)
        if not stt.is_usable:
            given_up.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    await asyncio.wait_for(started.wait(), PATIENCE)
    if given.mode == "refused":
        await asyncio.wait_for(given_up.wait(), PATIENCE)
    found = []
    for clip in given.clips:
        async for pcm in pieces(clip, CHUNK):
            await worker.queue_frame(InputAudioRawFrame(pcm, clip.rate, 1))
        found.append(await asyncio.wait_for(texts.get(), PATIENCE))
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, PATIENCE)
    tell("pipecat-ai", found, partials=partials, errors=errors)


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    asyncio.run(main(task(MODELS)))
