"""The fixtures of the plugin; imported by every pytest run, so it is light."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_realtime_asr.conformance.config import SuiteConfig
    from pytest_realtime_asr.conformance.results import ServerResult
    from pytest_realtime_asr.corpus import Corpus, Utterance
    from pytest_realtime_asr.fake.process import FakeServer
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin
    from pytest_realtime_asr.plugin.state import State
    from pytest_realtime_asr.run.realtime import AsyncSession, Realtime, Session
    from pytest_realtime_asr.trace.records import Trace


def _plugin(config: pytest.Config) -> RealtimePlugin:
    found: RealtimePlugin = config.pluginmanager.getplugin("realtime-plugin")
    return found


def _state(config: pytest.Config) -> State:
    return _plugin(config).state


@pytest.fixture(scope="session")
def realtime_target(pytestconfig: pytest.Config) -> str:
    """The server under test; redefine it in the rootdir's conftest.py to start one.

    It may return a URL, or an ASGI application, which is served in a child process.
    """
    target = _state(pytestconfig).settings.target
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
    """Additional fields for the set-up of each session; redefine it to add some."""
    return _state(pytestconfig).settings.run.session.options


@pytest.fixture(scope="session")
def corpus(pytestconfig: pytest.Config) -> Corpus:
    """The utterances that --realtime-corpus names, `bundled:english` by default."""
    try:
        return _state(pytestconfig).corpus()
    except pytest.UsageError as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


@pytest.fixture
def utterance(request: pytest.FixtureRequest) -> Utterance:
    """Each utterance of the corpus in turn: the test runs once for each."""
    given: Utterance = request.param
    return given


@pytest.fixture
def realtime(
    request: pytest.FixtureRequest,
    realtime_target: object,
    realtime_session_options: Mapping[str, object],
) -> Realtime:
    """The server under test, asked for its health and warmed up once in a run."""
    from pytest_realtime_asr.plugin.realtime_fixture import Unusable, make

    plugin = _plugin(request.config)
    try:
        return make(plugin, request.node, realtime_target, realtime_session_options)
    except Unusable as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


@pytest.fixture
def realtime_suite_config(pytestconfig: pytest.Config) -> SuiteConfig:
    """The configuration of the packaged suite."""
    return _state(pytestconfig).settings.suite


@pytest.fixture
def realtime_trace_file(request: pytest.FixtureRequest) -> Callable[[Trace], str]:
    """Keeps a trace of the running test; returns its path, or an empty text."""
    return partial(_state(request.config).judging.keep, request.node.nodeid)


@pytest.fixture
def realtime_record_result(
    request: pytest.FixtureRequest,
) -> Callable[[ServerResult], str]:
    """Records the result of a requirement for all reports; returns its message."""
    return partial(_plugin(request.config).judge.record_requirement, request.node)


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
    returns one with ``.url``, ``.traces()`` and ``.violations()``; delays are texts
    such as "300ms". All are stopped at the end of the test.
    """
    from pytest_realtime_asr.run.fakes import FakeServers

    servers = FakeServers()
    yield servers.start
    servers.stop()
