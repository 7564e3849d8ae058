"""Parses the user's choice of a place for the load, and makes its executor."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib.util import find_spec

from pytest_realtime_asr.load.executor import Executor
from pytest_realtime_asr.load.processes import Processes
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError

PROCESSES = "processes"
_MOST = 1024  # processes
_SCHEDULER = re.compile(r"(tcp|tls|ws|wss)://[^\s/]*[^\s/:]:[0-9]{1,5}")
_MISSING = (
    "the package distributed is not installed; install it with "
    'pip install "pytest-realtime-asr[dask]"'
)


@dataclass(frozen=True, slots=True)
class Place:
    """The place of the load: processes of this machine, or a Dask cluster.

    ``processes`` is the largest number of processes; ``None`` means one for each core.
    ``scheduler`` is the address of the scheduler of the Dask cluster; ``None`` means
    processes of this machine.
    """

    processes: int | None = None
    scheduler: str | None = None

    def executor(self) -> Executor:
        """Return an executor that runs a load at this place."""
        if self.scheduler is None:
            return Processes(self.processes or os.cpu_count() or 1)
        # Dask takes a second to import.
        from pytest_realtime_asr.load.dask_cluster import DaskCluster

        return DaskCluster(self.scheduler)


HERE = Place()


def parse(text: str) -> Place:
    """Parse ``processes``, ``processes:N`` or ``dask:ADDRESS``.

    Raises `InputError` for any other text.
    """
    kind, colon, rest = text.strip().partition(":")
    if kind == PROCESSES:
        return Place(inputs.whole(rest, 1, _MOST)) if colon else HERE
    if kind != "dask":
        raise InputError(
            f"{text!r} is not a place for load; write processes, processes:N or "
            "dask:ADDRESS, such as dask:tcp://HOST:8786"
        )
    if not _SCHEDULER.fullmatch(rest) or "@" in rest:
        raise InputError(
            f"{rest!r} is not the address of a Dask scheduler; write an address as in "
            "dask:tcp://HOST:8786"
        )
    if find_spec("distributed") is None:
        raise InputError(_MISSING)
    return Place(scheduler=rest)
