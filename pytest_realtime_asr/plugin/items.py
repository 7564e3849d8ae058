"""Reads one test: its terms, its comparison, and the fixtures that it redefines."""

from __future__ import annotations

import os

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO, advice
from pytest_realtime_asr.plugin import fixtures, markers
from pytest_realtime_asr.plugin.options import SUITE_ID
from pytest_realtime_asr.plugin.pytest_internals import Fixture, fixtures_of_item
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.utterance_record import shared_test_name


def is_suite(item: pytest.Item) -> bool:
    """Return whether a test is one of the packaged suite."""
    return item.nodeid.startswith(f"{SUITE_ID}/")


def terms(item: pytest.Item, state: State) -> Terms:
    """Return the terms of a test. Raises UsageError on a wrong marker."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    try:
        return markers.read(
            list(item.iter_markers()),
            state.settings,
            parallel=bool(state.worker),
            fixed=_fixed(item),
            one_session="utterance" in params,
        )
    except ValueError as error:
        raise pytest.UsageError(f"{item.nodeid}: {error}") from None


def _fixed(item: pytest.Item) -> frozenset[str]:
    """Return what the command line sets, which overrides the markers."""
    names = ("dialect", "model", "pace", "chunk", "rules")
    named = {name for name in names if item.config.getoption(f"realtime_{name}")}
    if item.config.getoption("realtime_profile"):
        named.add("dialect")
    # Each test of the suite judges one requirement, whatever else its sessions break.
    return frozenset(named - {"rules"} if is_suite(item) else named)


def pooled_terms(item: pytest.Item, state: State) -> Terms:
    """Return the terms of a test that may share pools with others. UsageError."""
    found = terms(item, state)
    pools = ["over='module'" for budget in found.budgets if budget.over is not None]
    if compared(item, state) not in ("", item.nodeid):
        pools.append("a comparison over the fixture utterance")
    if pools and state.worker.distribution not in ("no", "loadfile", "each"):
        raise pytest.UsageError(
            f"{item.nodeid}: {pools[0]} needs all tests of a module in one worker: "
            "run xdist with --dist loadfile"
        )
    return found


def compared(item: pytest.Item, state: State) -> str:
    """Return the name under which a test is compared with another run, or "".

    Tests that differ in their utterance alone share a name.
    """
    given = (state.options.text(name) for name in ("compare", "baseline-target"))
    if "realtime" not in getattr(item, "fixturenames", ()) or not any(given):
        return ""
    params = getattr(getattr(item, "callspec", None), "params", {})
    utterance = str(getattr(params.get("utterance"), "id", ""))
    return shared_test_name(item.nodeid, utterance) if utterance else item.nodeid


def refuse_unknown_dialect(item: pytest.Item, state: State) -> None:
    """Refuse a test whose server comes from a fixture, and whose dialect is not named.

    Raises UsageError.
    """
    where = redefined(item, "realtime_target")
    if not where or item.config.getoption("collectonly"):
        return
    if state.settings.target or terms(item, state).dialect != AUTO:
        return
    raise pytest.UsageError(
        f"{item.nodeid}: its server comes from the fixture realtime_target ({where}), "
        f"and its dialect is not detected; {advice()}; of a single test, "
        "@pytest.mark.realtime(dialect=NAME) names it"
    )


def redefined(item: pytest.Item, name: str) -> str:
    """Return where a fixture of the plugin is redefined, as file:line, or ""."""
    found = fixtures_of_item(item, name)
    if not found or is_default(found[-1]):
        return ""
    if (code := getattr(found[-1].func, "__code__", None)) is None:
        return str(found[-1].func.__module__)
    path = os.path.relpath(code.co_filename, item.config.rootpath)
    return f"{path}:{code.co_firstlineno}"


def is_default(fixture: Fixture) -> bool:
    """Return whether a fixture is the plugin's own."""
    return bool(fixture.func.__module__ == fixtures.__name__)
