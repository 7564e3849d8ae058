"""Faults of the connection and of the process, not of the messages of a session."""

from __future__ import annotations

import asyncio
import os
import socket

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

from pytest_realtime_asr.fake.faults.registry import Hooks, Send, fault

ANSWERED = 6.0  # s after which `no-close-answer` answers a close frame
IDLE = 3.0  # s without a frame after which `idle-kills` closes
NARROW = 2**16  # bytes that the kernel buffers for a client of `slow-reader-stalls`

_PONG = bytes([0x80 | Opcode.PONG])  # the first byte of every pong


class _WithoutPong(ServerConnection):
    def send_data(self) -> None:
        protocol = self.protocol
        protocol.writes = [d for d in protocol.writes if not d.startswith(_PONG)]
        super().send_data()


@fault("no-pong", "answers no pings")
class NoPong(Hooks):
    """Removes each pong before it is sent."""

    def connection_class(self, kind: type[ServerConnection]) -> type[ServerConnection]:
        return type("Connection", (_WithoutPong, kind), {})


class _LateCloseAnswer(ServerConnection):
    _holding = False

    def send_data(self) -> None:
        if not self.protocol.close_rcvd_then_sent:
            super().send_data()
        elif not self._holding:
            self._holding = True
            self.loop.call_later(ANSWERED, self._answer)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            super().send_data()


@fault("no-close-answer", "does not answer a close frame in time")
class NoCloseAnswer(Hooks):
    """Waits for ``ANSWERED`` seconds before it answers a close frame."""

    def connection_class(self, kind: type[ServerConnection]) -> type[ServerConnection]:
        return type("Connection", (_LateCloseAnswer, kind), {})


class _WithoutFragments(ServerConnection):
    _failed = False

    def process_event(self, event: Request | Response | Frame) -> None:
        if isinstance(event, Frame) and not event.fin and not self._failed:
            self._failed = True
            self.protocol.fail(1003, "messages in fragments are not supported")
            self.send_data()
        if not self._failed:  # the rest of the message has no first frame
            super().process_event(event)


@fault("no-fragments", "closes the connection when a message comes in fragments")
class NoFragments(Hooks):
    """Closes with 1003 at the first frame of a message that comes in fragments."""

    def connection_class(self, kind: type[ServerConnection]) -> type[ServerConnection]:
        return type("Connection", (_WithoutFragments, kind), {})


@fault("idle-kills", "closes the connection after 3 s without a frame")
class IdleKills(Hooks):
    """Closes with 1011 after ``IDLE`` seconds in which only keepalives came."""

    def idle_timeout(self, seconds: float | None) -> float | None:
        return IDLE


@fault("any-size", "accepts frames of any size")
class AnySize(Hooks):
    """Accepts messages of any size."""

    def max_size(self, size: int | None) -> int | None:
        return None


@fault("slow-reader-stalls", "makes all clients wait for the slowest client")
class SlowReaderStalls(Hooks):
    """Sends a frame only when no other session of the server is sending a frame."""

    _turn: asyncio.Lock | None = None

    def connected(self, connection: ServerConnection) -> None:
        # Otherwise the kernel buffers megabytes before a send has to wait.
        narrow: socket.socket = connection.transport.get_extra_info("socket")
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW)

    def sender(self, send: Send) -> Send:
        turn = self._turn = self._turn or asyncio.Lock()

        async def in_turn(frame: str | bytes) -> None:
            async with turn:
                await send(frame)

        return in_turn


@fault("dies-of-reset", "crashes when a connection is reset during an utterance")
class DiesOfReset(Hooks):
    """Ends the server process when a connection is reset during an utterance."""

    def client_vanished(self, *, mid_utterance: bool) -> None:
        if mid_utterance:
            os._exit(70)
