"""The executors of a load, as a user names them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_realtime_asr.load import executors
from pytest_realtime_asr.load.executors import HERE, Place
from pytest_realtime_asr.load.processes import Processes
from pytest_realtime_asr.text.inputs import InputError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("processes", HERE),
        (" processes ", HERE),
        ("processes:4", Place(4)),
        ("dask:tcp://gpu-7:8786", Place(scheduler="tcp://gpu-7:8786")),
        ("dask:tls://[::1]:1", Place(scheduler="tls://[::1]:1")),
    ],
)
def test_the_name_of_an_executor_is_parsed(text: str, place: Place) -> None:
    assert executors.parse(text) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("process", "'process' is not a place for load; write processes, proc"),
        ("dask", "'' is not the address of a Dask scheduler; write an address"),
        ("dask:8786", "'8786' is not the address"),
        ("dask:tcp://gpu-7", "'tcp://gpu-7' is not the address"),
        ("dask:tcp://:8786", "'tcp://:8786' is not the address"),
        ("dask:http://gpu-7:8786", "'http://gpu-7:8786' is not the address"),
        ("dask:tcp://gpu 7:8786", "'tcp://gpu 7:8786' is not the address"),
        ("processes:", "'' is not a whole number from 1 to 1024"),
        ("processes:2000", "'2000' is not a whole number from 1 to 1024"),
    ],
)
def test_an_unusable_name_of_an_executor_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        executors.parse(text)


def test_a_cluster_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda name: None)
    expected = r'pip install "pytest-realtime-asr\[dask\]"'
    with pytest.raises(InputError, match=expected):
        executors.parse("dask:tcp://gpu-7:8786")
    assert executors.parse("processes") == HERE


@pytest.mark.parametrize(("place", "slots"), [(HERE, os.cpu_count()), (Place(3), 3)])
def test_processes_of_this_machine(place: Place, slots: int) -> None:
    executor = place.executor()
    assert isinstance(executor, Processes)
    assert executor.slots == slots


@pytest.mark.slow
def test_dask_is_imported_only_for_a_cluster() -> None:
    code = (
        "import sys\n"
        "from pytest_realtime_asr.load import executors\n"
        "place = executors.parse('dask:tcp://gpu-7:8786')\n"
        "executors.parse('processes').executor()\n"
        "print('distributed' in sys.modules)\n"
        "place.executor()\n"
        "print('distributed' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
