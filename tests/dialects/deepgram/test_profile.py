"""The profiles of Deepgram's protocol."""

from __future__ import annotations

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements.capability import Capability
from tests.support.deepgram import CLOSE, CLOSING, DEEPGRAM, FINALIZE


def test_the_profiles_are_listed_with_their_changes() -> None:
    assert dict(DEEPGRAM.profiles) == {
        "deepgram": "",
        "whisperlivekit-listen": (
            "end=close greeting=yes refusals=no rates=16000 companded=no "
            "contiguous=no refused=4400 models=no"
        ),
    }


def test_each_profile_ends_utterances_in_its_own_way() -> None:
    assert DEEPGRAM.caller("m", {}).finish() == (FINALIZE,)
    assert CLOSING.caller("m", {}).finish() == (CLOSE,)
    several = Capability.SEVERAL_UTTERANCES
    assert dialects.can(DEEPGRAM, several)
    assert not dialects.can(CLOSING, several)


def test_a_capability_can_be_changed() -> None:
    found = dialects.load("deepgram:whisperlivekit-listen end=finalize key=Bearer")
    assert found.caller("m", {}).finish() == (FINALIZE,)
    assert found.headers("secret") == {"Authorization": "Bearer secret"}
    assert DEEPGRAM.headers("secret") == {"Authorization": "Token secret"}
    assert DEEPGRAM.headers("") == {}


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("nova", "there is no profile 'nova'"),
        ("end=soon", "'end=soon' is not valid; the default is end=finalize"),
        ("refused=no", "the default is refused=400"),
        ("name=a", "'name=a' is not a capability"),
        ("deepgram mulaw", "'mulaw' is not a capability"),
    ],
)
def test_unknown_words_are_refused(words: str, what: str) -> None:
    with pytest.raises(LookupError, match=what):
        dialects.load(f"deepgram:{words}")


def test_the_audio_is_binary_and_has_the_format_of_the_options() -> None:
    plain = DEEPGRAM.caller("m", {})
    assert plain.binary
    assert plain.append(b"\0\1") == b"\0\1"
    companded = DEEPGRAM.caller("m", {"encoding": "mulaw"})
    assert companded.append(b"\0\0\xff\x7f") == b"\xff\x80"
