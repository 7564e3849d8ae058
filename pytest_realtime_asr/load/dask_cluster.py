"""An executor that runs shards on a Dask cluster, each in a worker process of its own.

Each message of a shard comes back through a Dask queue. If a worker is lost, its
messages that are already in the queue are not lost.

The system clocks of the machines of a cluster can differ. Before a level, the client
asks each worker for its time several times. The fastest answer gives the offset of the
worker's clock: the worker is assumed to read its clock halfway between question and
answer. So the error of the offset is at most half of the time between the two. The
start of the level is sent to each shard as a time of its worker's clock.
"""

from __future__ import annotations

import math
import pickle
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from distributed import Client, Future, Queue

from pytest_realtime_asr.load import dask_shard
from pytest_realtime_asr.load.dask_shard import Begun
from pytest_realtime_asr.load.executor import Message, Shard, ShardEnd, ShardLost
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.text.number_format import several

PACKAGE = "pytest-realtime-asr"
_CONNECTING = 10.0  # s in which the scheduler must answer
_ANSWERING = 30.0  # s that a call may take
_CLOSING = 5.0  # s that it may take to leave the cluster
_BEGINNING = 2.0  # s in which a task says that it had begun before it was stopped
_ENDING = 30.0  # s that a stopped shard may take until its last session is judged
_POLL = 0.05  # s between two looks into the queue
_READINGS = 5  # of each clock
_FRESH = 60.0  # s after which the clocks are read again
_PRECISE = 0.25  # s of the error of an offset at most


@dataclass(frozen=True, slots=True)
class Offset:
    """The time in s by which the system clock of a worker is ahead of the client's.

    The offset is right to within ``error`` seconds.
    """

    ahead: float
    error: float


class DaskCluster:
    """Runs shards on the Dask cluster whose scheduler is at ``address``.

    The first call connects to the cluster, and so does the first call after `stop`.
    Raises `InputError` if the scheduler cannot be reached, or if the workers do
    not have this version of the package.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._connected: _Connected | None = None
        self._messages: queue.Queue[Message] = queue.Queue()
        self._stopped = False
        self._changing = threading.Lock()

    @property
    def slots(self) -> int:
        """The number of worker processes that the cluster has now."""
        with self._changing, self._answering():
            return len(self._cluster().workers())

    def start(self, shard: Shard) -> None:
        """Start a shard on a free worker; the level begins at ``shard.start``.

        Raises `InputError` if every worker has a shard already.
        """
        with self._changing, self._answering():
            if self._stopped:  # late messages of stopped shards belong to no level
                self._messages, self._stopped = queue.Queue(), False
            self._cluster().start(shard, self._messages.put)

    def next(self, timeout: float) -> Message | None:
        """Return the next message of any shard; ``None`` after ``timeout`` seconds."""
        with suppress(queue.Empty):
            return self._messages.get(timeout=timeout)
        return None

    def stop(self) -> None:
        """End all shards; the sessions that are open are cut off.

        The messages of the shards have arrived when the method returns. Nothing of the
        load is left on the cluster, which keeps running.
        """
        with self._changing:
            stopped, self._connected = self._connected, None
            self._stopped = True
        if stopped is not None:
            stopped.stop()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn the loss of the connection, or a timeout, into `InputError`."""
        try:
            yield
        except OSError as error:
            raise InputError(
                f"the Dask scheduler at {self._address} does not answer "
                f"({error_text(error)}); check that it runs"
            ) from error

    def _cluster(self) -> _Connected:
        if self._connected is not None and not self._connected.alive:
            self._connected.stop()
            self._connected = None
        if self._connected is None:
            self._connected = _Connected(self._address)
        return self._connected


@dataclass(slots=True)
class _Running:
    """A shard on the cluster; ``worker`` is the address of its worker process."""

    shard: Shard
    worker: str
    task: Future[None]
    put: Callable[[Message], None]
    begun: bool = False


