"""The frames that keep an idle session open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.dialects import Keepalive
from pytest_realtime_asr.trace.records import Frame

_LOOKS = 4  # how often in an interval the task looks whether the session is idle


async def send_keepalives(
    keepalive: Keepalive,
    *,
    sent: Callable[[], object],
    send: Callable[[Frame], Awaitable[None]],
) -> None:
    """Send the keepalive frame whenever the session was idle for the interval.

    The frame and the interval are those of ``keepalive``. ``sent`` returns a value that
    changes with each frame that the session sends. The keepalive frame is at most a
    quarter of the interval late. The function returns when the session is lost.
    """
    before, idle = sent(), 0
    while True:
        await asyncio.sleep(keepalive.interval / _LOOKS)
        now = sent()
        idle = idle + 1 if now == before else 0
        if idle >= _LOOKS:
            try:
                await send(keepalive.frame)
            except Lost:
                return
            idle = 0
        before = sent()
