"""The steps of the scenarios that only vLLM's protocol has."""

from __future__ import annotations

from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.scenario_steps import Exercise, Speak

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        shared.TWO_SET_UPS,
        "two utterances while a second session has another language",
        (Speak(), Speak()),
        beside={"language": "de"},
    ),
)
