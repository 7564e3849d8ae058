"""The hooks of the plugin: methods of `RealtimePlugin`, one object per pytest run.

Every pytest run imports this module, so it imports little. A hook first checks whether
the run or the test uses the plugin, and only then imports the modules that do the work.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.plugin.options import (
    CALIBRATION,
    FIXTURES,
    LOAD_OPTIONS,
    MARKERS,
    OPTIONS,
    REST,
    SERVER_OUTPUT,
    SUITE,
    SUITE_ID,
    is_load,
    is_suite,
)
from pytest_realtime_asr.plugin.raw_options import RawOptions
from pytest_realtime_asr.plugin.tally import Tally, is_used

if TYPE_CHECKING:
    from pytest_realtime_asr.plugin.controller import Controller
    from pytest_realtime_asr.plugin.end_of_run import EndOfRun
    from pytest_realtime_asr.plugin.item_judge import ItemJudge
    from pytest_realtime_asr.plugin.state import State


class RealtimePlugin:
    """The plugin in one pytest run.

    ``state`` holds the settings and the objects made from them. The state is made when
    a hook first needs it; until then, ``used_state`` is ``None``.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.options = RawOptions(config)
        self.used_state: State | None = None
        self._judge: ItemJudge | None = None
        self._controller: Controller | None = None
        self._tally: Tally | None = None
        self._end: EndOfRun | None = None
        self._output: int | None = None
        self._measures = False  # whether a test of this process uses the plugin
        self._rest: list[str] = []  # the output of applications after the last test
        self._wrong: dict[str, str] = {}  # the error of a test, by the test's id
        self.refused: set[str] = set()  # the plugin's own errors in the collection

    @property
    def state(self) -> State:
        """The state of a run that uses the plugin. Raises UsageError."""
        if self.used_state is None:
            from pytest_realtime_asr.plugin.state import State

            self.used_state = State(self.config, self.options, self._output)
        return self.used_state

    @property
    def is_worker(self) -> bool:
        """Return whether this process is a worker of xdist."""
        return hasattr(self.config, "workerinput")

    @property
    def asks_target(self) -> bool:
        """Return whether this run probes its target before the tests are collected.

        A run probes its target if an option on the command line sets the target or a
        limit, or if packaged tests run. A target from the ini file or the environment
        does not count, since it is set for all runs, even those without realtime tests.
        """
        named = self.config.getoption("realtime_target")
        asked = named or self.options.flag("conformance")
        asked = asked or self._asks_packaged
        return bool(asked) and not self.options.flag("plan")

    @property
    def _asks_packaged(self) -> bool:
        """Return whether an option asks for packaged tests other than the suite."""
        asked = self.config.getoption("realtime_budget")
        return bool(asked or any(map(self.options.text, LOAD_OPTIONS)))

    def uses(self, item: pytest.Item) -> bool:
        """Return whether a test has a fixture or a marker of the plugin."""
        named = set(getattr(item, "fixturenames", ()))
        return bool(named & FIXTURES) or is_marked(item)

    @property
    def judge(self) -> ItemJudge:
        """The object that judges the tests of this process. Raises UsageError."""
        if self._judge is None:
            from pytest_realtime_asr.plugin.item_judge import ItemJudge

            self._judge = ItemJudge(self.state)
        return self._judge

    def _active_judge(self) -> ItemJudge | None:
        """Return the judge, or ``None`` if no test of this process used the plugin."""
        if self.used_state is None or not self.used_state.has_judging:
            return None
        return self.judge

    # Configuration

    def configure(self) -> None:
        """Check the options that are set, and prepare the run for them.

        Raises UsageError.
        """
        if not self.is_worker:
            self._watch()
        conformance = self.options.flag("conformance")
        plan = self.options.flag("plan")
        if plan and self.config.getoption("numprocesses", None):
            raise pytest.UsageError(
                "--realtime-plan cannot be used with -n, since no tests run; omit -n"
            )
        stated = conformance or plan
        stated = stated or any(self.options.line(each) is not None for each in OPTIONS)
        if (
            stated
            or self.options.text("report")
            or any(self.options.ini(each) is not None for each in OPTIONS)
        ):
            try:
                self._check()
            except pytest.UsageError:
                # A wrong environment variable must not end a run that perhaps does not
                # use the plugin.
                if stated or not self.options.wrong_environment:
                    raise
        if conformance or self._asks_packaged:
            from pytest_realtime_asr.plugin import suite

            suite.add(self.config, self.options)

    def _check(self) -> None:
        from pytest_realtime_asr.plugin import checks

        checks.check(self.state)
        if self.options.flag("conformance"):
            from pytest_realtime_asr.plugin import suite

            suite.check_named(self.state)

    def _watch(self) -> None:
        """Register the `Tally` and, with xdist, the `Controller`.

        Standard output is duplicated here, before pytest's capture redirects it.
        """
        suite = f"{SUITE_ID}/" if self.options.flag("conformance") else ""
        self._tally = Tally(
            "" if self.options.flag("plan") else suite,
            end=lambda: self._end_of_run,
            used=lambda: self._active_judge() is not None,
            notes=self._notes,
            output=self._rest_of_output,
            audio=self._sent_audio,
            measures=lambda: self._measured,
        )
        self.config.pluginmanager.register(self._tally, "realtime-tally")
        if self.config.getoption("dist", "no") != "no":
            from pytest_realtime_asr.plugin.controller import Controller

            self._controller = Controller(self)
            self.config.pluginmanager.register(self._controller, "realtime-controller")
        out = sys.__stdout__
        if out is not None and not out.closed:
            with suppress(OSError, ValueError):  # an output without a descriptor
                self._output = os.dup(out.fileno())

    def _rest_of_output(self) -> list[str]:
        """Return the lines that served applications printed outside of all tests."""
        sent = self._controller.output if self._controller is not None else []
        return [*self._rest, *sent]

    @property
    def _measured(self) -> bool:
        """Whether the run has begun to run tests that measure."""
        return self.used_state is not None and self.used_state.measures

    @property
    def _end_of_run(self) -> EndOfRun:
        if self._end is None:
            from pytest_realtime_asr.plugin.end_of_run import EndOfRun

            self._end = EndOfRun(self.state)
        return self._end

    def _notes(self) -> list[str]:
        """Return the lines to print at the end, such as lines about missing reports."""
        if self.used_state is None:
            return []
        found = self.used_state.drain_notes()
        if self.options.flag("plan") or self.config.getoption("collectonly"):
            return found
        folder = None if self._controller is None else self._controller.used_folder
        return [*found, *self._end_of_run.unwritten(folder, found)]

    def _sent_audio(self) -> str:
        """Return a line about the audio that the run has sent; "" if it sent none."""
        folder = None if self._controller is None else self._controller.used_folder
        # The settings are not read for a run that does not use the plugin: they may
        # be wrong, and reading them is expensive.
        if self.used_state is None and not (folder and any(folder.glob("audio-*"))):
            return ""
        return self._end_of_run.audio(folder)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        if self.is_worker or self.config.getoption("collectonly"):
            return
        if self.used_state is not None:
            self.used_state.check_reports()
        if self.asks_target:
            # The dialect must be known before the collection and before workers start.
            self.state.detect()

    # The last wrapper ends first, before the terminal's and xdist's.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, None, None]:
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        if self.used_state is not None:
            if interrupted and self._controller is not None and self._measured:
                self._controller.interrupt()
            self.used_state.restore_signals()
        try:
            yield
        finally:
            if self.used_state is not None:
                self._rest += self.used_state.stop_applications()
                if not self.is_worker:
                    shared = self._controller.used_folder if self._controller else None
                    self.used_state.note_end(
                        failed=self._tally.failed_tests if self._tally else (),
                        interrupted=interrupted,
                        shared=shared,
                    )
            if self.is_worker:
                self.config.workeroutput[REST] = self._rest  # type: ignore[attr-defined]

    def pytest_unconfigure(self) -> None:
        if self.used_state is not None:
            self.used_state.stop()
        if self._controller is not None:
            self._controller.stop()
        if self._output is not None:
            os.close(self._output)

    # The header

    def pytest_report_header(self) -> list[str]:
        found = []
        target = self.options.text("target")
        if target and not self.options.flag("plan"):
            if self.asks_target and not self.config.getoption("collectonly"):
                from pytest_realtime_asr.plugin import header

                found.append(header.target(self))
            else:
                from pytest_realtime_asr.plugin import target_name

                found.append(target_name.shown(target))
        cache = getattr(self.config, "cache", None)
        if cache is not None and cache.get(CALIBRATION, None) is not None:
            from pytest_realtime_asr.plugin import kept_calibration

            found.append(kept_calibration.line(self.config))
        flags = (option.name for option in OPTIONS if option.flag)
        wrong = filter(None, map(self.options.wrong_flag, flags))
        found += [f"{line}; the option counts as not set" for line in wrong]
        lines = [f"realtime: {line}" for line in found if line]
        workers = self.config.getoption("numprocesses", None)
        if workers and self.options.flag("conformance"):
            lines += self._plan(None)  # only the workers collect the tests
        return self._printable(lines)

    def _printable(self, lines: Sequence[str]) -> list[str]:
        if not lines:
            return []
        if self.used_state is None:  # no secret is known yet
            from pytest_realtime_asr.text.messages import printable

            return list(map(printable, lines))
        from pytest_realtime_asr.plugin.state import printable_lines

        return printable_lines(self.used_state, lines)

    def _plan(
        self, scenarios: list[list[str]] | None, *, speaks: bool = True
    ) -> list[str]:
        from pytest_realtime_asr.plugin import header

        return header.plan(self, scenarios, speaks=speaks)

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Return lines that describe what the run will do and what it will cost."""
        lines: list[str] = []
        own = [item for item in items if not is_suite(item) and self.uses(item)]
        if own and not self.config.getoption("collectonly"):
            from pytest_realtime_asr.plugin import header

            lines = self._printable(header.own(self, own))
        if any(map(is_load, items)):
            from pytest_realtime_asr.plugin import header

            lines += self._printable(header.load(self))
        asked = [item for item in items if is_suite(item) and not is_load(item)]
        if not asked:
            return lines
        marks = [m for item in asked for m in item.iter_markers("realtime_requirement")]
        scenarios = [mark.kwargs["scenario"].split(" ") for mark in marks]
        speaks = any(item.name == "test_spoken_corpus" for item in asked)
        return [*lines, *self._plan(scenarios, speaks=speaks)]

    # Collection

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Collect a packaged load test only if its option asks for it."""
        if collection_path.parent != SUITE:
            return None
        from pytest_realtime_asr.plugin import suite

        return suite.unasked(collection_path, self.options) or None

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        if module_path.parent != SUITE:
            return None
        from pytest_realtime_asr.plugin import suite

        return suite.module(module_path, parent)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if Path(metafunc.definition.path).parent == SUITE:
            from pytest_realtime_asr.plugin import suite

            suite.generate(metafunc, self.state)
        if "utterance" in metafunc.fixturenames:
            from pytest_realtime_asr.plugin import utterance_fixture

            utterance_fixture.generate(metafunc, self)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if self.used_state is not None and report.failed:
            from pytest_realtime_asr.plugin import report_redaction

            redactor = self.used_state.redactor
            if redactor.private:
                report_redaction.withhold_collected(report, self.refused)
            report_redaction.clean(report, redactor)
        return report

    @pytest.hookimpl(tryfirst=True)  # before other plugins deselect tests
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> None:
        """Add the spoken corpus if a comparison is asked for and no test measures.

        A test measures if it uses the fixture ``realtime``.
        """
        getoption = self.config.getoption
        asked = getoption("realtime_compare") or getoption("realtime_baseline_target")
        if not asked or session.testsfailed or _names_paths(self.config):
            return
        if not any("realtime" in getattr(item, "fixturenames", ()) for item in items):
            from pytest_realtime_asr.plugin import suite

            items.extend(suite.speech(session))

    @pytest.hookimpl(tryfirst=True)  # before xdist sends the tests to the controller
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse wrong markers, and find the tests that share a pool."""
        for item in session.items:
            used = self.uses(item)
            if not used and "realtime_target" not in getattr(item, "fixturenames", ()):
                continue
            try:
                state = self.state
                if used:
                    self._measures = True
                    state.worker.note_measurement()
                    self._expect(item)
            except pytest.UsageError as error:
                if not self.is_worker:
                    raise
                # xdist would not print the error of a worker.
                self._wrong[item.nodeid] = str(error)
        if self._measures:
            self._refuse_uncompared(session)

    def _refuse_uncompared(self, session: pytest.Session) -> None:
        """Refuse a comparison with reports that have none of the tests of this run."""
        from pytest_realtime_asr.plugin import items

        found = {
            item.nodeid: items.compared(item, self.state) for item in session.items
        }
        tests = {test: name for test, name in found.items() if name}
        wrong = self.state.earlier.refusal(set(tests.values()))
        if not wrong or self.config.getoption("collectonly"):
            return
        error = self.state.options.usage_error("compare", wrong)
        if not self.is_worker:
            raise error
        self._wrong |= dict.fromkeys(tests, str(error))

    def _expect(self, item: pytest.Item) -> None:
        from pytest_realtime_asr.plugin import items

        compared = items.compared(item, self.state)
        if compared or is_marked(item):
            terms = items.pooled_terms(item, self.state)
            self.state.judging.expect(item.nodeid, terms, compared=compared)
        items.refuse_unknown_dialect(item, self.state)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> bool | None:
        """With ``--realtime-plan``, run no tests; otherwise, lock the report files."""
        if self.options.flag("plan"):
            return True
        getoption = self.config.getoption
        if self._measures and not (getoption("collectonly") or getoption("setupplan")):
            self.state.lock_reports()
        return None

    # The phases of a test

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if wrong := self._wrong.get(item.nodeid, ""):
            pytest.fail(wrong, pytrace=False)
        if self.uses(item):
            self.judge.begin(item)
            self.state.show_start(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Close and judge the sessions of a test while the test itself can still fail.

        If they were judged in the teardown, pytest would report a failure as an error.
        """
        try:
            result = yield
        except BaseException as error:
            if (judge := self._active_judge()) is not None:
                judge.raised(item, error)
            raise
        if (judge := self._active_judge()) is not None:
            judge.passed(item).apply()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Judge the pools that end with this test and have not been judged yet."""
        last = nextitem is None
        if self.used_state is not None:
            self.used_state.note_test_end(item)
        try:
            result = yield
        except BaseException:
            if (judge := self._active_judge()) is not None:
                found = judge.pools(item, last=last)
                if text := found.failure or found.skipped:
                    item.add_report_section("teardown", "realtime", text)
            raise
        if (judge := self._active_judge()) is not None:
            judge.pools(item, last=last).apply()
        return result

    # The first wrapper ends last, so that it also sees what other plugins add.
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        state = self.used_state
        result: Mapping[str, Any] | None = None
        if state is not None:
            state.add_server_output(item, call, uses=self.uses(item))
        if state is not None and call.when == "call" and is_suite(item):
            result = self.judge.requirement(item)
        if state is not None and state.has_judging:
            from pytest_realtime_asr.plugin import report_redaction

            call.excinfo = report_redaction.only_sentence(call.excinfo)
        report = yield
        if state is not None:
            self.judge.complete(item, call, report, result=result, uses=self.uses(item))
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)  # pytest prints failures in a wrapper
    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> Generator[None, None, None]:
        """Colour the strips of sessions over time while pytest prints the failures.

        The text of a failure has no colour codes, since other reports contain this text
        too.
        """
        if not (terminalreporter.hasmarkup and self._tally and self._tally.has_rows):
            return (yield)
        with self._end_of_run.coloured_failures(terminalreporter):
            return (yield)

    @pytest.hookimpl(trylast=True)  # after pytest has added the failure to JUnit XML
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.failed or report.when == "teardown":
            return
        used = is_used(report)
        if used or any(SERVER_OUTPUT in name for name, _ in report.sections):
            from pytest_realtime_asr.plugin import junit_output

            junit_output.add(
                self.config,
                report,
                files=self._end_of_run.attachments(report) if used else (),
                environment=os.environ,
            )


def _names_paths(config: pytest.Config) -> bool:
    """Return whether the command line names tests, files or folders."""
    return config.args_source is pytest.Config.ArgsSource.ARGS


def is_marked(item: pytest.Item) -> bool:
    """Return whether a test has one of the plugin's markers."""
    return any(mark.name in MARKERS for mark in item.iter_markers())
