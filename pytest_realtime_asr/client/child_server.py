"""Servers that run in a child process: start, output and end."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self

SHOWN = 4096  # bytes of the output of a child that are shown at most


class ChildServer(ABC):
    """A server in a child process; it runs until `stop` or the end of ``with``."""

    @abstractmethod
    def stop(self) -> None:
        """End the process; may be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Output:
    """The output of a child process, in a temporary file."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        self._start = 0

    def skip(self) -> None:
        """Make `tail` omit the output that has been written until now."""
        self._start = os.fstat(self.file.fileno()).st_size

    def tail(self) -> str:
        """Return the output since `skip` was called, at most its last `SHOWN` bytes."""
        end = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(self._start, end - SHOWN))
        return self.file.read().decode(errors="replace")

    def close(self) -> None:
        """Delete the file; may be called twice."""
        self.file.close()


class ProgramServer(ChildServer):
    """A Python program that prints URLs and ends when its standard input closes.

    The program therefore ends when this process ends, even if this process crashes.
    ``arguments`` follow ``python`` on the command line. `stop` shows the last part of
    the program's standard error. ``patience`` is the time in s that the program may
    take to end before it is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        patience: float,
    ) -> None:
        self._output = Output()
        self._patience = patience
        self._process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output.file,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the parent, which stops the child
        )
        self.pid = self._process.pid
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stdout:
            for line in stdout:
                self._lines.put(line.decode().strip())
        self._lines.put(None)  # marks the end

    def _line(self, timeout: float) -> str | None:
        """Return the next line of the program's output; ``None`` if no line follows.

        Raises TimeoutError after ``timeout`` seconds.
        """
        try:
            line = self._lines.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if line is None:
            self._lines.put(None)  # for the next call
        return line

    def _write(self, line: bytes) -> None:
        """Write a line to the program's standard input.

        Raises BrokenPipeError if the program has closed its standard input.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def _exit_reason(self) -> str | None:
        """Return how the process has ended; ``None`` while it runs."""
        code = self._process.poll()
        if code is None:
            return None
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return f"it has ended with {how}"

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the process and show the last part of its standard error.

        May be called twice.
        """
        self._end()
        if not self._output.file.closed:
            sys.stderr.write(self._output.tail())
            self._output.close()

    def _end(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self.kill()