class _Connected:
    """A connection to a cluster, with a thread that takes messages from the queue."""

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            self._client = Client(
                address, timeout=_CONNECTING, set_as_default=False, name=PACKAGE
            )
        except (OSError, ValueError) as error:  # TimeoutError is an OSError
            raise InputError(
                f"no Dask scheduler answers at {address} ({error_text(error)}); start "
                "one with `dask scheduler`, and check the address"
            ) from error
        self._queue = Queue(client=self._client)
        self._users = 1  # of the queue
        self._known: dict[str, Offset] = {}
        self._read_at = 0.0
        self._lost = False
        self._running: dict[int, _Running] = {}
        self._changing = threading.Lock()
        self._stopped = threading.Event()
        self._taking = threading.Thread(
            target=self._take_all, name="realtime-asr-dask", daemon=True
        )
        try:
            self.workers()
        except BaseException:
            self._close()
            raise
        self._taking.start()

    @property
    def alive(self) -> bool:
        """Return whether the scheduler can be reached."""
        return not self._lost and self._client.status == "running"

    def workers(self) -> list[str]:
        """Check the versions of the workers, and return the addresses of the workers.

        Also reads their clocks, unless they were read a short time ago. Raises
        `InputError` if a worker cannot run a shard.
        """
        found = sorted(self._call(self._client.nthreads))
        if new := [each for each in found if each not in self._known]:
            self._check_versions(new)
        if new or time.monotonic() - self._read_at > _FRESH:
            self._known = self._offsets(found)
            self._read_at = time.monotonic()
        return [each for each in found if each in self._known]

    def start(self, shard: Shard, put: Callable[[Message], None]) -> None:
        """Start a shard, and pass each of its messages to ``put``."""
        workers = self.workers()
        with self._changing:
            busy = {each.worker for each in self._running.values()}
        free = [each for each in workers if each not in busy]
        if not free:
            raise InputError(
                f"the Dask cluster at {self._address} has "
                f"{several(len(workers), 'worker')}, and the load needs "
                f"{len(busy) + 1}; start more workers, for example with "
                f"`dask worker {self._address} --nworkers {len(busy) + 1} --nthreads 1`"
            )
        worker = free[0]
        shard = replace(shard, start=shard.start + self._known[worker].ahead)
        # The copy is on this worker only. If the worker is lost, the copy is lost, so
        # Dask cannot run the shard a second time.
        data = self._call(self._client.scatter, shard, workers=[worker], hash=False)
        task = self._client.submit(
            dask_shard.run, data, self._queue.name, workers=[worker], pure=False
        )
        with self._changing:
            if self._lost:  # nobody would take its messages
                raise ConnectionError("the scheduler has closed the connection")
            self._users += 1
            self._running[shard.worker] = _Running(shard, worker, task, put)

    def stop(self) -> None:
        """Cut off all shards, take their last messages, and leave the cluster."""
        self._stopped.set()  # first: a task that is cancelled now is not lost
        with self._changing:
            tasks = [each.task for each in self._running.values()]
        if tasks and self.alive:
            with suppress(OSError):  # the thread reports that the scheduler is lost
                self._call(self._client.cancel, tasks)
        self._taking.join()

    def _call(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a method of Dask.

        Raises TimeoutError after `_ANSWERING` s. Raises ConnectionError if there is no
        connection; Dask itself would wait until there is one.
        """
        if not self.alive:
            raise ConnectionError("the scheduler has closed the connection")

        async def call() -> Any:
            return await method(*args, **options)

        return self._client.sync(call, callback_timeout=_ANSWERING)

    def _answers(
        self, workers: list[str], function: Callable[..., Any], *args: Any
    ) -> dict[str, Any]:
        """Call a function on each worker; return its results and exceptions.

        Workers that are lost are left out.
        """
        found = self._call(
            self._client.run, function, *args, workers=workers, on_error="return"
        )
        return {
            worker: answer
            for worker, answer in sorted(found.items())
            if not isinstance(answer, OSError)
        }

    def _check_versions(self, workers: list[str]) -> None:
        own = version(PACKAGE)
        for worker, found in self._answers(workers, version, PACKAGE).items():
            if found == own:
                continue
            has = f"has {PACKAGE} {found}"
            if isinstance(found, Exception):
                has = f"has no {PACKAGE} ({error_text(found)})"
            raise InputError(
                f"the Dask worker {worker} {has}, and this process has {own}; install "
                "the same version on all workers"
            )

    def _offsets(self, workers: list[str]) -> dict[str, Offset]:
        """Return the offset of the clock of each worker."""
        best: dict[str, Offset] = {}
        for _ in range(_READINGS):
            asked = time.time()
            clocks = self._answers(workers, dask_shard.system_time)
            answered = time.time()
            for worker, clock in clocks.items():
                if isinstance(clock, Exception):
                    raise InputError(
                        f"the Dask worker {worker} cannot run a load "
                        f"({error_text(clock)}); install the same packages as here"
                    )
                found = offset(asked, clock, answered)
                if worker not in best or found.error < best[worker].error:
                    best[worker] = found
        for worker, found in best.items():
            if found.error > _PRECISE:
                raise InputError(
                    f"the clock of the Dask worker {worker} can be read only to within "
                    f"{found.error * 1000:.0f} ms, and a load needs "
                    f"{_PRECISE * 1000:.0f} ms; use workers that are nearer or less "
                    "busy"
                )
        return best

    def _take_all(self) -> None:
        """Pass on the messages of the shards; leave the cluster after `stop`.

        Before the cluster is left, the last messages of the shards are passed on.
        """
        since = math.inf  # when the shards were stopped
        while since == math.inf or self._running:
            over = self._over()  # before the queue is read: nothing follows
            if self._stopped.is_set():
                since = min(since, time.monotonic())
                over = self._overdue(time.monotonic() - since)
            try:
                messages = self._call(self._queue.get, batch=True)
            except Exception as error:
                with self._changing:
                    self._lost = True
                why = f"the connection to the Dask scheduler {self._address} was lost"
                why += f" ({error_text(error)})"
                over = [(each, why) for each in self._running.values()]
                since, messages = 0.0, ()
            for message in messages:
                self._pass_on(pickle.loads(message))
            for each, why in over:
                self._lose(each, why)
            time.sleep(_POLL)
        self._close()

    def _overdue(self, waited: float) -> list[tuple[_Running, str]]:
        """Return the shards that did not end in time, each with the reason.

        ``waited`` is the time in s since the shards were stopped. A shard that has not
        begun gets less time, since Dask does not begin a cancelled task.
        """
        found = []
        for each in self._running.values():
            if not each.begun and waited > _BEGINNING:
                found.append((each, "it was stopped before it began"))
            elif waited > _ENDING:
                found.append((each, f"it did not end within {_ENDING:g} s"))
        return found

    def _over(self) -> list[tuple[_Running, str]]:
        """Return the shards whose tasks have ended.

        Each comes with the reason that is reported if its last message is missing.
        """
        with self._changing:
            running = list(self._running.values())
        return [(each, _reason(each)) for each in running if each.task.done()]

    def _pass_on(self, message: Message | Begun) -> None:
        with self._changing:
            running = self._running.get(message.worker)
            if isinstance(message, Begun):
                if running is not None:
                    running.begun = True
                return
            if isinstance(message, ShardEnd | ShardLost):
                self._running.pop(message.worker, None)
        if running is not None:
            running.put(message)

    def _lose(self, running: _Running, why: str) -> None:
        """Report a shard as lost, unless its last message has been passed on."""
        shard = running.shard
        with self._changing:
            if self._running.get(shard.worker) is not running:
                return
            del self._running[shard.worker]
        lost = ShardLost(shard.worker, why, shard.streams, datetime.now(UTC))
        running.put(lost)

    def _close(self) -> None:
        """Leave the cluster, and remove the queue from the scheduler."""
        # Dask counts the users of a queue, and a worker that was lost has not left. To
        # leave once more than needed has no effect.
        for _ in range(self._users):
            self._queue.close()
        self._client.close(timeout=_CLOSING)


def offset(asked: float, clock: float, answered: float) -> Offset:
    """Return the offset of a worker's clock.

    ``clock`` is the time that the worker returned. ``asked`` and ``answered`` are the
    times of the client's clock before and after the call. All are in s.
    """
    return Offset(clock - (asked + answered) / 2, (answered - asked) / 2)


def _reason(running: _Running) -> str:
    """Return why a task has ended without the report of its shard."""
    if running.task.status == "error":
        error = running.task.exception(timeout=_ANSWERING)
        why = error_text(error)
        return f"its shard failed on the Dask worker {running.worker}: {why}"
    return f"the Dask worker {running.worker} was lost"
