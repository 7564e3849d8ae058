"""The scenarios of the suite, with one module for each kind of scenario."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr.conformance import first_utterance
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenarios import (
    connections,
    dialect_steps,
    event_order,
    many_clips,
    overload,
    quiet_noise,
    random_sessions,
    utterances,
)
from pytest_realtime_asr.dialects import Dialect


def scenarios(dialect: Dialect) -> Mapping[str, Scenario]:
    """Return the scenarios that the requirements of a dialect need, by name.

    The scenario of the first utterance is always among them. The scenarios are sorted
    by their `Concurrency`. Among scenarios with the same `Concurrency`, the simplest
    scenario is the first.
    """
    named = {name for each in dialect.requirements for name in each.scenarios}
    every = (
        first_utterance.SCENARIO,
        utterances.ALONE_FIRST,
        *utterances.OF_LENGTH,
        utterances.IF_FALLING_BEHIND,
        *utterances.SCENARIOS,
        *many_clips.SCENARIOS,
        quiet_noise.SCENARIO,
        *dialect_steps.scenarios(dialect),
        *event_order.SCENARIOS,
        *overload.SCENARIOS,
        *connections.SCENARIOS,
        *random_sessions.SCENARIOS,
    )
    order = list(Concurrency)
    found = [each for each in every if each.name in named]
    found.sort(key=lambda each: order.index(each.concurrency))
    return {each.name: each for each in found}
