"""A clock that can run slower than real time, and timers on this clock."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count


class Timer:
    """A call that a clock makes at a given time, unless `cancel` drops it first."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Drop the call of the timer; has no effect if the call was already made."""
        self._call = None

    def run(self) -> None:
        """Make the call, unless it was cancelled."""
        if self._call is not None:
            self._call()


class Clock:
    """A clock whose time passes at ``rate`` times the speed of real time.

    A change of the rate never makes the time jump. All timers of the clock share one
    timer of the event loop, so that a change of the rate costs the same for any number
    of timers.
    """

    def __init__(self, rate: float = 1.0) -> None:
        self._rate = rate
        self._base = self._since = time.monotonic_ns()
        # A number after the time keeps the timers of one time in their order.
        self._timers: list[tuple[int, int, Timer]] = []
        self._numbers = count()
        self._armed: tuple[int, asyncio.TimerHandle] | None = None  # the first timer

    @property
    def rate(self) -> float:
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate == self._rate:
            return
        self._base, self._since = self.now(), time.monotonic_ns()
        self._rate = rate
        self._disarm()
        self._arm()

    def now(self) -> int:
        """Return the time in ns; its zero is arbitrary."""
        passed = time.monotonic_ns() - self._since
        if self._rate != 1:
            passed = round(passed * self._rate)
        return self._base + passed

    def call_at(self, due: int, call: Callable[[], None]) -> Timer:
        """Return a timer that makes the call when this clock reaches ``due`` (ns)."""
        timer = Timer(call)
        heapq.heappush(self._timers, (due, next(self._numbers), timer))
        self._arm()
        return timer

    def _arm(self) -> None:
        """Set the event loop's timer to the time of this clock's earliest timer."""
        if not self._timers or not self._rate:
            return
        due = self._timers[0][0]
        if self._armed is not None and self._armed[0] <= due:
            return
        self._disarm()
        left = max(0, due - self.now()) / self._rate / 1e9
        loop = asyncio.get_running_loop()
        self._armed = due, loop.call_later(left, self._ring)

    def _disarm(self) -> None:
        if self._armed is not None:
            self._armed[1].cancel()
            self._armed = None

    def _ring(self) -> None:
        self._armed = None
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            heapq.heappop(self._timers)[2].run()
        self._arm()
