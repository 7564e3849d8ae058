"""The scenario of random sessions with legal, just-illegal and malformed frames."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.conformance.random_session import ROLE
from pytest_realtime_asr.conformance.scenario import exclusive
from pytest_realtime_asr.conformance.scenario_run import FUZZ, NotRun, ScenarioRun
from pytest_realtime_asr.conformance.shrinking import search
from pytest_realtime_asr.requirements.requirement import Harm


async def _random(run: ScenarioRun) -> None:
    config = run.config
    if not config.fuzz:
        raise NotRun("--realtime-fuzz=N runs N random sessions")
    clip = run.clips.first
    speech = replace(clip, source=await run.audio(clip))
    async with run.with_bystander():
        found = await search(config, speech)
    run.add(found)


SCENARIOS = (
    exclusive(
        ROLE,
        "random sessions of legal, just-illegal and malformed frames",
        _random,
        Harm.HEAVY,
        sessions=2 * FUZZ + 3,
        streams=3,
        times=FUZZ + 5,
    ),
)
