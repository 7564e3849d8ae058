"""A Dask cluster: a real one of two worker processes on this machine."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from distributed import Client, LocalCluster

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load import dask_cluster, dask_shard
from pytest_realtime_asr.load.dask_cluster import DaskCluster, Offset, offset
from pytest_realtime_asr.load.executor import Shard, ShardEnd, ShardLost
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.text.inputs import InputError
from tests.support.loads import PATIENCE, only_rows, shard, until_the_end
from tests.support.project import Project

LOAD = Load(2, hold=1.0, seed=3, witnesses=0)
FOREVER = Load(2, hold=600.0, seed=3, witnesses=0)
STARTING = 20.0  # s that a worker may take to start a shard on a busy machine


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A cluster of two worker processes; a worker that is killed is started again."""
    with local_cluster(2) as cluster:
        yield cluster


@pytest.fixture
def executor(cluster: LocalCluster) -> Iterator[DaskCluster]:
    """An executor on the cluster, stopped at the end."""
    found = DaskCluster(cluster.scheduler_address)
    yield found
    found.stop()


def local_cluster(workers: int) -> LocalCluster:
    """A cluster on this machine; all its ports are free ones."""
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
    )


def given(server: FakeServer, load: Load, *, worker: int = 0) -> Shard:
    """A shard that starts as soon as its worker is ready."""
    return shard(server.url, load, worker=worker, deadline=STARTING, model="scripted")


def first_rows(executor: DaskCluster, *, workers: int = 1) -> list[Row]:
    """The rows that arrive until each worker has sent one."""
    found: list[Row] = []
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if isinstance(message := executor.next(0.1), Row):
            found.append(message)
        if len({row.worker for row in found}) == workers:
            return found
    raise AssertionError("no session has ended")


def without_gaps(found: list[Row]) -> bool:
    """Whether each stream has all its sessions, each once, up to its last one."""
    counts = Counter(row.stream for row in found)
    return all(row.number < counts[row.stream] for row in found) and len(found) == len(
        {(row.stream, row.number) for row in found}
    )


def left(cluster: LocalCluster) -> tuple[object, ...]:
    """What loads have left on the scheduler, once it has noticed that they are over."""
    scheduler: Any = cluster.scheduler
    deadline = time.monotonic() + PATIENCE
    while True:
        names = [each for each in scheduler.clients if "pytest" in each]
        queues = scheduler.extensions["queues"].queues
        found = (*queues, *scheduler.tasks, *names)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


def test_the_error_of_an_offset_is_half_of_the_time_that_the_reading_took() -> None:
    # The worker is 5 s ahead, and answers after 0.2 of 0.6 s.
    found = offset(100.0, 105.25, 100.5)
    assert found == Offset(5.0, 0.25)


def test_a_scheduler_that_does_not_answer_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_cluster, "_CONNECTING", 0.3)
    executor = DaskCluster("tcp://127.0.0.1:9")
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0"):
        _ = executor.slots
    executor.stop()


@pytest.mark.slow
def test_each_worker_runs_a_shard_and_the_cluster_is_left_clean(
    executor: DaskCluster, cluster: LocalCluster, server: FakeServer
) -> None:
    assert executor.slots == 2
    for _ in range(2):
        for worker in range(2):
            executor.start(given(server, LOAD, worker=worker))
        found = until_the_end(executor, ends=2)
        ends = [each for each in found if isinstance(each, ShardEnd)]
        assert {each.worker for each in ends} == {0, 1}
        assert {row.worker for row in only_rows(found)} == {0, 1}
        assert not any(row.lost for row in only_rows(found))
        assert all(end.seconds > 0 for end in ends)
    executor.stop()
    assert left(cluster) == ()
    assert executor.slots == 2  # the cluster still runs


