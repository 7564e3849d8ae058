"""Removes secrets from pytest's reports, subtests, warnings, logs and JUnit XML."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Generator, Iterable

import pytest

from pytest_realtime_asr.plugin import report_redaction
from pytest_realtime_asr.plugin.pytest_internals import log_handlers
from pytest_realtime_asr.text.redaction import Redactor


class Guard:
    """Removes secrets before pytest prints them and before other plugins see them.

    ``redactor`` returns a redactor for all secrets that are known so far. ``unjudged``
    returns a line for each pool that has no verdict. ``note`` adds a line that is
    printed at the end of the run.
    """

    def __init__(
        self,
        config: pytest.Config,
        *,
        redactor: Callable[[], Redactor],
        unjudged: Callable[[], Iterable[str]],
        note: Callable[[str], None],
    ) -> None:
        self._config = config
        self._redactor = redactor
        self._unjudged = unjudged
        self._note = note

    def register(self) -> None:
        """Register the hooks, and begin to remove secrets from pytest's logs."""
        self._config.pluginmanager.register(self, "realtime-guard")
        for handler in log_handlers(self._config):
            inner = handler.formatter or logging.Formatter()
            handler.setFormatter(report_redaction.Formatter(inner, self._redactor))

    # The last wrapper ends first, so that other plugins see a report without secrets.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        redactor = self._redactor()
        call.excinfo = report_redaction.shown_exception(call.excinfo, redactor)
        report = yield
        if redactor.private:
            report_redaction.withhold(report, call.excinfo)
        report_redaction.clean(report, redactor)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        report_redaction.shield(report, self._redactor())

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        warning_message.message = report_redaction.rephrase(
            warning_message.message, self._redactor()
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        for line in self._unjudged():
            self._note(line)
        report_redaction.shield_suite(self._config, self._redactor())
