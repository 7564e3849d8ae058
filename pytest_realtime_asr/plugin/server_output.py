"""The output of the applications that the plugin serves, in the reports of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_realtime_asr.plugin.options import SERVER_OUTPUT, is_suite

if TYPE_CHECKING:
    from pytest_realtime_asr.client.asgi import Application
    from pytest_realtime_asr.conformance.results import ServerResult

_SESSION: pytest.StashKey[int | None] = pytest.StashKey()


class ServerOutput:
    """Adds the output of applications to the tests that caused it.

    Most tests get all output since the previous test ended. For the tests of
    requirements, the sessions of many scenarios run at the same time. Each of these
    tests gets only the output of the session that its finding is about, and the output
    that belongs to no session.
    """

    def __init__(self) -> None:
        self._applications: list[Application] = []

    def add(self, application: Application) -> None:
        """Watch a further application."""
        self._applications.append(application)

    def note_result(self, item: pytest.Item, found: ServerResult) -> None:
        """Remember which session a result of the suite is about."""
        session = found.result.session
        item.stash[_SESSION] = None if session is None else session.trace.port

    def add_section(
        self, item: pytest.Item, call: pytest.CallInfo[None], *, settles: bool
    ) -> None:
        """Add the output of a phase of a test to the report of this phase.

        If ``settles`` is true, wait until the handlers of closed sessions have ended.
        """
        judges = is_suite(item) and "requirement" in getattr(item, "fixturenames", ())
        port = item.stash.get(_SESSION, None) if call.when == "call" else None
        for application in self._applications:
            if settles and call.when == "call" and (not judges or port is not None):
                application.settle()
            text = application.output.take(sessions=not judges)
            if port is not None:
                text += application.output.of_session(port)
            if text:
                item.add_report_section(call.when, SERVER_OUTPUT, text)

    def stop(self) -> list[str]:
        """Stop the applications; return the lines of output that belong to no test."""
        lines: list[str] = []
        for application in self._applications:
            application.stop()
            lines += application.output.take().splitlines()
        return lines
