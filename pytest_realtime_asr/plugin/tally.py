"""Collects the results of all tests in the main process of a run.

Every pytest run imports this module, so it imports little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol

import pytest

from pytest_realtime_asr.plugin.options import is_suite

Row = Mapping[str, Any]
Line = list[tuple[str, Mapping[str, bool]]]  # the parts of a line with their markup
_ATTACHED = "realtime"  # the attribute of a report; xdist sends it to the controller
_EVIDENCE = "Captured realtime "  # begins the title of a section by the plugin
_WORKER = re.compile(r"\A\[gw\d+\] .*\s+")  # xdist's line about the worker
_CRASHED = "???"  # the phase that xdist reports for a test whose worker crashed


def attach(
    report: pytest.TestReport,
    *,
    row: Row | None,
    result: Row | None,
    notes: list[str],
    untested: bool = False,
    failed: bool = False,
) -> None:
    """Attach the results of a test to pytest's report, in builtin types.

    ``row`` is the row of the test in the table. ``result`` is the result of the
    requirement that a test of the packaged suite judges. ``untested`` says that the
    test was skipped because its server could not be tested. ``failed`` says that the
    test uses the plugin and failed in the phase of the report.
    """
    if row is not None or result is not None or notes or untested or failed:
        found = {"row": row, "result": result, "notes": notes, "untested": untested}
        vars(report)[_ATTACHED] = found | {"failed": failed}


def is_used(report: pytest.TestReport) -> bool:
    """Return whether a report is of a failure in a test that uses the plugin."""
    return bool(getattr(report, _ATTACHED, {}).get("failed"))


class End(Protocol):
    """The object that makes tables and conformance reports at the end of a run."""

    def table(self, rows: Iterable[Row]) -> list[Line]: ...
    def verdicts(self, rows: Iterable[Row]) -> list[Line]: ...
    def cut_off(self, session: pytest.Session) -> Mapping[str, Row]: ...
    def write(self, rows: Collection[Row]) -> None: ...
    def annotate(self, rows: Iterable[Row], *, interrupted: bool) -> None: ...
    def interrupted(self) -> Mapping[str, Row]: ...
    def summarise(
        self,
        rows: Collection[Row],
        failures: Collection[Row],
        results: Collection[Row],
        *,
        interrupted: bool,
    ) -> None: ...
    def annotations(self, failures: Collection[Row]) -> list[str]: ...


class Tally:
    """The pytest plugin that prints the test results of all workers.

    ``suite`` is the prefix of the test ids of the packaged suite, or "" if the suite
    does not run. ``end`` returns the object that makes the tables and reports. ``used``
    returns whether a test of this process used the plugin. ``measures`` returns whether
    the run has begun to run tests that measure. ``notes`` returns the lines that this
    process prints at the end. ``output`` returns what the applications under test
    printed outside of all tests. ``audio`` returns the line about the audio that the
    run has sent.
    """

    def __init__(
        self,
        suite: str,
        *,
        end: Callable[[], End],
        used: Callable[[], bool],
        notes: Callable[[], Iterable[str]],
        output: Callable[[], Collection[str]],
        audio: Callable[[], str],
        measures: Callable[[], bool] = lambda: False,
    ) -> None:
        self._suite = suite
        self._end = end
        self._used = used
        self._notes = notes
        self._output = output
        self._audio = audio
        self._measures = measures
        self._rows: dict[tuple[str, str], Row] = {}
        self._results: dict[str, Row] = {}
        self._failures: dict[tuple[str, str], Row] = {}  # by test and phase
        self._judged = 0
        self._untested = False  # whether a test was skipped for want of its server
        self._noted: dict[str, None] = {}  # in the order in which they were added

    @property
    def has_rows(self) -> bool:
        """Whether a test has measured something."""
        return bool(self._rows)

    @property
    def failed_tests(self) -> list[str]:
        """The ids of the failed tests that use the plugin, or whose worker crashed."""
        known = self._failures if self._measures() else {}
        return list(dict.fromkeys(test for test, _ in known))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep only the last results of each test, since a test may run more than once.

        Count the tests of the suite that were judged.
        """
        found = getattr(report, _ATTACHED, None)
        self._note_failure(report, found or {})
        if found is not None:
            row = found["row"]
            if row is not None and (row["planned"] or row["lines"]):
                self._rows[report.nodeid, getattr(report, "worker_id", "")] = row
            if found["result"] is not None:
                self._results[report.nodeid] = found["result"]
            self._untested |= found["untested"]
            self._noted |= dict.fromkeys(found["notes"])
        if self._suite and report.nodeid.startswith(self._suite):
            expected = hasattr(report, "wasxfail")
            self._judged += report.when == "call" and (expected or not report.skipped)

    def _note_failure(self, report: pytest.TestReport, found: Row) -> None:
        """Keep a failure if the test uses the plugin, or if its worker crashed."""
        if report.when == "setup":  # the test runs again
            for each in [key for key in self._failures if key[0] == report.nodeid]:
                del self._failures[each]
        crashed = report.when == _CRASHED
        if report.failed and (crashed or found.get("failed")):
            failure = _failure(report, requirement=found.get("result") is not None)
            self._failures[report.nodeid, report.when or ""] = failure

    @property
    def _failed(self) -> Collection[Row]:
        """The failures of tests that use the plugin, or whose worker crashed.

        The result is empty until the run begins with the tests that measure.
        """
        return self._failures.values() if self._measures() else ()

    @pytest.hookimpl(tryfirst=True)  # before pytest writes JUnit XML
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the conformance reports, and fail a run in which nothing was judged."""
        if self._used():
            rows = self._end().interrupted().items()
            self._rows |= {(test, ""): row for test, row in rows}
        suite = any(map(is_suite, session.items))
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        if suite and interrupted:
            rest = self._end().cut_off(session)
            self._judged += len(rest)
            self._results = {**rest, **self._results}
        if self._results:
            self._end().write(self._results.values())
        if self._results or self._rows or (interrupted and self._measures()):
            self._end().annotate(self._rows.values(), interrupted=interrupted)
        if self._results or self._rows or self._failed:
            self._end().summarise(
                self._rows.values(),
                self._failed,
                self._results.values(),
                interrupted=interrupted,
            )
        nothing = self._untested or self._proves_nothing(session.config)
        if nothing and exitstatus in (0, 5):
            session.exitstatus = 1

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Print the notes, and the tables below them."""
        terminalreporter.ensure_newline()  # an interrupted test leaves its line open
        for note in self._noted | dict.fromkeys(self._notes()):
            terminalreporter.write_line(f"realtime: {note}", yellow=True)
        if output := self._output():
            terminalreporter.section("realtime server output after the last test")
            for line in output:
                terminalreporter.write_line(line)
        if self._rows:
            terminalreporter.section("realtime speech recognition")
            _write(terminalreporter, self._end().table(self._rows.values()))
        if self._results:
            terminalreporter.section("realtime conformance")
            _write(terminalreporter, self._end().verdicts(self._results.values()))
        if self._proves_nothing(config):
            terminalreporter.section("realtime conformance", red=True)
            terminalreporter.write_line(
                "no requirement was judged, so this run proves nothing about the server"
            )
        if sent := self._audio():
            terminalreporter.write_line(f"realtime: {sent}")
        if self._failed:
            for line in self._end().annotations(self._failed):
                terminalreporter.write_line(line)

    def _proves_nothing(self, config: pytest.Config) -> bool:
        asked = bool(self._suite) and not config.getoption("collectonly")
        return asked and not self._judged


def _failure(report: pytest.TestReport, *, requirement: bool) -> Row:
    """Return a failure in builtin types, with the evidence from pytest's report."""
    path, line, _ = report.location
    crash = getattr(report.longrepr, "reprcrash", None)
    text = _WORKER.sub("", report.longreprtext)
    errors = [line[1:] for line in text.splitlines() if line.startswith("E ")]
    head = crash.message if crash is not None else "\n".join(errors) or text
    evidence = [text for name, text in report.sections if _EVIDENCE in name]
    return {
        "test": report.nodeid,
        "path": path,
        "line": None if line is None else line + 1,
        "headline": head.strip().partition("\n")[0],
        "text": "\n".join([text, *evidence]),
        "requirement": requirement,
    }


def _write(reporter: pytest.TerminalReporter, lines: Iterable[Line]) -> None:
    """Write lines; pytest shows the markup only if the terminal has colours."""
    for line in lines:
        for text, markup in line:
            reporter.write(text, **markup)
        reporter.line("")
