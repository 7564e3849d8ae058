"""Tests of the profiles of vosk-server's protocol."""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.vosk.profile import PROFILES, changes, chosen
from pytest_realtime_asr.requirements.capability import Capability

PLAIN = PROFILES["vosk"]


def test_the_changes_of_each_profile_make_it_from_the_first() -> None:
    assert {name: changes(each) for name, each in PROFILES.items()} == {
        "vosk": "",
        "vosk-reset": "reset=yes",
        "vosk-cpp": "rate=8000 config=no",
    }
    assert chosen(["vosk-cpp", "rate=16000"], base=PLAIN).rate == 16_000
    assert chosen(["reset=yes"], base=PLAIN).reset


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("kaldi", "there is no profile 'kaldi'; choose from vosk, vosk-reset"),
        ("rate=fast", "'rate=fast' is not valid; the default is rate=16000"),
        ("rate=0", "'rate=0' is not valid"),
        ("reset=maybe", "'reset=maybe' is not valid; the default is reset=no"),
        ("vad=no", "'vad=no' is not a capability; choose from rate, config"),
    ],
)
def test_words_that_are_no_profile(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chosen([word], base=PLAIN)


def test_a_reset_makes_several_utterances_possible() -> None:
    one, several = dialects.load("vosk"), dialects.load("vosk:vosk-reset")
    assert not dialects.can(one, Capability.SEVERAL_UTTERANCES)
    assert dialects.can(several, Capability.SEVERAL_UTTERANCES)
    ids = {each.id for each in several.requirements}
    assert "utterances-kept-apart" in ids
    assert "closes-after-end" not in ids


def test_a_server_without_configuration_has_no_requirement_on_it() -> None:
    ids = {each.id for each in dialects.load("vosk:vosk-cpp").requirements}
    assert not ids & {"sample-rate-obeyed", "words-when-asked", "update-again"}
