"""What the controller of a run hears of its tests, from whichever worker.

Every run of pytest pays for this, so that it imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

Row = Mapping[str, Any]
_INTERRUPTED = 2  # pytest's exit code, which is not imported here


class Tally:
    """Collects the rows of all tests and prints them, as a plugin of pytest.

    ``table`` makes the lines of the rows, ``verdicts`` those of the packaged suite,
    whose results ``write`` writes where that was asked for. ``rest`` gives the results
    of tests that an interrupt has cut off, by id. ``notes`` gives what this process
    has to say at the end, a line each. ``suite`` is how the ids of the suite begin
    where it was asked for, else it is empty.
    """

    def __init__(
        self,
        suite: str,
        *,
        table: Callable[[Iterable[Row]], list[str]],
        verdicts: Callable[[Iterable[Row]], list[str]],
        write: Callable[[Iterable[Row]], None],
        rest: Callable[[pytest.Session], Mapping[str, Row]],
        notes: Callable[[], Iterable[str]],
    ) -> None:
        self._suite = suite
        self._table = table
        self._verdicts = verdicts
        self._write = write
        self._rest = rest
        self._notes = notes
        self._rows: dict[tuple[str, str], Row] = {}
        self._results: dict[str, Row] = {}
        self._judged = 0
        self._noted: dict[str, None] = {}  # in the order in which they came

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the last row of each test, which may be run again."""
        row: Row | None = getattr(report, "realtime", None)
        if row is not None and (row["planned"] or row["lines"]):
            self._rows[report.nodeid, getattr(report, "worker_id", "")] = row
        if (result := getattr(report, "realtime_result", None)) is not None:
            self._results[report.nodeid] = result
        self._noted |= dict.fromkeys(getattr(report, "realtime_notes", ()))
        if self._suite and report.nodeid.startswith(self._suite):
            expected = hasattr(report, "wasxfail")
            self._judged += report.when == "call" and (expected or not report.skipped)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """A suite that judged nothing fails; what it found is written."""
        if exitstatus == _INTERRUPTED:
            rest = self._rest(session)
            self._judged += len(rest)
            self._results = {**rest, **self._results}
        if self._results:
            self._write(self._results.values())
        if self._proves_nothing(session.config) and exitstatus in (0, 5):
            session.exitstatus = 1

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Print the table."""
        terminalreporter.ensure_newline()  # the line of an interrupted test is open
        if self._rows:
            terminalreporter.section("realtime speech recognition")
            for line in self._table(self._rows.values()):
                terminalreporter.write_line(line)
        if self._results:
            terminalreporter.section("realtime conformance")
            for line in self._verdicts(self._results.values()):
                terminalreporter.write_line(line)
        for note in self._noted | dict.fromkeys(self._notes()):
            terminalreporter.write_line(f"realtime: {note}", yellow=True)
        if self._proves_nothing(config):
            terminalreporter.section("realtime conformance", red=True)
            terminalreporter.write_line(
                "no requirement was judged: this proves nothing"
            )

    def _proves_nothing(self, config: pytest.Config) -> bool:
        asked = bool(self._suite) and not config.getoption("collectonly")
        return asked and not self._judged
