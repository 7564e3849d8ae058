"""A limit on the number of sessions that all scenarios have open at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Capacity:
    """A semaphore with one permit, called a stream, for each session that may be open.

    A scenario reserves all its streams in one step.
    """

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._free = streams
        self._changed = asyncio.Condition()

    def resize(self, streams: int) -> None:
        """Change how many sessions may be open at the same time.

        No scenario may run during the call.
        """
        self._free = self._streams = streams

    @asynccontextmanager
    async def reserve(self, streams: int) -> AsyncIterator[None]:
        streams = min(streams, self._streams)
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= streams)
            self._free -= streams
        try:
            yield
        finally:
            async with self._changed:
                self._free += streams
                self._changed.notify_all()
