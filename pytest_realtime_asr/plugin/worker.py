"""The values that a worker of xdist gets from its controller."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.run.identity import new_id

_RUN: pytest.StashKey[str] = pytest.StashKey()
# A file in the shared folder; it exists if a worker has a test that uses this plugin.
MEASURES = "measures"


def run_id(config: pytest.Config) -> str:
    """Return the id of the run.

    A worker of xdist gets the id from its controller. Any other process makes the id at
    the first call.
    """
    given: Mapping[str, Any] = getattr(config, "workerinput", {})
    return given.get("realtime_run") or config.stash.setdefault(_RUN, new_id())


class Worker:
    """The values that a worker of xdist gets from its controller.

    In a worker, the object is true. In any other process, it is false, and it has no
    values except ``run``, the id of the run. ``folder`` is the folder that all workers
    share. ``distribution`` is the value of xdist's ``--dist``, and ``count`` is the
    number of workers. ``fakes`` maps targets to the URLs of the servers that the
    controller started. ``discovered`` maps targets to the dialects that the controller
    detected.
    """

    def __init__(self, config: pytest.Config) -> None:
        given: Mapping[str, Any] | None = getattr(config, "workerinput", None)
        self._is_worker = given is not None
        given = given or {}
        folder = given.get("realtime_shared")
        self.folder = Path(folder) if folder else None
        self.run = run_id(config)
        self.distribution = str(given.get("realtime_dist", "no"))
        self.fakes: Mapping[str, str] = given.get("realtime_fakes", {})
        self.count = int(given.get("workercount", 1))
        self.discovered: Mapping[str, list[str]] = given.get("realtime_discovered", {})

    def __bool__(self) -> bool:
        return self._is_worker

    def note_measurement(self) -> None:
        """Tell the controller that this worker has a test that uses this plugin."""
        if self.folder is not None:
            (self.folder / MEASURES).touch()