@pytest.mark.slow
def test_the_shards_start_at_one_time(
    executor: DaskCluster, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The clocks seem to be an hour apart, since the own one is wrong.
    hour = 3600.0

    class Wrong:
        monotonic = staticmethod(time.monotonic)
        sleep = staticmethod(time.sleep)
        time = staticmethod(lambda: time.time() - hour)

    monkeypatch.setattr(dask_cluster, "time", Wrong)
    for worker in range(2):
        planned = given(server, LOAD, worker=worker)
        object.__setattr__(planned, "start", planned.start - hour + 1.0)
        executor.start(planned)
    found = until_the_end(executor, ends=2)
    assert all(isinstance(each, Row | ShardEnd) for each in found)
    assert {row.worker for row in only_rows(found)} == {0, 1}
    early = min(row.began for row in only_rows(found))
    assert -0.1 < early < STARTING


@pytest.mark.slow
def test_stopping_cancels_the_sessions_and_leaves_the_cluster_clean(
    executor: DaskCluster, cluster: LocalCluster, server: FakeServer
) -> None:
    executor.start(given(server, FOREVER))
    first = first_rows(executor)
    executor.stop()
    *others, end = until_the_end(executor)
    assert isinstance(end, ShardEnd)
    assert without_gaps(first + only_rows(others))
    assert left(cluster) == ()
    executor.start(given(server, LOAD))  # on a new connection
    assert isinstance(until_the_end(executor)[-1], ShardEnd)


@pytest.mark.slow
def test_a_shard_without_a_worker_is_an_error(
    executor: DaskCluster, server: FakeServer
) -> None:
    for worker in range(2):
        executor.start(given(server, FOREVER, worker=worker))
    with pytest.raises(InputError, match="has 2 workers, and the load needs 3; start"):
        executor.start(given(server, FOREVER, worker=2))
    first_rows(executor, workers=2)
    executor.stop()
    found = until_the_end(executor, ends=2)
    assert not any(isinstance(each, ShardLost) for each in found)


@pytest.mark.slow
def test_a_shard_that_waits_for_a_busy_worker_can_be_stopped(
    executor: DaskCluster, cluster: LocalCluster, server: FakeServer
) -> None:
    with Client(cluster, set_as_default=False) as client:
        others = client.map(time.sleep, [3.0] * executor.slots, pure=False)
        executor.start(given(server, FOREVER))
        executor.stop()
        (lost,) = until_the_end(executor)
        assert isinstance(lost, ShardLost)
        assert lost.reason == "it was stopped before it began"
        client.gather(others)
        del others
    assert left(cluster) == ()


def pretend(found: str) -> None:
    """Let each package of this process have this version, or the real one."""
    module: Any = importlib.metadata
    if found:
        module.version = lambda name: found
    else:
        importlib.reload(module)


@pytest.mark.slow
def test_another_version_on_a_worker_is_an_error(
    executor: DaskCluster, cluster: LocalCluster
) -> None:
    with Client(cluster, set_as_default=False) as client:
        client.run(pretend, "0.0.9")
        try:
            expected = r"worker tcp://127.* has pytest-realtime-asr 0\.0\.9, and this"
            with pytest.raises(InputError, match=expected):
                _ = executor.slots
        finally:
            client.run(pretend, "")
    assert left(cluster) == ()
    assert executor.slots == 2


@pytest.mark.slow
def test_a_dialect_that_a_worker_does_not_know_is_the_reason_of_its_loss(
    executor: DaskCluster, server: FakeServer
) -> None:
    broken = given(server, LOAD)
    object.__setattr__(broken.connection, "dialect", "no-such-dialect")
    executor.start(broken)
    (lost,) = until_the_end(executor)
    assert isinstance(lost, ShardLost)
    assert "unknown dialect 'no-such-dialect'" in lost.reason


@pytest.mark.slow
def test_a_test_runs_its_load_on_the_cluster(
    cluster: LocalCluster, project: Project
) -> None:
    project.write(
        """
def test_load(realtime, corpus):
    level = realtime.load([corpus["turn-right"]], streams=2, hold="3s", witnesses=0)
    assert level.rows and not level.lost_workers
"""
    )
    place = f"dask:{cluster.scheduler_address}"
    result = project.run(f"--realtime-load-executor={place}")
    result.assert_outcomes(passed=1)
    assert left(cluster) == ()


@pytest.mark.slow
def test_a_killed_worker_is_reported_and_loses_no_session_that_was_sent(
    executor: DaskCluster, cluster: LocalCluster, server: FakeServer
) -> None:
    for worker in range(2):
        executor.start(given(server, FOREVER, worker=worker))
    first = first_rows(executor, workers=2)
    with Client(cluster, set_as_default=False) as client:
        pids = sorted(client.run(os.getpid).items())
        address, pid = pids[0]
        os.kill(pid, signal.SIGKILL)
        *others, lost = until_the_end(executor)
        assert isinstance(lost, ShardLost)
        assert lost.worker == 0
        assert lost.reason == f"the Dask worker {address} was lost"
        assert lost.streams == (0, 1)
        assert lost.when is not None
        executor.stop()
        last = until_the_end(executor)
        assert isinstance(last[-1], ShardEnd)  # of the other worker
        for worker in range(2):
            ended = first + only_rows(others) + only_rows(last)
            assert without_gaps([row for row in ended if row.worker == worker])
        assert left(cluster) == ()
        client.wait_for_workers(2, timeout=PATIENCE)
    assert executor.slots == 2


def is_busy() -> bool:
    """Whether this process runs a shard."""
    return dask_shard._one.locked()


@pytest.mark.slow
def test_the_load_ends_when_its_client_is_killed(
    cluster: LocalCluster, server: FakeServer
) -> None:
    code = (
        "import sys, time\n"
        "from pytest_realtime_asr.load.dask_cluster import DaskCluster\n"
        "from tests.load.test_dask_cluster import FOREVER, first_rows, given\n"
        "from types import SimpleNamespace\n"
        "executor = DaskCluster(sys.argv[1])\n"
        "executor.start(given(SimpleNamespace(url=sys.argv[2]), FOREVER))\n"
        "print(len(first_rows(executor)), flush=True)\n"
        "time.sleep(600)\n"
    )
    with (
        Client(cluster, set_as_default=False) as client,
        subprocess.Popen(
            [sys.executable, "-c", code, cluster.scheduler_address, server.url],
            stdout=subprocess.PIPE,
        ) as child,
    ):
        assert child.stdout is not None
        assert int(child.stdout.readline())
        assert any(client.run(is_busy).values())
        child.kill()
        deadline = time.monotonic() + PATIENCE
        while any(client.run(is_busy).values()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(client.run(is_busy).values())
        scheduler: Any = cluster.scheduler
        assert not scheduler.tasks
        scheduler.extensions["queues"].queues.clear()  # nobody else removes its queue


@pytest.mark.slow
def test_a_killed_scheduler_ends_the_load(server: FakeServer) -> None:
    code = (
        "import time\n"
        "from tests.load.test_dask_cluster import local_cluster\n"
        "if __name__ == '__main__':\n"
        "    cluster = local_cluster(1)\n"
        "    print(cluster.scheduler_address, flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        executor = DaskCluster(child.stdout.readline().strip())
        executor.start(given(server, FOREVER))
        first = first_rows(executor)
        child.kill()
        *others, lost = until_the_end(executor)
        executor.stop()
    assert isinstance(lost, ShardLost)
    assert lost.reason.startswith("the connection to the Dask scheduler tcp://127")
    assert lost.streams == (0, 1)
    assert without_gaps(first + only_rows(others))
