"""Judges the tests of a process, and adds the results to pytest's reports."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from pytest_realtime_asr.conformance.results import ServerResult
from pytest_realtime_asr.plugin import (
    items,
    kept_calibration,
    other_reports,
    report_redaction,
)
from pytest_realtime_asr.plugin.judging import Case, Judging
from pytest_realtime_asr.plugin.options import is_suite
from pytest_realtime_asr.plugin.pytest_internals import kept_exception, skip_at_test
from pytest_realtime_asr.plugin.state import State, printable_lines
from pytest_realtime_asr.plugin.tally import attach
from pytest_realtime_asr.report import conformance, junit, messages
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.verdicts.verdict import UndecidedWarning

Properties = Sequence[tuple[str, str | float | int]]
_ROW: pytest.StashKey[Mapping[str, object]] = pytest.StashKey()
_POOL_FAILED: pytest.StashKey[bool] = pytest.StashKey()
_REQUIREMENT: pytest.StashKey[conformance.Row] = pytest.StashKey()


class Decision(NamedTuple):
    """The reasons why a test fails or is skipped although it raised no exception.

    ``failure`` is the reason for a failure, and ``skipped`` is the reason for a skip. A
    reason that does not apply is "".
    """

    failure: str = ""
    skipped: str = ""

    def apply(self) -> None:
        """Fail or skip the running test if the decision says so."""
        __tracebackhide__ = True
        if self.failure:
            pytest.fail(self.failure, pytrace=False)
        if self.skipped:
            skip_at_test(self.skipped)


class ItemJudge:
    """Judges the tests of this process. Raises UsageError for a wrong marker."""

    def __init__(self, state: State) -> None:
        self._state = state

    @property
    def _judging(self) -> Judging:
        # A run whose tests do not use the plugin never reads this property.
        return self._state.judging

    @property
    def _strip_width(self) -> int | None:
        """The width of the strips that draw sessions; ``None`` for none (``-qq``)."""
        quiet = self._state.config.get_verbosity() <= -2
        return None if quiet else self._state.width

    def begin(self, item: pytest.Item) -> None:
        """Begin to judge a test, and remove the results of an earlier run of it."""
        _set_properties(item, [])
        self._judging.begin(item.nodeid)

    def passed(self, item: pytest.Item) -> Decision:
        """Judge a test that raised no exception."""
        # pytest reports an exception of a method of unittest.TestCase only later.
        if (kept := kept_exception(item)) is not None:
            self.raised(item, kept)
            return Decision()
        return self._decision(item, self._judge(item, failed=False))

    def raised(self, item: pytest.Item, error: BaseException) -> None:
        """Judge a test that raised an exception, and add the evidence to its report.

        A test that skips itself is not judged, but its sessions stay in the pools.
        After an interrupt by Ctrl-C or pytest.exit, nothing more is judged.
        """
        if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
            kinds = ("jsonl", "csv", "html")
            files = (self._state.reports.get(kind, ()) for kind in kinds)
            self._judging.interrupt(file.name for each in files for file in each)
        elif _is_skip(error):
            self._judging.skip(self._case(item))
        elif (results := self._judge(item, failed=True)) is not None:
            losses, width = is_suite(item), self._strip_width
            text = messages.evidence(results, losses=losses, width=width)
            item.add_report_section("call", "realtime", text)
        elif is_suite(item):
            again = self._judging.again(self._case(item))
            item.add_report_section("call", "realtime", again)

    def pools(self, item: pytest.Item, *, last: bool) -> Decision:
        """Judge the pools that end with this test.

        ``last`` says whether this test is the last one of the run.
        """
        results = self._judging.rest(self._case(item), over=last)
        found = self._decision(item, self._publish(item, results))
        if found.failure:
            item.stash[_POOL_FAILED] = True
        return found

    def record_requirement(self, item: pytest.Item, found: ServerResult) -> str:
        """Add the result of a requirement to all reports.

        Returns the message that explains the result.
        """
        self._state.targets.output.note_result(item, found)
        row = conformance.row(found)
        item.stash[_REQUIREMENT] = row
        return conformance.message(row)

    def requirement(self, item: pytest.Item) -> Mapping[str, object] | None:
        """Return the recorded result of a test's requirement, or ``None``.

        This method also adds the result to the test's properties in JUnit XML.
        """
        if not has_result(item):
            return None
        _set_properties(item, conformance.properties(item.stash[_REQUIREMENT]))
        return conformance.mapping(item.stash[_REQUIREMENT])

    def complete(
        self,
        item: pytest.Item,
        call: pytest.CallInfo[None],
        report: pytest.TestReport,
        *,
        result: Mapping[str, Any] | None,
        uses: bool,
    ) -> None:
        """Add the results of a test to its report, and remove secrets from the report.

        ``uses`` says whether the test uses the plugin.
        """
        self._state.register_guard()
        row = item.stash.get(_ROW, None)
        skipped = call.excinfo.value if call.excinfo is not None else None
        if isinstance(skipped, pytest.skip.Exception) and items.is_speech(item):
            self._state.note(f"{item.name} was skipped: {skipped}")
        attach(
            report,
            row=row,
            result=result,
            notes=self._state.drain_notes(),
            untested=items.UNTESTED in item.stash and report.skipped,
            failed=uses and report.failed,
        )
        if row is not None:
            del item.stash[_ROW]
        if call.when == "teardown" and _POOL_FAILED in item.stash:
            del item.stash[_POOL_FAILED]
            # The xfail marker expects a failure of the test, not of a pool.
            report.outcome = "failed"
            report.__dict__.pop("wasxfail", None)
        redactor = self._state.redactor
        if uses:
            terminal = item.config.pluginmanager.getplugin("terminalreporter")
            coloured = terminal is not None and terminal.hasmarkup
            report_redaction.escape(report, coloured=coloured)
            report_redaction.lead(report, call.excinfo)
        if redactor.private:
            report_redaction.withhold(report, call.excinfo)
        report_redaction.clean(report, redactor)
        if uses:
            raised = call.excinfo if report.failed else None
            ours = raised is not None and report_redaction.is_ours(raised)
            other_reports.add(item.config, report, report.longreprtext if ours else "")

    def _judge(self, item: pytest.Item, *, failed: bool) -> Results | None:
        # An xfail marker is for the test, and must not hide the failure of a pool.
        pooled = not failed and item.get_closest_marker("xfail") is None
        results = self._judging.judge(self._case(item), failed=failed, pooled=pooled)
        return self._publish(item, results)

    def _decision(self, item: pytest.Item, results: Results | None) -> Decision:
        """Return the reason why a test fails or is skipped.

        The reason for a failure also says what to do. Undecided verdicts are reported
        as warnings. If ``-W error`` turns warnings into errors, the undecided verdicts
        are listed below the failures.
        """
        if results is None:
            return Decision()
        failure, errors = messages.failure(results, width=self._strip_width), []
        for text in printable_lines(self._state, messages.warnings(results)):
            try:
                item.warn(UndecidedWarning(text))
            except UndecidedWarning:
                errors.append(text)
        if errors and failure is None:
            errors.append(results.rerun)
        skipped = printable_lines(self._state, messages.skipped(results))
        return Decision("\n".join(filter(None, [failure, *errors])), "; ".join(skipped))

    def _case(self, item: pytest.Item) -> Case:
        id = item.nodeid
        if is_suite(item):
            suite = self._state.options.flag("conformance")
            words = ["--realtime-conformance"] if suite else []
            select: tuple[str, ...] = (*words, "-k", item.name)
        else:
            if any("over" in mark.kwargs for mark in item.iter_markers()):
                id = id.partition("::")[0]
            elif items.compared(item, self._state) not in ("", id):
                id = id.partition("[")[0]
            select = (self._state.located(id),)
        return Case(item.nodeid, lambda: items.terms(item, self._state), select)

    def _publish(self, item: pytest.Item, results: Results | None) -> Results | None:
        """Add the results of a test to JUnit XML and to the controller's table.

        Returns the results.
        """
        if results is not None:
            calibrated = kept_calibration.line(item.config)
            more = [("realtime.calibration", calibrated)] if calibrated else []
            detail = self._state.settings.junit
            found = junit.properties(results, detail=detail)
            _set_properties(item, [*found, *([] if detail is Detail.LEAN else more)])
            item.stash[_ROW] = self._judging.row(results)
        return results


def has_result(item: pytest.Item) -> bool:
    """Return whether the result of a requirement was recorded for a test."""
    return _REQUIREMENT in item.stash


def _set_properties(item: pytest.Item, properties: Properties) -> None:
    """Replace the properties that the plugin has added to a test."""
    others = [p for p in item.user_properties if not p[0].startswith("realtime.")]
    item.user_properties[:] = [*others, *properties]


def _is_skip(error: BaseException) -> bool:
    """Return whether pytest reports a test that raised this exception as skipped."""
    # A test can only raise SkipTest if unittest is imported.
    unittest = sys.modules.get("unittest")
    kinds = (pytest.skip.Exception, *((unittest.SkipTest,) if unittest else ()))
    return isinstance(error, kinds)
