"""The task that runs a shard in a worker process of a Dask cluster."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from distributed import Queue, get_worker

from pytest_realtime_asr.load.executor import Message, Shard
from pytest_realtime_asr.load.judge_process import JudgeProcess
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.worker import Worker

_POLL = 0.25  # s between two checks whether the task is still wanted
_PUTTING = 30.0  # s in which the scheduler must take a message
_one = threading.Lock()  # a worker with several threads runs one shard at a time


@dataclass(frozen=True, slots=True)
class Begun:
    """Says that the shard with the worker number ``worker`` has begun to run."""

    worker: int


def run(shard: Shard, name: str) -> None:
    """Run a shard and put its pickled messages into the Dask queue ``name``.

    The first message is `Begun`. The shard has an event loop on a thread of its own.
    The shard is cut off when the task is cancelled. Dask also cancels the task when the
    client of the cluster is gone. In this case, the queue is not deleted. Raises any
    error that prevents a message from being made or put into the queue.
    """
    wanted = _wanted()
    with _one, ThreadPoolExecutor(1) as pool:
        messages = Queue(name)
        _put(messages, Begun(shard.worker))
        judge = JudgeProcess()
        worker = Worker(judge)
        worker.start(shard)
        ended = threading.Event()
        stopping = pool.submit(_stop, worker, ended, wanted)
        failed: Exception | None = None
        try:
            for message in judge.messages():
                if failed is None:
                    try:
                        _put(messages, message)
                    except Exception as error:
                        failed = error  # the judge ends only if it is read
                if failed is not None or not isinstance(message, Row):
                    ended.set()
        finally:
            ended.set()
        stopping.result()
        if failed is not None:
            raise failed


def _put(messages: Queue, message: Message | Begun) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    messages.put(data, timeout=_PUTTING)


def system_time() -> float:
    """Return the system clock of this process in s.

    The call fails on a Dask worker that lacks a module that a shard needs, since this
    module imports them all.
    """
    return time.time()


def _wanted() -> Callable[[], bool]:
    """Return a function that returns true until the running task is cancelled."""
    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing"

    return wanted


def _stop(worker: Worker, ended: threading.Event, wanted: Callable[[], bool]) -> None:
    """Stop a worker when its shard has ended or is not wanted any more."""
    while not ended.wait(_POLL) and wanted():
        pass
    worker.stop()
