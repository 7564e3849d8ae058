"""Starts the process that judges the sessions of a worker, and talks to it."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import IO

from pytest_realtime_asr.load.executor import Message
from pytest_realtime_asr.load.judge import Judged
from pytest_realtime_asr.load.session import Sent

_FLUSHING = 60.0  # s that the process may take to read what it was sent
_MANY = 2000  # frames of a session from which its trace is pickled on another thread
_PAUSE = 0.02  # s between two looks at what it has not read yet


class JudgeProcess:
    """A process of low priority that judges sessions; see `load.judge`.

    Its messages go to the file descriptor ``output``. If ``output`` is ``None``,
    `messages` yields them. All methods except `messages` must be called on the same
    event loop.
    """

    def __init__(self, output: int | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pytest_realtime_asr.load.judge"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if output is None else output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Ctrl-C is for the parent of the worker
        )
        self._pipe: asyncio.WriteTransport | None = None

    async def send(self, value: Judged) -> None:
        """Send a value without waiting until the process reads it.

        Raises RuntimeError if the process has ended.
        """
        if self._pipe is None:
            loop = asyncio.get_running_loop()
            stdin = self._process.stdin
            self._pipe, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, stdin)
        if self._pipe.is_closing():
            raise RuntimeError("the process that judges the sessions has ended")
        if isinstance(value, Sent) and len(value.trace.records) > _MANY:
            data = await asyncio.to_thread(_pickled, value)
        else:
            data = _pickled(value)
        self._pipe.write(data)

    async def flush(self) -> None:
        """Wait, for at most `_FLUSHING` s, until the process has read all values."""
        waits = round(_FLUSHING / _PAUSE)
        while waits and self._pipe is not None and self._pipe.get_write_buffer_size():
            waits -= 1
            await asyncio.sleep(_PAUSE)

    def messages(self) -> Iterator[Message]:
        """Yield the messages of the process until it ends."""
        stdout: IO[bytes] | None = self._process.stdout
        assert stdout is not None
        with stdout:
            while True:
                try:
                    yield pickle.load(stdout)
                except (EOFError, pickle.UnpicklingError):
                    break
        self._process.wait()

    async def close(self) -> None:
        """Close the input of the process, which then judges all sessions and ends."""
        await self.flush()
        if self._pipe is not None:
            self._pipe.close()
        elif self._process.stdin is not None:
            self._process.stdin.close()


def _pickled(value: Judged) -> bytes:
    return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
