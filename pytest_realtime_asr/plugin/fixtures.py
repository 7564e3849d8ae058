"""The fixtures of the plugin.

Every pytest run imports this module, so it imports little.
"""

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
    from pytest_realtime_asr.plugin.hooks import RealtimePlugin
    from pytest_realtime_asr.plugin.state import State
    from pytest_realtime_asr.run.fakes import FakeServers
    from pytest_realtime_asr.run.realtime import Realtime
    from pytest_realtime_asr.run.session import AsyncSession, Session
    from pytest_realtime_asr.trace.records import Trace

# Fixtures that only the packaged suite uses, and that may change in any release.
INTERNAL = {
    "realtime_record_result",
    "realtime_reporter",
    "realtime_suite_config",
    "realtime_trace_file",
}


def _plugin(config: pytest.Config) -> RealtimePlugin:
    found: RealtimePlugin = config.pluginmanager.getplugin("realtime-plugin")
    return found


def _state(config: pytest.Config) -> State:
    return _plugin(config).state


@pytest.fixture(scope="session")
def realtime_target(pytestconfig: pytest.Config) -> str:
    """The server under test: a URL, or an ASGI application to serve in a child process.

    Redefine this fixture in the rootdir's conftest.py to start a server of your own.
    """
    target = _state(pytestconfig).settings.target
    if not target:
        pytest.fail(
            "no server to test: pass --realtime-target=URL (or fake or reference in "
            "place of URL), set realtime_target in the ini file, set REALTIME_TARGET "
            "in the environment, or redefine the fixture realtime_target in the "
            "rootdir's conftest.py",
            pytrace=False,
        )
    return target


@pytest.fixture(scope="session")
def realtime_session_options(pytestconfig: pytest.Config) -> Mapping[str, object]:
    """Additional fields for the configuration of each session, as a mapping.

    Redefine this fixture to add fields.
    """
    return _state(pytestconfig).settings.run.session.options


@pytest.fixture(scope="session")
def corpus(pytestconfig: pytest.Config) -> Corpus:
    """The corpus that --realtime-corpus names (by default, ``bundled:english``)."""
    try:
        return _state(pytestconfig).corpus()
    except pytest.UsageError as error:
        wrong = str(error)
    pytest.fail(wrong, pytrace=False)


@pytest.fixture
def utterance(request: pytest.FixtureRequest) -> Utterance:
    """One utterance of the corpus; the test runs once for each utterance."""
    given: Utterance = request.param
    return given


@pytest.fixture
def realtime(
    request: pytest.FixtureRequest,
    realtime_target: object,
    realtime_session_options: Mapping[str, object],
) -> Realtime:
    """The server under test, with methods that run sessions and judge their results.

    The server's health check and warm-up take place once per pytest run.
    """
    from pytest_realtime_asr.plugin.realtime_fixture import Unusable, make, refuse

    plugin = _plugin(request.config)
    try:
        return make(plugin, request.node, realtime_target, realtime_session_options)
    except Unusable as error:
        wrong = str(error)
    refuse(plugin, request.node, wrong)


@pytest.fixture
def realtime_suite_config(pytestconfig: pytest.Config) -> SuiteConfig:
    """The configuration of the packaged suite."""
    return _state(pytestconfig).settings.suite


@pytest.fixture
def realtime_trace_file(request: pytest.FixtureRequest) -> Callable[[Trace], str]:
    """A function that writes a trace of the running test to the disk.

    The function returns the path of the file, or "" if the trace cannot be written.
    """
    return partial(_state(request.config).judging.keep, request.node.nodeid)


@pytest.fixture
def realtime_record_result(
    request: pytest.FixtureRequest,
) -> Callable[[ServerResult], str]:
    """A function that adds the result of a requirement to all reports.

    The function returns the message that explains the result.
    """
    return partial(_plugin(request.config).judge.record_requirement, request.node)


@pytest.fixture
def realtime_reporter(request: pytest.FixtureRequest) -> Callable[[str], str]:
    """A function that returns the name of the test that reports why tests cannot run.

    The argument is the cause. The first test that passes a cause to the function
    reports it. For a test of a requirement, the name is the id of the requirement.
    """
    from pytest_realtime_asr.plugin.items import reporter

    return partial(reporter, request.node, _state(request.config))


@pytest.fixture
def realtime_session(
    request: pytest.FixtureRequest, realtime: Realtime
) -> Session | AsyncSession:
    """A session that is connected and configured.

    A test that is a coroutine gets a session with awaitable methods; any other test
    gets a session with blocking methods.
    """
    from pytest_realtime_asr.client.loss import Lost

    session, reason = None, ""
    try:
        session = realtime.connect().open()
    except Lost as error:
        reason = str(error)
    if session is None:
        pytest.fail(f"the session could not be opened: {reason}", pytrace=False)
    if inspect.iscoroutinefunction(getattr(request.node, "function", None)):
        return session.aio
    return session


@pytest.fixture
def fake_server() -> Iterator[FakeServers]:
    """A function that starts a fake server, for tests of your own clients.

    ``fake_server(dialect=, recogniser=, faults=, word_delay=, final_delay=, corpus=)``
    returns a fake server with ``.url``, ``.traces()`` and ``.violations()``; delays are
    strings such as "300ms". ``fake_server.replay(trace)`` returns a server that replays
    a recorded session, or all sessions in a folder of traces. All fake servers are
    stopped at the end of the test.
    """
    from pytest_realtime_asr.run.fakes import FakeServers

    servers = FakeServers()
    yield servers
    servers.stop()
