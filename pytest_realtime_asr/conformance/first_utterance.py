"""The first utterance of a run, which must be transcribed before all others.

It is a plain utterance. If the server cannot transcribe it, every other scenario would
fail for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.client import greetings
from pytest_realtime_asr.client.dialect_detection import silent_dialects
from pytest_realtime_asr.client.probe import PATIENCE
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.dialects import load
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import Satisfied, Undecided
from pytest_realtime_asr.requirements.shared.first_utterance import FIRST_UTTERANCE
from pytest_realtime_asr.run import model_choice
from pytest_realtime_asr.trace.records import Ending, Sender

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
    """Return why the first utterance failed; ``None`` if it got its final."""
    match checks.finishes(NAME)(evidence):
        case Satisfied():
            return None
        case Undecided(reason=reason):
            return reason
        case violated:
            return violated.message


def advice(
    evidence: Evidence, dialect: str, *, models: Sequence[str], cold: bool
) -> list[str]:
    """Return sentences that say what to try after the first utterance has failed.

    ``dialect`` is the dialect of the run, and ``models`` are the models that the server
    lists. ``cold`` says that no session of the warm-up got a final.
    """
    found: list[str] = []
    for part in evidence.role(NAME):
        timed_out = part.trace.end.how is Ending.DEADLINE
        if timed_out and cold:
            found.append(PATIENCE)
        if timed_out and part.timeline.ready is None and silent_dialects():
            found.append(silent_dialects())
        if part.timeline.refusals:
            found.append(_other_dialect(part, dialect))
            if len(models) > 1:
                found.append(model_choice.listed(models))
    return [each for each in found if each]


def _other_dialect(part: Part, dialect: str) -> str:
    """Return a sentence with the dialect or profile to try, or "" if there is none."""
    records = part.trace.records
    first = next((each for each in records if each.sender is Sender.SERVER), None)
    near = None if first is None else greetings.nearest(first, besides=dialect)
    if near is None or first is None:
        return ""
    option = f"--realtime-dialect={near.name}"
    if load(dialect).greets(first):
        return (
            f"the first event of the server fits {dialect}, so check --realtime-model "
            f"and --realtime-session-options first; after that, try {option}, the "
            "other dialect whose first event is the most similar"
        )
    return (
        f"the first event of the server does not fit {dialect}; try {option}, the "
        "dialect whose first event is the most similar"
    )
