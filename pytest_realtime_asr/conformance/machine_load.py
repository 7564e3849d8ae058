"""The load of this machine, which delays both the fake servers and the client."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Self

_MUCH = 2  # times the number of cores; a self-test alone stays below it


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """The load average of the last minute, and the number of cores."""

    average: float
    cores: int

    @classmethod
    def now(cls) -> Self | None:
        """Return the present load; ``None`` on a system that does not measure it."""
        if not hasattr(os, "getloadavg"):
            return None
        return cls(os.getloadavg()[0], os.cpu_count() or 1)

    @property
    def is_high(self) -> bool:
        """Whether processes had to wait so long that a result may be wrong."""
        return self.average > _MUCH * self.cores

    def __str__(self) -> str:
        return f"load average {self.average:.0f} on {self.cores} cores"
