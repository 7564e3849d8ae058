"""The door to pytest: options, markers, fixtures and hooks; nobody imports this.

Every pytest run in the environment pays for what this module imports, so that all else
is imported where a test first needs it.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import platform
import shutil
import sys
import tempfile
import warnings
from collections.abc import (
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.plugin.options import (
    MARKERS,
    OPTIONS,
    Given,
    Option,
    first_given,
    flag,
)

if TYPE_CHECKING:
    from pytest_realtime_asr.client.asgi import Application
    from pytest_realtime_asr.conformance.config import SuiteConfig
    from pytest_realtime_asr.conformance.results import ServerResult
    from pytest_realtime_asr.corpus import Corpus, Utterance
    from pytest_realtime_asr.fake.process import FakeServer
    from pytest_realtime_asr.plugin.judging import Case, Judging
    from pytest_realtime_asr.plugin.settings import Settings
    from pytest_realtime_asr.report.conformance import Row
    from pytest_realtime_asr.report.files import ReportFile
    from pytest_realtime_asr.report.progress import Progress
    from pytest_realtime_asr.run.fakes import FakeServers
    from pytest_realtime_asr.run.realtime import AsyncSession, Realtime, Session
    from pytest_realtime_asr.run.results import Results
    from pytest_realtime_asr.run.terms import Terms
    from pytest_realtime_asr.text.redaction import Redactor
    from pytest_realtime_asr.trace.records import Trace
    from pytest_realtime_asr.verdicts.utterance_record import UtteranceRecord

SUITE = Path(__file__).parents[1] / "conformance"
SUITE_ID = "realtime_conformance"
_CALIBRATION = "realtime/calibration"  # in pytest's cache
_MEASURES = "measures"  # in the folder of all workers: some test of the run measures
FIXTURES = {"realtime", "realtime_session", "utterance", "corpus", "fake_server"}

_SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
_JUDGING: pytest.StashKey[Judging] = pytest.StashKey()
_FLEET: pytest.StashKey[FakeServers] = pytest.StashKey()
_SERVED: pytest.StashKey[dict[int, tuple[object, Application | str]]] = (
    pytest.StashKey()
)
_PROGRESS: pytest.StashKey[Progress] = pytest.StashKey()
_SHARED: pytest.StashKey[Path] = pytest.StashKey()
_WRONG: pytest.StashKey[str] = pytest.StashKey()
_ROW: pytest.StashKey[Mapping[str, object]] = pytest.StashKey()
_REQUIREMENT: pytest.StashKey[Row] = pytest.StashKey()  # the result of its test
_REFUSED: pytest.StashKey[set[str]] = pytest.StashKey()  # messages of a collection
_POOL_FAILED: pytest.StashKey[bool] = pytest.StashKey()
_BASELINE: pytest.StashKey[tuple[UtteranceRecord, ...]] = pytest.StashKey()
_FILES: pytest.StashKey[dict[str, list[ReportFile]]] = pytest.StashKey()
_NOTES: pytest.StashKey[dict[str, None]] = pytest.StashKey()
_USED: pytest.StashKey[bool] = pytest.StashKey()
_RESTORE: pytest.StashKey[Callable[[], None]] = pytest.StashKey()


# Options


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("realtime", "realtime speech recognition")
    for option in OPTIONS:
        kwargs: dict[str, Any] = {"dest": option.ini, "help": option.help}
        if option.flag:
            kwargs |= {"action": "store_true", "default": None}
        else:
            kwargs |= {"metavar": option.metavar, "default": None}
            kwargs |= {"action": "append" if option.many else "store"}
        group.addoption(option.cli, **kwargs)
        if option.many:
            parser.addini(option.ini, option.help, type="linelist", default=None)
        else:
            parser.addini(option.ini, option.help, type="string", default=None)


def _given(config: pytest.Config, name: str) -> str:
    """What the first place that names an option says, as it stands there.

    A flag that the environment gives a wrong text is not set: a run that has nothing
    to do with this plugin must not end by it. The header says so, and a test that uses
    the plugin fails by it. Raises UsageError where another place does.
    """
    (option,) = (each for each in OPTIONS if each.name == name)
    found = _stated(config, option)
    if not found.stated:
        return ""
    if wrong := _wrong_flag(option, found):
        if found.from_environment:
            return ""
        raise pytest.UsageError(wrong)
    return str(found.value or "")


def _at(config: pytest.Config, name: str, error: Exception) -> str:
    """What is wrong with an option, with the place that names it."""
    (option,) = (each for each in OPTIONS if each.name == name)
    return f"{_stated(config, option).place}: {error}"


def _stated(config: pytest.Config, option: Option) -> Given:
    line, ini = config.getoption(option.ini), _ini(config, option)
    return first_given(option, line, ini, os.environ)


def _ini(config: pytest.Config, option: Option) -> object:
    """What the ini file says of an option. Raises UsageError."""
    try:
        return config.getini(option.ini)
    except (TypeError, ValueError) as error:  # a number where a text is due, in TOML
        raise pytest.UsageError(f"{option.ini} in the ini file: {error}") from None


def _wrong_flag(option: Option, found: Given) -> str:
    """What is wrong with a flag, else nothing."""
    try:
        if option.flag:
            flag(str(found.value))
    except ValueError as error:
        return f"{found.place}: {error}"
    return ""


def _settings(config: pytest.Config) -> Settings:
    if _SETTINGS not in config.stash:
        from pytest_realtime_asr.plugin.settings import SettingError, settings
        from pytest_realtime_asr.text.redaction import Redactor

        try:
            config.stash[_SETTINGS] = settings(
                lambda option: config.getoption(option.ini),
                lambda option: _ini(config, option),
                os.environ,
                origin=config.invocation_params.dir,
            )
        except SettingError as error:
            # The key may stand in place of another option, and be quoted.
            key = os.environ.get(_given(config, "api-key-env"), "")
            wrong = pytest.UsageError(Redactor([key]).clean(str(error)))
            wrong.from_environment = error.from_environment  # type: ignore[attr-defined]
            raise wrong from None
    return config.stash[_SETTINGS]


def pytest_configure(config: pytest.Config) -> None:
    for name, text in MARKERS.items():
        config.addinivalue_line("markers", name + text)
    if not _is_worker(config):
        _watch(config)
    conformance = _conformance(config)
    plan = flag(_given(config, "plan"))
    if plan and config.getoption("numprocesses", None):
        raise pytest.UsageError("--realtime-plan runs nothing: leave out -n")
    told = any(config.getoption(option.ini) is not None for option in OPTIONS)
    told = told or conformance or plan
    if (
        told
        or _given(config, "report")
        or any(_ini(config, option) is not None for option in OPTIONS)
    ):
        try:
            _check(config)  # a wrong option is refused before anything runs
        except pytest.UsageError as error:
            # What is wrong in the environment ends no run that may not need it.
            if told or not getattr(error, "from_environment", False):
                raise
    if conformance:
        _add_suite(config)


def _check(config: pytest.Config) -> None:
    """Refuse settings that cannot be held. Raises UsageError."""
    settings = _settings(config)
    _baseline(config)
    for spec in settings.corpus:
        try:
            _refuse_overwritten(config, Path(spec))
        except ValueError as error:
            raise pytest.UsageError(_at(config, "corpus", error)) from None
    from pytest_realtime_asr.client.dialect_detection import AUTO

    if settings.dialect == AUTO:
        _refuse_unnamed(config, settings)
    else:
        _check_options(config, settings)
    known = settings.run.known
    if not known:
        return
    from pytest_realtime_asr import dialects
    from pytest_realtime_asr.requirements import known_failures

    try:
        names = dialects.installed() if settings.dialect == AUTO else [settings.dialect]
        found = [each for name in names for each in dialects.load(name).requirements]
        known_failures.check(known, {each.id for each in found}, date.today())
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    except ValueError as error:
        raise pytest.UsageError(_at(config, "known-failures", error)) from None


def _baseline(config: pytest.Config) -> tuple[UtteranceRecord, ...]:
    """The earlier report with which the tests are compared, read once.

    Raises UsageError.
    """
    settings = _settings(config)
    earlier = settings.comparison.report
    if earlier is None:
        return ()
    if _BASELINE not in config.stash:
        from pytest_realtime_asr.report import jsonl

        try:
            _refuse_overwritten(config, earlier)
            config.stash[_BASELINE] = jsonl.read(
                earlier,
                tell=lambda text: _note(config, f"--realtime-compare: {text}"),
            )
        except ValueError as error:
            raise pytest.UsageError(_at(config, "compare", error)) from None
    return config.stash[_BASELINE]


def _refuse_overwritten(config: pytest.Config, path: Path) -> None:
    """Refuse to read what this run writes or moves. Raises ValueError."""
    if any(path.resolve() in file.places for file in _written(config)):
        raise ValueError("--realtime-report would write over it")


def _refuse_unnamed(config: pytest.Config, settings: Settings) -> None:
    """Refuse a run of the suite whose dialect nobody will tell. Raises UsageError."""
    if flag(_given(config, "plan")):
        why = "--realtime-plan sends nothing, so that no dialect can be found"
    elif _conformance(config) and not settings.target:
        why = (
            "--realtime-conformance: there is no target whose dialect could be found; "
            "pass --realtime-target=URL or, where the fixture realtime_target gives it"
        )
    else:
        return
    from pytest_realtime_asr.client.dialect_detection import advice

    raise pytest.UsageError(f"{why}, {advice()}")


def _check_options(config: pytest.Config, settings: Settings) -> None:
    """Refuse session options that do not fit the dialect. Raises UsageError."""
    session = settings.run.session
    if not session.options:
        return
    from pytest_realtime_asr import dialects
    from pytest_realtime_asr.client.session import OptionsError, caller

    try:
        dialect = dialects.load(session.dialect)
        caller(dialect, session.model, session.options)
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    except OptionsError as error:
        raise pytest.UsageError(_at(config, "session-options", error)) from None


def _found(config: pytest.Config) -> Settings:
    """The settings with the dialect that the server showed, which is asked once.

    It stays ``auto`` where none was found: the tests that need it say why. Raises
    UsageError for session options that do not fit it.
    """
    from pytest_realtime_asr.client.dialect_detection import AUTO

    settings = _settings(config)
    if settings.dialect != AUTO:
        return settings
    from pytest_realtime_asr.client.transport import Unreachable

    try:
        found = _judging(config).run.servers.find(settings.target)
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    except (Unreachable, ValueError):
        return settings
    known = settings.with_dialect(found.dialect)
    _check_options(config, known)
    return known


def _conformance(config: pytest.Config) -> bool:
    return flag(_given(config, "conformance"))


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """List what was asked for, or test what tests, in place of a run."""
    if config.getoption("help") or config.getoption("version"):
        return None
    if config.getoption("realtime_selftest"):
        return _selftest(config)
    if config.getoption("realtime_calibrate"):
        return _calibrate(config)
    asked = config.getoption("realtime_list")
    if asked is None:
        return None
    from pytest_realtime_asr.report import listing

    settings = _settings(config)
    try:
        match asked:
            case "requirements":
                lines = listing.requirements(
                    settings.dialect,
                    level=settings.suite.level,
                    pinned=settings.run.pinned,
                )
            case "dialects":
                lines = listing.installed_dialects()
            case "metrics":
                lines = listing.metrics()
            case "options":
                lines = listing.options(OPTIONS)
            case _:
                raise ValueError(
                    f"{asked!r}; there are requirements, dialects, metrics and options"
                )
    except (ValueError, LookupError) as error:
        raise pytest.UsageError(f"--realtime-list: {error.args[0]}") from None
    print("\n".join(lines))
    return 0


def _watch(config: pytest.Config) -> None:
    """Hear of all tests, and take hold of a terminal while nothing is captured."""
    from pytest_realtime_asr.plugin.tally import Tally

    suite = f"{SUITE_ID}/" if _conformance(config) else ""
    tally = Tally(
        "" if flag(_given(config, "plan")) else suite,
        table=partial(_table, config),
        verdicts=partial(_verdicts, config),
        write=partial(_write, config),
        rest=_cut_off,
        notes=lambda: _drain(config),
    )
    config.pluginmanager.register(tally, "realtime-tally")
    out = sys.__stdout__
    if out is None or out.closed or not out.isatty():
        return
    from pytest_realtime_asr.report.progress import Progress

    def room() -> int:
        writer = config.get_terminal_writer()
        return writer.fullwidth - writer.width_of_current_line

    config.stash[_PROGRESS] = Progress(out.fileno(), room)


def _add_suite(config: pytest.Config) -> None:
    files = [str(file) for file in sorted(SUITE.glob("test_*.py"))]
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []
    config.args.extend(file for file in files if file not in config.args)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if _is_worker(config) or config.getoption("collectonly"):
        return
    for file in _written(config):
        try:
            file.check()
        except OSError as error:
            raise _unwritable(file, error) from None
    if _asks(config):
        _found(config)  # before anything is collected, and workers are started


def _files(config: pytest.Config) -> dict[str, list[ReportFile]]:
    """The reports that were asked for, by their kind. Raises UsageError."""
    if _SETTINGS not in config.stash:
        return {}
    if _FILES not in config.stash:
        from pytest_realtime_asr.report.files import ReportFile, distinct

        found: dict[str, list[ReportFile]] = {}
        for kind, path in config.stash[_SETTINGS].reports:
            try:
                file = ReportFile(
                    path,
                    shared=_shared(config),
                    tell=partial(_note, config),
                )
                distinct([file, *(f for files in found.values() for f in files)])
            except OSError as error:
                raise _unwritable(f"--realtime-report={path}", error) from None
            found.setdefault(kind, []).append(file)
        config.stash[_FILES] = found
    return config.stash[_FILES]


def _written(config: pytest.Config) -> list[ReportFile]:
    return [file for files in _files(config).values() for file in files]


def _unwritable(file: object, error: OSError) -> pytest.UsageError:
    from pytest_realtime_asr.text.messages import error_text

    # What the system says is no advice; what we say ourselves has no number.
    advice = "" if error.errno is None else "; name another file"
    return pytest.UsageError(f"{file}: {error_text(error)}{advice}")


def _note(config: pytest.Config, text: str) -> None:
    """Say this at the end of the run, once."""
    config.stash.setdefault(_NOTES, {})[text] = None


def _drain(config: pytest.Config) -> list[str]:
    """What is to be said and was not handed on yet."""
    notes = config.stash.get(_NOTES, {})
    found = _shown(config, notes)
    notes.clear()
    return found


def _hold(config: pytest.Config) -> None:
    """Hold the reports for a run that is about to measure.

    From now on SIGTERM and SIGHUP end it as Ctrl-C does. Raises UsageError where
    another run writes one of them.
    """
    if _RESTORE in config.stash:
        return
    if not _is_worker(config):  # the controller holds them for its workers
        for file in _written(config):
            try:
                file.lock()
            except OSError as error:
                raise _unwritable(file, error) from None
    from pytest_realtime_asr.plugin.termination import catch

    config.stash[_RESTORE] = catch()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if _RESTORE in session.config.stash:
        session.config.stash[_RESTORE]()


def _selftest(config: pytest.Config) -> int:
    """Prove each requirement both ways on this machine, and print the scores.

    It is that of the dialect that is named, else of all. Raises UsageError.
    """
    from pytest_realtime_asr import dialects
    from pytest_realtime_asr.client.dialect_detection import AUTO
    from pytest_realtime_asr.conformance.selftest import selftest

    settings = _settings(config)
    names = dialects.installed() if settings.dialect == AUTO else [settings.dialect]
    try:
        scores = [selftest(name, progress=_tell) for name in names]
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    _tell("")
    for score in scores:
        print(*score.unproven, str(score), sep="\n")
    return int(any(score.unproven for score in scores))


def _calibrate(config: pytest.Config) -> int:
    """Measure how far the times are off on this machine, print it and keep it."""
    from pytest_realtime_asr import dialects
    from pytest_realtime_asr.client.dialect_detection import AUTO
    from pytest_realtime_asr.client.loop import Loop
    from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
    from pytest_realtime_asr.run.calibration import calibrate

    named = _settings(config).dialect
    loop = Loop()
    try:
        dialect = dialects.load(DEFAULT_DIALECT if named == AUTO else named)
        found = calibrate(loop, dialect, tell=_tell)
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    except RuntimeError as error:
        raise pytest.UsageError(f"--realtime-calibrate: {error}") from None
    finally:
        loop.stop()
        _tell("")
    print(*found.lines, str(found), sep="\n")
    config._do_configure()  # the cache is there from then on
    if (cache := getattr(config, "cache", None)) is not None:
        cache.set(_CALIBRATION, {"line": str(found), **json.loads(found.dumps())})
    else:
        print("not kept: pytest's cache is off; leave out -p no:cacheprovider")
    return 0


def _calibrated(config: pytest.Config) -> str:
    """The last calibration in one line; empty where there is none.

    It is said where it is old, or of another machine, whose cache this was.
    """
    cache = getattr(config, "cache", None)
    kept = None if cache is None else cache.get(_CALIBRATION, None)
    if kept is None:
        return ""
    line = str(kept["line"])
    days = (datetime.now(UTC) - datetime.fromisoformat(kept["made"])).days
    line += f", {days} day{'s' * (days > 1)} ago" if days > 0 else ""
    here = str(kept["machine"]).startswith(f"{platform.node()},")
    return line if here else f"{line}, on another machine"


def _tell(text: str) -> None:
    """Tell whoever waits at a terminal what goes on; an empty text clears the line."""
    if sys.stderr.isatty():
        end = "" if text else "\r"
        print(f"\r{text:78.78}", end=end, file=sys.stderr, flush=True)


# xdist: the controller starts what the workers share


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _shared(config: pytest.Config) -> Path | None:
    """The folder that all workers of the run see; ``None`` outside of a worker."""
    shared = getattr(config, "workerinput", {}).get("realtime_shared")
    return Path(shared) if shared else None


def _temporary(config: pytest.Config) -> Path:
    """A new folder, which pytest removes later where a signal ends this run.

    There is no such place with ``-p no:tmpdir``.
    """
    factory = getattr(config, "_tmp_path_factory", None)
    if factory is None:
        return Path(tempfile.mkdtemp(prefix="pytest-realtime-"))
    made: Path = factory.mktemp("realtime", numbered=False)
    return made


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    config = node.config
    if _SHARED not in config.stash:
        config.stash[_SHARED] = _temporary(config)
    node.workerinput["realtime_shared"] = str(config.stash[_SHARED])
    node.workerinput["realtime_dist"] = str(config.getoption("dist"))
    from pytest_realtime_asr.run.fakes import FAKES

    target = _given(config, "target")
    ours = {target, _given(config, "baseline-target")} & FAKES.keys()
    node.workerinput["realtime_fakes"] = {
        each: _url(config, each, _settings(config).dialect) for each in ours
    }
    if target not in FAKES and target and _asks(config):
        _found(config)
        found = _judging(config).run.servers.discovered
        node.workerinput["realtime_discovered"] = {
            text: [each.dialect, each.reason, each.lost] for text, each in found.items()
        }


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    """Hold the reports where the tests of the workers measure."""
    if (node.config.stash[_SHARED] / _MEASURES).exists():
        _hold(node.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _JUDGING in config.stash:
        config.stash[_JUDGING].run.stop()
    if _RESTORE in config.stash:
        config.stash[_RESTORE]()
    if _FILES in config.stash:
        for file in _written(config):
            file.release()
    if _PROGRESS in config.stash:
        config.stash[_PROGRESS].close()
    if _FLEET in config.stash:
        config.stash[_FLEET].stop()
    for _, application in config.stash.get(_SERVED, {}).values():
        if not isinstance(application, str):
            application.stop()
    if _SHARED in config.stash:
        shutil.rmtree(config.stash[_SHARED], ignore_errors=True)


def _asks(config: pytest.Config) -> bool:
    """Whether this run is surely about its target, which is asked before its tests.

    One that is always there, in the ini file or in the environment, is not: a run may
    have nothing to do with it.
    """
    asked = config.getoption("realtime_target") or _conformance(config)
    return bool(asked) and not flag(_given(config, "plan"))


def _url(config: pytest.Config, target: object, dialect: str) -> str:
    """A target as a URL; what is to be started for it is started once in a run."""
    if callable(target):
        return _application(config, target)
    if not isinstance(target, str):
        raise pytest.UsageError(
            f"the fixture realtime_target gave {target!r}; it should give a URL, "
            "fake, reference or an ASGI application"
        )
    from pytest_realtime_asr.fake.process import FakeError
    from pytest_realtime_asr.run.fakes import FAKES, FakeServers

    if target not in FAKES:
        return target
    shared = getattr(config, "workerinput", {}).get("realtime_fakes", {})
    if target in shared and dialect == _settings(config).dialect:
        return str(shared[target])

    _loaded(config)  # else the fake server would be what cannot start
    settings = _settings(config)
    if _FLEET not in config.stash:
        config.stash[_FLEET] = FakeServers()
    try:
        return config.stash[_FLEET].target(
            target,
            dialect,
            corpus=settings.corpus,
            arguments=settings.fake,
            key=settings.run.server.key,
        )
    except FakeError as error:
        hidden = "it did not start; without --realtime-private, a run says why"
        private = settings.run.private  # it may name the files of the corpus
        told = f"--realtime-target={target}: {hidden}" if private else str(error)
        raise pytest.UsageError(told) from None


def _application(config: pytest.Config, application: Callable[..., Any]) -> str:
    """The URL of an ASGI application, served in a child process."""
    served = config.stash.setdefault(_SERVED, {})
    # Not every application has a hash. The reference to it keeps its id unique.
    key = id(application)
    if key not in served:
        try:
            from pytest_realtime_asr.client.asgi import Application, ApplicationError
        except ImportError as error:
            raise pytest.UsageError(str(error)) from None
        try:
            served[key] = application, Application(application)
        except ApplicationError as error:
            served[key] = application, str(error)  # not started again for each test
    _, started = served[key]
    if isinstance(started, str):
        raise pytest.UsageError(started)
    return started.url


def _judging(config: pytest.Config) -> Judging:
    if _JUDGING not in config.stash:
        from pytest_realtime_asr.client.dialect_detection import Discovery
        from pytest_realtime_asr.plugin.judging import Judging
        from pytest_realtime_asr.report import jsonl
        from pytest_realtime_asr.run.run import Run

        settings = _settings(config)
        told = getattr(config, "workerinput", {})
        run = Run(
            settings.run,
            lambda: _corpus(settings.corpus, settings.run.private),
            shared=_shared(config),
        )
        for text, words in told.get("realtime_discovered", {}).items():
            run.servers.discovered[text] = Discovery(*words)
        calibrated = _calibrated(config)
        run.warn = partial(_note, config)
        run.sinks.extend(
            jsonl.Appender(file, calibrated) for file in _files(config).get("jsonl", ())
        )
        reporter = config.pluginmanager.getplugin("terminalreporter")
        # `isatty` is a flag in some versions of pytest, and callable in others.
        seen = reporter is not None and reporter.isatty and reporter.verbosity >= 0
        if seen and _PROGRESS in config.stash:
            progress = config.stash[_PROGRESS]

            def tell(text: str) -> None:
                for line in _shown(config, [text]):
                    progress.tell(line)

            run.tell = tell
        _guard(config)
        cache = getattr(config, "cache", None)
        config.stash[_JUDGING] = Judging(
            run,
            folder=lambda: cache.mkdir("realtime-traces") if cache else None,
            origin=config.invocation_params.dir,
            given=lambda option: config.getoption(option.ini),
            comparison=settings.comparison,
            baseline=_baseline(config),
            command=_command(config),
            located=partial(_located, config),
        )
    return config.stash[_JUDGING]


def _command(config: pytest.Config) -> list[str]:
    """The command that starts pytest with the same ini file and rootdir."""
    ini, root = config.getoption("inifilename"), config.getoption("rootdir")
    words = ["pytest", *(["-c", str(ini)] if ini else [])]
    return [*words, f"--rootdir={root}"] if root else words


def _located(config: pytest.Config, id: str) -> str:
    """Return a test id that is relative to the folder where pytest was started."""
    path, *names = id.split("::")
    found = os.path.relpath(config.rootpath / path, config.invocation_params.dir)
    return "::".join([found, *names])


# Fixtures


@lru_cache(maxsize=8)
def _corpus(specs: tuple[str, ...], private: bool) -> Corpus:
    from pytest_realtime_asr.corpus import load_all

    found = load_all(specs)
    return found.anonymous() if private else found


def _loaded(config: pytest.Config) -> Corpus:
    from pytest_realtime_asr.corpus import CorpusError

    settings = _settings(config)
    try:
        return _corpus(settings.corpus, settings.run.private)
    except CorpusError as error:
        hidden = "it cannot be used; without --realtime-private, a run says why"
        told = CorpusError(hidden) if settings.run.private else error
        raise pytest.UsageError(_at(config, "corpus", told)) from None


@pytest.fixture(scope="session")
def realtime_target(pytestconfig: pytest.Config) -> str:
    """The server under test; redefine it in the rootdir's conftest.py to start one.

    It may give a URL, or an ASGI application, which is served in a child process.
    """
    target = _settings(pytestconfig).target
    if not target:
        pytest.fail(
            "no server to test: pass --realtime-target=URL (or =fake, or =reference), "
            "set realtime_target in the ini file or REALTIME_TARGET, or redefine the "
            "fixture realtime_target in the rootdir's conftest.py",
            pytrace=False,
        )
    return target


@pytest.fixture(scope="session")
def realtime_session_options(pytestconfig: pytest.Config) -> Mapping[str, object]:
    """Fields of your own for the set-up of each session; redefine it to give them."""
    return _settings(pytestconfig).run.session.options


@pytest.fixture(scope="session")
def corpus(pytestconfig: pytest.Config) -> Corpus:
    """The utterances that --realtime-corpus names, `bundled:english` by default."""
    try:
        return _loaded(pytestconfig)
    except pytest.UsageError as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


@pytest.fixture
def utterance(request: pytest.FixtureRequest) -> Utterance:
    """Each utterance of the corpus in turn: the test runs once for each."""
    given: Utterance = request.param
    return given


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if Path(metafunc.definition.path).parent == SUITE:
        _generate_suite(metafunc)
    if "utterance" not in metafunc.fixturenames or not _speaks(metafunc):
        return
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", "")
        if isinstance(names, str):
            names = names.replace(" ", "").split(",")
        if "utterance" in names:
            return
    try:
        found = _loaded(metafunc.config)
    except pytest.UsageError as error:
        metafunc.config.stash.setdefault(_REFUSED, set()).add(str(error))
        raise pytest.Collector.CollectError(str(error)) from None
    ids = [each.id for each in found]
    metafunc.parametrize("utterance", list(found), ids=ids, indirect=True)


def _generate_suite(metafunc: pytest.Metafunc) -> None:
    """One test for each requirement of the dialect, the same on every worker."""
    if "requirement" not in metafunc.fixturenames:
        return
    from pytest_realtime_asr.conformance import selection

    try:
        settings = _found(metafunc.config)
        found = selection.requirements(
            settings.dialect, level=settings.suite.level, pinned=settings.run.pinned
        )
    except ValueError as error:
        raise pytest.UsageError(f"--realtime-suite: {error}") from None
    metafunc.parametrize(
        "requirement",
        [
            pytest.param(
                each,
                id=each.id,
                marks=pytest.mark.realtime_requirement(
                    id=each.id,
                    level=each.level.value,
                    scenario=" ".join(each.scenarios),
                ),
            )
            for each in found
        ],
    )


def _speaks(metafunc: pytest.Metafunc) -> bool:
    """Whether ``utterance`` is the fixture of this module, or one made from it."""
    for each in reversed(metafunc._arg2fixturedefs.get("utterance", ())):
        if _is_default(each):
            return True
        if "utterance" not in each.argnames:
            return False
    return False


@pytest.fixture
def realtime(
    request: pytest.FixtureRequest,
    realtime_target: object,
    realtime_session_options: Mapping[str, object],
) -> Realtime:
    """The server under test, asked for its health and warmed up once in a run."""
    from pytest_realtime_asr.audio import AudioError
    from pytest_realtime_asr.client.session import OptionsError
    from pytest_realtime_asr.client.target import TargetError
    from pytest_realtime_asr.client.transport import Unreachable
    from pytest_realtime_asr.corpus import CorpusError
    from pytest_realtime_asr.plugin.settings import SettingError
    from pytest_realtime_asr.run.realtime import Realtime

    config = request.config
    text = config.getoption("realtime_target") or realtime_target
    options = realtime_session_options
    try:
        _hold(config)  # where it is asked for by getfixturevalue alone
    except pytest.UsageError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        if config.getoption("realtime_session_options"):
            options = _settings(config).run.session.options
        judging = _judging(config)
        terms = _known(config, text, _terms(request.node))
        if not _uses(request.node):  # asked for by getfixturevalue
            judging.begin(request.node.nodeid)
        other = _settings(config).comparison.target
        baseline, asked = None, "target"
        if other:
            asked = "baseline target"
            where = _url(config, other, terms.dialect)
            # It is compared with, and not judged.
            found = judging.run.servers.plan(where, terms, options, baseline=True)
            baseline, asked = replace(found, rules=()), "target"
        plan = judging.run.servers.plan(
            _url(config, text, terms.dialect), terms, options
        )
    except (AudioError, CorpusError) as error:
        message = _at(config, "corpus", error)
    except OptionsError as error:
        message = f"realtime: {error}"
        where = _redefined(request.node, "realtime_session_options")
        if where and not config.getoption("realtime_session_options"):
            message += f"; the fixture realtime_session_options ({where}) gives them"
    except (Unreachable, TargetError, SettingError, pytest.UsageError) as error:
        message = f"realtime {asked}: {error}"
    except LookupError as error:
        message = f"realtime {asked}: {error.args[0]}"
    else:
        return Realtime(judging.run, plan, terms, baseline=baseline)
    pytest.fail(message, pytrace=False)


def _known(config: pytest.Config, target: object, terms: Terms) -> Terms:
    """The terms with the dialect of a target that is not asked for it.

    Raises UsageError where a fixture gives the target, which nobody knows before.
    """
    from pytest_realtime_asr.client.dialect_detection import AUTO, advice
    from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
    from pytest_realtime_asr.run.fakes import FAKES

    if terms.dialect != AUTO or target == _settings(config).target:
        return terms
    if isinstance(target, str) and target in FAKES:
        return replace(terms, dialect=DEFAULT_DIALECT)
    raise pytest.UsageError(f"the fixture realtime_target gives it; {advice()}")


@pytest.fixture
def realtime_suite_config(pytestconfig: pytest.Config) -> SuiteConfig:
    """The configuration of the packaged suite."""
    return _settings(pytestconfig).suite


@pytest.fixture
def realtime_trace_file(request: pytest.FixtureRequest) -> Callable[[Trace], str]:
    """Keeps a trace of the running test; gives its path, or an empty text."""
    return partial(_judging(request.config).keep, request.node.nodeid)


@pytest.fixture
def realtime_record_result(
    request: pytest.FixtureRequest,
) -> Callable[[ServerResult], str]:
    """Record the result of a requirement for all reports; return its message."""
    from pytest_realtime_asr.report import conformance

    def record(found: ServerResult) -> str:
        row = conformance.row(found)
        request.node.stash[_REQUIREMENT] = row
        return conformance.message(row)

    return record


@pytest.fixture
def realtime_session(
    request: pytest.FixtureRequest, realtime: Realtime
) -> Session | AsyncSession:
    """A connected and configured session: awaited by a coroutine, else blocking."""
    from pytest_realtime_asr.client.loss import Lost

    session, reason = None, ""
    try:
        session = realtime.connect().open()
    except Lost as error:
        reason = str(error)
    if session is None:
        pytest.fail(f"no session: {reason}", pytrace=False)
    if inspect.iscoroutinefunction(getattr(request.node, "function", None)):
        return session.aio
    return session


@pytest.fixture
def fake_server() -> Iterator[Callable[..., FakeServer]]:
    """Starts fake servers for tests of your own clients.

    ``fake_server(dialect=, recogniser=, faults=, word_delay=, final_delay=, corpus=)``
    gives one with ``.url``, ``.traces()`` and ``.violations()``; delays are texts such
    as "300ms". All are stopped at the end of the test.
    """
    from pytest_realtime_asr.run.fakes import FakeServers

    servers = FakeServers()
    yield servers.start
    servers.stop()


# Markers


def _terms(item: pytest.Item) -> Terms:
    """What holds for a test. Raises UsageError on a wrong marker."""
    from pytest_realtime_asr.plugin import markers

    params = getattr(getattr(item, "callspec", None), "params", {})
    try:
        return markers.read(
            list(item.iter_markers()),
            _settings(item.config),
            parallel=_is_worker(item.config),
            fixed=_fixed(item),
            one_session="utterance" in params,
        )
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None


def _fixed(item: pytest.Item) -> frozenset[str]:
    """What the command line says, which is above the markers."""
    names = ("dialect", "model", "pace", "chunk", "rules")
    named = {name for name in names if item.config.getoption(f"realtime_{name}")}
    if item.config.getoption("realtime_profile"):
        named.add("dialect")
    # Each test of the suite judges one rule, whatever the others of its tests do.
    return frozenset(named - {"rules"} if _is_suite(item) else named)


def _is_marked(item: pytest.Item) -> bool:
    return any(mark.name in MARKERS for mark in item.iter_markers())


# Collection


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> pytest.Module | None:
    if module_path.parent != SUITE:
        return None
    # The ids of the suite do not depend on where the package is installed.
    name = f"{SUITE_ID}/{module_path.name}"
    module: pytest.Module = pytest.Module.from_parent(
        parent, path=module_path, nodeid=name
    )
    return module


def _is_suite(item: pytest.Item) -> bool:
    return item.nodeid.startswith(f"{SUITE_ID}/")


@pytest.hookimpl(tryfirst=True)  # before xdist tells the controller
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse wrong markers, and find the last of the tests that are judged as one."""
    for item in session.items:
        try:
            if not _uses(item):
                if "realtime_target" in getattr(item, "fixturenames", ()):
                    _settings(session.config)
                continue
            session.config.stash[_USED] = True
            if (shared := _shared(session.config)) is not None:
                (shared / _MEASURES).touch()
            _settings(session.config)
            compared = _compared(item)
            if compared or _is_marked(item):
                terms = _pooled(item)
                _judging(session.config).expect(item.nodeid, terms, compared=compared)
            _refuse_unasked(item)
        except pytest.UsageError as error:
            if not _is_worker(session.config):
                raise
            item.stash[_WRONG] = str(error)  # xdist would not print it


