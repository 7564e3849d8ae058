"""The output at the end of a run: tables and conformance reports."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytest_realtime_asr.conformance import suite_run
from pytest_realtime_asr.plugin import junit_output, kept_calibration, suite
from pytest_realtime_asr.plugin.item_judge import has_result
from pytest_realtime_asr.plugin.options import is_suite
from pytest_realtime_asr.plugin.pytest_internals import (
    failure_lines,
    join_outputs,
    junit_properties,
    properties_to_output,
)
from pytest_realtime_asr.plugin.state import State, printable_lines
from pytest_realtime_asr.plugin.summaries import KINDS, Summaries
from pytest_realtime_asr.report import (
    conformance,
    junit,
    layout,
    run_summary,
    strip,
    summary,
)
from pytest_realtime_asr.requirements import known_failures
from pytest_realtime_asr.run import audio_account
from pytest_realtime_asr.text.messages import error_text, printable

Row = Mapping[str, Any]
_UNMEASURED = "no test has measured an utterance"
Line = list[tuple[str, layout.Markup]]


class EndOfRun:
    """Makes tables and conformance reports from the result rows of all workers."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._summaries = Summaries(state, os.environ)

    def table(self, rows: Iterable[Row]) -> list[Line]:
        """Return the lines of the table that has a row for each test."""
        return self._coloured(summary.table(rows, width=self._state.width))

    def verdicts(self, rows: Iterable[Row]) -> list[Line]:
        """Return the lines that show the verdicts of the packaged suite."""
        settings = self._state.settings
        advice = known_failures.soon(settings.run.known, date.today())
        found = conformance.document(rows, planned=0)
        lines = conformance.summary(
            found,
            strict=settings.suite.strict,
            advice=advice,
            width=self._state.width,
        )
        return self._coloured(lines)

    @contextmanager
    def coloured_failures(self, reporter: pytest.TerminalReporter) -> Iterator[None]:
        """Show the strips of failed tests in colour until the context ends."""
        writer = reporter.config.get_terminal_writer()
        stats = reporter.stats
        reports = (*stats.get("failed", ()), *stats.get("error", ()))
        failed = [lines for report in reports if (lines := failure_lines(report))]
        plain = [list(lines) for lines in failed]
        for lines in failed:
            lines[:] = [
                "".join(writer.markup(text, **markup) for text, markup in parts)
                for parts in strip.coloured(lines)
            ]
        try:
            yield
        finally:
            for lines, before in zip(failed, plain, strict=True):
                lines[:] = before

    def _coloured(self, lines: Iterable[str]) -> list[Line]:
        return list(map(layout.coloured, printable_lines(self._state, lines)))

    def audio(self, folder: Path | None) -> str:
        """Return a line about the audio that the run has sent, or "" if it sent none.

        ``folder`` is the folder that the workers of xdist share, if there are any.
        """
        state = self._state
        seconds = 0.0 if folder is None else audio_account.total(folder)
        if state.has_judging:
            seconds += state.judging.run.account.meter.seconds
        if not seconds:  # the settings may be wrong, if no test has used them
            return ""
        return summary.audio(seconds, state.settings.run.max_audio)

    def unwritten(self, folder: Path | None, notes: Collection[str]) -> list[str]:
        """Return a line for each report that is not written, with the reason.

        There are no lines if the run has written any report that is not a summary. A
        report gets no line if one of the ``notes`` already gives the reason. ``folder``
        is the folder that the workers of xdist share, if there are any.
        """
        if not self._state.has_reports:
            return []
        asked = [
            (kind, file)
            for kind, files in self._state.reports.items()
            for file in files
        ]
        if any(file.is_begun(folder) for kind, file in asked if kind not in KINDS):
            return []
        asked = [(kind, file) for kind, file in asked if not file.is_begun(folder)]
        return [
            f"{file}: the report is not written, since "
            + ("no requirement was judged" if kind == "conformance" else _UNMEASURED)
            for kind, file in asked
            if not any(note.startswith(f"{file}: ") for note in notes)
        ]

    def cut_off(self, session: pytest.Session) -> Mapping[str, Row]:
        """Return results for suite tests that did not run because of an interrupt.

        Such a test still has a result if all scenarios of its requirement have run. The
        keys are the ids of the tests.
        """
        tests = [
            item for item in session.items if is_suite(item) and not has_result(item)
        ]
        if not tests or not self._state.has_judging:
            return {}
        found = suite_run.interrupted(session.config, tests)
        rows = {
            id: conformance.mapping(conformance.row(each)) for id, each in found.items()
        }
        cleaned: Mapping[str, Row] = self._state.redactor.clean_value(rows)
        return cleaned

    def interrupted(self) -> Mapping[str, Row]:
        """Return the id and the row of the test that an interrupt ended."""
        if not self._state.has_judging:
            return {}
        rows = self._state.judging.interrupted
        cleaned: Mapping[str, Row] = self._state.redactor.clean_value(rows)
        return cleaned

    def annotate(self, rows: Iterable[Row], *, interrupted: bool) -> None:
        """Add the properties of the whole run to JUnit XML.

        If the JUnit XML must be valid against the schema of xunit2, the properties of
        the tests become JSON in ``system-out``. ``interrupted`` says that the run did
        not end by itself.
        """
        state = self._state
        properties = junit_properties(state.config)
        if properties is None:
            return
        found = list(rows)
        made = junit.suite_properties(
            state.identity,
            versions=[str(row["version"]) for row in found],
            models=[str(row["model"]) for row in found],
            interrupted=interrupted,
        )
        properties += [
            (name, printable(state.redactor.clean(text))) for name, text in made
        ]
        if state.settings.junit is junit.Detail.STRICT:
            properties_to_output(state.config)
        else:
            join_outputs(state.config)

    def write(self, rows: Collection[Row]) -> None:
        """Write the results of the suite into the conformance reports and pages.

        Adds a note for each file that is not written.
        """
        state = self._state
        for page in state.pages():
            try:
                if (found := self._document(rows)).requirements:
                    page.conformance(found)
            except Exception as error:
                state.note(
                    f"{page}: the results of the suite are missing: {error_text(error)}"
                )
        for file in state.reports.get("conformance", ()):
            try:
                if not conformance.write(file, self._document(rows)):
                    state.note(
                        f"{file}: the report is not written, since no requirement was "
                        "judged"
                    )
            except Exception as error:
                state.note(f"{file}: the report is not written: {error_text(error)}")

    def attachments(self, report: pytest.TestReport) -> list[Path]:
        """Return the files that JUnit XML attaches to a test that failed.

        They are the first trace of the test and the HTML pages of the run. If the JUnit
        XML must be valid against the schema of xunit2, there are no attachments, since
        ``system-out`` then contains JSON.
        """
        state = self._state
        if state.settings.junit is junit.Detail.STRICT:
            return []
        pages = [path for kind, path in state.settings.reports if kind == "html"]
        return [*junit_output.traces(state.config, report), *pages]

    def summarise(
        self,
        rows: Collection[Row],
        failures: Collection[Row],
        results: Collection[Row],
        *,
        interrupted: bool,
    ) -> None:
        """Write the summaries of the run; ``results`` are the rows of the suite."""
        state = self._state
        suite = self._document(results) if results else None
        found = run_summary.summary(
            state.identity, rows, failures, conformance=suite, interrupted=interrupted
        )
        self._summaries.write(found)

    def annotations(self, failures: Collection[Row]) -> list[str]:
        """For each failure, return a line that GitHub shows beside the test."""
        found = msgspec.convert(list(failures), list[run_summary.Failure])
        return self._summaries.annotations(found)

    def _document(self, rows: Collection[Row]) -> conformance.Document:
        state = self._state
        return conformance.document(
            rows,
            planned=len(suite.requirements(state.detect())),
            calibration=kept_calibration.line(state.config),
        )
