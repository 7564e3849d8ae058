"""An event loop on a thread of its own, which knows how late it runs.

A test may block its own event loop or burn the interpreter; the clocks that measure a
session must not stand still with it. While a session is open, a ticker on the same
loop notes how late each of its ticks comes: that is by how much a stamp taken then can
be wrong. It also notes what may be the reason: how much of a core the loop itself uses
(beyond two thirds of one, being late feeds on itself), and how long the garbage
collector held everybody up.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import os
import threading
from collections import deque
from collections.abc import Coroutine

# Taken now, so that a test that replaces the clock of its own code keeps ours as it is.
from time import monotonic_ns, thread_time_ns
from typing import Any, TypeVar

from pytest_realtime_asr.trace.records import Lag

TICK = 10_000_000  # ns between two ticks
TOLERATED = 1_000_000  # ns; timers of an idle machine come about 1 ms late
KEPT = 100_000  # late ticks that are remembered, and pauses
LOOKED = 10  # ticks between two looks at the loop's own CPU time

T = TypeVar("T")


class Loop:
    """Runs coroutines on a daemon thread until `stop`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="realtime-asr", daemon=True
        )
        self._thread.start()
        self._process = os.getpid()
        self._watchers = 0
        self._ticker: asyncio.Task[None] | None = None
        self._late: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (due, lateness)
        self._pauses: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (begin, length)
        self._spent: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (when, CPU time)
        self._collecting = 0

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``work``; may be called from any thread.

        Raises RuntimeError in a process that was forked, where the thread is missing.
        """
        if os.getpid() != self._process:
            work.close()
            raise RuntimeError(
                "a realtime session cannot be used in a forked process; use it in the "
                "process of the test, or start the other one with the method spawn"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` and wait; an interrupt of the waiting thread cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work`` from another asyncio loop. Raises RuntimeError elsewhere."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            raise RuntimeError(
                "realtime sessions are awaited under asyncio; on trio, use the "
                "blocking `with realtime.connect()` in trio.to_thread.run_sync"
            ) from None
        return await asyncio.wrap_future(self.submit(work))

    def stop(self) -> None:
        """Cancel what still runs, and end the thread."""

        async def cancel() -> None:
            current = asyncio.current_task()
            tasks = [task for task in asyncio.all_tasks() if task is not current]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._thread.is_alive() and os.getpid() == self._process:
            self.run(cancel())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def watch(self) -> None:
        """Tick from now on; called on the loop by each session that opens."""
        self._watchers += 1
        if self._ticker is None:
            gc.callbacks.append(self._collected)
            self._ticker = self._loop.create_task(self._tick())

    def unwatch(self) -> None:
        """Tick no more once every session that called `watch` has called this."""
        self._watchers -= 1
        if self._watchers == 0 and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
            gc.callbacks.remove(self._collected)

    def lag(self, since: int, until: int) -> Lag:
        """How late the loop was in this time (monotonic ns), and what held it up."""
        late = _within(self._late, since, until)
        paused = _within(self._pauses, since, until)
        looks = [look for look in list(self._spent) if since <= look[0] <= until]
        load = 0.0
        if len(looks) > 1:
            (begun, before), (ended, after) = looks[0], looks[-1]
            load = (after - before) / max(1, ended - begun)
        ticks = max(0, until - since) // TICK
        return Lag(ticks, tuple(late), max(paused, default=0), load)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """What Python calls before and after it collects garbage, on any thread."""
        now = monotonic_ns()
        if phase == "start":
            self._collecting = now
        elif self._collecting:
            self._pauses.append((self._collecting, now - self._collecting))

    async def _tick(self) -> None:
        due = monotonic_ns() + TICK
        look = 0
        while True:
            await asyncio.sleep((due - monotonic_ns()) / 1e9)
            now = monotonic_ns()
            if look == 0:
                self._spent.append((now, thread_time_ns()))
            look = (look + 1) % LOOKED
            # After a suspend of the machine there are more than can be remembered.
            due += max(0, (now - due) // TICK - KEPT) * TICK
            while due <= now:  # a stall swallows ticks: each counts as it would have
                if now - due > TOLERATED:
                    self._late.append((due, now - due))
                due += TICK


def _within(rows: deque[tuple[int, int]], since: int, until: int) -> list[int]:
    """The second of each pair whose first lies in this time."""
    return [value for at, value in list(rows) if since <= at <= until]
