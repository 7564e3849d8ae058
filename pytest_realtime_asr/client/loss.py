"""The reasons why an awaited event does not arrive in a session."""

from __future__ import annotations

import enum

from pytest_realtime_asr.client.transport import LONGEST, Closed
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.records import Ending


class Loss(enum.StrEnum):
    """The reason why an utterance has no final; `NONE` (empty) if it has one."""

    NONE = ""
    REFUSED = "refused"
    HUNG = "hung"
    FLOODED = "flooded"
    CLOSED = "closed"
    BROKE = "broke"
    CANCELLED = "cancelled"


class Lost(Exception):
    """An awaited event does not arrive, or the session is not open.

    ``how`` is the reason, a member of `Loss`: ``REFUSED``, ``HUNG``, ``FLOODED``,
    ``CLOSED``, ``BROKE`` or ``CANCELLED``. After a refusal, the session may still be
    open.
    """

    def __init__(self, how: str, message: str) -> None:
        super().__init__(shortened(printable(message), LONGEST))
        self.how = Loss(how)


LOSSES = {
    Ending.CLOSED_BY_US: Loss.CLOSED,
    Ending.CLOSED_BY_PEER: Loss.CLOSED,
    Ending.REFUSED: Loss.REFUSED,
    Ending.DEADLINE: Loss.HUNG,
    Ending.LIMIT: Loss.FLOODED,
    Ending.BROKEN: Loss.BROKE,
    Ending.CANCELLED: Loss.CANCELLED,
}


def ending(closed: Closed) -> Ending:
    """Return how the session of a closed connection ended."""
    if closed.too_large:
        return Ending.CANCELLED
    if closed.protocol_error:
        return Ending.BROKEN
    if closed.by_client:
        return Ending.CLOSED_BY_US
    return Ending.BROKEN if closed.code is None else Ending.CLOSED_BY_PEER
