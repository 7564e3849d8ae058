"""A worker process: runs shards that its parent sends to it.

``python -m pytest_realtime_asr.load.worker`` reads pickled `Shard` objects on standard
input. ``None`` on standard input ends the shard that is running and then the process.
The process also ends when its standard input closes, so it ends whenever its parent
ends. The messages on its standard output come from the process that judges its
sessions.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from concurrent.futures import Future
from typing import BinaryIO

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load.executor import Shard, ShardLost
from pytest_realtime_asr.load.judge_process import JudgeProcess
from pytest_realtime_asr.load.machine import raise_descriptors
from pytest_realtime_asr.load.preflight import descriptors
from pytest_realtime_asr.load.shard import ShardRun
from pytest_realtime_asr.text.messages import error_text


class Worker:
    """Runs shards, one after the other, on an event loop of its own."""

    def __init__(self, judge: JudgeProcess) -> None:
        self._judge = judge
        self._loop = Loop(fast=True)
        self._running: ShardRun | None = None
        self._done: Future[None] | None = None

    def start(self, shard: Shard) -> None:
        """Start a shard; the level begins at ``shard.start``."""
        raise_descriptors(descriptors(len(shard.streams)))
        self._done = self._loop.submit(self._run(shard))

    def stop(self) -> None:
        """Cut off the shard that is running, close the judge, and end the loop.

        Raises the error that the shard raised, if any.
        """
        try:
            if self._done is not None:
                self._loop.run(self._cut_off())
                self._done.result()
        finally:
            self._loop.run(self._judge.close())
            self._loop.stop()

    async def _cut_off(self) -> None:
        if self._running is not None:
            self._running.stop()

    async def _run(self, shard: Shard) -> None:
        try:
            self._running = ShardRun(self._loop, shard, self._judge.send)
            await self._running.run()
        except Exception as error:
            first = error
            while isinstance(first, ExceptionGroup):
                first = first.exceptions[0]
            why = error_text(first, private=shard.connection.private)
            await self._judge.send(ShardLost(shard.worker, why, shard.streams))
        finally:
            self._running = None


def main(commands: BinaryIO, judge: JudgeProcess) -> None:
    """Run the shards that are read from ``commands``, until ``None`` is read.

    If ``commands`` ends without ``None``, the process exits at once.
    """
    worker = Worker(judge)
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
    judge = JudgeProcess(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # the end of the judge is the end
    main(sys.stdin.buffer, judge)
    os._exit(0)
