"""Decides which test reports a cause that prevents many tests, such as a dead server.

The first test that meets the cause reports it. The other tests refer to that test, so
that one cause is one failure.
"""

from __future__ import annotations

from pathlib import Path

from pytest_realtime_asr.run.shared_answers import key


class Reporters:
    """Stores, for each cause, the test that reports it.

    ``shared`` is a folder that all workers of the run can access, ``None`` for a single
    process. A cause is reported once in all workers.
    """

    def __init__(self, shared: Path | None) -> None:
        self._shared = shared
        self._tests: dict[str, str] = {}

    def of(self, cause: str, test: str) -> str:
        """Return the test that reports ``cause``: the first test with this cause."""
        if cause not in self._tests:
            self._tests[cause] = self._first(cause, test)
        return self._tests[cause]

    def _first(self, cause: str, test: str) -> str:
        if self._shared is None:
            return test
        path = self._shared / f"reporter-{key(cause)}"
        try:
            with path.open("x") as file:
                file.write(test)
        except FileExistsError:
            # Another worker may have made the file, and not yet written it.
            return path.read_text() or "another worker"
        return test


def refer(reporter: str) -> str:
    """Return the message of a test that was not tried; ``reporter`` says why."""
    return f"not tried, since the server could not be tested (see {reporter})"
