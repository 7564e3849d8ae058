"""The values that a worker of xdist gets from its controller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

# A file in the shared folder; it exists if a worker has a test that uses this plugin.
MEASURES = "measures"


class Worker:
    """The values from the controller; they are empty in any process but a worker.

    The object is true in a worker, otherwise false. ``folder`` is the folder that all
    workers share. ``distribution`` is the value of xdist's ``--dist``. ``fakes`` maps
    targets to the URLs of the servers that the controller started, and ``discovered``
    maps targets to the dialects that the controller detected.
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
        """Tell the controller that this worker has a test that uses this plugin."""
        if self.folder is not None:
            (self.folder / MEASURES).touch()
