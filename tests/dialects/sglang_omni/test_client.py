"""The client's side of SGLang-Omni's protocol."""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.omni import OMNI


def test_the_frames_of_a_session() -> None:
    caller = OMNI.caller("any", {"language": "en"})
    (update,) = caller.configure()
    assert json.loads(update) == {
        "type": "session.update",
        "session": {"input_audio_format": "pcm16", "language": "en"},
    }
    assert list(caller.begin()) == []
    frame = json.loads(caller.append(b"\1\2\3\4"))
    assert frame["type"] == "input_audio_buffer.append"
    assert base64.b64decode(frame["audio"]) == b"\1\2\3\4"
    assert [json.loads(frame) for frame in caller.finish()] == [
        {"type": "input_audio_buffer.commit"}
    ]


def test_the_session_is_requested_in_the_query() -> None:
    assert OMNI.caller("any", {}).query == "intent=transcription"
    assert OMNI.headers("hush") == {"Authorization": "Bearer hush"}
    assert OMNI.headers("") == {}


@pytest.mark.parametrize("name", ["type", "model", "prompt"])
def test_an_unknown_option_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: a session has no such option; "):
        OMNI.caller("any", {name: "x"})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("language", 5, "5 must be a text or null"),
        ("turn_detection", "semantic_vad", "'semantic_vad' must be server_vad, null, "),
        ("turn_detection", True, "True must be server_vad, null, or an object "),
        ("turn_detection", {"type": "semantic_vad"}, "{.*} must be server_vad, null, "),
        ("turn_detection", {"threshold": "high"}, "{.*} must be server_vad, null, "),
    ],
)
def test_an_option_of_a_wrong_type(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {wanted}"):
        OMNI.caller("any", {name: value})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("server_vad", {"type": "server_vad"}),
        ({"silence_duration_ms": 700}, {"silence_duration_ms": 700}),
        (None, None),
    ],
)
def test_the_turn_detection_is_sent_as_an_object(given: object, sent: object) -> None:
    (update,) = OMNI.caller("any", {"turn_detection": given}).configure()
    assert json.loads(update)["session"]["turn_detection"] == sent


def test_there_are_no_profiles() -> None:
    with pytest.raises(ValueError, match="has no profiles"):
        OMNI.profiled(["x"])
