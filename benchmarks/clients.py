"""Streams of this package, and the same frames by ``websockets`` alone.

Both send 100 ms of audio in a frame and read what the server sends. The bare stream is
what a careful user would write: an absolute schedule, the frame as a template, and a
second task that reads. It keeps nothing but how late its frames were.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from binascii import b2a_base64
from collections.abc import Sequence
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import parse
from pytest_realtime_asr.client.transport import Access

DIALECT = dialects.load("vllm")
CHUNK = 0.1  # s


class Stream(Protocol):
    """One stream: a session with one utterance.

    ``late`` is how late each frame was sent, in ns; it is empty without a pace.
    """

    @property
    def late(self) -> Sequence[int]: ...

    async def open(self) -> None: ...

    async def speak(self, audio: Audio) -> None: ...

    async def close(self) -> None: ...


class OwnStream:
    """A stream of this package."""

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self._live = Live(loop, plan)

    @property
    def late(self) -> Sequence[int]:
        records = self._live.trace.records
        return [
            woke - due for due, woke in (each.times for each in records if each.span)
        ]

    async def open(self) -> None:
        await self._live.open()
        await self._live.configure()

    async def speak(self, audio: Audio) -> None:
        await self._live.transcribe(audio, "silence")

    async def close(self) -> None:
        await self._live.close()


class BareStream:
    """A stream by ``websockets`` alone; ``pace`` is false to send all at once."""

    def __init__(self, url: str, *, pace: bool) -> None:
        self._url = url
        self._pace = pace
        self._connection: ClientConnection | None = None
        self.late: array[int] = array("q")

    async def open(self) -> None:
        self._connection = await connect(
            self._url, compression=None, proxy=None, ping_interval=None
        )
        await self._connection.recv()
        await self._connection.send('{"type":"session.update","model":"m"}')

    async def speak(self, audio: Audio) -> None:
        connection = self._connection
        assert connection is not None
        await connection.send('{"type":"input_audio_buffer.commit"}')
        reading = asyncio.create_task(self._read(connection))
        begun = time.monotonic_ns()
        for number, pcm in enumerate(audio.chunks(CHUNK), 1):
            if self._pace:
                due = begun + round(number * CHUNK * 1e9)
                while (left := due - time.monotonic_ns()) > 0:
                    await asyncio.sleep(left / 1e9)
                self.late.append(time.monotonic_ns() - due)
            text = b2a_base64(pcm, newline=False)
            frame = b'{"type":"input_audio_buffer.append","audio":"' + text + b'"}'
            await connection.send(frame, text=True)
        await connection.send('{"type":"input_audio_buffer.commit","final":true}')
        await reading

    async def _read(self, connection: ClientConnection) -> None:
        async for message in connection:
            if "transcription.done" in str(message):
                return

    async def close(self) -> None:
        assert self._connection is not None
        await self._connection.close()


def plan(url: str, *, pace: bool) -> Plan:
    """Return the plan of own streams with a server."""
    access = Access(parse(url, path=DIALECT.path))
    return Plan(DIALECT, access, "m", {}, pace=1.0 if pace else 0.0, chunk=CHUNK)


def bare_streams(url: str, count: int, *, pace: bool = True) -> list[Stream]:
    """Return bare streams with a server."""
    where = plan(url, pace=pace).access.target.websocket
    return [BareStream(where, pace=pace) for _ in range(count)]


def own_streams(url: str, count: int, loop: Loop, *, pace: bool = True) -> list[Stream]:
    """Return streams of this package with a server."""
    return [OwnStream(loop, plan(url, pace=pace)) for _ in range(count)]
