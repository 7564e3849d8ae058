"""The options of a session in the query of the URL: what is checked, what is sent."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import pytest

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.dialects import HttpRefusal, Reaction, Request
from pytest_realtime_asr.dialects.deepgram.options import Listening, asked, query, rate
from pytest_realtime_asr.dialects.deepgram.profile import PROFILES
from tests.support.deepgram import CLOSING, DEEPGRAM

PLAIN, ONE_RATE = PROFILES["deepgram"], PROFILES["whisperlivekit-listen"]
USUAL = {
    "model": ["nova-3"],
    "encoding": ["linear16"],
    "sample_rate": ["16000"],
    "channels": ["1"],
    "interim_results": ["true"],
}


@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({}, {}),
        ({"language": "de"}, {"language": ["de"]}),
        ({"interim_results": False}, {"interim_results": ["false"]}),
        ({"keyterm": ["one", "two"]}, {"keyterm": ["one", "two"]}),
        ({"endpointing": 300}, {"endpointing": ["300"]}),
        (
            {"encoding": "mulaw"},
            {"encoding": ["mulaw"], "sample_rate": ["8000"]},
        ),
        ({"sample_rate": "48000"}, {"sample_rate": ["48000"]}),
        ({"callback": False}, {"callback": ["false"]}),
    ],
)
def test_all_options_go_into_the_query(
    options: dict[str, Any], changes: dict[str, list[str]]
) -> None:
    assert parse_qs(query("nova-3", options, PLAIN)) == USUAL | changes


def test_none_leaves_a_default_out() -> None:
    found = parse_qs(query("", {"interim_results": None}, PLAIN))
    assert found.keys() == USUAL.keys() - {"model", "interim_results"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"model": "nova-2"}, "--realtime-model"),
        ({"encoding": "opus"}, "'opus' is not supported"),
        ({"sample_rate": 44}, "44 is not a sample rate"),
        ({"sample_rate": True}, "True is not a sample rate"),
        ({"sample_rate": "fast"}, "'fast' is not a sample rate"),
        ({"channels": 2}, "only one channel"),
        ({"callback": "https://there"}, "sent to another server"),
        ({"multichannel": True}, "each channel"),
        ({"redact": {"pci": True}}, "cannot be part of a URL"),
    ],
)
def test_options_that_the_client_cannot_use(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        DEEPGRAM.caller("nova-3", options)


def test_the_rate_is_that_of_the_encoding() -> None:
    assert rate({}, PLAIN) == 16_000
    assert rate({"encoding": "alaw"}, PLAIN) == g711.RATE


def of(text: str) -> Request:
    return Request.of(f"/v1/listen?{text}", {})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Listening()),
        (
            "model=a&encoding=mulaw&sample_rate=8000",
            Listening("a", 8000, g711.MU),
        ),
        (
            "interim_results=True&vad_events=true&utterance_end_ms=1000",
            Listening(interim_results=True, vad_events=True, utterance_end=1.0),
        ),
        ("endpointing=300", Listening(endpointing=0.3)),
        ("endpointing=false", Listening(endpointing=None)),
        ("endpointing=true&language=de", Listening()),
    ],
)
def test_a_server_reads_the_options_of_the_query(text: str, found: Listening) -> None:
    assert asked(of(text), PLAIN) == found


INVALID = (
    "encoding=opus&sample_rate=16000",
    "encoding=linear16",
    "sample_rate=1",
    "sample_rate=-8000",
    "channels=2",
    "interim_results=maybe",
    "vad_events=1",
    "utterance_end_ms=1000",
    "endpointing=soon",
)


@pytest.mark.parametrize("text", INVALID)
def test_invalid_options_are_refused(text: str) -> None:
    refusal = DEEPGRAM.refusal(of(text), ["fake"])
    assert isinstance(refusal, HttpRefusal)
    assert refusal.status == 400
    assert text.partition("=")[0] in refusal.body or "sample_rate" in refusal.body


def test_an_unknown_model_is_refused() -> None:
    assert DEEPGRAM.refusal(of("model=fake"), ["fake"]) is None
    assert DEEPGRAM.refusal(of("model=other"), ["fake"]) is not None


def test_whisperlivekit_reads_no_model() -> None:
    assert CLOSING.refusal(of("model=any"), ["fake"]) is None


def test_a_profile_may_refuse_options_inside_the_session() -> None:
    refusal = CLOSING.refusal(of("sample_rate=8000"), ["fake"])
    assert isinstance(refusal, Reaction)
    assert refusal.close == 4400
    (error,) = refusal.replies
    assert "8000 Hz is not supported" in str(error)


def test_a_server_that_accepts_invalid_options_uses_the_defaults() -> None:
    server = DEEPGRAM.server(["fake"], request=of("interim_results=maybe"))
    assert server.rate == DEEPGRAM.rate
    assert ONE_RATE.rates == (16_000,)
