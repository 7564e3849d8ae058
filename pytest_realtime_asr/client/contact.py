"""A first contact with a server: what one connection shows before any audio is sent."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.transport import Access, Closed, Encryption, connect

PINGS = 5  # round trips that are measured
PONGS = 2.0  # s to wait for the answers to all pings


@dataclass(frozen=True, slots=True)
class Contact:
    """What one connection with a server showed.

    ``first`` is the first frame of the server, ``None`` if it sent none. ``waited`` is
    the time in ms from the start of the connection to this frame. ``round_trips`` has
    the time in ms from each answered ping to its pong. ``encryption`` is ``None``
    without TLS.
    """

    first: str | bytes | None
    waited: float
    round_trips: tuple[float, ...]
    encryption: Encryption | None


async def contact(access: Access, *, wait: float = 0.0) -> Contact:
    """Open a connection, wait for the first frame, and ping the server.

    ``wait`` is the time in seconds that a server may take to start. Raises
    `Unreachable` if the server cannot be reached, or if it closes the connection before
    its first frame.
    """
    began = time.monotonic()
    wire = await connect(access, timeout=max(probe.ANSWER, wait))
    try:
        encryption = wire.encryption
        first = await probe.first_frame(wire, access, wait=wait)
        waited = _ms_since(began)
        trips: list[float] = []
        try:
            async with asyncio.timeout(PONGS):
                while len(trips) < PINGS:
                    sent = time.monotonic()
                    await wire.ping()
                    trips.append(_ms_since(sent))
        except (TimeoutError, Closed):
            pass  # the first frame is known nevertheless
        return Contact(first, waited, tuple(trips), encryption)
    finally:
        await wire.close()


def _ms_since(began: float) -> float:
    return 1e3 * (time.monotonic() - began)
