"""The requirements of a run, and what it may do to its server."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.conformance.scenario_run import FUZZ
from pytest_realtime_asr.conformance.scenarios.overload import CROWD
from pytest_realtime_asr.plugin.settings import Settings, settings
from pytest_realtime_asr.requirements.requirement import (
    Harm,
    Level,
    Requirement,
)
from pytest_realtime_asr.trace.records import Sender


def given(**options: object) -> Settings:
    """Return the settings of a run with these options."""
    return settings(lambda option: options.get(option.ini), lambda option: None, {})


def chosen(found: Settings) -> tuple[Requirement, ...]:
    """Return the requirements of a run with these settings."""
    return selection.requirements(
        found.dialect, level=found.suite.level, pinned=found.run.pinned
    )


@pytest.mark.parametrize("dialect", ["vllm", "openai"])
def test_the_simplest_requirements_come_first(dialect: str) -> None:
    found = chosen(given(realtime_dialect=dialect))
    ids = [each.id for each in found]
    assert ids[0] == "first-utterance"
    passive = [each.passive for each in found[1:]]
    assert passive == sorted(passive, reverse=True)
    assert passive.count(True) > 10
    order = ["first-event", "text-of-speech", "finishes-1s", "bad-json-refused"]
    order += ["finishes-35s", "crowd-finishes", "reset-outlived"]
    assert sorted(order, key=ids.index) == order


def test_the_requirements_on_clients_and_of_weaker_levels_are_left_out() -> None:
    found = chosen(given(realtime_dialect="vllm"))
    assert all(each.binds is Sender.SERVER for each in found)
    assert {each.level for each in found} == set(Level)
    must = chosen(given(realtime_dialect="vllm", realtime_level="must"))
    assert {each.level for each in must} == {Level.MUST}


def test_a_suite_is_for_its_dialect() -> None:
    pinned = given(realtime_suite="vllm-2026.11").run.pinned
    assert pinned is not None
    other = replace(pinned, dialect="openai")
    with pytest.raises(
        ValueError, match="is for openai, but the dialect is vllm; choose"
    ):
        selection.requirements("vllm", pinned=other)


def test_only_safe_scenarios_run_on_a_remote_server() -> None:
    there = selection.bounds(given().suite, here=False)
    assert (there.harms, there.streams, there.audio) == (
        frozenset({Harm.SAFE}),
        2,
        600.0,
    )
    allowed = given(realtime_allow="heavy", realtime_max_streams="9")
    more = selection.bounds(allowed.suite, here=False)
    assert more.harms == {Harm.SAFE, Harm.HEAVY}
    assert more.streams == 9
    here = selection.bounds(given().suite, here=True)
    assert here.harms == set(Harm)
    assert here.streams >= CROWD
    assert here.audio == math.inf
    assert selection.fuzz(given().suite, here=True) == FUZZ
    assert selection.fuzz(given().suite, here=False) == 0
    assert selection.fuzz(given(realtime_fuzz="3").suite, here=False) == 3
