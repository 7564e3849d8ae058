"""The pings that measure the round trip to the server during a session."""

from __future__ import annotations

import asyncio

from pytest_realtime_asr.client.transport import Closed, Wire
from pytest_realtime_asr.trace.recorder import Recorder

PONG_TIMEOUT = 5.0  # s until a ping counts as unanswered; it is then the last ping


async def ping_regularly(wire: Wire, recorder: Recorder, *, interval: float) -> None:
    """Ping the server every ``interval`` seconds until a ping is not answered.

    The pings also end when the connection is closed. Only one ping is open at a time,
    so that pings do not pile up at a busy server. A ping that is open when the
    connection closes is not recorded, since the server might have answered it later.
    """
    while True:
        sent = recorder.now()
        try:
            async with asyncio.timeout(PONG_TIMEOUT):
                await wire.ping()
        except TimeoutError:
            recorder.pinged(sent, None)
            return
        except Closed:
            return
        answered = recorder.now()
        recorder.pinged(sent, answered)
        await asyncio.sleep(max(0.0, interval - (answered - sent) / 1e9))
