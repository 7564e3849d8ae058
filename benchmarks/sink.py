"""A cheap server for measurements of clients, in a process of its own.

It speaks the dialect vllm: it greets, sends five deltas a second while an utterance is
open, and answers the final commit. It recognises nothing and keeps nothing, so that the
client under measurement is the limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

DELTAS = 5  # a second
_COMMIT = b'"input_audio_buffer.commit"'
_FINAL = b"true"
_LONGEST_COMMIT = 100  # bytes; longer frames are audio


def _written(text: str) -> bytes:
    """Return a text frame of a server as bytes."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


GREETING = _written('{"type":"session.created","id":"sess-1","created":1}')
DELTA = _written('{"type":"transcription.delta","delta":" word"}')
DONE = _written(
    '{"type":"transcription.done","text":" word","usage":'
    '{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)


class Connection(asyncio.Protocol):
    """One client; frames are read by the library, and written as prepared bytes."""

    def __init__(self) -> None:
        self._protocol = ServerProtocol()
        self._delta: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
                self._send()
                self._transport.write(GREETING)
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._hear(bytes(event.data))
        self._send()

    def _hear(self, frame: bytes) -> None:
        if len(frame) > _LONGEST_COMMIT or _COMMIT not in frame:
            return
        if _FINAL in frame:
            self._stop()
            self._transport.write(DONE)
        elif self._delta is None:
            first = random.random() / DELTAS
            self._delta = self._loop.call_later(first, self._tick)

    def _tick(self) -> None:
        self._transport.write(DELTA)
        self._delta = self._loop.call_later(1 / DELTAS, self._tick)

    def _send(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()

    def _stop(self) -> None:
        if self._delta is not None:
            self._delta.cancel()
            self._delta = None

    def eof_received(self) -> None:
        self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=4096)
    async with server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await over.wait()


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """Run the server in another process; yield its URL."""
    command = [sys.executable, "-m", "benchmarks.sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve())
    else:
        uvloop.run(_serve())
