"""Servers and sessions for tests that need a socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.utils import accept_key

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Limits, Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from pytest_realtime_asr.fake.server import Fake
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.trace.records import Trace

Talk = Callable[[ServerConnection], Awaitable[None]]
Answer = Callable[[Request], Response | None]

VLLM = dialects.load("vllm")
CREATED = '{"type":"session.created","id":"sess-1","created":1}'
BRIEF = Limits(connect=5, ready=5, silence=5, beyond=10)
CLIP = corpus.load("bundled:english")["turn-right"]  # 1.67 s of "turn right and stop"
SOUND = CLIP.audio


@cache
def script() -> ScriptedRecogniser:
    """A recogniser that knows the English corpus."""
    return ScriptedRecogniser(corpus.load("bundled:english"))


def plan(url: str, **changes: Any) -> Plan:
    """A plan for sessions with this server, fast and direct."""
    headers = changes.pop("headers", {})
    tls = changes.pop("tls", None)
    where = target.parse(url, path=changes.get("dialect", VLLM).path)
    given: dict[str, Any] = {
        "dialect": VLLM,
        "access": Access(where, headers=headers, tls=tls),
        "model": "fake",
        "options": {},
        "pace": 32.0,
        "limits": BRIEF,
        "rules": VLLM.requirements,
    }
    return Plan(**{**given, **changes})


def broken(trace: Trace) -> tuple[Violation, ...]:
    """The violations of the dialect by the peer of the side that recorded a trace."""
    return observe(VLLM.requirements, dialects.part(VLLM, trace))


def violations(takes: Iterable[Transcription]) -> list[Violation]:
    """The violations in the sessions of these transcriptions."""
    return [violation for take in takes for violation in take.violations]


def took(loop: Loop, *faults: str) -> Transcription:
    """The transcription of the clip by a server with these faults."""
    silence = 0.3 if "no-final" in faults else 5
    limits = Limits(connect=5, ready=5, silence=silence, beyond=10)
    with faking(*faults) as (url, _):
        return loop.run(run_utterance(Live(loop, plan(url, limits=limits)), CLIP))


async def quiet(connection: ServerConnection) -> None:
    """Send nothing."""
    await connection.wait_closed()


def plain(status: int, body: bytes = b"", **headers: str) -> Response:
    """An HTTP response."""
    fields = Headers({"Content-Length": str(len(body)), "Connection": "close"})
    for name, value in headers.items():
        fields[name] = value
    return Response(status, "", fields, body)


@contextmanager
def closed() -> Iterator[int]:
    """A port of the loopback address on which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def bare(then: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that agrees to one WebSocket and does ``then`` with its socket; its URL.

    It is for what no WebSocket library sends.
    """
    failed: list[BaseException] = []

    def agree() -> None:
        taken, _ = listening.accept()
        with taken:
            taken.settimeout(10)
            try:
                request = taken.recv(65536).decode()
                key = next(
                    line.partition(":")[2].strip()
                    for line in request.splitlines()
                    if line.lower().startswith("sec-websocket-key")
                )
                taken.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
                    + accept_key(key).encode()
                    + b"\r\n\r\n"
                )
                then(taken)
            except BaseException as error:
                failed.append(error)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=agree, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join(20)
    assert not thread.is_alive(), "the server did not end"
    assert not failed, failed


@contextmanager
def serving(
    talk: Talk = quiet,
    *,
    answer: Answer | None = None,
    tls: ssl.SSLContext | None = None,
    late: float = 0.0,
    **options: Any,
) -> Iterator[str]:
    """Serve with ``talk``, ``late`` s after a request, and yield the URL."""

    async def asked(connection: ServerConnection, request: Request) -> Response | None:
        await asyncio.sleep(late)
        return answer(request) if answer is not None else None

    def listen() -> AbstractAsyncContextManager[Server]:
        given = {"close_timeout": 1, "compression": None, **options}
        return serve(talk, "127.0.0.1", 0, process_request=asked, ssl=tls, **given)

    with thread(listen) as port:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}"


@contextmanager
def faking(
    *faults: str,
    word_delay: float = 0.0,
    final_delay: float = 0.02,
    tls: ssl.SSLContext | None = None,
    recogniser: Any = None,
    dialect: Dialect = VLLM,
    **behaviour: Any,
) -> Iterator[tuple[str, Fake]]:
    """The fake server on a thread of this process; gives its URL, and it."""
    fake = Fake(
        FakeConfig(
            dialect,
            faults=faults,
            word_delay=word_delay,
            final_delay=final_delay,
            **behaviour,
        ),
        recogniser or script(),
    )
    with thread(lambda: fake.listen(port=0, tls=tls)) as port:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}", fake


@contextmanager
def relay(url: str, delay: float) -> Iterator[str]:
    """A relay to a server, with ``delay`` s more in each direction; yields its URL."""
    where = urlsplit(url)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parcels: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            at, parcel = await parcels.get()
            while parcel:
                await asyncio.sleep(at - time.monotonic())
                writer.write(parcel)
                at, parcel = await parcels.get()

        delivering = asyncio.create_task(deliver())
        parcel = b"-"
        while parcel:
            try:
                parcel = await reader.read(2**16)
            except ConnectionError:
                parcel = b""
            parcels.put_nowait((time.monotonic() + delay, parcel))
        await delivering
        writer.close()

    async def accept(near: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection(where.hostname, where.port)
        await asyncio.gather(carry(near, there), carry(far, out))

    @asynccontextmanager
    async def listen() -> AsyncIterator[asyncio.Server]:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            yield server

    with thread(listen) as port:
        yield f"http://127.0.0.1:{port}"


async def _emptied() -> None:
    """Wait until the sockets of this loop are closed, and abort what is left.

    A peer that does not close its side has two seconds: after that its transport is
    aborted, since an unclosed one warns in whichever test collects it as garbage.
    """
    loop: Any = asyncio.get_running_loop()
    deadline = time.monotonic() + 2
    while _open(loop) and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    for transport in list(loop._transports.values()):
        transport.abort()
    for _ in range(2):  # one turn to detach each transport, one to close its socket
        await asyncio.sleep(0)


def _open(loop: Any) -> bool:
    """Whether a transport has a socket; a closed one waits to be collected."""
    return any(each._sock is not None for each in [*loop._transports.values()])


@contextmanager
def thread(
    listen: Callable[[], AbstractAsyncContextManager[Server | asyncio.Server]],
) -> Iterator[int]:
    up: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def stay() -> None:
        over = asyncio.Event()
        async with listen() as server:
            port = next(iter(server.sockets)).getsockname()[1]
            up.set_result((port, asyncio.get_running_loop(), over))
            await over.wait()
        await _emptied()

    thread = threading.Thread(target=lambda: asyncio.run(stay()), daemon=True)
    thread.start()
    port, loop, over = up.result(10)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        assert not thread.is_alive(), "the server did not end"
