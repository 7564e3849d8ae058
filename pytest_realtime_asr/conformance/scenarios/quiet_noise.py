"""Noise as quiet as an empty room.

A server must not recognise words in this noise.
"""

from __future__ import annotations

from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.scenario import Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun

NAME = "quiet-noise"
SECONDS = 3.0


async def _quiet_noise(run: ScenarioRun) -> None:
    live = await run.open(NAME)
    await run.transcribe(live, clips.quiet_noise(SECONDS))
    await live.close()


SCENARIO = Scenario(
    NAME,
    f"an utterance of {SECONDS:g} s of white noise at -60 dBFS",
    _quiet_noise,
    times=0,
    seconds=SECONDS,
)
