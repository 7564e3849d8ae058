"""Tests of the events that the client sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.openai import OPENAI
from tests.support.openai import BUFFER, VAD, pcm


@given(st.binary())
def test_append_equals_the_output_of_a_json_encoder(data: bytes) -> None:
    event = {"type": f"{BUFFER}.append", "audio": base64.b64encode(data).decode()}
    said = OPENAI.caller("m", {}).append(data)
    assert said == json.dumps(event, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("name", "options", "rate", "tail", "finish"),
    [
        ("openai", {}, 24_000, 0.0, ["commit"]),
        ("openai", {"format": "pcm"}, 24_000, 0.0, ["commit"]),
        ("openai", {"format": "pcma"}, 8_000, 0.0, ["commit"]),
        (
            "openai:sglang",
            {"format": {"type": "audio/pcm", "rate": 48_000}},
            48_000,
            0.0,
            ["commit"],
        ),
        ("openai", {"turn_detection": VAD}, 24_000, 2.2, []),
        (
            "openai-beta",
            {"format": "pcmu", "turn_detection": "semantic_vad"},
            8_000,
            6.0,
            [],
        ),
        ("openai-beta:riva", {}, 16_000, 0.0, ["commit", "done"]),
    ],
)
def test_each_profile_sends_an_utterance_in_its_own_way(
    name: str,
    options: Mapping[str, object],
    rate: int,
    tail: float,
    finish: Sequence[str],
) -> None:
    caller = dialects.load(name).caller("m", options)
    assert not caller.binary
    assert caller.rate == rate
    assert caller.tail == pytest.approx(tail)
    assert caller.begin() == ()
    kinds = [json.loads(said)["type"] for said in caller.finish()]
    assert kinds == [f"{BUFFER}.{kind}" for kind in finish]


def test_companded_audio_is_a_byte_for_each_sample() -> None:
    said = json.loads(OPENAI.caller("m", {"format": "pcmu"}).append(pcm(0, 32767)))
    assert base64.b64decode(said["audio"]) == b"\xff\x80"


def test_each_event_except_audio_has_an_id_of_its_own() -> None:
    caller = dialects.load("openai-beta:riva").caller("m", {})
    said = [*caller.configure(), *caller.finish(), *caller.finish()]
    names = [json.loads(each)["event_id"] for each in said]
    assert names == [f"client_{number}" for number in range(1, 6)]
    assert "event_id" not in json.loads(caller.append(b""))
