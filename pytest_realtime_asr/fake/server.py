"""The fake server: the server's half of a dialect, a recogniser and a socket.

It speaks each word ``word_delay`` after the audio in which the word ends had arrived,
and the final ``final_delay`` after the audio was said to be complete; words that would
come later than their final are spoken with it. These delays are what a measurement of
it must read back.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
import ssl
import time
import traceback
import uuid
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import Server as Listening
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pytest_realtime_asr.dialects import Dialect, Reaction, Server
from pytest_realtime_asr.fake import faults
from pytest_realtime_asr.fake.recogniser import Listener, Recogniser, Spoken
from pytest_realtime_asr.timeline import Usage
from pytest_realtime_asr.trace import (
    Ending,
    Recorder,
    Sender,
    Span,
    Trace,
    Vantage,
)

TRACES = "/fake/traces"
KEPT = 1000  # traces that are remembered


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the server behaves; delays are in seconds, ``seed`` is of the session ids."""

    dialect: Dialect
    models: tuple[str, ...] = ("fake",)
    word_delay: float = 0.3
    final_delay: float = 0.25
    faults: tuple[str, ...] = ()
    key: str = ""
    seed: int | None = None


class Fake:
    """All sessions of one fake server."""

    def __init__(self, behaviour: Behaviour, recogniser: Recogniser) -> None:
        self._behaviour = behaviour
        self._recogniser = recogniser
        self._ids = random.Random(behaviour.seed)
        self._recorders: deque[Recorder] = deque(maxlen=KEPT)

    @asynccontextmanager
    async def listen(
        self, *, port: int, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Listening]:
        """Serve on a port of the loopback address (0: a free one)."""
        async with serve(
            self._session,
            "127.0.0.1",
            port,
            ssl=tls,
            process_request=self._request,
            compression=None,
            max_size=16 * 2**20,
            ping_interval=20,
            ping_timeout=20,
        ) as server:
            yield server

    def traces(self) -> tuple[Trace, ...]:
        """What was recorded of each session, the latest last."""
        return tuple(recorder.freeze() for recorder in self._recorders)

    def _request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer a plain HTTP request; ``None`` goes on with the handshake."""
        path = request.path.partition("?")[0]
        key = self._behaviour.key
        given = request.headers.get("Authorization", "")
        if path == "/health":
            return connection.respond(HTTPStatus.OK, "")
        if key and not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, '{"error":"Unauthorized"}'
            )
        if path == "/v1/models":
            models = [
                {"id": name, "object": "model"} for name in self._behaviour.models
            ]
            return _json(connection, {"object": "list", "data": models})
        if path == TRACES:
            return _json(connection, [t.dumps().decode() for t in self.traces()])
        if path != self._behaviour.dialect.path:
            return connection.respond(HTTPStatus.NOT_FOUND, '{"detail":"Not Found"}')
        return None

    async def _session(self, connection: ServerConnection) -> None:
        behaviour = self._behaviour
        recorder = Recorder(
            vantage=Vantage.SERVER,
            dialect=behaviour.dialect.name,
            rate=behaviour.dialect.rate,
            target="",
            secrets=(behaviour.key,),
        )
        self._recorders.append(recorder)
        recorder.open()
        machine = faults.wrap(
            behaviour.dialect.server(behaviour.models), behaviour.faults
        )
        session = _Session(behaviour, self._recogniser, machine, connection, recorder)
        try:
            await session.run(str(uuid.UUID(int=self._ids.getrandbits(128), version=4)))
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            how = Ending.CLOSED_BY_PEER if error.rcvd else Ending.BROKEN
            recorder.end(how, code=code)
        finally:
            recorder.end(Ending.CLOSED_BY_US)
            await session.close()


class _Session:
    """One connection: a task that reads, and one that speaks the open utterance."""

    def __init__(
        self,
        behaviour: Behaviour,
        recogniser: Recogniser,
        machine: Server,
        connection: ServerConnection,
        recorder: Recorder,
    ) -> None:
        self._behaviour = behaviour
        self._recogniser = recogniser
        self._machine = machine
        self._connection = connection
        self._recorder = recorder
        self._carrier = behaviour.dialect.append(b"").decode()
        self._early: list[tuple[bytes, int]] = []  # audio before its utterance began
        self._utterance: _Utterance | None = None
        self._position = 0

    async def run(self, name: str) -> None:
        opening = self._machine.open(f"sess-{name}", int(time.time()))
        await self.say(opening)
        while True:
            frame = await self._connection.recv()
            at = self._recorder.now()
            reaction = self._machine.hear(frame)
            self._record(at, frame, reaction)
            await self.say(reaction.replies)
            await self._react(reaction, at)

    async def close(self) -> None:
        if self._utterance is not None:
            await self._utterance.close()

    async def say(self, frames: Iterable[str]) -> None:
        for frame in frames:
            woke = self._recorder.now()
            await self._connection.send(frame)
            self._recorder.sent(Sender.SERVER, frame, due=woke, woke=woke)

    async def fail(self, failure: BaseException) -> None:
        """Say on stderr that the recogniser failed, and close with 1011."""
        traceback.print_exception(failure)
        await self._connection.close(1011, "the recogniser failed")

    async def _react(self, reaction: Reaction, at: int) -> None:
        if reaction.die:
            os._exit(70)
        if reaction.begin:
            if self._utterance is not None:
                await self._utterance.close()
            self._utterance = _Utterance(
                self._behaviour, self._recogniser, self._machine, self
            )
            for pcm, earlier in self._early:
                self._utterance.hear(pcm, earlier)
            self._early.clear()
        if reaction.audio:
            if self._utterance is None or self._utterance.complete:
                self._early.append((reaction.audio, at))
            else:
                self._utterance.hear(reaction.audio, at)
        if reaction.finish and self._utterance is not None:
            self._utterance.finish(at)
        if reaction.pause:
            self._connection.transport.pause_reading()
            await asyncio.sleep(reaction.pause)
            self._connection.transport.resume_reading()
        if reaction.close is not None:
            if reaction.close:
                await self._connection.close(reaction.close)
            else:
                self._connection.transport.abort()

    def _record(self, at: int, frame: str | bytes, reaction: Reaction) -> None:
        if not reaction.audio:
            self._recorder.received(Sender.CLIENT, at, frame)
            return
        start = self._position
        self._position += len(reaction.audio) // 2
        span = Span("heard", start, self._position)
        self._recorder.received(Sender.CLIENT, at, self._carrier, span=span)

    @property
    def now(self) -> int:
        return self._recorder.now()


class _Utterance:
    """Turns the audio of one utterance into words, and speaks each when it is due."""

    def __init__(
        self,
        behaviour: Behaviour,
        recogniser: Recogniser,
        machine: Server,
        session: _Session,
    ) -> None:
        self._word_delay = round(behaviour.word_delay * 1e9)
        self._final_delay = round(behaviour.final_delay * 1e9)
        self._rate = behaviour.dialect.rate
        self._machine = machine
        self._session = session
        self._audio: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self._words: asyncio.Queue[Spoken | None] = asyncio.Queue()
        self._arrivals: list[tuple[int, int]] = []  # (samples so far, when)
        self._samples = 0
        self._final_due: int | None = None
        self._finished = asyncio.Event()
        self._task = asyncio.create_task(self._run(recogniser))

    @property
    def complete(self) -> bool:
        return self._final_due is not None

    def hear(self, pcm: bytes, at: int) -> None:
        self._samples += len(pcm) // 2
        self._arrivals.append((self._samples, at))
        self._audio.put_nowait((pcm, at))

    def finish(self, at: int) -> None:
        self._final_due = at + self._final_delay
        self._finished.set()
        self._audio.put_nowait(None)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, recogniser: Recogniser) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(recogniser))
                tasks.create_task(self._speak())
        except* ConnectionClosed:
            pass  # the client has gone; the reading task notes how
        except* Exception as failure:
            await self._session.fail(failure)

    async def _listen(self, recogniser: Recogniser) -> None:
        listener: Listener = await recogniser.listen()
        try:
            while (heard := await self._audio.get()) is not None:
                for word in await listener.hear(heard[0]):
                    self._words.put_nowait(word)
            for word in await listener.finish():
                self._words.put_nowait(word)
            self._words.put_nowait(None)
        finally:
            await listener.close()

    async def _speak(self) -> None:
        text, count = "", 0
        while (word := await self._words.get()) is not None:
            await self._until(self._arrival(word.end) + self._word_delay)
            added = f" {word.text}" if text else word.text
            text, count = text + added, count + 1
            await self._session.say(self._machine.partial(added))
        assert self._final_due is not None
        await self._until(self._final_due)
        seconds = self._samples / self._rate
        usage = Usage(round(seconds * 12.5), count, None)
        await self._session.say(self._machine.final(text, usage))

    def _arrival(self, sample: int) -> int:
        index = bisect_left(self._arrivals, (sample, 0))
        return self._arrivals[min(index, len(self._arrivals) - 1)][1]

    async def _until(self, due: int) -> None:
        """Sleep until ``due`` or the final is due, whichever comes first."""
        while True:
            end = due if self._final_due is None else min(due, self._final_due)
            left = end - self._session.now
            if left <= 0:
                return
            if self._finished.is_set():
                await asyncio.sleep(left / 1e9)
            else:
                try:
                    async with asyncio.timeout(left / 1e9):
                        await self._finished.wait()
                except TimeoutError:
                    return


def _json(connection: ServerConnection, value: object) -> Response:
    response = connection.respond(HTTPStatus.OK, msgspec.json.encode(value).decode())
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
