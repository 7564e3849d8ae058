"""A fake server in a process of its own, so that it cannot disturb the measuring."""

from __future__ import annotations

import os
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.http_routes import TRACES
from pytest_realtime_asr.plugin.options import FAKE_DIALECT
from pytest_realtime_asr.requirements import requirement
from pytest_realtime_asr.requirements.requirement import Violation
from pytest_realtime_asr.text.salvage import reason
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Trace

STARTING = 60.0  # s that a server may take until it listens
STOPPING = 5.0  # s that it may take to end by itself
ANSWERING = 10.0  # s that it may take to send its traces
_KEY = "PYTEST_REALTIME_ASR_FAKE_KEY"  # the variable by which the child learns it
SHOWN = 4096  # bytes at most of what it printed on its standard error


class FakeError(RuntimeError):
    """The fake server did not start, or ended; the message says why."""


class FakeServer:
    """``python -m pytest_realtime_asr fake`` on a free port, until `stop`.

    The child ends with its standard input, hence with this process, however that ends.
    It asks its clients for ``key`` where there is one.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        dialect: str = FAKE_DIALECT,
        key: str = "",
    ) -> None:
        command = [sys.executable, "-m", "pytest_realtime_asr", "fake"]
        command += ["--dialect", dialect]
        if key:
            command += ["--api-key-env", _KEY]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        self._process = subprocess.Popen(
            [*command, "--port", "0", "--lifeline", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, _KEY: key},
            start_new_session=True,  # Ctrl-C is for the parent, which then ends this
        )
        self._dialect, self._key, self._arguments = dialect, key, arguments
        self.pid = self._process.pid
        self.url = self._first_line()
        self._seen = os.fstat(self._errors.fileno()).st_size

    def traces(self) -> tuple[Trace, ...]:
        """What the server recorded of each session, the latest last.

        Raises `FakeError` where it has ended, or does not answer.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        headers = dialects.load(self._dialect).headers(self._key)
        direct.addheaders = list(headers.items())
        try:
            with direct.open(self.url + TRACES, timeout=ANSWERING) as response:
                rows = msgspec.json.decode(response.read(), type=list[str])
        except OSError as error:
            why = self._ended() or reason(error)
            raise FakeError(f"the fake server gives no traces: {why}") from None
        return tuple(records.loads(row.encode()) for row in rows)

    def violations(self) -> tuple[Violation, ...]:
        """The rules that the clients broke. Raises `FakeError` as `traces` does."""
        found: list[Violation] = []
        for recorded in self.traces():
            dialect = dialects.load(recorded.dialect)
            part = dialects.part(dialect, recorded)
            found.extend(requirement.observe(dialect.requirements, part))
        return tuple(found)

    def kill(self) -> None:
        """End the server as an accident would."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the server and show what it complained of; may be called twice."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOPPING)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.stdout.close()
        if not self._errors.closed:
            self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(self._seen, self._errors.tell() - SHOWN))
            sys.stderr.write(self._errors.read().decode(errors="replace"))
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ended(self) -> str:
        """How the process has ended; empty where it runs."""
        code = self._process.poll()
        if code is None:
            return ""
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        return f"it has ended with {how}"

    def _first_line(self) -> str:
        stdout = self._process.stdout
        assert stdout is not None
        lines: queue.Queue[bytes] = queue.Queue()
        reader = threading.Thread(
            target=lambda: lines.put(stdout.readline()), daemon=True
        )
        reader.start()
        late = ""
        try:
            line = lines.get(timeout=STARTING).decode().strip()
        except queue.Empty:
            line = ""
            late = (
                f"it did not listen within {STARTING:g} s, in which it reads its "
                f"corpus ({shlex.join(self._arguments)}); give a smaller one"
            )
        if not line:
            if not late:  # its standard output is closed: it is about to end
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOPPING)
            why = late or self._ended()
            self.kill()
            self._errors.seek(0)
            printed = self._errors.read().decode(errors="replace").strip()
            self._errors.close()
            self.stop()
            why = late or printed.removeprefix("error: ") or why
            raise FakeError(f"the fake server did not start: {why}")
        return line
