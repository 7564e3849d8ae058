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


def test_passive_requirements_come_last_and_those_of_the_client_are_left_out() -> None:
    found = chosen(given())
    assert [each.passive for each in found] == sorted(each.passive for each in found)
    assert all(each.binds is Sender.SERVER for each in found)
    must = chosen(given(realtime_level="must"))
    assert {each.level for each in must} == {Level.MUST}


def test_a_suite_is_for_its_dialect() -> None:
    pinned = given(realtime_suite="vllm-2026.11").run.pinned
    assert pinned is not None
    other = replace(pinned, dialect="openai")
    with pytest.raises(
        ValueError, match="is for openai, but the dialect is vllm; choose"
    ):
        selection.requirements("vllm", pinned=other)


def test_elsewhere_only_safe_scenarios_run() -> None:
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
