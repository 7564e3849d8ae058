"""The STT of livekit-agents' OpenAI plugin, over the realtime interface.

``local``: livekit's voice activity detection commits; ``server``: the server's does;
``ended``: the same, but the input ends with the last sample of the clip;
``refused``: the server does not have the model, and what becomes of that is waited for.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio
import contextlib

from drive import PATIENCE, Task, pieces, task, tell
from livekit import rtc
from livekit.agents import APIError, stt, utils
from livekit.plugins import openai

MODELS = {  # which of OpenAI's are for this
    "local": "gpt-live-transcribe",
    "server": "gpt-4o-mini-transcribe",
    "ended": "gpt-4o-mini-transcribe",
    "refused": "unheard-of",
}
CHUNK = 10  # ms, as a room's audio stream delivers
NOTHING = 3.0  # s after which no text will come


async def main(given: Task) -> None:
    """Speak all clips in one stream."""
    async with utils.http_context.open():
        recogniser = openai.STT(
            model=given.model,
            base_url=given.url + "/v1",
            api_key=given.key,
            use_realtime=True,
        )
        stream = recogniser.stream()
        finals: asyncio.Queue[str] = asyncio.Queue()
        partials: list[str] = []

        errors: list[str] = []

        async def listen() -> None:
            try:
                async for event in stream:
                    if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                        finals.put_nowait(event.alternatives[0].text)
                    elif event.type is stt.SpeechEventType.INTERIM_TRANSCRIPT:
                        partials.append(event.alternatives[0].text)
            except APIError as error:
                errors.append(error.message)

        listening = asyncio.create_task(listen())
        if given.mode == "refused":
            await asyncio.wait_for(listening, PATIENCE)
        found = []
        for clip in given.clips:
            async for pcm in pieces(clip, CHUNK, pause=given.mode != "ended"):
                samples = len(pcm) // 2
                stream.push_frame(rtc.AudioFrame(pcm, clip.rate, 1, samples))
            if given.mode != "ended":
                found.append(await asyncio.wait_for(finals.get(), PATIENCE))
        if given.mode == "ended":
            stream.end_input()
            with contextlib.suppress(TimeoutError):
                found.append(await asyncio.wait_for(finals.get(), NOTHING))
        await stream.aclose()
        await asyncio.wait_for(listening, PATIENCE)
        await recogniser.aclose()
    tell("livekit-plugins-openai", found, partials=partials, errors=errors)


if __name__ == "__main__":
    asyncio.run(main(task(MODELS)))
