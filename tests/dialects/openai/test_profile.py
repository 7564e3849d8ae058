"""Tests of the profiles of servers that differ from OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects.openai.profile import PROFILES, changes, chosen
from pytest_realtime_asr.trace.records import Record, content
from tests.support.sessions import CREATED_AT, SERVER


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_is_a_dialect(name: str) -> None:
    profile = PROFILES[name]
    dialect = dialects.load(f"openai{'-beta' if profile.beta else ''}:{name}")
    assert dialect.rate == profile.rates[0]
    assert name in dialect.profiles
    server = dialect.server(["m"])
    (greeting,) = server.open("sess-1", CREATED_AT)
    record = Record(SERVER, 0, *content(greeting))
    assert dialect.greets(record)
    assert dialect.parse(record).move == profile.greeting
    for said in dialect.caller("m", {}).configure():
        (reply,) = server.hear(said).replies
        assert json.loads(reply)["type"] == profile.update.replace("update", "updated")


@pytest.mark.parametrize(
    ("name", "query", "headers"),
    [
        ("openai", "intent=transcription", {"Authorization": "Bearer k"}),
        ("openai:azure", "intent=transcription", {"api-key": "k"}),
        (
            "openai:localai",
            "intent=transcription&model=a%2Fb",
            {"Authorization": "Bearer k"},
        ),
        (
            "openai-beta:speaches",
            "model=a%2Fb&intent=transcription",
            {"Authorization": "Bearer k", "OpenAI-Beta": "realtime=v1"},
        ),
    ],
)
def test_each_profile_has_its_query_and_its_headers(
    name: str, query: str, headers: Mapping[str, str]
) -> None:
    dialect = dialects.load(name)
    assert dialect.caller("a/b", {}).query == query
    assert dialect.headers("k") == headers


def test_the_user_may_change_capabilities_of_a_profile() -> None:
    dialect = dialects.load("openai:sglang rates=16000,8000 vad=yes least=0.2")
    assert dialect.name == "openai:sglang rates=16000,8000 vad=yes least=0.2"
    assert dialect.rate == 16_000
    profile = chosen(
        ["rates=16000,8000", "vad=Yes", "least=0.2"], base=PROFILES["sglang"]
    )
    assert profile.rates == (16_000, 8_000)
    assert profile.vad
    assert profile.least == 0.2
    assert profile.empty == "invalid_state"
    assert dialects.load("openai:rates=8000").rate == 8_000


@pytest.mark.parametrize("name", PROFILES)
def test_the_changes_of_a_profile_are_read_back(name: str) -> None:
    profile = PROFILES[name]
    base = PROFILES["beta" if profile.beta else "openai"]
    again = chosen(changes(profile).split(), base=base)
    assert replace(again, name=name) == profile


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("hamburg", "'hamburg'; choose from openai, azure, sglang, localai"),
        ("beta", "'beta'; choose from openai, azure, sglang, localai"),
        ("sglang vad", "'vad' is not a capability; choose from rates, companded"),
        ("speed=1", "'speed=1' is not a capability"),
        ("name=x", "'name=x' is not a capability"),
        (
            "vad=maybe",
            "the value of 'vad=maybe' is not valid; the default is vad=yes",
        ),
        (
            "rates=fast",
            r"'rates=fast' is not valid; the default is rates=24000",
        ),
        ("rates=", "'rates=' is not valid"),
        ("rates=0", "'rates=0' is not valid"),
        ("least=much", "'least=much' is not valid; the default is least=0.1"),
    ],
)
def test_an_unknown_profile_is_refused_with_the_known_ones(
    words: str, message: str
) -> None:
    with pytest.raises(LookupError, match=message):
        dialects.load(f"openai:{words}")


def test_a_server_that_documents_a_shorter_buffer_need_not_accept_a_big_event() -> None:
    def asked(name: str) -> bool:
        return any(
            each.id == "big-audio-accepted" for each in dialects.load(name).requirements
        )

    assert asked("openai")
    assert not asked("openai:sglang")
    assert asked("openai:sglang most=0")
    assert not asked(
        "openai:openai most=240"
    )  # 15 MiB of base64 are 245.76 s at 24 kHz
    assert asked("openai:openai most=250")
