"""The door to pytest: options, markers, fixtures and hooks; nobody imports this.

Every pytest run in the environment pays for what this module imports, so that all else
is imported where a test first needs it.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_realtime_asr.options import OPTIONS, Option

if TYPE_CHECKING:
    from pytest_realtime_asr.budgets import Budget
    from pytest_realtime_asr.corpus import Corpus, Utterance
    from pytest_realtime_asr.fake.process import FakeServer
    from pytest_realtime_asr.ledger import Report, Transcription
    from pytest_realtime_asr.realtime import AsyncSession, Realtime, Session
    from pytest_realtime_asr.run import Ledger, Run
    from pytest_realtime_asr.settings import Settings
    from pytest_realtime_asr.terms import Terms

SUITE = Path(__file__).parent / "conformance"
SUITE_ID = "realtime_conformance"
FIXTURES = {"realtime", "realtime_session", "utterance", "corpus", "fake_server"}
MARKERS = (
    "latency_budget(metric, *, p50=, p90=, p95=, p99=, max=, mean=, confidence=None, "
    "over=None): the most that a latency may be, such as p95='800ms'; stackable",
    "wer_threshold(limit, *, normalizer=None, confidence=None): the most that the word "
    "error rate, pooled over the sessions of the test, may be, such as 0.12",
    "realtime(*, dialect=, model=, pace=, chunk=, rules=): how the sessions of the "
    "test are held, and which broken rules fail it (must, should or off)",
)
_MARKED = ("latency_budget", "wer_threshold", "realtime")

_SETTINGS = pytest.StashKey["Settings"]()
_STATE = pytest.StashKey["_State"]()
_ROW = pytest.StashKey[dict[str, Any]]()
_SHARED = pytest.StashKey[Path]()
_FAKES = pytest.StashKey[dict[str, "FakeServer"]]()
_WRONG = pytest.StashKey[str]()


class _State:
    """The run in this process, and the takes that are pooled over a module."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.pools: dict[tuple[str, Budget], list[Any]] = {}
        self.last: dict[tuple[str, Budget], str] = {}


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
    """What the first place that names an option says, as it stands there."""
    (option,) = (each for each in OPTIONS if each.name == name)
    raw = config.getoption(option.ini) or config.getini(option.ini)
    return str(raw or os.environ.get(option.env, ""))


def _settings(config: pytest.Config) -> Settings:
    if _SETTINGS not in config.stash:
        from pytest_realtime_asr.settings import SettingError, settings

        def ini(option: Option) -> object:
            return config.getini(option.ini)

        def command_line(option: Option) -> object:
            return config.getoption(option.ini)

        try:
            config.stash[_SETTINGS] = settings(command_line, ini, os.environ)
        except SettingError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[_SETTINGS]


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    config.stash[_FAKES] = {}
    asked = _given(config, "conformance").lower()
    conformance = asked not in ("", "0", "false", "no", "off")
    if not _is_worker(config):
        summary = _Summary(conformance=conformance)
        config.pluginmanager.register(summary, "realtime-summary")
    given = any(config.getoption(o.ini) or config.getini(o.ini) for o in OPTIONS)
    if given or _given(config, "target") or _given(config, "report"):
        settings = _settings(config)  # a wrong option is told before anything runs
        if not _is_worker(config):
            _create_reports(settings)
    if conformance:
        _add_suite(config)


def _add_suite(config: pytest.Config) -> None:
    files = [str(file) for file in sorted(SUITE.glob("test_*.py"))]
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []
    config.args.extend(file for file in files if file not in config.args)


def _create_reports(settings: Settings) -> None:
    from pytest_realtime_asr.report import jsonl

    for _, path in settings.reports:
        try:
            jsonl.create(path)
        except OSError as error:
            raise pytest.UsageError(f"--realtime-report={path}: {error}") from None


