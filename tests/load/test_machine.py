"""The limits of this machine, and of machines whose files a test writes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_realtime_asr.load import worker
from pytest_realtime_asr.load.executor import Connection, Shard, ShardLost
from pytest_realtime_asr.load.judge_process import JudgeProcess
from pytest_realtime_asr.load.machine import raise_descriptors, this_machine
from pytest_realtime_asr.load.preflight import DESCRIPTORS
from pytest_realtime_asr.load.workload import Load

MIB = 2**20


def files(root: Path, **texts: str) -> Path:
    """Write the files that the system has below ``root``."""
    places = {
        "ports": "proc/sys/net/ipv4/ip_local_port_range",
        "memory": "proc/meminfo",
        "most": "sys/fs/cgroup/memory.max",
        "current": "sys/fs/cgroup/memory.current",
    }
    for name, text in texts.items():
        path = root / places[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


INFO = "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:    4096 kB\n"


def test_this_machine() -> None:
    found = this_machine()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert found.descriptors == (None if hard == resource.RLIM_INFINITY else hard)
    if sys.platform == "linux":
        assert found.ports is not None
        assert found.ports > 0
        assert found.memory is not None
        assert found.memory > MIB


def test_a_machine_whose_limits_are_not_known(tmp_path: Path) -> None:
    found = this_machine(tmp_path)
    assert (found.ports, found.memory) == (None, None)


def test_the_files_of_a_machine(tmp_path: Path) -> None:
    found = this_machine(files(tmp_path, ports="32768\t60999\n", memory=INFO))
    assert (found.ports, found.memory) == (28232, 4 * MIB)


@pytest.mark.parametrize(
    ("most", "current", "memory"),
    [
        ("max\n", "5\n", 4 * MIB),
        (f"{3 * MIB}\n", f"{MIB}\n", 2 * MIB),
        (f"{90 * MIB}\n", f"{MIB}\n", 4 * MIB),
        (f"{MIB}\n", f"{3 * MIB}\n", 0),
    ],
)
def test_a_container_may_have_less_memory(
    most: str, current: str, memory: int, tmp_path: Path
) -> None:
    root = files(tmp_path, memory=INFO, most=most, current=current)
    assert this_machine(root).memory == memory


@pytest.mark.parametrize("text", ["", "many", "1.5 2 3"])
def test_a_file_that_cannot_be_understood(text: str, tmp_path: Path) -> None:
    root = files(tmp_path, ports=text, memory=f"MemAvailable: {text}", most=text)
    found = this_machine(root)
    assert (found.ports, found.memory) == (None, None)


# The limit of a process is changed in a process of its own.
LIMITED = """
import resource, sys
from pytest_realtime_asr.load.machine import raise_descriptors
limit = resource.RLIMIT_NOFILE
resource.setrlimit(limit, (64, 128))
raise_descriptors(int(sys.argv[1]))
print(*resource.getrlimit(limit))
"""


@pytest.mark.parametrize(
    ("needed", "soft"), [("10", "64"), ("100", "100"), ("128", "128"), ("999", "128")]
)
def test_the_soft_limit_is_raised_up_to_the_hard_one(needed: str, soft: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, needed],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [soft, "128"]


def test_a_worker_raises_the_limit_for_its_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[int] = []
    monkeypatch.setattr(worker, "raise_descriptors", raised.append)
    shard = Shard(
        worker=0,
        load=Load(4, hold=1.0),
        streams=(0, 1, 2),
        connection=Connection("no such dialect", "ws://127.0.0.1:1", "", ""),
        clips=(),
        start=0.0,
    )
    judge = JudgeProcess()
    made = worker.Worker(judge)
    made.start(shard)
    made.stop()
    made._loop.stop()
    assert raised == [3 + DESCRIPTORS]
    assert [type(each) for each in judge.messages()] == [ShardLost]


def test_a_limit_that_the_system_does_not_allow_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_descriptors(before[0] + 1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
