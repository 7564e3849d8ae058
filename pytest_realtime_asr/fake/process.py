"""A fake server in a separate process, so that it cannot disturb a measurement."""

from __future__ import annotations

import shlex
import urllib.request
from collections.abc import Sequence

import msgspec

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.child_server import ProgramServer
from pytest_realtime_asr.fake.http_routes import TRACES
from pytest_realtime_asr.requirements import violations
from pytest_realtime_asr.requirements.violations import Violation
from pytest_realtime_asr.text.messages import error_text
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Trace

DEFAULT_DIALECT = "vllm"  # the dialect of a fake server if none is named
STARTING = 60.0  # s within which a server must listen
STOPPING = 5.0  # s within which a server must end by itself
ANSWERING = 10.0  # s within which a server must send its traces
_KEY = "PYTEST_REALTIME_ASR_FAKE_KEY"  # the variable that passes the key to the child


class FakeError(RuntimeError):
    """Raised if a fake server did not start or has ended; the message says why."""


class FakeServer(ProgramServer):
    """Runs ``python -m pytest_realtime_asr fake`` on a free port until `stop` ends it.

    The child process ends when its standard input closes, so it ends whenever this
    process ends. Clients must send ``key`` unless ``key`` is empty.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        dialect: str = DEFAULT_DIALECT,
        key: str = "",
    ) -> None:
        command = ["-m", "pytest_realtime_asr", "fake", "--dialect", dialect]
        if key:
            command += ["--api-key-env", _KEY]
        super().__init__(
            [*command, "--port", "0", "--lifeline", *arguments],
            environment={_KEY: key},
            patience=STOPPING,
        )
        self._dialect, self._key, self._arguments = dialect, key, arguments
        try:
            self.url = self._started()
        except BaseException:
            self.kill()
            self._output.close()
            self.stop()
            raise
        self._output.skip()

    def traces(self) -> tuple[Trace, ...]:
        """Return the server's trace of each session, the latest session last.

        Raises `FakeError` if the server has ended or does not answer.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        headers = dialects.load(self._dialect).headers(self._key)
        direct.addheaders = list(headers.items())
        try:
            with direct.open(self.url + TRACES, timeout=ANSWERING) as response:
                rows = msgspec.json.decode(response.read(), type=list[str])
        except OSError as error:
            why = self._exit_reason() or error_text(error)
            raise FakeError(f"the fake server sent no traces: {why}") from None
        return tuple(records.loads(row.encode()) for row in rows)

    def violations(self) -> tuple[Violation, ...]:
        """Return the violations in all traces of the server.

        Raises `FakeError` if the server has ended or does not answer.
        """
        found: list[Violation] = []
        for recorded in self.traces():
            dialect = dialects.load(recorded.dialect)
            part = dialects.part(dialect, recorded)
            found.extend(violations.observe(dialect.requirements, part))
        return tuple(found)

    def _started(self) -> str:
        """Return the URL that the server prints.

        Raises `FakeError` if the server does not start.
        """
        failed = "the fake server did not start"
        try:
            url = self._line(STARTING)
        except TimeoutError:
            raise FakeError(
                f"{failed}: it was not ready after {STARTING:g} s, perhaps because its "
                f"corpus is large ({shlex.join(self._arguments)}); use a smaller corpus"
            ) from None
        if url:
            return url
        self._end()  # the child has closed its standard output and is about to end
        printed = self._output.tail().strip().removeprefix("error: ")
        raise FakeError(f"{failed}: {printed or self._exit_reason()}")
