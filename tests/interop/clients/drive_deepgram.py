"""Deepgram's own client library, whose address can be that of any server.

``finalize``: all clips in one stream, each ended by Finalize; ``close``: each clip in a
stream of its own, ended by CloseStream; ``refused``: the server does not have the
model.
"""

# mypy: disable-error-code="import-not-found, import-untyped"

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from deepgram import AsyncDeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from drive import PATIENCE, Clip, Task, pieces, task, tell

MODELS = {"finalize": "nova-3", "close": "nova-3", "refused": "unheard-of"}
CHUNK = 100  # ms

Ended = Callable[[Any], bool]


async def main(given: Task) -> None:
    """Speak all clips."""
    web = given.url
    socket = web.replace("http", "ws", 1)
    place = DeepgramClientEnvironment(
        base=web, production=socket, agent=socket, agent_rest=web
    )
    client = AsyncDeepgramClient(api_key=given.key, environment=place)
    events: list[str] = []
    texts: list[str] = []
    errors: list[int] = []
    streams = [(clip,) for clip in given.clips]
    if given.mode != "close":
        streams = [given.clips]
    try:
        for clips in streams:
            texts += await _stream(client, given, clips, events)
    except ApiError as error:
        errors.append(error.status_code or 0)
    tell("deepgram-sdk", texts, events=events, errors=errors)


async def _stream(
    client: Any, given: Task, clips: tuple[Clip, ...], events: list[str]
) -> list[str]:
    """Speak these clips in one stream, and return their texts."""
    rate = clips[0].rate if clips else 16_000
    texts = []
    async with client.listen.v1.connect(
        model=given.model,
        encoding="linear16",
        sample_rate=rate,
        interim_results=True,
    ) as stream:
        for clip in clips:
            async for pcm in pieces(clip, CHUNK, pause=False):
                await stream.send_media(pcm)
            finalizes = given.mode == "finalize"
            end: Callable[[], Awaitable[None]] = (
                stream.send_finalize if finalizes else stream.send_close_stream
            )
            await end()
            texts.append(await asyncio.wait_for(_text(stream, events), PATIENCE))
    return texts


async def _text(stream: Any, events: list[str]) -> str:
    """Return the settled text up to the answer to Finalize, or to the summary."""
    settled: list[str] = []
    while True:
        message = await stream.recv()
        events.append(type(message).__name__)
        if message.type == "Metadata":
            return " ".join(filter(None, settled))
        if message.type == "Results" and message.is_final:
            settled.append(message.channel.alternatives[0].transcript)
            if message.from_finalize:
                return " ".join(filter(None, settled))


if __name__ == "__main__":
    asyncio.run(main(task(MODELS)))
