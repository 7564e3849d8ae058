"""Worker processes: real ones, with a server in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load.executor import Shard, ShardEnd, ShardLost
from pytest_realtime_asr.load.processes import Processes
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load
from tests.support.loads import only_rows, shard, until_the_end

pytestmark = pytest.mark.slow

LOAD = Load(2, hold=1.0, seed=3, witnesses=0)
FOREVER = Load(2, hold=600.0, seed=3, witnesses=0)
STARTING = 20.0  # s that a worker may take to start on a busy machine


@pytest.fixture
def executor() -> Iterator[Processes]:
    """An executor of two processes, stopped at the end."""
    found = Processes(2)
    yield found
    found.stop()


def given(server: FakeServer, load: Load, *, worker: int = 0) -> Shard:
    """A shard that starts as soon as its worker is ready."""
    return shard(server.url, load, worker=worker, deadline=STARTING, model="scripted")


def first_row(executor: Processes) -> Row:
    """The first row that arrives."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if isinstance(message := executor.next(0.1), Row):
            return message
    raise AssertionError("no session has ended")


def alive(pid: int) -> bool:
    """Whether a process runs, and is not a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_workers_run_shards_and_are_used_again(
    executor: Processes, server: FakeServer
) -> None:
    pids = []
    for _ in range(2):
        for worker in range(2):
            executor.start(given(server, LOAD, worker=worker))
        found = until_the_end(executor, ends=2)
        ends = [each for each in found if isinstance(each, ShardEnd)]
        assert {each.worker for each in ends} == {0, 1}
        assert {row.worker for row in only_rows(found)} == {0, 1}
        assert not any(row.lost for row in only_rows(found))
        pids.append({each.pid for each in executor.workers})
    assert pids[0] == pids[1]
    assert len(pids[0]) == 2
    assert os.getpid() not in pids[0]


def test_a_killed_worker_is_reported_and_loses_no_session_that_had_ended(
    executor: Processes, server: FakeServer
) -> None:
    executor.start(given(server, FOREVER))
    first = first_row(executor)
    (worker,) = executor.workers
    os.kill(worker.pid, signal.SIGKILL)
    *others, lost = until_the_end(executor)
    assert isinstance(lost, ShardLost)
    assert lost.reason == "it ended with signal 9"
    assert lost.streams == (0, 1)
    assert lost.when is not None
    ended = {(row.stream, row.number) for row in [first, *only_rows(others)]}
    for stream in range(2):  # without gaps
        numbers = sorted(number for each, number in ended if each == stream)
        assert numbers == list(range(len(numbers)))
    executor.start(given(server, LOAD))  # in a new process
    assert isinstance(until_the_end(executor)[-1], ShardEnd)


def test_what_a_dying_worker_prints_is_the_reason(
    executor: Processes, server: FakeServer
) -> None:
    broken = given(server, LOAD)
    object.__setattr__(broken.connection, "dialect", "no-such-dialect")
    executor.start(broken)
    (lost,) = until_the_end(executor)
    assert isinstance(lost, ShardLost)
    assert "unknown dialect 'no-such-dialect'" in lost.reason


def test_stopping_cancels_the_sessions_and_ends_the_processes(
    executor: Processes, server: FakeServer
) -> None:
    executor.start(given(server, FOREVER))
    first_row(executor)
    pids = [each.pid for each in executor.workers]
    executor.stop()
    assert isinstance(until_the_end(executor)[-1], ShardEnd)
    deadline = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(alive, pids))


def test_a_worker_ends_when_its_parent_is_killed(server: FakeServer) -> None:
    code = (
        "import sys, time\n"
        "from pytest_realtime_asr.load.processes import Processes\n"
        "from tests.load.test_processes import FOREVER, shard\n"
        "executor = Processes(1)\n"
        "executor.start(shard(sys.argv[1], FOREVER, deadline=20, model='scripted'))\n"
        "while executor.next(1) is None: pass\n"
        "print(executor.workers[0].pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, server.url], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(worker)


@pytest.mark.parametrize("module", ["worker", "judge"])
def test_a_worker_imports_neither_pytest_nor_hypothesis(module: str) -> None:
    code = (
        f"import sys, pytest_realtime_asr.load.{module};"
        "print(*{'pytest', '_pytest', 'hypothesis'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
