"""The number of sessions that scenarios may have at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Capacity:
    """A semaphore of streams; a scenario takes all its streams at the same time."""

    def __init__(self, streams: int) -> None:
        self._streams = streams
        self._free = streams
        self._changed = asyncio.Condition()

    def resize(self, streams: int) -> None:
        """Change the number of streams while no scenario runs."""
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
