"""Tests of what the client sends to a vosk-server."""

from __future__ import annotations

import json

import pytest

from pytest_realtime_asr import dialects
from tests.support.vosk import EOF, RESET, RESETTING, VOSK


def test_the_configuration_has_the_rate_and_asks_for_words() -> None:
    caller = VOSK.caller("m", {"max_alternatives": 3})
    assert caller.binary
    assert caller.rate == 16_000
    (config,) = caller.configure()
    assert json.loads(config) == {
        "config": {"words": True, "max_alternatives": 3, "sample_rate": 16_000}
    }


def test_the_options_change_the_rate_and_the_words() -> None:
    caller = VOSK.caller("m", {"sample_rate": 8_000.0, "words": False})
    assert caller.rate == 8_000
    (config,) = caller.configure()
    assert json.loads(config)["config"] == {"words": False, "sample_rate": 8_000}


def test_audio_is_sent_as_it_is_and_ended_by_an_exact_text() -> None:
    caller = VOSK.caller("m", {})
    assert caller.begin() == ()
    assert caller.append(b"\1\2") == b"\1\2"
    assert caller.finish() == (EOF,) == ('{"eof" : 1}',)
    assert RESETTING.caller("m", {}).finish() == (RESET,)


def test_a_server_without_configuration_gets_none() -> None:
    plain = dialects.load("vosk:vosk-cpp")
    assert plain.caller("m", {}).configure() == ()
    with pytest.raises(ValueError, match="words: this server reads no configuration"):
        plain.caller("m", {"words": True})


@pytest.mark.parametrize("rate", ["8000", 8000.5, 100, None, float("nan"), 10**400])
def test_a_sample_rate_that_cannot_be_sent(rate: object) -> None:
    with pytest.raises(ValueError, match=r"sample_rate: .* must be a whole number"):
        VOSK.caller("m", {"sample_rate": rate})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("words", "yes", "'yes' must be true or false"),
        ("max_alternatives", -1, "-1 must be a whole number of 0 or more"),
        ("max_alternatives", True, "True must be a whole number of 0 or more"),
        ("max_alternatives", "3", "'3' must be a whole number of 0 or more"),
        ("phrase_list", 5, "5 must be a list of texts"),
        ("phrase_list", [5], r"\[5\] must be a list of texts"),
    ],
)
def test_an_option_of_a_wrong_type(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: {wanted}$"):
        VOSK.caller("m", {name: value})


def test_options_of_the_right_types_and_unknown_options_are_sent() -> None:
    options = {"words": 1, "max_alternatives": 0, "phrase_list": ["a"], "own": {}}
    (config,) = VOSK.caller("m", options).configure()
    assert json.loads(config)["config"] == {**options, "sample_rate": 16_000}