# xdist: the controller starts what the workers share


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    config = node.config
    if _SHARED not in config.stash:
        config.stash[_SHARED] = Path(tempfile.mkdtemp(prefix="pytest-realtime-"))
    node.workerinput["realtime_shared"] = str(config.stash[_SHARED])
    node.workerinput["realtime_dist"] = str(config.getoption("dist"))
    target = _settings(config).target
    if target in _FAKE_ARGUMENTS:
        node.workerinput["realtime_fake"] = _fake(config, target)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _STATE in config.stash:
        config.stash[_STATE].run.stop()
    for process in config.stash.get(_FAKES, {}).values():
        process.stop()
    if _SHARED in config.stash:
        shutil.rmtree(config.stash[_SHARED], ignore_errors=True)


_FAKE_ARGUMENTS = {
    "fake": ("--recogniser", "scripted"),
    "reference": ("--recogniser", "pocketsphinx"),
}


def _fake(config: pytest.Config, kind: str) -> str:
    """The URL of the fake or the reference server of this run, started once."""
    shared = getattr(config, "workerinput", {}).get("realtime_fake")
    if shared:
        return str(shared)
    fakes = config.stash[_FAKES]
    if kind not in fakes:
        from pytest_realtime_asr.fake.process import FakeError, FakeServer

        settings = _settings(config)
        arguments = [*_FAKE_ARGUMENTS[kind], "--dialect", settings.dialect]
        if kind == "fake":
            for spec in ("english", "languages", "odd"):
                arguments += ["--corpus", f"bundled:{spec}"]
            for spec in settings.corpus:
                if not spec.startswith("bundled:"):
                    arguments += ["--corpus", spec]
        try:
            fakes[kind] = FakeServer([*arguments, *settings.fake])
        except FakeError as error:
            raise pytest.UsageError(str(error)) from None
    return fakes[kind].url


def _state(config: pytest.Config) -> _State:
    if _STATE not in config.stash:
        from pytest_realtime_asr.report import jsonl
        from pytest_realtime_asr.run import Run

        settings = _settings(config)
        shared = getattr(config, "workerinput", {}).get("realtime_shared")
        run = Run(
            settings,
            lambda: _corpus(settings.corpus),
            shared=Path(shared) if shared else None,
        )
        run.sinks.extend(jsonl.Appender(path) for _, path in settings.reports)
        if (tell := _teller(config)) is not None:
            run.tell = tell
        config.stash[_STATE] = _State(run)
    return config.stash[_STATE]


def _teller(config: pytest.Config) -> Callable[[str], None] | None:
    """Writes over its last text on a terminal; ``None`` where no person looks."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    if reporter is None or not reporter.isatty() or reporter.verbosity < 0:
        return None
    width = 0

    def tell(text: str) -> None:
        nonlocal width
        text = f" {text}"[:60] if text else ""
        over, width = text.ljust(width), len(text)
        with (
            nullcontext() if capture is None else capture.global_and_fixture_disabled()
        ):
            # Past the reporter, which would count these as columns of its line.
            print(over, end="\b" * len(over), file=sys.__stdout__, flush=True)

    return tell


# Fixtures


@lru_cache(maxsize=8)
def _corpus(specs: tuple[str, ...]) -> Corpus:
    from pytest_realtime_asr.corpus import load_all

    return load_all(specs)


def _loaded(config: pytest.Config) -> Corpus:
    from pytest_realtime_asr.corpus import CorpusError

    try:
        return _corpus(_settings(config).corpus)
    except CorpusError as error:
        raise pytest.UsageError(f"--realtime-corpus: {error}") from None


@pytest.fixture(scope="session")
def realtime_target(pytestconfig: pytest.Config) -> str:
    """The server under test; redefine it in the rootdir's conftest.py to start one."""
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
    return _settings(pytestconfig).session_options


@pytest.fixture(scope="session")
def corpus(pytestconfig: pytest.Config) -> Corpus:
    """The utterances that --realtime-corpus names, `bundled:english` by default."""
    return _loaded(pytestconfig)


@pytest.fixture
def utterance(request: pytest.FixtureRequest) -> Utterance:
    """Each utterance of the corpus in turn: the test runs once for each."""
    given: Utterance = request.param
    return given


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "utterance" not in metafunc.fixturenames:
        return
    for marker in metafunc.definition.iter_markers("parametrize"):
        if "utterance" in str(marker.args[0]).replace(" ", "").split(","):
            return
    found = _loaded(metafunc.config)
    ids = [each.id for each in found]
    metafunc.parametrize("utterance", list(found), ids=ids, indirect=True)


