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


def test_there_are_no_profiles() -> None:
    with pytest.raises(ValueError, match="has no profiles"):
        OMNI.profiled(["x"])
