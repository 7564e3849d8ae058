"""The scenarios of the suite, with one module for each kind of scenario."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenarios import (
    connections,
    dialect_steps,
    event_order,
    overload,
    random_sessions,
    utterances,
)
from pytest_realtime_asr.dialects import Dialect


def scenarios(dialect: Dialect) -> Mapping[str, Scenario]:
    """Return the scenarios that the requirements of a dialect name, by their names.

    The scenarios have the order of `Concurrency`.
    """
    named = {name for each in dialect.requirements for name in each.scenarios}
    every = (
        utterances.ALONE_FIRST,
        *utterances.OF_LENGTH,
        *dialect_steps.scenarios(dialect),
        *utterances.SCENARIOS,
        *event_order.SCENARIOS,
        *overload.SCENARIOS,
        *connections.SCENARIOS,
        *random_sessions.SCENARIOS,
    )
    order = list(Concurrency)
    found = [each for each in every if each.name in named]
    found.sort(key=lambda each: order.index(each.concurrency))
    return {each.name: each for each in found}
