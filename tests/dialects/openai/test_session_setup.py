"""Tests of the fields of an update: parsing, writing and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.openai import BETA, session_setup
from pytest_realtime_asr.dialects.openai.profile import PROFILES
from pytest_realtime_asr.dialects.openai.session_setup import (
    Format,
    SemanticVad,
    ServerVad,
    Setup,
    longest,
)
from tests.support.openai import VAD


def configured(name: str = "openai", **options: object) -> dict[str, Any]:
    """Return the session object that a client with these options sends."""
    (said,) = dialects.load(name).caller("m", options).configure()
    held: dict[str, Any] = json.loads(said)["session"]
    return held


def test_the_general_shape() -> None:
    assert configured() == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "m"},
                "turn_detection": None,
            }
        },
    }
    assert configured(
        format="pcmu",
        language="de",
        prompt="numbers",
        keywords=["Elbe"],
        delay="low",
        turn_detection=VAD,
        noise_reduction="near_field",
        include=[session_setup.LOGPROBS],
    ) == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": {
                    "model": "m",
                    "language": "de",
                    "prompt": "numbers",
                    "keywords": ["Elbe"],
                    "delay": "low",
                },
                "turn_detection": VAD,
                "noise_reduction": {"type": "near_field"},
            }
        },
        "include": [session_setup.LOGPROBS],
    }


def test_the_beta_shape() -> None:
    assert configured("openai-beta") == {
        "input_audio_transcription": {"model": "m"},
        "turn_detection": None,
    }
    assert configured(
        "openai-beta",
        format={"type": "audio/pcma"},
        language="de",
        turn_detection="semantic_vad",
        noise_reduction={"type": "far_field"},
        modalities=["text"],
    ) == {
        "input_audio_format": "g711_alaw",
        "input_audio_transcription": {"model": "m", "language": "de"},
        "turn_detection": {"type": "semantic_vad"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "modalities": ["text"],
    }


@pytest.mark.parametrize("name", ["openai", "openai-beta"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"format": "pcma", "turn_detection": VAD},
        {"format": "pcmu", "language": "de", "noise_reduction": "far_field"},
        {"turn_detection": "semantic_vad", "prompt": "numbers"},
    ],
)
def test_both_shapes_are_read_as_they_were_written(
    name: str, options: Mapping[str, object]
) -> None:
    profile = PROFILES["beta" if name == "openai-beta" else "openai"]
    content = session_setup.written("m", options, profile)
    it, include = session_setup.read(content, beta=profile.beta)
    assert include is msgspec.UNSET
    assert isinstance(it.transcription, session_setup.Transcription)
    assert it.transcription.model == "m"
    assert it.transcription.language == options.get("language")
    assert it.transcription.prompt == options.get("prompt")
    assert it.turn_detection == session_setup.detection(options.get("turn_detection"))
    setup = Setup().changed(content)
    assert setup.detection == it.turn_detection
    wanted = session_setup.audio_format(options.get("format"), profile)
    assert setup.rate(24_000) == session_setup.rate(wanted, 24_000)
    assert setup.law is session_setup.LAWS.get(wanted.type)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "mp3"}, "format: Invalid .*'mp3'.*; choose pcm, pcmu or pcma"),
        ({"format": 5}, "format: .*; choose pcm, pcmu or pcma"),
        ({"format": {"type": "audio/pcm", "rate": 0}}, "format: Expected `int` >= 1"),
        ({"turn_detection": "vad"}, "turn_detection: Invalid value 'vad'.*server_vad"),
        ({"turn_detection": True}, "turn_detection: Expected `object | null`"),
        (
            {"turn_detection": {"type": "server_vad", "threshold": 2}},
            "turn_detection: Expected `float` <= 1.0 - at `\\$.threshold`",
        ),
        (
            {"turn_detection": {"type": "server_vad", "silence": 2}},
            "turn_detection: .*unknown field `silence`",
        ),
    ],
)
@pytest.mark.parametrize("name", ["openai", "openai-beta"])
def test_invalid_options_are_refused(
    name: str, options: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dialects.load(name).caller("m", options)


def test_the_beta_shape_has_no_rate() -> None:
    other = {"format": {"type": "audio/pcm", "rate": 16_000}}
    with pytest.raises(ValueError, match=r"the beta shape .* 16000 Hz.* rates=16000"):
        BETA.caller("m", other)
    assert dialects.load("openai-beta:rates=16000").caller("m", other).rate == 16_000


@pytest.mark.parametrize(
    ("detection", "silence", "longest"),
    [
        (None, 0.0, 0.0),
        ("server_vad", 0.5, 2.5),
        (VAD, 0.2, 2.2),
        ("semantic_vad", 0.3, 6.0),
        ({"type": "semantic_vad", "eagerness": "high"}, 0.3, 4.0),
        ({"type": "semantic_vad", "eagerness": "low"}, 0.3, 10.0),
    ],
)
def test_how_much_silence_ends_a_turn(
    detection: object, silence: float, longest: float
) -> None:
    found = session_setup.detection(detection)
    assert session_setup.silence(found) == pytest.approx(silence)
    assert session_setup.longest(found) == pytest.approx(longest)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"audio": None},
        {"audio": {"input": []}},
        {"audio": {"input": {"format": "pcm", "turn_detection": {"type": "x"}}}},
        {"input_audio_format": [], "turn_detection": 5},
        {"input_audio_format": "mp3"},
    ],
)
def test_an_invalid_field_changes_nothing(content: Mapping[str, object]) -> None:
    before = Setup(SemanticVad(), Format("audio/pcmu"))
    assert before.changed(content) == before


def test_fields_that_an_update_leaves_out_keep_their_values() -> None:
    before = Setup(ServerVad(), Format("audio/pcm", 16_000))
    assert before.changed({"audio": {"input": {"turn_detection": None}}}) == Setup(
        None, Format("audio/pcm", 16_000)
    )
    assert before.changed({"input_audio_format": "g711_ulaw"}) == Setup(
        ServerVad(), Format("audio/pcmu")
    )


@pytest.mark.parametrize("silence", [-1, 2**63, 10**400])
def test_a_silence_beyond_64_bits_is_refused(silence: int) -> None:
    given = {"type": "server_vad", "silence_duration_ms": silence}
    with pytest.raises(msgspec.ValidationError, match="silence_duration_ms"):
        msgspec.convert(given, ServerVad)
    most = msgspec.convert({**given, "silence_duration_ms": 2**63 - 1}, ServerVad)
    assert longest(most) > 0
