"""An executor that runs shards in worker processes of this machine."""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime

from pytest_realtime_asr.client.child_server import Output
from pytest_realtime_asr.load.executor import Message, Shard, ShardEnd, ShardLost
from pytest_realtime_asr.text.messages import one_line

_ENDING = 30.0  # s that a stopped worker may take until its last session is judged
_REST = 1.0  # s that a worker may take to end after its last message
_SHOWN = 300  # characters of the standard error of a worker that ended


class Processes:
    """Runs shards in worker processes, which later levels use again.

    ``slots`` is the largest number of processes.
    """

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self._messages: queue.Queue[Message] = queue.Queue()
        self._workers: dict[int, WorkerProcess] = {}
        self._stopped = False
        self._changing = threading.Lock()

    def start(self, shard: Shard) -> None:
        """Start a shard; the level begins at ``shard.start``."""
        with self._changing:
            if self._stopped:  # late messages of stopped shards belong to no level
                self._messages, self._stopped = queue.Queue(), False
            self._worker(shard.worker).start(shard)

    def next(self, timeout: float) -> Message | None:
        """Return the next message of any shard; ``None`` after ``timeout`` seconds."""
        with suppress(queue.Empty):
            return self._messages.get(timeout=timeout)
        return None

    def stop(self) -> None:
        """End all shards and all processes; the sessions that are open are cut off.

        `next` still returns the messages of the shards. A process that does not end in
        time is killed.
        """
        with self._changing:
            stopped, self._workers = self._workers, {}
            self._stopped = True
        for worker in stopped.values():
            worker.stop()

    @property
    def workers(self) -> tuple[WorkerProcess, ...]:
        """The processes that can take a shard, in the order of their numbers."""
        with self._changing:
            known = sorted(self._workers.items())
        return tuple(each for _, each in known if each.alive)

    def _worker(self, number: int) -> WorkerProcess:
        found = self._workers.get(number)
        if found is None or not found.alive:
            found = self._workers[number] = WorkerProcess(number, self._messages)
        return found


class WorkerProcess:
    """One worker process, with a thread that reads its messages."""

    def __init__(self, number: int, messages: queue.Queue[Message]) -> None:
        self._number = number
        self._messages = messages
        self._output = Output()
        self._shard: Shard | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_realtime_asr.load.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output.file,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for the parent, which stops the worker
        )
        self._reading = threading.Thread(
            target=self._read, name=f"realtime-asr-worker-{number}", daemon=True
        )
        self._reading.start()

    @property
    def alive(self) -> bool:
        """Whether the process can take a shard."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def start(self, shard: Shard) -> None:
        """Send a shard to the process."""
        self._shard = shard
        self._write(shard)

    def stop(self) -> None:
        """Tell the process to end, and kill it if it does not end in time."""
        self._write(None)
        self._close()
        ending = threading.Thread(target=self._end, daemon=True)
        ending.start()
        if self._shard is None:  # an idle process ends at once
            ending.join()
            self._reading.join()

    def _end(self, patience: float = _ENDING) -> None:
        """Wait ``patience`` seconds for the process to end; then kill it."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _write(self, command: Shard | None) -> None:
        assert self._process.stdin is not None
        with suppress(OSError, ValueError):  # the thread that reads reports the end
            pickle.dump(command, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # of what could not be written to a dead process
            self._process.stdin.close()

    def _read(self) -> None:
        """Pass on the messages of the process until its end."""
        assert self._process.stdout is not None
        strange = ""
        with self._process.stdout as stdout:
            while True:
                try:
                    message: Message = pickle.load(stdout)
                except EOFError:
                    break
                except Exception as error:  # `pickle` raises many kinds
                    strange = f"its output is not a message ({error!r}); "
                    break
                if isinstance(message, ShardEnd | ShardLost):
                    self._shard = None
                self._messages.put(message)
        self._end(_REST)  # nothing that it still does could be reported
        code = self._process.wait()
        self._close()
        shard = self._shard
        if shard is not None:
            why = f"{strange}{self._reason(code)}"
            now = datetime.now(UTC)
            self._messages.put(ShardLost(shard.worker, why, shard.streams, now))
        self._output.close()

    def _reason(self, code: int) -> str:
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        said = one_line(self._output.tail().strip())[-_SHOWN:]
        return f"it ended with {how}" + (f": {said}" if said else "")
