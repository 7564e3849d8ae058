"""Waits between two utterances for a server that was lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.absence import is_cut_off
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.trace.records import Trace


class Recovery:
    """Waits once for each lost server of a run, for at most ``seconds`` s.

    ``progress`` is called with a line that shows the time waited so far.
    """

    def __init__(self, seconds: float, progress: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._progress = progress
        self._suspects: set[str] = set()  # URLs whose last session was cut off
        self._given_up: set[str] = set()  # URLs that did not come back
        self._waiting = asyncio.Lock()

    def has_given_up(self, access: Access) -> bool:
        """Return whether the run has waited for a server that did not come back."""
        return access.target.websocket in self._given_up

    def note(self, access: Access, trace: Trace) -> None:
        """Record whether a session was cut off.

        If it was cut off, the next session with this server waits first.
        """
        if self._seconds and is_cut_off(trace):
            self._suspects.add(access.target.websocket)

    async def wait(self, access: Access) -> None:
        """Wait until a server is back, if the last session with it was cut off.

        If the server does not come back in time, later sessions start without a wait,
        and are lost.
        """
        url = access.target.websocket
        if url not in self._suspects:
            return
        async with self._waiting:
            if url in self._suspects and not await self._is_back(access):
                self._given_up.add(url)
            self._suspects.discard(url)

    async def is_there(self, access: Access) -> bool:
        """Return whether a server answers, if necessary after a wait."""
        url = access.target.websocket
        self._suspects.add(url)
        await self.wait(access)
        return url not in self._given_up

    async def _is_back(self, access: Access) -> bool:
        if self.has_given_up(access):
            return False
        started = time.monotonic()
        while True:
            try:
                # One request at a time, so that an interrupt ends the wait.
                await asyncio.to_thread(probe.health, access)
            except Unreachable:
                waited = time.monotonic() - started
                if waited >= self._seconds:
                    return False
                self._progress(
                    f"waiting for {access.target.http}, {waited:.0f} of "
                    f"{self._seconds:g} s"
                )
                await asyncio.sleep(min(probe.PAUSE, self._seconds - waited))
            else:
                return True
