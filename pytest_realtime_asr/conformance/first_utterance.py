"""The first utterance of a run: a plain one, which must work before all others.

If the server cannot transcribe it, every other scenario would fail for the same cause.
"""

from __future__ import annotations

from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Satisfied, Undecided
from pytest_realtime_asr.requirements.shared.first_utterance import FIRST_UTTERANCE

NAME = FIRST_UTTERANCE.id


async def _act(run: ScenarioRun) -> None:
    live = await run.open(NAME, limits=run.config.first or run.config.plan.limits)
    await run.transcribe(live, run.clips.first)
    await live.close()


SCENARIO = Scenario(
    NAME,
    "one plain utterance, before everything else",
    _act,
    concurrency=Concurrency.GATE,
)


def failure(evidence: Evidence) -> str | None:
    """Return why the first utterance failed; ``None`` if it has its final."""
    match checks.finishes(NAME)(evidence):
        case Satisfied():
            return None
        case Undecided(reason=reason):
            return reason
        case violated:
            return violated.message