@pytest.fixture
def realtime(
    request: pytest.FixtureRequest,
    realtime_target: str,
    realtime_session_options: Mapping[str, object],
) -> Realtime:
    """The server under test, asked for its health and warmed up once in a run."""
    from pytest_realtime_asr.realtime import Realtime
    from pytest_realtime_asr.settings import SettingError
    from pytest_realtime_asr.target import TargetError
    from pytest_realtime_asr.transport import Unreachable

    config = request.config
    text = config.getoption("realtime_target") or realtime_target
    options = realtime_session_options
    try:
        if config.getoption("realtime_session_options"):
            options = _settings(config).session_options
        if text in _FAKE_ARGUMENTS:
            text = _fake(config, text)
        run, terms = _state(config).run, _terms(request.node)
        if not _uses(request.node):  # asked for by getfixturevalue
            run.begin(request.node.nodeid)
        plan = run.plan(text, terms, options)
    except (Unreachable, TargetError, SettingError, LookupError) as error:
        message = error.args[0] if isinstance(error, LookupError) else error
    else:
        return Realtime(run, plan)
    pytest.fail(f"realtime target: {message}", pytrace=False)


@pytest.fixture
def realtime_session(
    request: pytest.FixtureRequest, realtime: Realtime
) -> Session | AsyncSession:
    """A connected and configured session: awaited by a coroutine, else blocking."""
    from pytest_realtime_asr.session import Lost

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
def fake_server(pytestconfig: pytest.Config) -> Iterator[Callable[..., FakeServer]]:
    """Starts fake servers for tests of your own clients.

    ``fake_server(dialect=, recogniser=, faults=, word_delay=, final_delay=, corpus=)``
    gives one with ``.url``, ``.traces()`` and ``.violations()``; delays are texts such
    as "300ms". All are stopped at the end of the test.
    """
    from pytest_realtime_asr.fake.process import FakeServer

    started: list[FakeServer] = []

    def start(
        *,
        dialect: str = "vllm",
        recogniser: str = "scripted",
        faults: tuple[str, ...] | list[str] = (),
        word_delay: str | None = None,
        final_delay: str | None = None,
        corpus: tuple[str, ...] | list[str] = (),
        arguments: tuple[str, ...] | list[str] = (),
    ) -> FakeServer:
        words = ["--dialect", dialect, "--recogniser", recogniser]
        words += [word for name in faults for word in ("--fault", name)]
        words += [word for name in corpus for word in ("--corpus", name)]
        if word_delay is not None:
            words += ["--word-delay", word_delay]
        if final_delay is not None:
            words += ["--final-delay", final_delay]
        process = FakeServer([*words, *arguments])
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


# Markers


def _terms(item: pytest.Item) -> Terms:
    """What holds for a test. Raises UsageError on a wrong marker."""
    from pytest_realtime_asr import terms

    marks = [mark for mark in item.iter_markers() if mark.name in terms.MARKERS]
    try:
        found = terms.read(
            marks,
            _settings(item.config),
            parallel=_is_worker(item.config),
            fixed=_fixed(item),
        )
        params = getattr(getattr(item, "callspec", None), "params", {})
        if "utterance" in params and (wrong := terms.one_session(found)):
            raise ValueError(wrong)
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
    return found


def _fixed(item: pytest.Item) -> frozenset[str]:
    """What the command line says, which is above the markers."""
    names = ("dialect", "model", "pace", "chunk", "rules")
    named = {name for name in names if item.config.getoption(f"realtime_{name}")}
    # Each test of the suite judges one rule, whatever the others of its tests do.
    return frozenset(named - {"rules"} if _is_suite(item) else named)


