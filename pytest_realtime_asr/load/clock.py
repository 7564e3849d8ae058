"""The clock of a level, which counts the seconds since the start of the level."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a level that started at ``start`` s on the monotonic clock."""

    start: float

    @classmethod
    def at(cls, started: float) -> Self:
        """Return the clock of a level that starts at ``started``.

        ``started`` is in seconds on the system clock. The system clock is read only
        once, so a later change of the system clock has no effect.
        """
        return cls(time.monotonic() + (started - time.time()))

    @property
    def now(self) -> float:
        """The time since the start of the level in s; negative before the start."""
        return time.monotonic() - self.start

    async def until(self, at: float) -> None:
        """Wait until ``at`` seconds after the start; return at once if that is past."""
        while (left := at - self.now) > 0:  # a timer may fire early
            await asyncio.sleep(left)