def _refuse_unasked(item: pytest.Item) -> None:
    """Refuse a test whose server a fixture alone names, and nobody its dialect.

    Raises UsageError.
    """
    config = item.config
    where = _redefined(item, "realtime_target")
    if not where or config.getoption("collectonly"):
        return
    from pytest_realtime_asr.client.dialect_detection import AUTO, advice

    if _settings(config).target or _terms(item).dialect != AUTO:
        return
    raise pytest.UsageError(
        f"{item.nodeid}: its server comes from the fixture realtime_target ({where}), "
        f"and is not asked for its dialect; {advice()}; of a single test, "
        "@pytest.mark.realtime(dialect=NAME) names it"
    )


def _redefined(item: pytest.Item, name: str) -> str:
    """Where a fixture of ours is redefined for a test, as file:line; empty if not."""
    info = getattr(item, "_fixtureinfo", None)
    fixtures = info.name2fixturedefs.get(name, ()) if info else ()
    if not fixtures or _is_default(fixtures[-1]):
        return ""
    if (code := getattr(fixtures[-1].func, "__code__", None)) is None:
        return str(fixtures[-1].func.__module__)
    path = os.path.relpath(code.co_filename, item.config.rootpath)
    return f"{path}:{code.co_firstlineno}"


def _is_default(fixture: pytest.FixtureDef[Any]) -> bool:
    return bool(fixture.func.__module__ == __name__)


