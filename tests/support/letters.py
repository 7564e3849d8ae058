"""A fake server of letters in the event loop of a test, and clients of this server.

Its recogniser knows a letter by the value of the samples, so that texts are known and
hours of audio cost nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec
import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord
from pytest_realtime_asr.fake.server import Fake
from tests.support.servers import VLLM

RATE = 16_000
WORD = RATE // 10  # samples
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEN = " ".join(LETTERS[:10])
BRIEF = 0.25  # s after which something does not come
LONG = 5.0  # s within which it comes

Frame = dict[str, Any]
COMMIT: Frame = {"type": "input_audio_buffer.commit"}
FINAL: Frame = {**COMMIT, "final": True}
UPDATE: Frame = {"type": "session.update", "model": "fake"}


class Alphabet:
    """Recognises a letter in each 100 ms of samples that are not 0."""

    rate = RATE

    async def listen(self) -> Hearing:
        return Hearing()

    async def close(self) -> None:
        pass


class Hearing:
    def __init__(self) -> None:
        self._pending = np.zeros(0, np.int16)
        self._end = 0

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        pending = np.concatenate([self._pending, np.frombuffer(pcm, "<i2")])
        words = []
        while len(pending) >= WORD:
            self._end += WORD
            height, pending = int(pending[0]), pending[WORD:]
            if height:
                number = height - 20_000 if height >= 20_000 else height * 2 - 20_000
                words.append(
                    RecognisedWord(LETTERS[number // 10], self._end - WORD, self._end)
                )
        self._pending = pending
        return words

    async def finish(self) -> Sequence[RecognisedWord]:
        return ()

    async def close(self) -> None:
        pass


def audio_of(text: str, *, gain: float = 1.0, lead: float = 0.0) -> bytes:
    """Return the samples of a text of letters, 100 ms each; ``_`` is silence."""
    heights = [
        0 if letter == "_" else round((20_000 + 10 * LETTERS.index(letter)) * gain)
        for letter in text.split()
    ]
    samples = np.repeat(np.array(heights, "<i2"), WORD)
    return bytes(2 * round(lead * RATE)) + samples.tobytes()


def append(pcm: bytes) -> Frame:
    audio = base64.b64encode(pcm).decode()
    return {"type": "input_audio_buffer.append", "audio": audio}


class Talk:
    """A client session: the frames that came, and how it ended."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link
        self.frames: list[Frame] = []
        self.closed: int | None = None

    async def send(self, *frames: Frame | str | bytes) -> Talk:
        for frame in frames:
            await self.link.send(
                msgspec.json.encode(frame).decode()
                if isinstance(frame, dict)
                else frame
            )
        return self

    async def hear(self, kind: str, *, within: float = LONG) -> Frame | None:
        """Return the next event of a type; all that came is in ``frames``."""
        try:
            async with asyncio.timeout(within):
                while True:
                    frame = json.loads(await self.link.recv())  # NaN too
                    self.frames.append(frame)
                    if frame["type"] == kind:
                        return dict(frame)
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            self.closed = 1006 if error.rcvd is None else error.rcvd.code
            return None

    async def rest(self) -> Talk:
        """Receive for a short time, or until the connection is closed."""
        await self.hear("no such event", within=BRIEF)
        return self

    async def send_audio(
        self, pcm: bytes, *, chunk: float = 0.1, pace: float = 0
    ) -> Talk:
        size = 2 * round(chunk * RATE)
        for start in range(0, len(pcm), size):
            if pace:
                await asyncio.sleep(chunk / pace)
            await self.send(append(pcm[start : start + size]))
        return self

    async def utter(
        self,
        text: str,
        *,
        gain: float = 1.0,
        lead: float = 0.0,
        chunk: float = 0.1,
        pace: float = 0,
        within: float = LONG,
    ) -> str | None:
        """Return the final of an utterance, ``None`` if none comes in time."""
        await self.send(COMMIT)
        await self.send_audio(
            audio_of(text, gain=gain, lead=lead), chunk=chunk, pace=pace
        )
        return await self.finish(within=within)

    async def finish(self, *, within: float = LONG) -> str | None:
        await self.send(FINAL)
        done = await self.hear("transcription.done", within=within)
        return None if done is None else str(done["text"])

    def all(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def deltas(self) -> list[str]:
        return [frame["delta"] for frame in self.all("transcription.delta")]

    @property
    def codes(self) -> list[str | None]:
        return [frame["code"] for frame in self.all("error")]


class Place:
    """A fake server that listens on a port.

    `stop` tells the server to stop, and waits until its sessions have ended.
    """

    def __init__(
        self, port: int, stop: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self.port = port
        self._stop = stop
        self._links: list[ClientConnection] = []

    async def open(
        self, *, configured: bool = True, path: str = "/v1/realtime", **given: Any
    ) -> Talk:
        settings: dict[str, Any] = {"close_timeout": 0.3, **given}
        link = await connect(
            f"ws://127.0.0.1:{self.port}{path}",
            compression=None,
            proxy=None,
            max_size=None,
            **settings,
        )
        self._links.append(link)
        talk = Talk(link)
        await talk.hear("session.created", within=BRIEF)
        if configured:
            await talk.send(UPDATE)
        return talk

    async def raw(self, *frames: Frame | str | bytes, configured: bool = True) -> Talk:
        """Send frames and receive the answers for a short time."""
        talk = await self.open(configured=configured)
        with suppress(ConnectionClosed):
            await talk.send(*frames)
        return await talk.rest()

    async def utter(self, text: str, **given: Any) -> str | None:
        """Return the final of an utterance in a session of its own."""
        talk = await self.open()
        return await talk.utter(text, **given)

    async def get(self, path: str, *, key: str = "") -> tuple[int, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        auth = f"Authorization: Bearer {key}\r\n" if key else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n{auth}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
        body = (await reader.readexactly(size)).decode()
        writer.close()
        await writer.wait_closed()
        return int(head.split()[1]), body

    async def metric(self, name: str) -> float:
        _, body = await self.get("/metrics")
        (line,) = [row for row in body.splitlines() if row.startswith(f"{name} ")]
        return float(line.split()[1])

    async def stop(self) -> None:
        assert self._stop is not None, "only `place` can stop its server"
        await self._stop()

    async def leave(self) -> None:
        for link in self._links:
            link.transport.abort()
            await link.wait_closed()


def reset(talk: Talk) -> None:
    """Reset the connection, as a client that dies."""
    it: socket.socket = talk.link.transport.get_extra_info("socket")
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk.link.transport.abort()


@asynccontextmanager
async def place(*faults: str, **given: Any) -> AsyncIterator[Place]:
    defaults: dict[str, Any] = {"word_delay": 0.0, "final_delay": 0.03}
    behaviour = FakeConfig(VLLM, faults=faults, **{**defaults, **given})
    fake = Fake(behaviour, Alphabet())
    async with fake.listen(port=0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        it = Place(port, lambda: fake.drain(listening))
        try:
            yield it
        finally:
            await it.leave()
