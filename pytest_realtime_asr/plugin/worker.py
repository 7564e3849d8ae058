"""What a worker of xdist learns from its controller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

MEASURES = "measures"  # a file in the shared folder: some test of the run measures


class Worker:
    """The input of a worker; outside of a worker it is false, and empty.

    ``folder`` is seen by all workers of the run. ``fakes`` are the URLs of the servers
    that the controller started. ``discovered`` are the dialects that it detected.
    """

    def __init__(self, config: pytest.Config) -> None:
        given: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        self._is_worker = given is not None
        given = given or {}
        folder = given.get("realtime_shared")
        self.folder = Path(folder) if folder else None
        self.distribution = str(given.get("realtime_dist", "no"))
        self.fakes: Mapping[str, str] = given.get("realtime_fakes", {})
        self.discovered: Mapping[str, list[str]] = given.get("realtime_discovered", {})

    def __bool__(self) -> bool:
        return self._is_worker

    def note_measurement(self) -> None:
        """Let the controller know that a test of this worker measures."""
        if self.folder is not None:
            (self.folder / MEASURES).touch()