def _pooled(item: pytest.Item) -> Terms:
    """The terms of a test, whose takes may be pooled. Raises UsageError."""
    terms = _terms(item)
    pools = ["over='module'" for budget in terms.budgets if budget.over is not None]
    if _compared(item) not in ("", item.nodeid):
        pools.append("a comparison over the fixture utterance")
    dist = getattr(item.config, "workerinput", {}).get("realtime_dist", "no")
    if pools and dist not in ("no", "loadfile", "each"):
        raise pytest.UsageError(
            f"{item.nodeid}: {pools[0]} needs all tests of a module in one worker: "
            "run xdist with --dist loadfile"
        )
    return terms


def _compared(item: pytest.Item) -> str:
    """As what a test is compared with another run; empty where it is not."""
    given = (_given(item.config, name) for name in ("compare", "baseline-target"))
    if "realtime" not in getattr(item, "fixturenames", ()) or not any(given):
        return ""
    from pytest_realtime_asr.verdicts.utterance_record import shared_test_name

    params = getattr(getattr(item, "callspec", None), "params", {})
    utterance = str(getattr(params.get("utterance"), "id", ""))
    return shared_test_name(item.nodeid, utterance) if utterance else item.nodeid


# The life of a test


def _uses(item: pytest.Item) -> bool:
    named = set(getattr(item, "fixturenames", ()))
    return bool(named & FIXTURES) or _is_marked(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if wrong := item.stash.get(_WRONG, ""):
        pytest.fail(wrong, pytrace=False)
    if _uses(item):
        # A test that is run again starts afresh.
        _say(item, [])
        _judging(item.config).begin(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Close and judge what the test opened, so that it is the test that fails."""
    try:
        result = yield
    except BaseException as error:
        _judge_raised(item, error)
        raise
    # pytest keeps what a method of unittest.TestCase raised, and reports it later.
    if kept := getattr(item, "_excinfo", None):
        _judge_raised(item, kept[0].value)
        return result
    if failure := _failure(item, _judge(item, failed=False)):
        pytest.fail(failure, pytrace=False)
    return result


def _judge_raised(item: pytest.Item, error: BaseException) -> None:
    """Judge a test that ended by an exception; a skip keeps its takes in the pools.

    An interrupt, by Ctrl-C or pytest.exit, ends the run: nothing is judged any more.
    """
    if isinstance(error, (KeyboardInterrupt, pytest.exit.Exception)):
        if _JUDGING in item.config.stash:
            item.config.stash[_JUDGING].finish()
    elif _is_skip(error):
        if _JUDGING in item.config.stash:
            item.config.stash[_JUDGING].skip(_case(item))
    elif (results := _judge(item, failed=True)) is not None:
        from pytest_realtime_asr.report import messages

        item.add_report_section("call", "realtime", messages.evidence(results))
    elif _is_suite(item):
        again = _judging(item.config).again(_case(item))
        item.add_report_section("call", "realtime", again)


def _is_skip(error: BaseException) -> bool:
    """Whether pytest reports a test that raised this as skipped."""
    unittest = sys.modules.get("unittest")  # it cannot have been raised if it is absent
    kinds = (pytest.skip.Exception, *((unittest.SkipTest,) if unittest else ()))
    return isinstance(error, kinds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, object, object]:
    """Judge the pools of a module whose last test did not come to it."""
    try:
        result = yield
    except BaseException:
        if failure := _rest(item, over=nextitem is None):
            item.add_report_section("teardown", "realtime", failure)
        raise
    if failure := _rest(item, over=nextitem is None):
        pytest.fail(failure, pytrace=False)
    return result


def _judge(item: pytest.Item, *, failed: bool) -> Results | None:
    if _JUDGING not in item.config.stash:
        return None
    # What the test itself says must not stand in for the verdict of its module.
    pooled = not failed and item.get_closest_marker("xfail") is None
    judging = item.config.stash[_JUDGING]
    return _publish(item, judging.judge(_case(item), failed=failed, pooled=pooled))


def _rest(item: pytest.Item, *, over: bool) -> str:
    """Why the pools that waited for this test fail, if they do."""
    if _JUDGING not in item.config.stash:
        return ""
    judging = item.config.stash[_JUDGING]
    failure = _failure(item, _publish(item, judging.rest(_case(item), over=over)))
    if failure:
        item.stash[_POOL_FAILED] = True
    return failure


def _failure(item: pytest.Item, results: Results | None) -> str:
    """Why a test fails that was judged, and what to do then; empty where it does not.

    Warn of verdicts that are undecided. Those of which ``-W error`` makes errors stand
    below what failed.
    """
    if results is None:
        return ""
    from pytest_realtime_asr.report import messages
    from pytest_realtime_asr.verdicts.verdict import UndecidedWarning

    failure, errors = messages.failure(results), []
    for text in _shown(item.config, messages.warnings(results)):
        try:
            item.warn(UndecidedWarning(text))
        except UndecidedWarning:
            errors.append(text)
    if errors and failure is None:
        errors.append(results.rerun)
    return "\n".join(filter(None, [failure, *errors]))


def _case(item: pytest.Item) -> Case:
    from pytest_realtime_asr.plugin.judging import Case

    id = item.nodeid
    if _is_suite(item):
        select: tuple[str, ...] = ("--realtime-conformance", "-k", item.name)
    else:
        if any("over" in mark.kwargs for mark in item.iter_markers()):
            id = id.partition("::")[0]
        elif _compared(item) not in ("", id):
            id = id.partition("[")[0]
        select = (_located(item.config, id),)
    return Case(item.nodeid, lambda: _terms(item), select)


def _publish(item: pytest.Item, results: Results | None) -> Results | None:
    """Hand what was judged to JUnit XML and to the controller's table."""
    if results is not None:
        from pytest_realtime_asr.report import junit

        calibrated = _calibrated(item.config)
        more = [("realtime.calibration", calibrated)] if calibrated else []
        _say(item, [*junit.properties(results), *more])
        item.stash[_ROW] = _judging(item.config).row(results)
    return results


def _say(
    item: pytest.Item, properties: Sequence[tuple[str, str | float | int]]
) -> None:
    """Our properties of a test, in place of those from before."""
    others = [p for p in item.user_properties if not p[0].startswith("realtime.")]
    item.user_properties[:] = [*others, *properties]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # others may add to the report as well
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    row = _result(item) if call.when == "call" and _is_suite(item) else None
    report = yield
    if row is not None:
        report.realtime_result = row  # type: ignore[attr-defined]
    if notes := _drain(item.config) if _JUDGING in item.config.stash else []:
        report.realtime_notes = notes  # type: ignore[attr-defined]
    if _ROW in item.stash:
        report.realtime = item.stash[_ROW]  # type: ignore[attr-defined]
        del item.stash[_ROW]
    if call.when == "teardown" and _POOL_FAILED in item.stash:
        del item.stash[_POOL_FAILED]
        report.outcome = "failed"  # an expected failure is that of the test alone
        report.__dict__.pop("wasxfail", None)
    if _SETTINGS in item.config.stash:
        from pytest_realtime_asr.report import pytest_report

        redactor = _redactor(item.config)
        if _uses(item):
            terminal = item.config.pluginmanager.getplugin("terminalreporter")
            coloured = terminal is not None and terminal.hasmarkup
            pytest_report.escape(report, coloured=coloured)
        if redactor.private:
            pytest_report.withhold(report, call.excinfo)
        pytest_report.clean(report, redactor)
    return report


def _guard(config: pytest.Config) -> None:
    """Take the secrets out of what pytest writes besides the reports of tests."""
    from pytest_realtime_asr.report import pytest_report

    class Guard:
        """Hears of subtests and of warnings before those who print them."""

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            pytest_report.shield(report, _redactor(config))

        @pytest.hookimpl(tryfirst=True)
        def pytest_warning_recorded(
            self, warning_message: warnings.WarningMessage
        ) -> None:
            warning_message.message = pytest_report.rephrase(
                warning_message.message, _redactor(config)
            )

        @pytest.hookimpl(tryfirst=True)
        def pytest_sessionfinish(self) -> None:
            if _JUDGING in config.stash:
                for line in config.stash[_JUDGING].unjudged:
                    _note(config, line)
            pytest_report.shield_suite(config, _redactor(config))

    config.pluginmanager.register(Guard(), "realtime-guard")
    logs = config.pluginmanager.get_plugin("logging-plugin")
    for name in ("log_cli_handler", "log_file_handler"):
        if (handler := getattr(logs, name, None)) is not None:
            inner = handler.formatter or logging.Formatter()
            clean = pytest_report.Formatter(inner, partial(_redactor, config))
            handler.setFormatter(clean)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if _SETTINGS in collector.config.stash and report.failed:
        from pytest_realtime_asr.report import pytest_report

        redactor = _redactor(collector.config)
        if redactor.private:
            ours = collector.config.stash.get(_REFUSED, ())
            pytest_report.withhold_collected(report, ours)
        pytest_report.clean(report, redactor)
    return report


def _redactor(config: pytest.Config) -> Redactor:
    """Return what knows the secrets of this run."""
    if _JUDGING in config.stash:
        return config.stash[_JUDGING].run.redactor
    from pytest_realtime_asr.text.redaction import Redactor

    if _SETTINGS in config.stash:
        return config.stash[_SETTINGS].run.redactor
    return Redactor()


def _shown(config: pytest.Config, lines: Collection[str]) -> list[str]:
    """Return lines as they may be printed: no secrets, no control characters."""
    if not lines:
        return []  # a run that has nothing to say imports nothing
    from pytest_realtime_asr.text.messages import printable

    redactor = _redactor(config)
    return [printable(redactor.clean(line)) for line in lines]


def _result(item: pytest.Item) -> Mapping[str, object] | None:
    """Return a requirement's result for the controller; add it to JUnit XML."""
    from pytest_realtime_asr.report import conformance

    if _REQUIREMENT not in item.stash:
        return None
    _say(item, conformance.properties(item.stash[_REQUIREMENT]))
    return conformance.mapping(item.stash[_REQUIREMENT])


# What the controller prints


def pytest_report_header(config: pytest.Config) -> list[str]:
    lines = [f"realtime: {server}"] if (server := _server(config)) else []
    lines += [f"realtime: {line}"] if (line := _calibrated(config)) else []
    flags = ((option, _stated(config, option)) for option in OPTIONS if option.flag)
    wrong = filter(None, (_wrong_flag(*each) for each in flags))
    lines += [f"realtime: {line}; it is not set" for line in wrong]
    if _conformance(config) and config.getoption("numprocesses", None):
        lines += _plan(config, None)  # what is collected, only the workers know
    return _shown(config, lines)


def _server(config: pytest.Config) -> str:
    """The server under test, if this run is about one."""
    target = _given(config, "target")
    if flag(_given(config, "plan")):
        return ""  # it sends nothing
    asked = _asks(config) and not config.getoption("collectonly")
    if not target:
        return target
    from pytest_realtime_asr.run.fakes import FAKES

    if target in FAKES and not asked:
        return target
    from pytest_realtime_asr.report import summary

    if not asked:
        return summary.shown(target)
    url = _url(config, target, _found(config).dialect)
    try:
        corpus = _settings(config).corpus
        return summary.introduce(_judging(config).run, url, corpus)
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None


def _table(config: pytest.Config, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    from pytest_realtime_asr.report import summary

    return _shown(config, summary.table(rows))


def pytest_report_collectionfinish(
    config: pytest.Config, items: Sequence[pytest.Item]
) -> list[str]:
    """What the suite is about to do, and what it will cost."""
    asked = list(filter(_is_suite, items))
    if not asked:
        return []
    marks = [m for item in asked for m in item.iter_markers("realtime_requirement")]
    return _plan(config, [mark.kwargs["scenario"].split(" ") for mark in marks])


def _plan(config: pytest.Config, scenarios: list[list[str]] | None) -> list[str]:
    """The plan for requirements with these scenarios, or for all of the suite."""
    from pytest_realtime_asr.client.dialect_detection import AUTO
    from pytest_realtime_asr.report import planning

    settings = _found(config)
    if settings.dialect == AUTO:
        return []  # what it would be is not known
    target = config.getoption("realtime_target") or settings.target
    whole = flag(_given(config, "plan"))
    try:
        return planning.plan(
            settings.run,
            settings.suite,
            _loaded(config),
            scenarios,
            target=target,
            whole=whole,
        )
    except LookupError as error:
        raise pytest.UsageError(_at(config, "dialect", error)) from None
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With ``--realtime-plan``, run nothing; else hold the reports of the tests."""
    config = session.config
    if flag(_given(config, "plan")):
        return True
    idle = config.getoption("collectonly") or config.getoption("setupplan")
    if not idle and _USED in config.stash:
        _hold(config)
    return None


def _verdicts(config: pytest.Config, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    from pytest_realtime_asr.report import conformance
    from pytest_realtime_asr.requirements import known_failures

    settings = _settings(config)
    advice = known_failures.soon(settings.run.known, date.today())
    found = conformance.document(rows, planned=0)
    lines = conformance.summary(found, strict=settings.suite.strict, advice=advice)
    return _shown(config, lines)


def _cut_off(session: pytest.Session) -> Mapping[str, Mapping[str, object]]:
    """Return the results of requirements whose scenarios ran before an interrupt."""
    items = [
        item
        for item in session.items
        if _is_suite(item) and _REQUIREMENT not in item.stash
    ]
    if not items or _JUDGING not in session.config.stash:
        return {}
    from pytest_realtime_asr.conformance import results
    from pytest_realtime_asr.report import conformance

    known = _settings(session.config).run.known
    found = results.interrupted(session.config, items, known)
    rows = {
        id: conformance.mapping(conformance.row(each)) for id, each in found.items()
    }
    cleaned: Mapping[str, Mapping[str, object]] = _redactor(session.config).clean_value(
        rows
    )
    return cleaned


def _write(config: pytest.Config, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the conformance reports, and note why one could not be."""
    from pytest_realtime_asr.conformance import selection
    from pytest_realtime_asr.report import conformance
    from pytest_realtime_asr.text.messages import error_text

    for file in _files(config).get("conformance", ()):
        try:
            settings = _found(config)
            planned = len(
                selection.requirements(
                    settings.dialect,
                    level=settings.suite.level,
                    pinned=settings.run.pinned,
                )
            )
            found = conformance.document(
                rows, planned=planned, calibration=_calibrated(config)
            )
            if not conformance.write(file, found):
                _note(config, f"{file}: not written, since nothing was judged")
        except Exception as error:
            _note(config, f"{file}: not written: {error_text(error)}")
