"""An event loop that has its own thread and measures its own scheduling delay.

Audio must be sent and measured on time even if a test blocks its own event loop or
keeps the interpreter busy. While a session is open, a ticker on the loop records how
late each tick is. A time stamp taken at that moment can be wrong by this delay. The
loop also records two possible causes of delays: the share of a CPU core that the loop
itself uses, and the pauses of the garbage collector. Delays grow if this share is above
two thirds.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import importlib
import os
import threading
from collections import deque
from collections.abc import Coroutine
from importlib.metadata import PackageNotFoundError, version

# Imported by name, so that a test that patches the time module does not affect them.
from time import monotonic_ns, thread_time_ns
from typing import Any, TypeVar

from packaging.version import Version

from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.trace.records import Lag

TICK = 10_000_000  # ns between two ticks
TOLERATED = 1_000_000  # ns; timers of an idle machine are about 1 ms late
KEPT = 100_000  # late ticks and pauses that are kept at most
UVLOOP = "0.23"  # the oldest version that is used
CPU_TICKS = 10  # ticks between two readings of the CPU time of the loop

T = TypeVar("T")


class Loop:
    """Runs coroutines on a daemon thread until `stop`.

    The argument ``fast`` asks for the event loop of uvloop, if uvloop is installed. The
    attribute ``fast`` says whether the event loop of uvloop is used. Raises InputError
    if the installed uvloop is too old.
    """

    def __init__(self, *, fast: bool = False) -> None:
        self.fast = fast and _has_uvloop()
        self._loop = _new_loop(fast=self.fast)
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="realtime-asr", daemon=True
        )
        self._thread.start()
        self._process = os.getpid()
        self.reading = asyncio.Lock()  # held by the session that reads its frames
        self._watchers = 0
        self._ticker: asyncio.Task[None] | None = None
        self._late: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (due, lateness)
        self._pauses: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (start, length)
        self._spent: deque[tuple[int, int]] = deque(maxlen=KEPT)  # (time, CPU time)
        self._gc_start = 0  # ns; 0 before the first collection

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``work`` on the loop; may be called from any thread.

        Raises RuntimeError in a forked process, since the thread does not run there.
        """
        if os.getpid() != self._process:
            work.close()
            raise RuntimeError(
                "a realtime session cannot be used in a forked process; use it in the "
                "process of the test, or start other processes with the method spawn"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` and return its result.

        If the wait for the result is interrupted, ``work`` is cancelled.
        """
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` and await its result from another event loop.

        Raises RuntimeError if no asyncio event loop runs in the calling thread.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            work.close()
            raise RuntimeError(
                "async realtime sessions need a running asyncio event loop; with trio, "
                "use the blocking `with realtime.connect()` in trio.to_thread.run_sync"
            ) from None
        return await asyncio.wrap_future(self.submit(work))

    def stop(self) -> None:
        """Cancel all running tasks and end the thread."""

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
        """Start measuring delays; each session calls this method when it opens.

        The call must be made on the loop.
        """
        self._watchers += 1
        if self._ticker is None:
            gc.callbacks.append(self._collected)
            self._ticker = self._loop.create_task(self._tick())

    def unwatch(self) -> None:
        """Note the end of a session that called `watch`.

        The measurement of delays stops when all these sessions have ended.
        """
        self._watchers -= 1
        if self._watchers == 0 and self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
            gc.callbacks.remove(self._collected)

    def lag(self, since: int, until: int) -> Lag:
        """Return the delays of the loop in a period, and two possible causes.

        ``since`` and ``until`` are monotonic times in ns.
        """
        late = _within(self._late, since, until)
        paused = _within(self._pauses, since, until)
        readings = [each for each in list(self._spent) if since <= each[0] <= until]
        load = 0.0
        if len(readings) > 1:
            (start, before), (end, after) = readings[0], readings[-1]
            load = (after - before) / max(1, end - start)
        ticks = max(0, until - since) // TICK
        return Lag(ticks, tuple(late), max(paused, default=0), load)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """Record a pause of the garbage collector; called on any thread."""
        now = monotonic_ns()
        if phase == "start":
            self._gc_start = now
        elif self._gc_start:
            self._pauses.append((self._gc_start, now - self._gc_start))

    async def _tick(self) -> None:
        due = monotonic_ns() + TICK
        count = 0
        while True:
            await asyncio.sleep((due - monotonic_ns()) / 1e9)
            now = monotonic_ns()
            if count == 0:
                self._spent.append((now, thread_time_ns()))
            count = (count + 1) % CPU_TICKS
            # After a suspension of the machine, more ticks are late than can be kept.
            due += max(0, (now - due) // TICK - KEPT) * TICK
            while due <= now:  # each tick that a stall skipped counts as late
                if now - due > TOLERATED:
                    self._late.append((due, now - due))
                due += TICK


def _has_uvloop() -> bool:
    """Return whether uvloop is installed. Raises InputError if it is too old."""
    try:
        installed = version("uvloop")
    except PackageNotFoundError:
        return False
    if Version(installed) < Version(UVLOOP):
        # A cancelled connection attempt could leave its socket to the next session,
        # which then gets the answers to another one.
        raise InputError(
            f"uvloop {installed} may hand the answers of a server to the wrong session "
            f"after a connection attempt was cancelled; install uvloop {UVLOOP} or "
            "later, or uninstall uvloop"
        )
    return True


def _new_loop(*, fast: bool) -> asyncio.AbstractEventLoop:
    if not fast:
        return asyncio.new_event_loop()
    made: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return made


def _within(rows: deque[tuple[int, int]], since: int, until: int) -> list[int]:
    """Return the values whose time is from ``since`` to ``until``, both included.

    Each row is a time and its value.
    """
    return [value for at, value in list(rows) if since <= at <= until]
