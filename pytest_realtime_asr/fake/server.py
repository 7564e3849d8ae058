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
import socket
import ssl
import time
import traceback
import uuid
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import Server as Listening
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pytest_realtime_asr.audio import Resampler
from pytest_realtime_asr.dialects import Dialect, Reaction, Server
from pytest_realtime_asr.fake.faults.network import connection
from pytest_realtime_asr.fake.faults.session import TRACEBACK, wrap
from pytest_realtime_asr.fake.legal_variation import VariedServer
from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)
from pytest_realtime_asr.fake.server_wrappers import ServerState
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import (
    Ending,
    Recorder,
    Sender,
    Span,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.timeline import Usage

TRACES = "/fake/traces"
KEPT = 1000  # traces that are remembered
IDLE = 3.0  # s without a frame after which the fault `idle-kills` closes
OLD = 25.0  # s of an utterance that the fault `forgets-old` keeps
NARROW = 2**16  # bytes that the kernel holds for a client of `slow-reader-stalls`

_GUARDED = "/v1"  # what stands below it asks for the key, as does every WebSocket


@dataclass(frozen=True, slots=True)
class FakeConfig:
    """How the server behaves; delays are in seconds, ``seed`` is of the session ids.

    A session lasts at most ``limit`` s. ``version`` is what it says of itself (empty:
    nothing); ``variety`` is the seed of
    the ways in which its sessions differ, ``None`` where they do not.
    """

    dialect: Dialect
    models: tuple[str, ...] = ("fake",)
    word_delay: float = 0.3
    final_delay: float = 0.25
    faults: tuple[str, ...] = ()
    key: str = ""
    seed: int | None = None
    version: str = "0.33.0"
    variety: int | None = None
    limit: float = 3600.0


class Fake:
    """All sessions of one fake server."""

    def __init__(self, behaviour: FakeConfig, recogniser: Recogniser) -> None:
        self._behaviour = behaviour
        self._recogniser = recogniser
        self._world = ServerState(
            behaviour.dialect, behaviour.models, key=behaviour.key
        )
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
            max_size=None if self._has("any-size") else 16 * 2**20,
            ping_interval=20,
            ping_timeout=20,
            create_connection=connection(self._behaviour.faults),
        ) as server:
            yield server

    def traces(self) -> tuple[Trace, ...]:
        """What was recorded of each session, the latest last."""
        return tuple(recorder.freeze() for recorder in self._recorders)

    def _request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer a plain HTTP request; ``None`` goes on with the handshake."""
        behaviour, path = self._behaviour, request.path.partition("?")[0]
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if path == "/health":
            return connection.respond(HTTPStatus.OK, "")
        if path == "/version" and behaviour.version:
            return _json(connection, {"version": behaviour.version})
        if path == "/metrics":
            return _typed(
                connection, self._metrics(), "text/plain; version=0.0.4; charset=utf-8"
            )
        guarded = upgrade or path.startswith(_GUARDED) or path == TRACES
        if guarded and not self._knows(request):
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, '{"error":"Unauthorized"}'
            )
        if path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in behaviour.models]
            return _json(connection, {"object": "list", "data": models})
        if path == TRACES:
            return _json(connection, [t.dumps().decode() for t in self.traces()])
        if path != behaviour.dialect.path and not (upgrade and self._has("any-path")):
            return connection.respond(HTTPStatus.NOT_FOUND, '{"detail":"Not Found"}')
        if not upgrade and self._has("crash-page"):
            return connection.respond(HTTPStatus.INTERNAL_SERVER_ERROR, TRACEBACK)
        self._world.handshakes += upgrade
        if upgrade and self._has("limits") and self._world.handshakes % 2 == 0:
            response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "")
            response.headers["Retry-After"] = "1"
            return response
        return None

    def _has(self, fault: str) -> bool:
        return fault in self._behaviour.faults

    def _knows(self, request: Request) -> bool:
        """Whether the request carries the key, where one is asked for."""
        if not self._behaviour.key or self._has("any-key"):
            return True
        wanted = self._behaviour.dialect.headers(self._behaviour.key)
        return all(
            hmac.compare_digest(request.headers.get(name, "").encode(), value.encode())
            for name, value in wanted.items()
            if self._behaviour.key in value
        )

    def _metrics(self) -> str:
        """What it counts, in the text format of Prometheus."""
        world = self._world
        active = world.sessions if self._has("leaks") else len(world.open)
        return "".join(
            f"# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {float(value)!r}\n"
            for name, kind, value, about in (
                (
                    "process_start_time_seconds",
                    "gauge",
                    world.began,
                    "Start time of the process since unix epoch in seconds.",
                ),
                (
                    "vllm:websocket_connections_active",
                    "gauge",
                    active,
                    "Number of active WebSocket connections.",
                ),
                (
                    "vllm:websocket_connections_total",
                    "counter",
                    world.sessions,
                    "Total number of WebSocket connections.",
                ),
            )
        )

    async def _session(self, connection: ServerConnection) -> None:
        behaviour, world = self._behaviour, self._world
        recorder = Recorder(
            vantage=Vantage.SERVER,
            dialect=behaviour.dialect.name,
            rate=behaviour.dialect.rate,
            target="",
            redactor=Redactor([behaviour.key]),
        )
        self._recorders.append(recorder)
        recorder.open()
        number = world.enter()
        machine, delay = self._machine()
        session = _Session(
            behaviour, self._recogniser, machine, connection, recorder, world, delay
        )
        try:
            await session.run(str(uuid.UUID(int=self._ids.getrandbits(128), version=4)))
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd else None
            how = Ending.CLOSED_BY_PEER if error.rcvd else Ending.BROKEN
            recorder.end(how, code=code)
            world.cuts += error.rcvd is not None and session.busy
            if error.rcvd is None and error.sent is None and not session.dropped:
                self._vanished(session)
        finally:
            recorder.end(Ending.CLOSED_BY_US)
            world.leave(number)
            await session.close()

    def _machine(self) -> tuple[Server, Callable[[], float]]:
        """The machine of a session that opens, and the delay of each of its words."""
        behaviour, world = self._behaviour, self._world
        sound = behaviour.dialect.server(behaviour.models, limit=behaviour.limit)
        if behaviour.variety is None:
            machine = wrap(sound, behaviour.faults, world)
            return machine, lambda: behaviour.word_delay
        varied = VariedServer(sound, world, behaviour.variety)
        machine = wrap(varied, behaviour.faults, world)
        return machine, lambda: varied.delay(behaviour.word_delay)

    def _vanished(self, session: _Session) -> None:
        """A client has gone without a close frame."""
        self._world.resets += 1
        if self._has("dies-of-reset") and session.busy:
            os._exit(70)
        if self._has("restarts"):
            self._world.began = time.time()


class _Session:
    """One connection: a task that reads, and one that speaks the open utterance."""

    def __init__(
        self,
        behaviour: FakeConfig,
        recogniser: Recogniser,
        machine: Server,
        connection: ServerConnection,
        recorder: Recorder,
        world: ServerState,
        delay: Callable[[], float],
    ) -> None:
        self._behaviour = behaviour
        self._recogniser = recogniser
        self._machine = machine
        self._connection = connection
        self._recorder = recorder
        self._world = world
        self._delay = delay
        caller = behaviour.dialect.caller("", {})
        carrier = caller.append(b"")
        self._carrier = carrier if caller.binary else carrier.decode()
        self._early: list[tuple[bytes, int]] = []  # audio before its utterance began
        self._utterances: list[_Utterance] = []  # of the session, in their order
        self._position = 0
        self._idle = IDLE if "idle-kills" in behaviour.faults else None
        self._slow = "slow-reader-stalls" in behaviour.faults
        self.dropped = False  # by us
        if self._slow:  # else the kernel holds megabytes before a send is blocked
            narrow: socket.socket = connection.transport.get_extra_info("socket")
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)

    @property
    def _hearing(self) -> _Utterance | None:
        """The utterance whose audio is not complete yet."""
        last = self._utterances[-1] if self._utterances else None
        return None if last is None or last.complete else last

    @property
    def busy(self) -> bool:
        """Whether an utterance is open, from its begin to its final."""
        return any(not utterance.over for utterance in self._utterances)

    async def run(self, name: str) -> None:
        opening = self._machine.open(f"sess-{name}", int(time.time()))
        await self.say(opening)
        try:
            async with asyncio.timeout(self._behaviour.limit):
                await self._read()
        except TimeoutError:
            await self._do(self._machine.expire(), self._recorder.now())

    async def _read(self) -> None:
        while True:
            frame = await self._receive()
            at = self._recorder.now()
            reaction = self._machine.hear(frame)
            self._record(at, frame, reaction)
            await self._do(reaction, at)

    async def _do(self, reaction: Reaction, at: int) -> None:
        if reaction.drop and (dropped := self._hearing) is not None:
            await dropped.close()  # it says nothing more once that is answered
        await self.say(reaction.replies)
        await self._react(reaction, at)

    async def close(self) -> None:
        for utterance in self._utterances:
            await utterance.close()

    async def say(self, frames: Iterable[str]) -> None:
        for frame in frames:
            woke = self._recorder.now()
            async with self._turn():
                await self._connection.send(frame)
            self._recorder.sent(Sender.SERVER, frame, due=woke, woke=woke)

    async def fail(self, failure: BaseException) -> None:
        """Say on stderr that the recogniser failed, and close with 1011."""
        traceback.print_exception(failure)
        await self._connection.close(1011, "the recogniser failed")

    async def _receive(self) -> str | bytes:
        try:
            async with asyncio.timeout(self._idle):
                return await self._connection.recv()
        except TimeoutError:
            await self._connection.close(1011)
            return await self._connection.recv()  # which raises that it is closed

    def _turn(self) -> AbstractAsyncContextManager[object]:
        return self._world.sending if self._slow else nullcontext()

    async def _react(self, reaction: Reaction, at: int) -> None:
        if reaction.die:
            os._exit(70)
        if reaction.begin and (heard := self._hearing) is not None:
            await heard.close()
        if reaction.begin:
            begun = _Utterance(
                len(self._utterances),
                self._behaviour,
                self._recogniser,
                self._machine,
                self,
                self._delay,
            )
            self._utterances.append(begun)
            for pcm, earlier in self._early:
                begun.hear(pcm, earlier)
            self._early.clear()
        hearing = self._hearing
        if reaction.audio and hearing is None:
            self._early.append((reaction.audio, at))
        elif reaction.audio and hearing is not None:
            hearing.hear(reaction.audio, at)
        if reaction.finish and hearing is not None:
            hearing.finish(at)
        if reaction.pause:
            self._connection.transport.pause_reading()
            await asyncio.sleep(reaction.pause)
            self._connection.transport.resume_reading()
        if reaction.close is not None:
            if reaction.close:
                await self._connection.close(reaction.close, reaction.reason)
            else:
                self.dropped = True
                self._connection.transport.abort()

    def _record(self, at: int, frame: str | bytes, reaction: Reaction) -> None:
        samples = reaction.carried or len(reaction.audio) // 2
        if not samples:
            self._recorder.received(Sender.CLIENT, at, frame)
            return
        start = self._position
        self._position += samples * self._recorder.rate // self._machine.rate
        span = Span("heard", start, self._position)
        self._recorder.received(Sender.CLIENT, at, self._carrier, span=span)

    @property
    def now(self) -> int:
        return self._recorder.now()


class _Utterance:
    """Turns the audio of one utterance into words, and speaks each when it is due."""

    def __init__(
        self,
        item: int,
        behaviour: FakeConfig,
        recogniser: Recogniser,
        machine: Server,
        session: _Session,
        delay: Callable[[], float],
    ) -> None:
        self._item = item
        self._delay = delay
        self._forgets = "forgets-old" in behaviour.faults
        self._final_delay = round(behaviour.final_delay * 1e9)
        self._rate = machine.rate
        self._known = recogniser.rate
        self._machine = machine
        self._session = session
        self._audio: asyncio.Queue[tuple[bytes, int] | None] = asyncio.Queue()
        self._words: asyncio.Queue[RecognisedWord | None] = asyncio.Queue()
        self._arrivals: list[tuple[int, int]] = []  # (samples so far, when)
        self._samples = 0
        self._final_due: int | None = None
        self._finished = asyncio.Event()
        self.over = False
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
        self.over = True
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
        resampler = Resampler(self._rate, recogniser.rate)
        try:
            while (heard := await self._audio.get()) is not None:
                for word in await listener.hear(resampler.feed(heard[0])):
                    self._words.put_nowait(word)
            for word in await listener.hear(resampler.flush()):
                self._words.put_nowait(word)
            for word in await listener.finish():
                self._words.put_nowait(word)
            self._words.put_nowait(None)
        finally:
            await listener.close()

    async def _speak(self) -> None:
        spoken: list[RecognisedWord] = []
        while (word := await self._words.get()) is not None:
            delay = round(self._delay() * 1e9)
            await self._until(self._arrival(self._sample(word)) + delay)
            added = f" {word.text}" if spoken else word.text
            spoken.append(word)
            await self._session.say(self._machine.partial(added, self._item))
        assert self._final_due is not None
        await self._until(self._final_due)
        if self._forgets:
            since = self._samples - OLD * self._rate
            spoken = [word for word in spoken if self._sample(word) > since]
        text = " ".join(word.text for word in spoken)
        seconds = self._samples / self._rate
        usage = Usage(round(seconds * 12.5), len(spoken), seconds=seconds)
        final = tuple(self._machine.final(text, usage, self._item))
        self.over = bool(final)  # one that is owed its final is still open
        await self._session.say(final)

    def _sample(self, word: RecognisedWord) -> int:
        """The sample of what was heard at which a word ends."""
        return word.end * self._rate // self._known

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
    text = msgspec.json.encode(value).decode()
    return _typed(connection, text, "application/json")


def _typed(connection: ServerConnection, text: str, kind: str) -> Response:
    response = connection.respond(HTTPStatus.OK, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = kind
    return response
