"""The fake server's end of a WebSocket, with the faults that lie below its messages."""

from __future__ import annotations

from collections.abc import Collection

from websockets.asyncio.server import ServerConnection
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response

FAULTS = frozenset({"no-pong", "no-close-answer", "no-fragments"})
ANSWERED = 6.0  # s after which a close frame is answered by the one that is late

_PONG = bytes([0x80 | Opcode.PONG])  # with which each of them begins


class _Faulty(ServerConnection):
    faults: Collection[str] = ()
    _holding = False
    _failed = False

    def send_data(self) -> None:
        protocol = self.protocol
        if "no-pong" in self.faults:
            protocol.writes = [d for d in protocol.writes if not d.startswith(_PONG)]
        if "no-close-answer" in self.faults and protocol.close_rcvd_then_sent:
            if not self._holding:
                self._holding = True
                self.loop.call_later(ANSWERED, self._answer)
            return
        super().send_data()

    def process_event(self, event: Request | Response | Frame) -> None:
        fragment = isinstance(event, Frame) and not event.fin
        if fragment and "no-fragments" in self.faults and not self._failed:
            self._failed = True
            self.protocol.fail(1003, "messages in fragments are not supported")
            self.send_data()
        if not self._failed:  # else the rest of the message has no begin
            super().process_event(event)

    def _answer(self) -> None:
        if not self.transport.is_closing():
            super().send_data()


def connection(faults: Collection[str]) -> type[ServerConnection]:
    """The class of connections that have these faults; the others are not of here."""
    mine = FAULTS.intersection(faults)
    return (
        type("Connection", (_Faulty,), {"faults": mine}) if mine else ServerConnection
    )
