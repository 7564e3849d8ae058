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
from pytest_realtime_asr.plugin.options import RawOptions
from pytest_realtime_asr.plugin.settings import SettingError, Settings, settings
from pytest_realtime_asr.plugin.targets import Targets
from pytest_realtime_asr.plugin.termination import catch
from pytest_realtime_asr.plugin.worker import Worker
from pytest_realtime_asr.report import jsonl, utterances
from pytest_realtime_asr.report.files import ReportFile, distinct
from pytest_realtime_asr.report.progress import Progress
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.messages import error_text, printable
from pytest_realtime_asr.text.redaction import Redactor


class State:
    """The state of a run that uses the plugin; each part is made when first needed.

    ``terminal`` is a file descriptor for the terminal, or ``None`` without a terminal;
    pytest's capture does not redirect this descriptor. Raises UsageError for a wrong
    option.
    """

    def __init__(
        self, config: pytest.Config, options: RawOptions, terminal: int | None = None
    ) -> None:
        self.config = config
        self.options = options
        self.settings = _read(config, options)
        self.worker = Worker(config)
        self._terminal = terminal
        self._progress: Progress | None = None
        self._notes: dict[str, None] = {}  # in the order in which they were added
        self._restore: Callable[[], None] | None = None
        self._guarded = False

    def stop(self) -> None:
        """Stop the servers and sessions of the run, and unlock the report files."""
        if self.has_judging:
            self.judging.run.stop()
        self.restore_signals()
        if "reports" in self.__dict__:
            for file in self.written:
                file.release()
        if self._progress is not None:
            self._progress.close()
        if "targets" in self.__dict__:
            self.targets.stop()

    # Notes

    def note(self, text: str) -> None:
        """Add a line to print at the end of the run; the same line is printed once."""
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
        """Return the corpus of the run, perturbed as asked. Raises UsageError."""
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
        return Targets(self.settings, self.worker.fakes, corpus=self.corpus)

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
        """Raise UsageError for report files that cannot be written."""
        for file in self.written:
            try:
                file.check()
            except OSError as error:
                raise unwritable(file, error) from None

    def lock_reports(self) -> None:
        """Lock the report files before the run measures.

        From then on, SIGTERM and SIGHUP end the run as Ctrl-C does. Raises UsageError
        if another run writes one of the files.
        """
        if self._restore is not None:
            return
        if not self.worker:  # the controller locks the files for its workers
            for file in self.written:
                try:
                    file.lock()
                except OSError as error:
                    raise unwritable(file, error) from None
        self._restore = catch()

    def restore_signals(self) -> None:
        """Let SIGTERM and SIGHUP end the process at once, as by default."""
        if self._restore is not None:
            self._restore()

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
        cache = getattr(self.config, "cache", None)
        self.register_guard()
        return Judging(
            self._run(),
            folder=lambda: cache.mkdir("realtime-traces") if cache else None,
            origin=self.config.invocation_params.dir,
            given=self.options.line,
            comparison=self.settings.comparison,
            earlier=self.earlier,
            command=_command(self.config),
            located=self.located,
            utterances=self.settings.utterances,
        )

    def _run(self) -> Run:
        run = Run(self.settings.run, self._load, shared=self.worker.folder)
        for text, words in self.worker.discovered.items():
            run.servers.discovered[text] = Discovery(*words)
        run.warn = self.note
        calibrated = kept_calibration.line(self.config)
        run.sinks.extend(
            jsonl.Appender(file, calibrated) for file in self.reports.get("jsonl", ())
        )
        run.sinks.extend(map(utterances.Appender, self.reports.get("csv", ())))
        if self._terminal is not None and _is_interactive(self.config):
            self._progress = Progress(self._terminal, self._columns_left)
            run.progress = self._show_progress
        return run

    def _load(self, perturb: tuple[str, ...] = ()) -> Corpus:
        run = self.settings.run
        return _corpus(self.settings.corpus, run.language, run.private, perturb)

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
    """Remove the secrets, and escape the control characters, in each of the lines."""
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
    """Return the words that start pytest with the same ini file and rootdir."""
    ini, root = config.getoption("inifilename"), config.getoption("rootdir")
    words = ["pytest", *(["-c", str(ini)] if ini else [])]
    return [*words, f"--rootdir={root}"] if root else words


def _is_interactive(config: pytest.Config) -> bool:
    """Return whether pytest writes to a terminal and runs without ``-q``."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    # `isatty` is a flag in some versions of pytest, and a method in others.
    return reporter is not None and reporter.isatty and reporter.verbosity >= 0
