"""What a transcription derives from the recording of its session."""

from __future__ import annotations

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects.vllm import VLLM
from tests.support.sessions import CREATED, SPEAK, UPDATE, done, part

RULES = tuple(each for each in VLLM.requirements if each.id == "no-vocabulary-tokens")


def violations(reference: str) -> list[str]:
    session = part("it", CREATED, UPDATE, *SPEAK, done("say <unk>"))
    clip = Utterance("it", reference, silence(1.0))
    take = Transcription(clip, session.recording, VLLM, RULES)
    return [each.requirement.id for each in take.violations]


def test_a_token_of_the_reference_violates_nothing() -> None:
    assert violations("Say <unk>.") == []
    assert violations("Say it.") == ["no-vocabulary-tokens"]
