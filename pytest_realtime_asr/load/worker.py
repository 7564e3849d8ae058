"""A worker process: runs shards that its parent sends to it.

``python -m pytest_realtime_asr.load.worker`` reads pickled `Shard` on standard input
and writes pickled messages on standard output. ``None`` on standard input stops the
shard that is running, and then the process. The process also ends when its standard
input closes, so it ends whenever its parent ends.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import BinaryIO

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load.executor import Message, Shard, ShardLost
from pytest_realtime_asr.load.shard import ShardRun
from pytest_realtime_asr.text.messages import error_text

# s after which the thread that judges yields to the event loop; Python's default of
# 5 ms would make the frames of audio late
SWITCH = 0.0005


class Worker:
    """Runs shards, one after the other, on an event loop of its own."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._loop = Loop()
        self._running: ShardRun | None = None
        self._done: Future[None] | None = None

    def start(self, shard: Shard) -> None:
        """Start a shard; it begins at its time."""
        self._done = self._loop.submit(self._run(shard))

    def stop(self) -> None:
        """Cut off the shard that is running and wait until it has ended."""
        if self._done is None:
            return

        async def stop() -> None:
            if self._running is not None:
                self._running.stop()

        self._loop.run(stop())
        self._done.result()

    async def _run(self, shard: Shard) -> None:
        try:
            self._running = ShardRun(self._loop, shard, self._send)
            await self._running.run()
        except Exception as error:
            why = error_text(error, private=shard.connection.private)
            self._send(ShardLost(shard.worker, why, shard.streams))
        finally:
            self._running = None


def main(commands: BinaryIO, messages: BinaryIO) -> None:
    """Run the shards that ``commands`` names until ``None`` or the end."""
    writing = threading.Lock()

    def send(message: Message) -> None:
        with writing:
            pickle.dump(message, messages, pickle.HIGHEST_PROTOCOL)
            messages.flush()

    worker = Worker(send)
    while True:
        try:
            command: Shard | None = pickle.load(commands)
        except EOFError:
            os._exit(1)  # at once: nobody reads the messages any more
        if command is None:
            worker.stop()
            return
        worker.start(command)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops its workers
    sys.setswitchinterval(SWITCH)
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # prints are no messages
        main(sys.stdin.buffer, out)
    os._exit(0)