def _is_marked(item: pytest.Item) -> bool:
    return any(mark.name in _MARKED for mark in item.iter_markers())


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


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse wrong markers, and find the last test of each pooled budget."""
    for item in filter(_is_marked, session.items):
        try:
            _pool(item)
        except pytest.UsageError as error:
            if not _is_worker(session.config):
                raise
            item.stash[_WRONG] = str(error)  # xdist would not print it


def _pool(item: pytest.Item) -> None:
    """Note the pooled budgets of a test. Raises UsageError on a wrong marker."""
    config = item.config
    dist = getattr(config, "workerinput", {}).get("realtime_dist", "no")
    for budget in _terms(item).budgets:
        if budget.over is None:
            continue
        if dist not in ("no", "loadfile", "each"):
            raise pytest.UsageError(
                f"{item.nodeid}: over='module' needs all tests of a module in one "
                "worker: run xdist with --dist loadfile"
            )
        _state(config).last[_module(item), budget] = item.nodeid


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


# The life of a test


def _uses(item: pytest.Item) -> bool:
    named = set(getattr(item, "fixturenames", ()))
    return bool(named & FIXTURES) or _is_marked(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if wrong := item.stash.get(_WRONG, ""):
        pytest.fail(wrong, pytrace=False)
    if _uses(item):
        _state(item.config).run.begin(item.nodeid)
        # A test that is run again starts afresh.
        kept = [p for p in item.user_properties if not p[0].startswith("realtime.")]
        item.user_properties[:] = kept


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Close and judge what the test opened, so that it is the test that fails."""
    try:
        result = yield
    except BaseException as error:
        failed = isinstance(error, Exception | pytest.fail.Exception)
        report = _judge(item, failed=failed)
        if failed and report is not None:
            lines = [*(f"trace: {path}" for path in report.paths), _again(item)]
            item.add_report_section("call", "realtime", "\n".join(lines))
        raise
    report = _judge(item, failed=False)
    if report is not None and report.failures:
        pytest.fail("\n".join([*report.failures, _again(item)]), pytrace=False)
    return result


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    if _STATE in item.config.stash:
        item.config.stash[_STATE].run.finish()  # a set-up that failed left it open


def _judge(item: pytest.Item, *, failed: bool) -> Report | None:
    state = item.config.stash.get(_STATE, None)
    ledger = state.run.finish() if state is not None else None
    if state is None or ledger is None:
        return None
    terms = _terms(item)
    pools = _pooled(item, state, terms, ledger)
    if not (ledger.sessions or terms.budgets or terms.thresholds):
        return None
    report = _report(item, ledger, terms, pools, failed=failed)
    _publish(item, report)
    return report


def _pooled(
    item: pytest.Item, state: _State, terms: Terms, ledger: Ledger
) -> dict[Budget, list[Any]]:
    """The takes of each pooled budget; only the last of its tests judges it."""
    takes = [take.transcription for take in ledger.takes]
    pools: dict[Budget, list[Any]] = {}
    for budget in terms.budgets:
        if budget.over is None:
            pools[budget] = takes
            continue
        key = _module(item), budget
        pool = state.pools.setdefault(key, [])
        pool.extend(takes)
        if state.last.get(key) == item.nodeid:
            pools[budget] = pool
    return pools


def _report(
    item: pytest.Item,
    ledger: Ledger,
    terms: Terms,
    pools: dict[Budget, list[Any]],
    *,
    failed: bool,
) -> Report:
    from pytest_realtime_asr.ledger import report

    takes = [take.transcription for take in ledger.takes]
    paths: dict[str, str] = {}
    found = report(item.nodeid, takes, ledger.traces, terms, pools=pools, paths=paths)
    if not found.failures and not failed:
        return found
    pooled = [take for pool in pools.values() for take in pool]
    every = {(take.label, take.trace.started): take for take in [*takes, *pooled]}
    paths = _write_traces(item, list(every.values()))
    return report(item.nodeid, takes, ledger.traces, terms, pools=pools, paths=paths)


