"""The task that runs a shard, with a stand-in for the worker of a cluster."""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra dask is not installed")

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load import dask_shard
from pytest_realtime_asr.load.dask_shard import Begun
from pytest_realtime_asr.load.executor import ShardEnd
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load
from tests.support.loads import shard

FOREVER = Load(2, hold=600.0, seed=3, witnesses=0)
KEY = "run-1"

pytestmark = pytest.mark.slow


@dataclass
class Cluster:
    """What a task sees of its cluster; the queue takes ``most`` messages."""

    most: int = 1000
    messages: list[object] = field(default_factory=list)
    row: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.task = SimpleNamespace(state="executing")
        self.state = SimpleNamespace(tasks={KEY: self.task})

    def get_current_task(self) -> str:
        return KEY

    def put(self, data: bytes, timeout: float) -> None:
        if len(self.messages) == self.most:
            raise OSError("the queue is gone")
        self.messages.append(pickle.loads(data))
        if isinstance(self.messages[-1], Row):
            self.row.set()


def prepared(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Cluster:
    """A cluster on which a task runs in this thread."""
    cluster = Cluster(**changes)
    monkeypatch.setattr(dask_shard, "get_worker", lambda: cluster)
    monkeypatch.setattr(dask_shard, "Queue", lambda name: cluster)
    return cluster


def test_a_cancelled_task_cancels_its_sessions(
    monkeypatch: pytest.MonkeyPatch, server: FakeServer
) -> None:
    cluster = prepared(monkeypatch)

    def cancel() -> None:
        if cluster.row.wait(30):
            cluster.task.state = "cancelled"

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    dask_shard.run(shard(server.url, FOREVER, deadline=20, model="scripted"), "queue")
    cancelling.join()
    first, *rows, last = cluster.messages
    assert first == Begun(0)
    assert all(isinstance(each, Row) for each in rows)
    assert isinstance(last, ShardEnd)


def test_a_task_whose_queue_is_gone_ends_and_reports_it(
    monkeypatch: pytest.MonkeyPatch, server: FakeServer
) -> None:
    cluster = prepared(monkeypatch, most=2)
    with pytest.raises(OSError, match="the queue is gone"):
        dask_shard.run(shard(server.url, FOREVER, deadline=20, model="scripted"), "q")
    assert [type(each) for each in cluster.messages] == [Begun, Row]
