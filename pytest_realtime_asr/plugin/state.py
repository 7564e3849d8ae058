"""The state of a run that uses the plugin: settings, reports, servers and judging."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from pathlib import Path

import pytest

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.client.dialect_detection import AUTO, Discovery
from pytest_realtime_asr.client.plan import OptionsError, caller
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import Corpus, CorpusError, load_all
from pytest_realtime_asr.dialects import load
from pytest_realtime_asr.perturb import PerturbationError, chain
from pytest_realtime_asr.plugin import kept_calibration
from pytest_realtime_asr.plugin.earlier_reports import EarlierRuns
from pytest_realtime_asr.plugin.guard import Guard
from pytest_realtime_asr.plugin.judging import Judging
from pytest_realtime_asr.plugin.kept_traces import Keep, SessionTraces
from pytest_realtime_asr.plugin.page_trend import PageTrend
from pytest_realtime_asr.plugin.raw_options import RawOptions
from pytest_realtime_asr.plugin.settings import SettingError, Settings, settings
from pytest_realtime_asr.plugin.target_name import shown
from pytest_realtime_asr.plugin.targets import Targets
from pytest_realtime_asr.plugin.termination import catch
from pytest_realtime_asr.plugin.trace_folder import TraceFolder, trace_folder
from pytest_realtime_asr.plugin.utterance_progress import UtteranceProgress, utterance
from pytest_realtime_asr.plugin.worker import Worker
from pytest_realtime_asr.report import jsonl, layout, utterances
from pytest_realtime_asr.report.files import ReportFile, distinct
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.report.page import appender
from pytest_realtime_asr.report.page.clips import MOST, Clips
from pytest_realtime_asr.report.progress import Progress, ProgressLines
from pytest_realtime_asr.run.fakes import is_replay
from pytest_realtime_asr.run.identity import RunIdentity
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.messages import error_text, printable
from pytest_realtime_asr.text.privacy import PRIVATE
from pytest_realtime_asr.text.redaction import Redactor

_QUIET = -1  # the verbosity of -q, the lowest at which lines about progress are written


class State:
    """The state of a run that uses the plugin; each part is made when first needed.

    ``output`` is a file descriptor of pytest's output, which pytest's capture does not
    redirect, or ``None`` if there is no output. Raises UsageError for a wrong option.
    """

    def __init__(
        self, config: pytest.Config, options: RawOptions, output: int | None = None
    ) -> None:
        self.config = config
        self.options = options
        self.settings = _read(config, options)
        self.worker = Worker(config)
        self.page_trend = PageTrend(config, self.settings, self.worker.folder)
        self._output = output
        self._progress: Progress | ProgressLines | None = None
        self._tests: UtteranceProgress | None = None
        self._notes: dict[str, None] = {}  # in the order in which they were added
        self._restore: Callable[[], None] | None = None
        self._guarded = False

    def stop(self) -> None:
        """Stop the servers and sessions of the run, and unlock the report files."""
        if self.has_judging:
            self.judging.run.stop()
        self.restore_signals()
        if self.has_reports:
            for file in self.written:
                file.release()
        if self._progress is not None:
            self._progress.close()
        if "targets" in self.__dict__:
            self.targets.stop()
        self.page_trend.stop()

    @property
    def has_reports(self) -> bool:
        """Whether this process has made the attribute `reports`."""
        return "reports" in self.__dict__

    def add_server_output(
        self, item: pytest.Item, call: pytest.CallInfo[None], *, uses: bool
    ) -> None:
        """Add the output of served applications to the report of a phase of a test.

        ``uses`` says whether the test uses the plugin.
        """
        if "targets" in self.__dict__:
            self.targets.output.add_section(item, call, settles=uses)

    def stop_applications(self) -> list[str]:
        """Stop the applications that this process serves.

        Returns the lines of output that belong to no test.
        """
        if "targets" not in self.__dict__:
            return []
        if self.targets.serves_applications and self.has_judging:
            self.judging.run.stop()  # an application waits for its open sessions
        rest = self.targets.stop_applications()
        if rest and self.redactor.private:
            return [PRIVATE]
        return printable_lines(self, rest)

    # Notes

    def note(self, text: str) -> None:
        """Add a line that is printed at the end of the run.

        A line that is added several times is printed once.
        """
        self._notes[text] = None

    def drain_notes(self) -> list[str]:
        """Return the notes that were added since the last call."""
        found = printable_lines(self, self._notes)
        self._notes.clear()
        return found

    @property
    def redactor(self) -> Redactor:
        """The redactor for all secrets that are known so far."""
        if self.has_judging:
            return self.judging.run.redactor
        return self.settings.run.redactor

    def register_guard(self) -> None:
        """Remove secrets from pytest's warnings, logs and JUnit XML from now on."""
        if self._guarded:
            return
        self._guarded = True
        Guard(
            self.config,
            redactor=lambda: self.redactor,
            unjudged=lambda: self.judging.unjudged if self.has_judging else (),
            note=self.note,
        ).register()

    @property
    def width(self) -> int:
        """The number of columns for the plugin's sections at the end of the run."""
        if self.config.pluginmanager.getplugin("terminalreporter") is None:
            return layout.USUAL
        return max(layout.LEAST, self.config.get_terminal_writer().fullwidth)

    # The dialect

    @cached_property
    def _detected_dialect(self) -> str:
        """The dialect of the target, or `AUTO` if it cannot be detected."""
        try:
            return self.judging.run.servers.find(self.settings.target).dialect
        except LookupError as error:
            raise self.options.usage_error("dialect", error) from None
        except (Unreachable, ValueError):
            return AUTO

    def detect(self) -> Settings:
        """Return the settings with the dialect of the target, detected if necessary.

        The target is probed once. The dialect is `AUTO` if it cannot be detected; the
        tests that need the dialect report why. Raises UsageError for session options
        that do not fit the dialect.
        """
        if self.settings.dialect != AUTO:
            return self.settings
        if (dialect := self._detected_dialect) == AUTO:
            return self.settings
        found = self.settings.with_dialect(dialect)
        self.check_session_options(found)
        return found

    def check_session_options(self, found: Settings) -> None:
        """Raise UsageError for session options that do not fit the dialect."""
        session = found.run.session
        if not session.options:
            return
        try:
            caller(load(session.dialect), session.model, session.options)
        except LookupError as error:
            raise self.options.usage_error("dialect", error) from None
        except OptionsError as error:
            raise self.options.usage_error("session-options", error) from None

    # Corpus and servers

    def corpus(self) -> Corpus:
        """Return the corpus of the run with its perturbations. Raises UsageError."""
        private, perturb = self.settings.run.private, self.settings.perturb
        try:
            found = self._load(perturb)
        except PerturbationError as error:
            raise self.options.usage_error("perturb", error) from None
        except (CorpusError, AudioError) as error:
            hidden = (
                "the corpus cannot be used; run without --realtime-private to see the "
                "reason"
            )
            shown = hidden if private else error
            raise self.options.usage_error("corpus", shown) from None
        for note in found.notes:
            self.note(note)
        return found

    @cached_property
    def targets(self) -> Targets:
        """The servers that this run starts itself."""
        return Targets(
            self.settings, self.worker.fakes, corpus=self.corpus, warn=self.note
        )

    # Reports

    @cached_property
    def reports(self) -> dict[str, list[ReportFile]]:
        """The report files by their kind. Raises UsageError."""
        found: dict[str, list[ReportFile]] = {}
        for kind, path in self.settings.reports:
            try:
                file = ReportFile(path, shared=self.worker.folder, tell=self.note)
                distinct([file, *(f for files in found.values() for f in files)])
            except OSError as error:
                raise unwritable(f"--realtime-report={path}", error) from None
            found.setdefault(kind, []).append(file)
        return found

    @property
    def written(self) -> list[ReportFile]:
        """All report files."""
        return [file for files in self.reports.values() for file in files]

    def check_reports(self) -> None:
        """Raise UsageError for report files and traces that cannot be written."""
        for file in self.written:
            try:
                file.check()
            except OSError as error:
                raise unwritable(file, error) from None
        self._check_traces()
        strict = self.settings.junit is Detail.STRICT
        if strict and self.config.getini("junit_family") != "xunit2":
            raise self.options.usage_error(
                "junit", "strict needs junit_family = xunit2, pytest's default"
            )

    def _check_traces(self) -> None:
        if self.traces is not None:
            settings = self.settings
            try:
                self.traces.check()
                for target in (settings.target, settings.comparison.target):
                    self.traces.refuse_recordings(target)
            except (OSError, ValueError) as error:
                raise self.options.usage_error("traces", error) from None

    def lock_reports(self, shared: Path | None = None) -> None:
        """Lock the report files, and remove earlier traces, before the first session.

        ``shared`` is the folder of the workers of xdist, which write the files too.
        After this call, SIGTERM and SIGHUP end the run as Ctrl-C does. Raises
        UsageError if another run writes one of the files.
        """
        if self._restore is not None:
            return
        if not self.worker:  # the controller locks the files for its workers
            for file in self.written:
                try:
                    file.lock()
                except OSError as error:
                    raise unwritable(file, error) from None
                if shared is not None:
                    file.share(shared)
            self._check_traces()
            if self.traces is not None:
                self.traces.clear()
        self._restore = catch()

    @property
    def measures(self) -> bool:
        """Whether this run has started a test that measures."""
        return self._restore is not None

    def note_end(
        self, *, failed: Iterable[str], interrupted: bool, shared: Path | None
    ) -> None:
        """Write the end of the run into the JSON Lines reports and the HTML pages.

        The pages get the trend first. ``failed`` are the ids of the tests that failed.
        ``shared`` is the folder of the workers of xdist, if there are any.
        """
        for file in self.reports.get("jsonl", ()) if self.measures else ():
            try:
                jsonl.Appender(file, self.identity).end(interrupted=interrupted)
            except OSError as error:
                self.note(f"{file}: {error_text(error)}")
        if not (self.has_reports and (pages := self.pages())):
            return
        tests = self.redactor.clean_value(list(failed))
        trend = self._trend(interrupted=interrupted, shared=shared)
        for page in pages:
            try:
                if trend is not None:
                    page.trend(trend)
                page.end(failed=tests, interrupted=interrupted)
            except OSError as error:
                self.note(f"{page}: {error_text(error)}")

    def _trend(self, *, interrupted: bool, shared: Path | None) -> bytes | None:
        """Return the trend for the pages; if it cannot be made, add a note."""
        if not self.page_trend:
            return None
        try:
            block = self.page_trend.block(
                shared,
                interrupted=interrupted,
                tell=lambda text: self.note(f"trend of the page: {text}"),
            )
            return None if block is None else self.redactor.clean_bytes(block)
        except Exception as error:
            self.note(f"the page has no trend: {error_text(error)}")
            return None

    def pages(self) -> list[appender.Appender]:
        """Return an appender for each HTML page; it adds the clips of this process."""
        most = max(1, MOST // self.worker.count)
        return [
            appender.Appender(file, self.identity, Clips(most))
            for file in self.reports.get("html", ())
        ]

    def restore_signals(self) -> None:
        """Let SIGTERM and SIGHUP end the process at once, as by default."""
        if self._restore is not None:
            self._restore()

    @cached_property
    def traces(self) -> TraceFolder | None:
        """The folder for traces; ``None`` if none are kept."""
        return trace_folder(self.config, self.settings)

    def _make_trace_folder(self) -> Path | None:
        """Make the folder for traces; return ``None`` if none are kept."""
        return self.traces.make() if self.traces else None

    @cached_property
    def identity(self) -> RunIdentity:
        """The identity of this run: its id, its folder, its servers and its labels."""
        target, baseline = self.settings.target, self.settings.comparison.target
        return RunIdentity(
            self.worker.run,
            folder=self.config.rootpath,
            target=shown(target) if target else "",
            baseline=shown(baseline) if baseline else "",
            labels=self.settings.run.labels,
            calibration=kept_calibration.line(self.config),
            replayed=is_replay(target),
        )

    # Judging

    @cached_property
    def earlier(self) -> EarlierRuns:
        """The earlier reports with which the tests are compared.

        Raises UsageError.
        """
        found, paths = [], self.settings.comparison.reports
        try:
            for path in paths:
                self.refuse_overwritten(path)
                found.append(
                    jsonl.read(
                        path, tell=lambda text: self.note(f"--realtime-compare: {text}")
                    )
                )
        except ValueError as error:
            raise self.options.usage_error("compare", error) from None
        return EarlierRuns(dict(zip(paths, found, strict=True)))

    def refuse_overwritten(self, path: Path) -> None:
        """Raise ValueError if this run would overwrite or move a file that it reads."""
        if any(path.resolve() in file.places for file in self.written):
            raise ValueError(
                "--realtime-report would overwrite this file; write the report to "
                "another path"
            )

    @property
    def has_judging(self) -> bool:
        """Whether this process has made the object `judging`."""
        return "judging" in self.__dict__

    @cached_property
    def judging(self) -> Judging:
        """The object that judges the tests of this process. Raises UsageError."""
        self.register_guard()
        run, sinks, written = self._run()
        origin, every = self.config.invocation_params.dir, None
        if self.settings.keep is Keep.ALL:
            every = SessionTraces(self._make_trace_folder, origin, self.note)
            run.sinks.append(every)
        made = Judging(
            run,
            folder=self._make_trace_folder,
            origin=origin,
            traces=every,
            given=self.options.line,
            comparison=self.settings.comparison,
            earlier=self.earlier,
            command=_command(self.config),
            located=self.located,
            utterances=self.settings.utterances,
            width=self.width,
        )
        made.sinks.extend(each.verdicts for each in sinks)
        made.sinks.extend(each.verdicts for each in written)
        made.trace_sinks.extend(each.traces for each in written)
        return made

    def _run(self) -> tuple[Run, list[jsonl.Appender], list[appender.Appender]]:
        """Return the run of this process, its JSON Lines reports and its pages."""
        run = Run(self.settings.run, self._load, shared=self.worker.folder)
        for text, words in self.worker.discovered.items():
            run.servers.discovered[text] = Discovery(*words)
        run.warn = self.note
        files = [*self.reports.get("jsonl", ())]
        if self.page_trend:
            files.append(self.page_trend.lines)
        lines = [jsonl.Appender(file, self.identity) for file in files]
        written = self.pages()
        run.sinks.extend(lines)
        run.sinks.extend(written)
        run.level_sinks.extend(each.level for each in lines)
        run.level_sinks.extend(each.level for each in written)
        run.sinks.extend(map(utterances.Appender, self.reports.get("csv", ())))
        self._progress = self._make_progress()
        if self._progress is not None:
            run.progress = self._show_progress
        return run, lines, written

    def _make_progress(self) -> Progress | ProgressLines | None:
        """Return an object that shows the progress, or ``None`` to show none.

        The progress is shown on a terminal, or as lines of a log.
        """
        reporter = self.config.pluginmanager.getplugin("terminalreporter")
        if self._output is None or reporter is None:
            return None
        if os.isatty(self._output):
            # `isatty` is a flag in some versions of pytest, and a method in others.
            shown = reporter.isatty and reporter.verbosity >= 0
            if not shown:
                return None
            writer = self.config.get_terminal_writer()
            simple = os.environ.get("TERM", "dumb") == "dumb"
            width = None if simple else lambda: writer.fullwidth
            return Progress(self._output, self._columns_left, width=width)
        if reporter.verbosity < _QUIET:
            return None
        writer = self.config.get_terminal_writer()
        return ProgressLines(self._output, lambda: writer.width_of_current_line)

    def _load(self, perturb: tuple[str, ...] = ()) -> Corpus:
        run = self.settings.run
        return _corpus(self.settings.corpus, run.language, run.private, perturb)

    def show_start(self, item: pytest.Item) -> None:
        """Show the progress at the start of a test that gets one utterance."""
        if self._progress is None or utterance(item) is None:
            return
        if self._tests is None:
            servers = 2 if self.settings.comparison.target else 1
            pace = self.settings.run.session.pace
            self._tests = UtteranceProgress(
                item.session.items, pace=pace, servers=servers
            )
        if text := self._tests.text(item):
            self._show_progress(text)

    def note_test_end(self, item: pytest.Item) -> None:
        """Count a test whose start was shown."""
        if self._tests is not None:
            self._tests.end(item)

    def _columns_left(self) -> int:
        writer = self.config.get_terminal_writer()
        return writer.fullwidth - writer.width_of_current_line

    def _show_progress(self, text: str) -> None:
        assert self._progress is not None
        for line in printable_lines(self, [text]):
            self._progress.show(line)

    def located(self, id: str) -> str:
        """Return the id of a test, relative to the folder where pytest was started."""
        path, *names = id.split("::")
        origin = self.config.invocation_params.dir
        found = os.path.relpath(self.config.rootpath / path, origin)
        return "::".join([found, *names])


def printable_lines(state: State, lines: Iterable[str]) -> list[str]:
    """Return the lines without secrets, and with their control characters escaped."""
    return [printable(state.redactor.clean(line)) for line in lines]


def unwritable(file: object, error: OSError) -> pytest.UsageError:
    """Return an error about a report file that cannot be written."""
    # Only an error of the operating system has a number, and it gives no advice.
    advice = "" if error.errno is None else "; name another file"
    return pytest.UsageError(f"{file}: {error_text(error)}{advice}")


def _read(config: pytest.Config, options: RawOptions) -> Settings:
    """Return the settings of a run. Raises UsageError."""
    try:
        return settings(
            options.line,
            options.ini,
            os.environ,
            origin=config.invocation_params.dir,
        )
    except SettingError as error:
        # The message may quote the API key, if a user gave the key to another option.
        key = os.environ.get(options.text("api-key-env"), "")
        options.wrong_environment = error.from_environment
        raise pytest.UsageError(Redactor([key]).clean(str(error))) from None


@lru_cache(maxsize=8)
def _corpus(
    specs: tuple[str, ...],
    language: str,
    private: bool,
    perturb: tuple[str, ...],
) -> Corpus:
    if perturb:
        return chain.apply(_corpus(specs, language, private, ()), perturb)
    found = load_all(specs, language=language)
    return found.anonymous() if private else found


def _command(config: pytest.Config) -> list[str]:
    """Return the command that starts pytest with this run's ini file and rootdir."""
    ini, root = config.getoption("inifilename"), config.getoption("rootdir")
    words = ["pytest", *(["-c", str(ini)] if ini else [])]
    return [*words, f"--rootdir={root}"] if root else words