def _write_traces(item: pytest.Item, takes: list[Transcription]) -> dict[str, str]:
    """Keep the traces of a test that fails where pytest keeps what is between runs."""
    cache = getattr(item.config, "cache", None)
    if cache is None:
        return {}
    folder = cache.mkdir("realtime-traces") / _slug(item.nodeid)[-100:]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths: dict[str, str] = {}
    for index, take in enumerate(takes):
        path = folder / f"{index:03}-{_slug(take.utterance.id)}.jsonl"
        take.trace.write(path)
        paths[take.label] = os.path.relpath(path)
    return paths


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)


def _publish(item: pytest.Item, report: Report) -> None:
    """Hand the report to JUnit XML and to the controller's table."""
    import msgspec

    from pytest_realtime_asr.report import junit, terminal

    item.user_properties.extend(junit.properties(report))
    host = _state(item.config).run.last_host
    row = terminal.row(
        report,
        model=host.model if host else "",
        cold=host.cold if host else None,
        note=host.note if host else "",
    )
    item.stash[_ROW] = msgspec.to_builtins(row)


def _again(item: pytest.Item) -> str:
    """The command that runs a test again, with the options that were given to it."""
    words = ["pytest"]
    for option in OPTIONS:
        given = item.config.getoption(option.ini)
        if not given or option.name in ("conformance", "report"):
            continue
        if option.flag:
            words.append(option.cli)
            continue
        for value in given if option.many else [given]:
            if option.name == "target":
                value = value.partition("?")[0]  # what follows may hold a key
            value = re.sub("//[^/@]*@", "//", value)
            words.append(f"{option.cli}={shlex.quote(value)}")
    if _is_suite(item):
        words += ["--realtime-conformance", "-k", shlex.quote(item.name)]
    else:
        pooled = any(budget.over for budget in _terms(item).budgets)
        words.append(shlex.quote(_module(item) if pooled else item.nodeid))
    return f"again: {' '.join(words)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" and _ROW in item.stash:
        report.realtime = item.stash[_ROW]  # type: ignore[attr-defined]
        del item.stash[_ROW]
    return report


# What the controller prints


def pytest_report_header(config: pytest.Config) -> str | None:
    if config.getoption("realtime_target"):
        return f"realtime: {_introduce(config, _settings(config))}"
    # One that is always there is not asked: this run may have nothing to do with it.
    target = _given(config, "target").partition("?")[0]
    return f"realtime: {target}" if target else None


def _introduce(config: pytest.Config, settings: Settings) -> str:
    from pytest_realtime_asr import dialects
    from pytest_realtime_asr.target import TargetError
    from pytest_realtime_asr.transport import Unreachable

    corpus = " ".join(settings.corpus)
    text = settings.target
    try:
        if text in _FAKE_ARGUMENTS:
            text = _fake(config, text)
        dialect = dialects.load(settings.dialect)
        where, model = _state(config).run.ask(text, dialect)
    except (Unreachable, TargetError, ValueError) as error:
        return f"{error}, corpus {corpus}"
    except LookupError as error:
        raise pytest.UsageError(f"--realtime-dialect: {error.args[0]}") from None
    return f"{where}, {settings.dialect}, model {model}, corpus {corpus}"


class _Summary:
    """Collects the rows of all tests, from whichever worker, and prints the table."""

    def __init__(self, *, conformance: bool) -> None:
        self._rows: list[Any] = []
        self._conformance = conformance
        self._judged = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        row = getattr(report, "realtime", None)
        if row is not None and (row["planned"] or row["lines"]):
            self._rows.append(row)
        if report.nodeid.startswith(f"{SUITE_ID}/") and not report.skipped:
            self._judged += report.when == "call"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        asked = not session.config.getoption("collectonly")
        if self._conformance and asked and not self._judged and exitstatus in (0, 5):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter
    ) -> None:
        if self._rows:
            import msgspec

            from pytest_realtime_asr.report import terminal

            rows = msgspec.convert(self._rows, list[terminal.Row])
            terminalreporter.section("realtime speech recognition")
            for line in terminal.table(rows):
                terminalreporter.write_line(line)
        if self._conformance and not self._judged:
            terminalreporter.section("realtime conformance", red=True)
            terminalreporter.write_line(
                "no requirement was judged: this proves nothing"
            )
