"""Chooses which scenarios run if the audio of the run is limited."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.requirements.requirement import Requirement

_BEFORE = (Concurrency.GATE, Concurrency.FIRST)


def affordable(
    scenarios: Iterable[Scenario],
    clips: Clips,
    requirements: Iterable[Requirement],
    audio: float,
) -> set[str]:
    """Return the names of the scenarios that fit into ``audio`` seconds of audio.

    GATE and FIRST scenarios are chosen before all others, since their evidence is used
    to judge the other scenarios. For each of the other scenarios, the length of its
    audio is divided by the number of requirements that need it. The scenarios with the
    smallest values are chosen first. In this way, as many requirements as possible are
    judged.
    """
    needs = Counter(name for each in requirements for name in each.scenarios)

    def order(scenario: Scenario) -> tuple[bool, float]:
        share = scenario.audio(clips) / max(1, needs[scenario.name])
        return scenario.concurrency not in _BEFORE, share

    found = set()
    for each in sorted(scenarios, key=order):
        if each.audio(clips) <= audio:
            audio -= each.audio(clips)
            found.add(each.name)
    return found


def beyond(limit: float, enough: float) -> str:
    """Return the reason why a scenario does not fit into the audio limit of a run.

    The reason is the same for each scenario. ``limit`` is the limit in s. ``enough`` is
    the limit in s with which all scenarios would run.
    """
    return (
        f"the scenario does not fit in --realtime-max-audio={limit:g}s; "
        f"--realtime-max-audio={math.ceil(enough)}s is enough for all scenarios"
    )
