"""The terms of one test, its name in comparisons, and its redefined fixtures."""

from __future__ import annotations

import operator
import os

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO, advice
from pytest_realtime_asr.plugin import fixtures, markers
from pytest_realtime_asr.plugin.options import is_suite
from pytest_realtime_asr.plugin.pytest_internals import Fixture, fixtures_of_item
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits
from pytest_realtime_asr.verdicts.utterance_record import shared_test_name

UNTESTED: pytest.StashKey[bool] = pytest.StashKey()  # the server was not tested
_TERMS: pytest.StashKey[tuple[list[pytest.Mark], Terms]] = pytest.StashKey()


def terms(item: pytest.Item, state: State) -> Terms:
    """Return the session settings and limits that the markers of a test set.

    A later call parses the markers again only if the test has added a marker. Raises
    UsageError for a wrong marker.
    """
    marks = list(item.iter_markers())
    if _TERMS in item.stash:
        known, found = item.stash[_TERMS]
        # The markers are compared by identity, since those of other plugins may have
        # arguments that cannot be compared.
        if len(known) == len(marks) and all(map(operator.is_, known, marks)):
            return found
    params = getattr(getattr(item, "callspec", None), "params", {})
    try:
        found = markers.read(
            marks,
            state.settings,
            parallel=bool(state.worker),
            fixed=_fixed(item),
            one_session="utterance" in params,
            of_run=_limits_of_run(item, state, one_session="utterance" in params),
        )
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None
    item.stash[_TERMS] = (marks, found)
    return found


def _limits_of_run(item: pytest.Item, state: State, *, one_session: bool) -> RunLimits:
    """Return the limits of a whole run that apply to one test.

    No limits apply to a test of a requirement, since it judges only the requirement. No
    limits apply to a test with a single session, since one session has no quantiles,
    and its word error rate proves nothing. For the packaged test `test_capacity`, the
    limits of ``--realtime-capacity`` are returned.
    """
    limits = state.settings.limits.run
    if is_suite(item) and item.name == "test_capacity":
        return state.settings.suite.capacity.limits
    if not limits or item.get_closest_marker("realtime_requirement"):
        return NO_LIMITS
    if one_session:
        state.note(
            "--realtime-budget does not judge tests with the fixture utterance, since "
            "each of them sends only one utterance; give these tests a marker with "
            'over="module", or send the whole corpus in one test'
        )
        return NO_LIMITS
    return limits


def is_speech(item: pytest.Item) -> bool:
    """Return whether a test is the one that sends the spoken corpus."""
    return is_suite(item) and item.name == "test_spoken_corpus"


def _fixed(item: pytest.Item) -> frozenset[str]:
    """Return the arguments of the marker `realtime` that the command line overrides."""
    names = ("dialect", "model", "pace", "chunk", "rules")
    named = {name for name in names if item.config.getoption(f"realtime_{name}")}
    if item.config.getoption("realtime_profile"):
        named.add("dialect")
    # A test of the suite judges one requirement only, so the rules stay off for it.
    return frozenset(named - {"rules"} if is_suite(item) else named)


def pooled_terms(item: pytest.Item, state: State) -> Terms:
    """Check that the pools of a test can be judged; return the terms of the test.

    Raises UsageError if workers of xdist may run the tests of a pool in different
    processes.
    """
    found = terms(item, state)
    pools = ["over='module'" for budget in found.budgets if budget.over is not None]
    if compared(item, state) not in ("", item.nodeid):
        pools.append("a comparison of a test that uses the fixture utterance")
    if pools and state.worker.distribution not in ("no", "loadfile", "each"):
        raise pytest.UsageError(
            f"{item.nodeid}: {pools[0]} needs all tests of a module in one worker of "
            "xdist; run with --dist loadfile"
        )
    return found


def compared(item: pytest.Item, state: State) -> str:
    """Return the name under which a test is compared with another run.

    Tests that differ only in their utterance share a name. The name is "" if the test
    is not compared.
    """
    given = (state.options.text(name) for name in ("compare", "baseline-target"))
    if "realtime" not in getattr(item, "fixturenames", ()) or not any(given):
        return ""
    params = getattr(getattr(item, "callspec", None), "params", {})
    utterance = str(getattr(params.get("utterance"), "id", ""))
    return shared_test_name(item.nodeid, utterance) if utterance else item.nodeid


def refuse_unknown_dialect(item: pytest.Item, state: State) -> None:
    """Raise UsageError if the dialect of a test is not named and cannot be detected.

    If a redefined fixture returns the server, the dialect cannot be detected.
    """
    where = redefined(item, "realtime_target")
    if not where or item.config.getoption("collectonly"):
        return
    if state.settings.target or terms(item, state).dialect != AUTO:
        return
    raise pytest.UsageError(
        f"{item.nodeid}: the fixture realtime_target ({where}) returns the server, so "
        f"the dialect cannot be detected; {advice()}; for a single test, use "
        "@pytest.mark.realtime(dialect=NAME)"
    )


def judges_requirement(item: pytest.Item) -> bool:
    """Return whether a test of the packaged suite judges a requirement."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return is_suite(item) and "requirement" in params


def name(item: pytest.Item, state: State) -> str:
    """Return a short name of a test: the id of its requirement, or its own id."""
    if judges_requirement(item):
        return str(item.callspec.id)  # type: ignore[attr-defined]
    return item.name if is_suite(item) else state.located(item.nodeid)


def reporter(item: pytest.Item, state: State, cause: str) -> str:
    """Return the name of the test that reports why tests cannot run.

    This is the first test for which the function was called with this ``cause``. A
    test that is marked ``xfail`` reports the cause for itself alone, since its failure
    does not fail the run.
    """
    named = name(item, state)
    if item.get_closest_marker("xfail") is not None:
        return named
    return state.judging.run.reporters.of(cause, named)


def redefined(item: pytest.Item, name: str) -> str:
    """Return file:line where a fixture of the plugin is redefined; "" if nowhere."""
    found = fixtures_of_item(item, name)
    if not found or is_default(found[-1]):
        return ""
    if (code := getattr(found[-1].func, "__code__", None)) is None:
        return str(found[-1].func.__module__)
    path = os.path.relpath(code.co_filename, item.config.rootpath)
    return f"{path}:{code.co_firstlineno}"


def is_default(fixture: Fixture) -> bool:
    """Return whether a fixture is defined by the plugin itself."""
    return bool(fixture.func.__module__ == fixtures.__name__)
