"""OpenAI's dialect: what is said, how sessions are set up, served and understood."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import CLIENT, CREATED_AT, MS, SERVER, trace_of

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.openai import BETA, OPENAI, g711, session
from pytest_realtime_asr.dialects.openai import events as protocol
from pytest_realtime_asr.dialects.openai.detection import Detector
from pytest_realtime_asr.dialects.openai.events import (
    SHAPES,
    TABLE,
    Append,
    BetaCreated,
    BetaUpdate,
    BetaUpdated,
    Clear,
    Cleared,
    Commit,
    Committed,
    Completed,
    ConversationCreated,
    Counted,
    Delta,
    Done,
    Error,
    Failed,
    Identity,
    Item,
    ItemAdded,
    ItemCreated,
    ItemDone,
    Limit,
    Logprob,
    Problem,
    RateLimits,
    Segment,
    SessionCreated,
    SessionUpdate,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TimeoutTriggered,
)
from pytest_realtime_asr.dialects.openai.profile import PROFILES, changed, changes
from pytest_realtime_asr.dialects.openai.session import (
    Format,
    SemanticVad,
    ServerVad,
    Setup,
)
from pytest_realtime_asr.evidence import Message
from pytest_realtime_asr.frames import Malformed, Typed, Unknown
from pytest_realtime_asr.timeline import Commit as Committing
from pytest_realtime_asr.timeline import (
    Endpoint,
    Final,
    Heard,
    Partial,
    Refusal,
    Timeline,
    Usage,
)
from pytest_realtime_asr.trace import TAIL, Record, Sender, Span, Vantage

BUFFER = "input_audio_buffer"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
KINDS: Mapping[Sender, frozenset[str]] = {
    sender: frozenset(move for moves in states.values() for move in moves)
    for sender, states in TABLE.items()
}


def frame(kind: str, **content: object) -> str:
    return json.dumps({"type": kind, **content})


# Events

TOKENS = {
    "type": "tokens",
    "input_tokens": 4,
    "output_tokens": 2,
    "total_tokens": 6,
    "input_token_details": {"audio_tokens": 4, "text_tokens": 0},
}
LOGPROB = {"token": "go", "logprob": -0.5, "bytes": [103, 111]}
ITEM = {
    "id": "i2",
    "object": "realtime.item",
    "type": "message",
    "status": "completed",
    "role": "user",
    "content": [{"type": "input_audio", "transcript": None}],
}
THE_ITEM = Item(id="i2", type="message", status="completed")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (frame("session.update", session={"a": 1}), SessionUpdate(session={"a": 1})),
        (
            frame("session.update", event_id="e1", session={}),
            SessionUpdate(event_id="e1", session={}),
        ),
        (
            frame("transcription_session.update", session={"a": 1}),
            BetaUpdate(session={"a": 1}),
        ),
        (frame(f"{BUFFER}.append", audio="AAAA"), Append(audio="AAAA")),
        (frame(f"{BUFFER}.commit", event_id="e2"), Commit(event_id="e2")),
        (frame(f"{BUFFER}.commit", event_id=None), Commit()),
        (frame(f"{BUFFER}.clear"), Clear()),
        (frame(f"{BUFFER}.done"), Done()),
    ],
)
def test_what_a_client_says(frame: str, message: Message) -> None:
    assert SHAPES.read(frame, CLIENT) == message
    assert message.move == json.loads(frame)["type"]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        (
            "session.created",
            {
                "session": {
                    "id": "s",
                    "object": "realtime.transcription_session",
                    "type": "transcription",
                    "audio": {"input": {"turn_detection": None}},
                    "include": None,
                    "expires_at": 1770000000,
                }
            },
            SessionCreated(
                event_id="e",
                session=Identity(
                    id="s",
                    object="realtime.transcription_session",
                    type="transcription",
                    audio={"input": {"turn_detection": None}},
                    expires_at=1770000000,
                ),
            ),
        ),
        (
            "transcription_session.created",
            {"session": {"id": "s", "input_audio_format": "pcm16"}},
            BetaCreated(
                event_id="e", session=Identity(id="s", input_audio_format="pcm16")
            ),
        ),
        (
            "conversation.created",
            {"conversation": {"id": "c", "object": "realtime.conversation"}},
            ConversationCreated(
                event_id="e",
                conversation=Identity(id="c", object="realtime.conversation"),
            ),
        ),
        (
            "session.updated",
            {"session": {"a": 1}},
            SessionUpdated(event_id="e", session={"a": 1}),
        ),
        (
            "transcription_session.updated",
            {"session": {"a": 1}},
            BetaUpdated(event_id="e", session={"a": 1}),
        ),
        (
            f"{BUFFER}.committed",
            {"item_id": "i2", "previous_item_id": "i1"},
            Committed(event_id="e", item_id="i2", previous_item_id="i1"),
        ),
        (
            f"{BUFFER}.committed",
            {"item_id": "i1", "previous_item_id": None},
            Committed(event_id="e", item_id="i1"),
        ),
        (f"{BUFFER}.cleared", {}, Cleared(event_id="e")),
        (
            f"{BUFFER}.speech_started",
            {"item_id": "i1", "audio_start_ms": 120},
            SpeechStarted(event_id="e", item_id="i1", audio_start_ms=120),
        ),
        (
            f"{BUFFER}.speech_stopped",
            {"item_id": "i1", "audio_end_ms": 1820},
            SpeechStopped(event_id="e", item_id="i1", audio_end_ms=1820),
        ),
        (
            f"{BUFFER}.timeout_triggered",
            {"item_id": "i1", "audio_start_ms": 0, "audio_end_ms": 6000},
            TimeoutTriggered(
                event_id="e", item_id="i1", audio_start_ms=0, audio_end_ms=6000
            ),
        ),
        (
            "conversation.item.added",
            {"item": ITEM, "previous_item_id": "i1"},
            ItemAdded(event_id="e", item=THE_ITEM, previous_item_id="i1"),
        ),
        (
            "conversation.item.done",
            {"item": ITEM, "previous_item_id": None},
            ItemDone(event_id="e", item=THE_ITEM),
        ),
        (
            "conversation.item.created",
            {"item": ITEM},
            ItemCreated(event_id="e", item=THE_ITEM),
        ),
        (
            f"{TRANSCRIPTION}.delta",
            {"item_id": "i1", "content_index": 0, "delta": "go"},
            Delta(event_id="e", item_id="i1", content_index=0, delta="go"),
        ),
        (
            f"{TRANSCRIPTION}.delta",
            {"item_id": "i1", "delta": None, "logprobs": [LOGPROB]},
            Delta(
                event_id="e",
                item_id="i1",
                logprobs=[Logprob(token="go", logprob=-0.5, bytes=[103, 111])],
            ),
        ),
        (
            f"{TRANSCRIPTION}.completed",
            {"item_id": "i1", "content_index": 0, "transcript": "a", "usage": TOKENS},
            Completed(
                event_id="e",
                item_id="i1",
                content_index=0,
                transcript="a",
                usage=Counted(
                    type="tokens", input_tokens=4, output_tokens=2, total_tokens=6
                ),
            ),
        ),
        (
            f"{TRANSCRIPTION}.completed",
            {
                "item_id": "i1",
                "transcript": "",
                "usage": {"type": "duration", "seconds": 1.5},
                "logprobs": None,
                "is_last_result": False,
            },
            Completed(
                event_id="e",
                item_id="i1",
                transcript="",
                usage=Counted(type="duration", seconds=1.5),
                is_last_result=False,
            ),
        ),
        (
            f"{TRANSCRIPTION}.segment",
            {
                "id": "seg",
                "item_id": "i1",
                "content_index": 0,
                "text": "go",
                "speaker": "A",
                "start": 0,
                "end": 1.5,
            },
            Segment(
                event_id="e",
                item_id="i1",
                content_index=0,
                id="seg",
                text="go",
                speaker="A",
                start=0.0,
                end=1.5,
            ),
        ),
        (
            f"{TRANSCRIPTION}.failed",
            {
                "item_id": "i1",
                "content_index": 0,
                "error": {"code": "x", "message": None, "param": None, "type": None},
            },
            Failed(
                event_id="e", item_id="i1", content_index=0, error=Problem(code="x")
            ),
        ),
        (
            "error",
            {
                "error": {
                    "type": "invalid_request_error",
                    "code": "invalid_value",
                    "message": "no",
                    "param": "type",
                    "event_id": "client_1",
                }
            },
            Error(
                event_id="e",
                error=Problem(
                    type="invalid_request_error",
                    code="invalid_value",
                    message="no",
                    param="type",
                    event_id="client_1",
                ),
            ),
        ),
        (
            "rate_limits.updated",
            {"rate_limits": [{"name": "requests", "limit": 9, "remaining": 8}]},
            RateLimits(
                event_id="e", rate_limits=[Limit(name="requests", limit=9, remaining=8)]
            ),
        ),
    ],
)
def test_what_a_server_says(
    kind: str, content: Mapping[str, object], message: Message
) -> None:
    said = SHAPES.read(frame(kind, event_id="e", **content), SERVER)
    assert said == message
    assert said.move == kind


@pytest.mark.parametrize(
    ("sender", "frame", "kind"),
    [
        (CLIENT, "{}", None),
        (CLIENT, '{"type":5}', None),
        (CLIENT, frame("session.updated", session={}), "session.updated"),
        (CLIENT, frame("conversation.item.create"), "conversation.item.create"),
        (SERVER, frame("session.update", session={}), "session.update"),
        (SERVER, frame("transcription.delta", delta="a"), "transcription.delta"),
    ],
)
def test_what_the_protocol_does_not_know(
    sender: Sender, frame: str, kind: str | None
) -> None:
    assert SHAPES.read(frame, sender) == Unknown(kind)


@pytest.mark.parametrize(
    ("sender", "frame", "reason"),
    [
        (CLIENT, frame(f"{BUFFER}.append"), "missing required field `audio`"),
        (CLIENT, frame(f"{BUFFER}.append", audio=5), "Expected `str`, got `int`"),
        (CLIENT, frame("session.update"), "missing required field `session`"),
        (CLIENT, frame("session.update", session=[]), "Expected `object`"),
        (CLIENT, frame(f"{BUFFER}.commit", event_id=5), "Expected `str | null`"),
        (SERVER, frame("session.created"), "missing required field `session`"),
        (SERVER, frame(f"{BUFFER}.committed"), "missing required field `item_id`"),
        (SERVER, frame(f"{TRANSCRIPTION}.delta", delta="a"), "field `item_id`"),
        (SERVER, frame(f"{TRANSCRIPTION}.completed", item_id="i"), "`transcript`"),
        (SERVER, frame(f"{TRANSCRIPTION}.failed", item_id="i"), "field `error`"),
        (SERVER, frame("error"), "missing required field `error`"),
        (SERVER, frame("error", error="no"), "Expected `object`, got `str`"),
        (SERVER, frame("conversation.item.added", item={}), "required field `id`"),
        (SERVER, "[]", "a JSON list, not an object"),
    ],
)
def test_what_is_no_event(sender: Sender, frame: str, reason: str) -> None:
    message = SHAPES.read(frame, sender)
    assert isinstance(message, Malformed)
    assert message.json
    assert reason in message.reason


def test_the_table_has_every_event() -> None:
    """Else its order would be judged by none, or the table speak of nothing."""
    for sender, kinds in KINDS.items():
        for kind in kinds:
            assert SHAPES.read(frame(kind), sender) != Unknown(kind)
    every = {
        each.__struct_config__.tag
        for name, each in vars(protocol).items()
        if isinstance(each, type) and issubclass(each, Typed) and name[0] != "_"
    }
    assert frozenset.union(*KINDS.values()) == every - {"Typed"}


# G.711


def pcm(*samples: int) -> bytes:
    return np.array(samples, "<i2").tobytes()


def samples(data: bytes) -> list[int]:
    values: list[int] = np.frombuffer(data, "<i2").tolist()
    return values


@pytest.mark.parametrize(
    ("law", "code", "level"),
    [
        # Tables 2a and 2b of G.711: of 14 bits
        (g711.MU, 0x80, 4 * 8031),
        (g711.MU, 0x81, 4 * 7775),
        (g711.MU, 0x8F, 4 * 4191),
        (g711.MU, 0x90, 4 * 3999),
        (g711.MU, 0xAF, 4 * 1023),
        (g711.MU, 0xCF, 4 * 231),
        (g711.MU, 0xEF, 4 * 33),
        (g711.MU, 0xF0, 4 * 30),
        (g711.MU, 0xFE, 4 * 2),
        (g711.MU, 0xFF, 0),
        (g711.MU, 0x7F, 0),
        (g711.MU, 0x7E, 4 * -2),
        (g711.MU, 0x00, 4 * -8031),
        # Tables 1a and 1b: of 13 bits
        (g711.A, 0xAA, 8 * 4032),
        (g711.A, 0xAB, 8 * 3904),
        (g711.A, 0xA5, 8 * 2112),
        (g711.A, 0xBA, 8 * 2016),
        (g711.A, 0x9A, 8 * 504),
        (g711.A, 0x85, 8 * 528),
        (g711.A, 0xC5, 8 * 33),
        (g711.A, 0xDA, 8 * 31),
        (g711.A, 0xD5, 8 * 1),
        (g711.A, 0x55, 8 * -1),
        (g711.A, 0x2A, 8 * -4032),
    ],
)
def test_the_levels_of_the_standard(law: g711.Law, code: int, level: int) -> None:
    assert samples(law.decode(bytes([code]))) == [level]


@pytest.mark.parametrize(
    ("law", "sample", "code"),
    [
        (g711.MU, 0, 0xFF),
        (g711.MU, 3, 0xFF),
        (g711.MU, -3, 0x7F),
        (g711.MU, 4, 0xFE),  # the decision value 1
        (g711.MU, 123, 0xF0),
        (g711.MU, 124, 0xEF),  # 31
        (g711.MU, 32767, 0x80),
        (g711.MU, -32768, 0x00),
        (g711.A, 0, 0xD5),
        (g711.A, 15, 0xD5),
        (g711.A, 16, 0xD4),  # the decision value 2
        (g711.A, -1, 0x55),
        (g711.A, 32767, 0xAA),
        (g711.A, -32768, 0x2A),
    ],
)
def test_the_codes_of_the_standard(law: g711.Law, sample: int, code: int) -> None:
    assert law.encode(pcm(sample)) == bytes([code])


@pytest.mark.parametrize("law", [g711.MU, g711.A])
def test_every_code_comes_back(law: g711.Law) -> None:
    every = bytes(range(256))
    same = law.encode(law.decode(every))
    zero = {0x7F: 0xFF} if law is g711.MU else {}  # there are two of them
    assert same == bytes(zero.get(code, code) for code in every)


@pytest.mark.parametrize(("law", "least"), [(g711.MU, 4.125), (g711.A, 8.0)])
def test_a_sample_changes_by_half_a_step_at_most(law: g711.Law, least: float) -> None:
    """That is a 32nd of a sample, and less than that of none but the smallest."""
    every = np.arange(-32768, 32768)
    back = np.array(samples(law.decode(law.encode(every.astype("<i2").tobytes()))))
    assert (np.abs(back - every) <= np.abs(every) / 32 + least).all()


# Profiles


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_is_a_dialect(name: str) -> None:
    profile = PROFILES[name]
    dialect = dialects.load(f"openai{'-beta' if profile.beta else ''}:{name}")
    assert dialect.rate == profile.rates[0]
    assert name in dialect.profiles
    server = dialect.server(["m"])
    (greeting,) = server.open("sess-1", CREATED_AT)
    record = Record(SERVER, 0, greeting)
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
def test_how_a_profile_is_asked(
    name: str, query: str, headers: Mapping[str, str]
) -> None:
    dialect = dialects.load(name)
    assert dialect.query("a/b") == query
    assert dialect.headers("k") == headers


def test_capabilities_of_ones_own() -> None:
    dialect = dialects.load("openai:sglang rates=16000,8000 vad=yes least=0.2")
    assert dialect.name == "openai:sglang rates=16000,8000 vad=yes least=0.2"
    assert dialect.rate == 16_000
    profile = changed(PROFILES["sglang"], ["rates=16000,8000", "vad=Yes", "least=0.2"])
    assert profile.rates == (16_000, 8_000)
    assert profile.vad
    assert profile.least == 0.2
    assert profile.empty == "invalid_state"
    assert dialects.load("openai:rates=8000").rate == 8_000


@pytest.mark.parametrize("name", PROFILES)
def test_what_a_profile_changes_is_read_back(name: str) -> None:
    profile = PROFILES[name]
    base = PROFILES["beta" if profile.beta else "openai"]
    again = changed(base, changes(profile).split())
    assert replace(again, name=name) == profile


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("hamburg", "'hamburg'; there are: openai, azure, sglang, localai"),
        ("beta", "'beta'; there are: openai, azure, sglang, localai"),
        ("sglang vad", "'vad' is no capability; there are: rates, companded"),
        ("speed=1", "'speed=1' is no capability"),
        ("name=x", "'name=x' is no capability"),
        ("vad=maybe", "'vad=maybe' cannot be read; now it is True"),
        ("rates=fast", r"'rates=fast' cannot be read; now it is \(24000,\)"),
        ("rates=", "'rates=' cannot be read"),
        ("rates=0", "'rates=0' cannot be read"),
        ("least=much", "'least=much' cannot be read; now it is 0.1"),
    ],
)
def test_an_unknown_profile_is_refused_with_what_there_is(
    words: str, message: str
) -> None:
    with pytest.raises(LookupError, match=message):
        dialects.load(f"openai:{words}")


# How a session is set up

VAD = {"type": "server_vad", "silence_duration_ms": 200}


def configured(name: str = "openai", **options: object) -> dict[str, Any]:
    """The session object that a client with these options sends."""
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
        include=[session.LOGPROBS],
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
        "include": [session.LOGPROBS],
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
    content = session.written("m", options, profile)
    it, include = session.read(content, beta=profile.beta)
    assert include is msgspec.UNSET
    assert isinstance(it.transcription, session.Transcription)
    assert it.transcription.model == "m"
    assert it.transcription.language == options.get("language")
    assert it.transcription.prompt == options.get("prompt")
    assert it.turn_detection == session.detection(options.get("turn_detection"))
    setup = Setup().changed(content)
    assert setup.detection == it.turn_detection
    wanted = session.audio_format(options.get("format"), profile)
    assert setup.rate(24_000) == session.rate(wanted, 24_000)
    assert setup.law is session.LAWS.get(wanted.type)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "mp3"}, "format: Invalid .*'mp3'.*; there are pcm, pcmu and pcma"),
        ({"format": 5}, "format: .*; there are pcm, pcmu and pcma"),
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
def test_options_that_cannot_be(
    name: str, options: Mapping[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        dialects.load(name).caller("m", options)


def test_the_beta_shape_cannot_say_a_rate() -> None:
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
    found = session.detection(detection)
    assert session.silence(found) == pytest.approx(silence)
    assert session.longest(found) == pytest.approx(longest)


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
def test_what_cannot_be_read_changes_nothing(content: Mapping[str, object]) -> None:
    before = Setup(SemanticVad(), Format("audio/pcmu"))
    assert before.changed(content) == before


def test_what_is_not_named_stays() -> None:
    before = Setup(ServerVad(), Format("audio/pcm", 16_000))
    assert before.changed({"audio": {"input": {"turn_detection": None}}}) == Setup(
        None, Format("audio/pcm", 16_000)
    )
    assert before.changed({"input_audio_format": "g711_ulaw"}) == Setup(
        ServerVad(), Format("audio/pcmu")
    )


# What a client says


@settings(deadline=None)
@given(st.binary())
def test_append_is_what_a_json_encoder_would_give(data: bytes) -> None:
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
def test_how_an_utterance_is_handed_over(
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


def test_each_event_has_a_name_of_its_own_but_for_the_audio() -> None:
    caller = dialects.load("openai-beta:riva").caller("m", {})
    said = [*caller.configure(), *caller.finish(), *caller.finish()]
    names = [json.loads(each)["event_id"] for each in said]
    assert names == [f"client_{number}" for number in range(1, 6)]
    assert "event_id" not in json.loads(caller.append(b""))


# Turns


def loud(seconds: float, rate: int = 24_000) -> bytes:
    return pcm(*[4000, -4000] * round(seconds * rate / 2))


def quiet(seconds: float, rate: int = 24_000) -> bytes:
    return bytes(2 * round(seconds * rate))


def detector(begin: int = 0) -> Detector:
    return Detector(24_000, threshold=0.5, padding=0.3, silence=0.5, begin=begin)


def turns(chunks: Iterable[bytes], it: Detector) -> list[tuple[int, int, bytes]]:
    """Start, end and sound of all turns that were over; positions in ms."""
    found = []
    start, said = 0, b""
    for chunk in chunks:
        turn = it.hear(chunk)
        while True:
            start = start if turn.start is None else turn.start
            said += turn.pcm
            if turn.end is None:
                break
            found.append((start // 24, turn.end // 24, said))
            said = b""
            turn = it.hear(b"")
    return found


SOUND = quiet(0.5) + loud(0.3) + quiet(0.4) + loud(0.2) + quiet(0.8)
SOUND += loud(0.02) + quiet(0.3) + loud(0.1) + quiet(0.6)


def cut(sound: bytes, *seconds: float) -> bytes:
    start, stop = (2 * round(each * 24_000) for each in seconds)
    return sound[start:stop]


@pytest.mark.parametrize("size", [2, 100, 480, 4_800, 10_000, len(SOUND)])
def test_turns_are_found_where_they_are(size: int) -> None:
    """The pause of 0.4 s ends none, and 20 ms of sound are no speech."""
    chunks = [SOUND[at : at + size] for at in range(0, len(SOUND), size)]
    assert turns(chunks, detector()) == [
        (200, 1900, cut(SOUND, 0.2, 1.9)),
        (2220, 3120, cut(SOUND, 2.22, 3.12)),
    ]


def test_positions_are_counted_on() -> None:
    ((start, end, _),) = turns([loud(0.1) + quiet(0.5)], detector(begin=24_000))
    assert (start, end) == (1000, 1600)


@settings(deadline=None)
@given(st.lists(st.integers(0, len(SOUND) // 2), max_size=12))
def test_the_cut_into_chunks_changes_nothing(places: list[int]) -> None:
    edges = [0, *sorted(2 * place for place in places), len(SOUND)]
    chunks = [SOUND[a:b] for a, b in pairwise(edges)]
    assert turns(chunks, detector()) == turns([SOUND], detector())


def test_what_is_spoken_is_handed_on_but_for_the_last_frame() -> None:
    it = detector()
    said = it.hear(loud(0.1)[:-2]).pcm
    assert said == loud(0.09)
    assert it.hear(pcm(-4000)).pcm == loud(0.01)


# What a server does


class Talk:
    """A server of this dialect, and what it said."""

    def __init__(
        self, name: str = "openai", *, limit: float = 3600.0, model: str = "m"
    ) -> None:
        self.dialect = dialects.load(name)
        self.server = self.dialect.server([model], limit=limit)
        self.said: list[dict[str, Any]] = []
        self.tell(self.server.open("sess-abcdefghijkl", CREATED_AT))

    def tell(self, frames: Iterable[str]) -> list[dict[str, Any]]:
        """Events that the server says, each of which the dialect knows."""
        told = []
        for each in frames:
            message = self.dialect.parse(Record(SERVER, 0, each))
            assert not isinstance(message, Unknown | Malformed), each
            told.append(json.loads(each))
        self.said += told
        return told

    def hear(self, *frames: str | bytes) -> tuple[list[dict[str, Any]], Reaction]:
        """What it answers to all of these, and its reaction to the last."""
        reaction = Reaction()
        told = []
        for each in frames:
            reaction = self.server.hear(each)
            told += self.tell(reaction.replies)
        return told, replace(reaction, replies=())

    def kinds(self, *frames: str | bytes) -> list[str]:
        """The types of what it answers."""
        return [event["type"] for event in self.hear(*frames)[0]]


def append(data: bytes, **more: object) -> str:
    return frame(f"{BUFFER}.append", audio=base64.b64encode(data).decode(), **more)


def update(**fields: object) -> str:
    """An update of the input in the general shape."""
    held = {"type": "transcription", "audio": {"input": fields}}
    return frame("session.update", session=held, event_id="c7")


def flat(**fields: object) -> str:
    return frame("transcription_session.update", session=fields, event_id="c7")


MANUAL = update(turn_detection=None)
COMMIT = frame(f"{BUFFER}.commit", event_id="c7")
CLEAR = frame(f"{BUFFER}.clear", event_id="c7")
DONE = frame(f"{BUFFER}.done", event_id="c7")
AUDIO = append(quiet(0.1))


def test_a_session_is_greeted_as_openai_has_it_by_default() -> None:
    (created,) = Talk(limit=60).said
    assert created["type"] == "session.created"
    assert created["event_id"]
    assert created["session"] == {
        "type": "transcription",
        "id": "sess-abcdefghijkl",
        "object": "realtime.transcription_session",
        "expires_at": CREATED_AT + 60,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.5,
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                },
                "noise_reduction": None,
            }
        },
        "include": None,
    }


def test_the_beta_session() -> None:
    talk = Talk("openai-beta")
    (created,) = talk.said
    assert created["type"] == "transcription_session.created"
    assert created["session"] == {
        "id": "sess-abcdefghijkl",
        "object": "realtime.transcription_session",
        "expires_at": CREATED_AT + 3600,
        "modalities": ["text"],
        "input_audio_format": "pcm16",
        "input_audio_transcription": None,
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
        },
        "input_audio_noise_reduction": None,
        "include": None,
    }
    (updated,), _ = talk.hear(
        flat(input_audio_format="g711_ulaw", input_audio_transcription={"model": "m"})
    )
    assert updated["type"] == "transcription_session.updated"
    assert updated["session"]["input_audio_format"] == "g711_ulaw"
    assert updated["session"]["input_audio_transcription"] == {"model": "m"}
    assert talk.server.rate == 8_000
    talk.hear(flat(turn_detection=None))
    kinds = talk.kinds(append(bytes(800)), COMMIT)
    assert kinds == [f"{BUFFER}.committed", "conversation.item.created"]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("openai", "session.created session.updated committed added done"),
        (
            "openai-beta",
            "transcription_session.created transcription_session.updated "
            "committed created",
        ),
        (
            "openai-beta:speaches",
            "session.created session.updated committed created",
        ),
        (
            "openai-beta:riva",
            "conversation.created transcription_session.updated committed created",
        ),
        ("openai:items=no", "session.created session.updated committed"),
    ],
)
def test_what_each_server_says_of_an_utterance(name: str, kinds: str) -> None:
    talk = Talk(name)
    caller = talk.dialect.caller("m", {})
    talk.hear(*caller.configure(), AUDIO, *caller.finish())
    found = " ".join(event["type"] for event in talk.said)
    found = found.replace(f"{BUFFER}.", "").replace("conversation.item.", "")
    assert found == kinds


def test_an_update_changes_what_is_there_and_nothing_else() -> None:
    talk = Talk()
    (first,), _ = talk.hear(
        update(
            turn_detection={"type": "semantic_vad"},
            transcription={"model": "m", "language": "de"},
            noise_reduction={"type": "near_field"},
        )
    )
    assert first["session"]["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": "m", "language": "de"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "auto"},
        "noise_reduction": {"type": "near_field"},
    }
    (second,), _ = talk.hear(update(format={"type": "audio/pcm"}, turn_detection=None))
    held = first["session"]["audio"]["input"] | {"turn_detection": None}
    assert second["session"]["audio"]["input"] == held
    include = {"type": "transcription", "include": [session.LOGPROBS]}
    (third,), _ = talk.hear(frame("session.update", session=include))
    assert third["session"]["include"] == [session.LOGPROBS]
    assert third["session"]["audio"]["input"] == held


def test_a_model_for_live_text_detects_no_turns() -> None:
    talk = Talk(model="gpt-live-transcribe")
    live = {"model": "gpt-live-transcribe"}
    (asked,), _ = talk.hear(update(transcription=live, turn_detection="server_vad"))
    assert asked["type"] == "error"
    turns = {"type": "server_vad"}
    (refused,), _ = talk.hear(update(transcription=live, turn_detection=turns))
    assert refused["error"]["code"] == "not_supported"
    (held,), _ = talk.hear(update(transcription=live))
    assert held["session"]["audio"]["input"]["turn_detection"] is None


def test_noise_is_taken_away_by_a_strength() -> None:
    (held,), _ = Talk().hear(update(noise_reduction={"strength": 0.5}))
    shown = held["session"]["audio"]["input"]["noise_reduction"]
    assert shown["strength"] == 0.5


SESSION = {"type": "transcription", "audio": {"input": {}}}


@dataclass(frozen=True)
class Refused:
    """A frame that a server refuses, after others."""

    frame: str | bytes
    code: str
    param: str | None = None
    server: str = "openai"
    before: tuple[str, ...] = (MANUAL,)
    names: str | None = "c7"  # the event that the error names


def refused(*args: Any, **more: Any) -> Any:
    case = Refused(*args, **more)
    return pytest.param(case, id=f"{case.server} {str(case.frame)[:60]}")


@pytest.mark.parametrize(
    "case",
    [
        refused(b"\0\0", "invalid_payload", names=None),
        refused("{", "invalid_json", names=None),
        refused("[]", "invalid_value", names=None),
        refused('{"event_id":"c7"}', "missing_required_parameter", "type"),
        refused(
            frame("input_audio.append", event_id="c7", audio=""),
            "invalid_value",
            "type",
        ),
        refused(frame("session.created", event_id="c7"), "invalid_value", "type"),
        refused(
            frame("session.update", event_id="c7"),
            "missing_required_parameter",
            "session",
        ),
        refused(
            frame("session.update", event_id="c7", session={}),
            "missing_required_parameter",
            "session.type",
        ),
        refused(
            frame("session.update", event_id="c7", session={"type": "realtime"}),
            "invalid_value",
            "session.type",
        ),
        refused(
            frame("session.update", event_id="c7", session={**SESSION, "voice": "a"}),
            "unknown_parameter",
            "session.voice",
        ),
        refused(update(speed=2), "unknown_parameter", "session.audio.input.speed"),
        refused(
            update(turn_detection={"type": "server_vad", "hold": 1}),
            "unknown_parameter",
            "session.audio.input.turn_detection.hold",
        ),
        refused(
            update(turn_detection={"type": "server_vad", "threshold": 2}),
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        refused(
            update(transcription={"model": "n"}),
            "model_not_found",
            "session.audio.input.transcription.model",
        ),
        refused(
            update(transcription={"delay": "late"}),
            "invalid_value",
            "session.audio.input.transcription.delay",
        ),
        refused(
            update(format={"type": "audio/pcm", "rate": 16000}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        refused(
            update(format={"type": "audio/pcmu", "rate": 8000}),
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        refused(
            update(format={"type": "audio/pcmu"}),
            "invalid_value",
            "session.audio.input.format",
            before=(MANUAL, AUDIO),
        ),
        refused(flat(), "invalid_value", "type"),
        refused(
            update(format={"type": "audio/pcmu"}),
            "not_supported",
            "session.audio.input.format",
            server="openai:sglang",
        ),
        refused(
            update(turn_detection={"type": "server_vad"}),
            "not_supported",
            "session.audio.input.turn_detection",
            server="openai:sglang",
        ),
        refused(
            update(noise_reduction={"type": "near_field"}),
            "not_supported",
            "session.audio.input.noise_reduction",
            server="openai:sglang",
        ),
        refused(
            flat(input_audio_transcription={"model": "n"}),
            "model_not_found",
            "session.input_audio_transcription.model",
            server="openai-beta",
            before=(),
        ),
        refused(
            flat(input_audio_format="g711_ulaw"),
            "not_supported",
            "session.input_audio_format",
            server="openai-beta:riva",
            before=(),
        ),
        refused(
            flat(audio={}),
            "unknown_parameter",
            "session.audio",
            server="openai-beta",
            before=(),
        ),
        refused(MANUAL, "invalid_value", "type", server="openai-beta", before=()),
        refused(
            frame(f"{BUFFER}.append", event_id="c7"),
            "missing_required_parameter",
            "audio",
        ),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="A"),
            "invalid_value",
            "audio",
        ),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="ä==="),
            "invalid_value",
            "audio",
        ),
        refused(append(b"\0\0\0", event_id="c7"), "invalid_value", "audio"),
        refused(
            frame(f"{BUFFER}.append", event_id="c7", audio="A" * (15 * 2**20 + 1)),
            "string_above_max_length",
            "audio",
        ),
        refused(COMMIT, "input_audio_buffer_commit_empty"),
        refused(
            COMMIT,
            "input_audio_buffer_commit_empty",
            before=(MANUAL, append(quiet(0.09))),
        ),
        refused(
            COMMIT,
            "input_audio_buffer_commit_empty",
            before=(MANUAL, AUDIO, COMMIT),
        ),
        refused(
            COMMIT, "input_audio_buffer_commit_empty", before=(MANUAL, AUDIO, CLEAR)
        ),
        refused(
            COMMIT, "input_audio_buffer_commit_empty", before=(append(loud(1)[:0]),)
        ),
        refused(COMMIT, "invalid_state", server="openai:sglang"),
        refused(DONE, "invalid_value", "type", before=(MANUAL, AUDIO)),
    ],
)
def test_what_a_server_refuses(case: Refused) -> None:
    talk = Talk(case.server)
    talk.hear(*case.before)
    said, reaction = talk.hear(case.frame)
    assert reaction == Reaction()
    (error,) = said
    assert error["type"] == "error"
    assert error["event_id"]
    told = error["error"]
    assert told["type"] == "invalid_request_error"
    assert (told["code"], told["param"]) == (case.code, case.param)
    assert told["event_id"] == case.names
    assert told["message"]


def test_an_update_that_is_refused_changes_nothing() -> None:
    talk = Talk()
    before, _ = talk.hear(update(transcription={"model": "m"}))
    both = update(turn_detection=None, transcription={"model": "n"})
    assert talk.kinds(both) == ["error"]
    after, _ = talk.hear(update())
    assert after[0]["session"] == before[0]["session"]


def test_a_commit_of_less_than_100_ms_says_how_much_there_is() -> None:
    talk = Talk()
    (_, error), _ = talk.hear(MANUAL, append(quiet(0.05)), COMMIT)
    assert error["error"]["message"] == (
        "Error committing input audio buffer: buffer too small. Expected at least "
        "100ms of audio, but buffer only has 50.00ms of audio."
    )
    # It is still there.
    said, reaction = talk.hear(append(quiet(0.05)), COMMIT)
    assert said[0]["type"] == f"{BUFFER}.committed"
    assert reaction == Reaction(finish=True)


def test_sglang_takes_however_little() -> None:
    talk = Talk("openai:sglang")
    talk.hear(MANUAL, append(pcm(1)))
    assert talk.kinds(COMMIT)[0] == f"{BUFFER}.committed"


def test_audio_is_handed_on_and_an_empty_piece_of_it_is_nothing() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    assert talk.hear(append(b"")) == ([], Reaction())
    assert talk.hear(append(pcm(1, 2))) == ([], Reaction(begin=True, audio=pcm(1, 2)))
    assert talk.hear(append(pcm(3))) == ([], Reaction(audio=pcm(3)))


@pytest.mark.parametrize(
    ("kind", "law"), [("audio/pcmu", g711.MU), ("audio/pcma", g711.A)]
)
def test_companded_audio_is_handed_on_as_pcm(kind: str, law: g711.Law) -> None:
    talk = Talk()
    talk.hear(update(format={"type": kind}, turn_detection=None))
    assert talk.server.rate == 8_000
    _, reaction = talk.hear(append(b"\x00\x80\xaa"))
    assert reaction == Reaction(begin=True, audio=law.decode(b"\x00\x80\xaa"))


def test_several_items_are_told_apart() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    names = []
    for before in (None, "item_abcdefghijkl_1", "item_abcdefghijkl_2"):
        (committed, added, done), _ = talk.hear(AUDIO, COMMIT)
        names.append(committed["item_id"])
        assert added["type"] == "conversation.item.added"
        assert done["type"] == "conversation.item.done"
        for each in (committed, added, done):
            assert each["previous_item_id"] == before
        assert added["item"] == done["item"]
        assert added["item"]["id"] == names[-1]
    assert names == [f"item_abcdefghijkl_{number}" for number in (1, 2, 3)]
    for number in (2, 0, 1):
        (delta,) = talk.tell(talk.server.partial("go", number))
        assert (delta["item_id"], delta["delta"]) == (names[number], "go")
        (end,) = talk.tell(talk.server.final("go", Usage(25, 1, seconds=2.0), number))
        assert end["item_id"] == names[number]
        assert end["transcript"] == "go"
        assert end["content_index"] == 0
        assert end["usage"] == {
            "type": "tokens",
            "input_tokens": 25,
            "output_tokens": 1,
            "total_tokens": 26,
            "input_token_details": {"audio_tokens": 25, "text_tokens": 0},
        }
    events = [event["event_id"] for event in talk.said]
    assert len(set(events)) == len(events)


def test_a_usage_may_be_a_duration() -> None:
    talk = Talk("openai:sglang")
    talk.hear(MANUAL, AUDIO, COMMIT)
    (end,) = talk.tell(talk.server.final("go", Usage(25, 1, seconds=2.0), 0))
    assert end["usage"] == {"type": "duration", "seconds": 2.0}


def test_text_may_come_before_the_commit_of_its_item() -> None:
    talk = Talk()
    talk.hear(MANUAL, AUDIO)
    (delta,) = talk.tell(talk.server.partial("go", 0))
    (committed, *_), _ = talk.hear(COMMIT)
    assert delta["item_id"] == committed["item_id"]
    assert talk.tell(talk.server.partial("", 0)) == []


def test_text_waits_for_the_commit_where_it_is_not_early() -> None:
    talk = Talk("openai-beta:speaches")
    talk.hear(frame("session.update", session={"turn_detection": None}), AUDIO)
    assert talk.tell(talk.server.partial("go", 0)) == []
    assert talk.tell(talk.server.partial(" on", 0)) == []
    said, _ = talk.hear(COMMIT)
    assert said[-1]["delta"] == "go on"
    (delta,) = talk.tell(talk.server.partial(" now", 0))
    assert delta["delta"] == " now"


def test_logprobs_are_told_where_they_were_asked_for() -> None:
    talk = Talk()
    asked = {**SESSION, "include": [session.LOGPROBS]}
    talk.hear(MANUAL, frame("session.update", session=asked), AUDIO)
    (delta,) = talk.tell(talk.server.partial(" ja so", 0))
    assert [each["token"] for each in delta["logprobs"]] == [" ja", " so"]
    assert [bytes(each["bytes"]).decode() for each in delta["logprobs"]] == [
        " ja",
        " so",
    ]
    talk.hear(frame("session.update", session={**SESSION, "include": None}))
    (delta,) = talk.tell(talk.server.partial(" ja", 0))
    assert "logprobs" not in delta


def test_what_was_not_committed_is_forgotten() -> None:
    talk = Talk()
    talk.hear(MANUAL)
    assert talk.hear(CLEAR)[1] == Reaction()
    assert talk.kinds(CLEAR) == [f"{BUFFER}.cleared"]
    talk.hear(AUDIO, COMMIT, AUDIO)
    said, reaction = talk.hear(CLEAR)
    assert [event["type"] for event in said] == [f"{BUFFER}.cleared"]
    assert reaction == Reaction(drop=True)
    _, reaction = talk.hear(AUDIO)
    assert reaction.begin
    (committed, *_), _ = talk.hear(COMMIT)
    assert committed["item_id"] == "item_abcdefghijkl_3"
    assert committed["previous_item_id"] == "item_abcdefghijkl_1"


def test_riva_is_told_that_no_more_audio_will_come() -> None:
    talk = Talk("openai-beta:riva")
    talk.hear(flat())
    assert talk.hear(DONE) == ([], Reaction())
    said, reaction = talk.hear(AUDIO, DONE)
    assert said[0]["type"] == f"{BUFFER}.committed"
    assert reaction == Reaction(finish=True)


def test_a_session_ends_when_it_has_lasted_long_enough() -> None:
    talk = Talk(limit=1800)
    reaction = talk.server.expire()
    (error,) = talk.tell(reaction.replies)
    said = "Your session hit the maximum duration of 30 minutes."
    assert error["error"]["code"] == "session_expired"
    assert error["error"]["message"] == said
    assert replace(reaction, replies=()) == Reaction(close=1001, reason=said)


# Where it detects turns


def detecting(talk: Talk, sound: bytes, rate: int = 24_000) -> list[dict[str, Any]]:
    """What the server says to this sound, in pieces of 100 ms."""
    size = rate // 10 * 2
    pieces = [append(sound[at : at + size]) for at in range(0, len(sound), size)]
    return talk.hear(*pieces)[0]


def test_turns_are_committed_by_the_server() -> None:
    talk = Talk()
    said = detecting(talk, SOUND)
    short = [event["type"].rpartition(".")[2] for event in said]
    turn = ["speech_started", "speech_stopped", "committed", "added", "done"]
    assert short == 2 * turn
    for events, start, stop in ((said[:5], 200, 1900), (said[5:], 2220, 3120)):
        assert events[0]["audio_start_ms"] == start
        assert events[1]["audio_end_ms"] == stop
        items = {event["item_id"] for event in events[:3]}
        assert items == {events[3]["item"]["id"]}
    assert said[7]["previous_item_id"] == said[2]["item_id"]


def test_the_audio_of_a_turn_is_handed_on() -> None:
    talk = Talk()
    heard = [
        talk.hear(append(SOUND[at : at + 4800]))[1] for at in range(0, len(SOUND), 4800)
    ]
    first = heard[: next(i for i, each in enumerate(heard) if each.finish) + 1]
    assert b"".join(each.audio for each in first) == cut(SOUND, 0.2, 1.9)
    begins = [number for number, each in enumerate(first) if each.begin]
    assert begins == [next(n for n, each in enumerate(first) if each.audio)]


def test_semantic_turns_end_later() -> None:
    talk = Talk()
    talk.hear(update(turn_detection={"type": "semantic_vad"}))
    said = detecting(talk, loud(0.2) + quiet(1.0))
    assert said[1]["audio_end_ms"] == 1000


def test_positions_are_those_of_the_session() -> None:
    """Whatever was cleared, committed or heard at another rate before."""
    talk = Talk()
    detecting(talk, quiet(0.5))
    talk.hear(CLEAR)
    said = detecting(talk, loud(0.1) + quiet(0.5))
    assert said[0]["audio_start_ms"] == 500
    assert said[1]["audio_end_ms"] == 1100
    talk.hear(update(format={"type": "audio/pcmu"}))
    tone = g711.MU.encode(loud(0.1, 8_000) + quiet(0.5, 8_000))
    said, _ = talk.hear(append(tone))
    assert said[0]["audio_start_ms"] == 1100
    assert said[1]["audio_end_ms"] == 1700


def test_a_turn_may_be_committed_by_the_client_while_it_lasts() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.2))
    said, reaction = talk.hear(COMMIT)
    assert said[0]["item_id"] == started["item_id"]
    assert reaction == Reaction(finish=True)
    again = detecting(talk, loud(0.1) + quiet(0.5))
    assert again[0]["type"] == f"{BUFFER}.speech_started"
    assert again[0]["item_id"] != started["item_id"]
    assert talk.kinds(COMMIT) == ["error"]


def test_a_turn_that_is_too_short_to_be_committed_goes_on() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.05))
    assert talk.kinds(COMMIT) == ["error"]
    stopped, committed, *_ = detecting(talk, quiet(0.5))
    assert stopped["audio_end_ms"] == 550
    assert committed["item_id"] == started["item_id"]


def test_a_turn_that_is_cleared_is_forgotten() -> None:
    talk = Talk()
    (started,) = detecting(talk, loud(0.2))
    assert talk.hear(CLEAR)[1] == Reaction(drop=True)
    assert detecting(talk, quiet(1.0)) == []
    again = detecting(talk, loud(0.2) + quiet(0.5))
    assert again[0]["item_id"] != started["item_id"]
    assert again[2]["previous_item_id"] is None


def test_silence_is_no_turn() -> None:
    assert detecting(Talk(), quiet(5.0)) == []


# What a session means


@dataclass(frozen=True)
class Said:
    """Audio that we hand over: so many samples of an asset."""

    start: int
    stop: int
    asset: str = "clip"


Row = str | Said
CARRIER = append(b"")


def lived(
    *rows: Row, name: str = "openai", vantage: Vantage = Vantage.CLIENT
) -> Timeline:
    """What is read of these frames, one each millisecond from the first on."""
    records = []
    for at, row in enumerate(rows, 1):
        if isinstance(row, Said):
            span = Span(row.asset, row.start, row.stop)
            record = Record(CLIENT, at * MS, CARRIER, span=span)
        else:
            ours = json.loads(row)["type"] in KINDS[CLIENT]
            record = Record(CLIENT if ours else SERVER, at * MS, row)
        if (record.sender is CLIENT) == (vantage is Vantage.CLIENT):
            record = replace(record, due=at * MS, woke=at * MS)
        records.append(record)
    dialect = dialects.load(name)
    held = trace_of(records, rate=dialect.rate, dialect=name, vantage=vantage)
    return dialects.read(dialect, held)


def greeting(detection: object = None) -> str:
    held = {"id": "sess-1", "audio": {"input": {"turn_detection": detection}}}
    return frame("session.created", event_id="e", session=held)


def updated(detection: object = None, **fields: object) -> str:
    fields["turn_detection"] = detection
    held = {"type": "transcription", "audio": {"input": fields}}
    return frame("session.updated", event_id="e", session=held)


def commit(name: str | None = None) -> str:
    return frame(f"{BUFFER}.commit", event_id=name)


def committed(item: str) -> str:
    return frame(f"{BUFFER}.committed", event_id="e", item_id=item)


def started(item: str) -> str:
    return frame(f"{BUFFER}.speech_started", item_id=item, audio_start_ms=0)


def stopped(item: str, end: int = 0) -> str:
    return frame(f"{BUFFER}.speech_stopped", item_id=item, audio_end_ms=end)


def delta(item: str, added: str | None) -> str:
    return frame(f"{TRANSCRIPTION}.delta", item_id=item, delta=added)


def completed(item: str, text: str, **more: object) -> str:
    return frame(f"{TRANSCRIPTION}.completed", item_id=item, transcript=text, **more)


def failed(item: str) -> str:
    problem = {"code": "broken", "message": "no"}
    return frame(f"{TRANSCRIPTION}.failed", item_id=item, error=problem)


def error(code: str | None, name: str | None = None, **more: object) -> str:
    problem = {"code": code, "message": "no", "event_id": name, **more}
    return frame("error", event_id="e", error=problem)


HELLO = greeting()
CLEARED = frame(f"{BUFFER}.cleared", event_id="e")
PCM = Said(0, 2400)


def heard(item: int, at: int, samples: int = 2400, size: int = 2400) -> Heard:
    return Heard(item, samples, at * MS, at * MS, at * MS, 2 * size)


def ended(item: int, at: int) -> Committing:
    return Committing(item, at * MS, at * MS, at * MS)


def partial(item: int, at: int, added: str, kept: int = 0) -> Partial:
    return Partial(item, at * MS, kept, added)


def final(item: int, at: int, text: str, usage: Usage | None = None) -> Final:
    return Final(item, at * MS, text, usage)


def test_an_utterance_that_is_committed_by_us() -> None:
    usage = {"type": "tokens", "input_tokens": 4, "output_tokens": 2}
    timeline = lived(
        HELLO,  # 1 ms
        MANUAL,
        updated(),
        Said(0, 2400),
        Said(2400, 4000),  # 5
        delta("a", "go"),
        COMMIT,
        committed("a"),
        frame("conversation.item.added", item={"id": "a"}),
        delta("a", " on"),  # 10
        delta("a", ""),
        delta("a", None),
        completed("a", "go on", usage={**usage, "total_tokens": 6}),
    )
    assert timeline.events == (
        heard(0, 4),
        heard(0, 5, 4000, 1600),
        partial(0, 6, "go"),
        ended(0, 7),
        partial(0, 10, " on", 2),
        final(0, 13, "go on", Usage(4, 2, 6)),
    )
    assert (timeline.ready, timeline.session) == (MS, "sess-1")


def test_the_text_that_is_completed_may_differ_from_its_pieces() -> None:
    events = lived(
        HELLO, PCM, COMMIT, committed("a"), delta("a", " go  on"), completed("a", "Go.")
    ).events
    assert events[2:] == (partial(0, 5, " go  on"), final(0, 6, "Go."))


def test_items_in_flight_are_completed_in_any_order() -> None:
    events = lived(
        HELLO,  # 1
        PCM,
        COMMIT,
        PCM,
        delta("a", "one"),  # 5, of the first, whose name was not told yet
        COMMIT,
        committed("a"),
        PCM,
        committed("b"),
        delta("b", "two"),  # 10
        COMMIT,
        delta("c", "three"),
        completed("b", "two"),
        committed("c"),
        completed("c", "three"),  # 15
        completed("a", "one"),
    ).events
    assert events == (
        heard(0, 2),
        ended(0, 3),
        heard(1, 4),
        partial(0, 5, "one"),
        ended(1, 6),
        heard(2, 8),
        partial(1, 10, "two"),
        ended(2, 11),
        partial(2, 12, "three"),
        final(1, 13, "two"),
        final(2, 15, "three"),
        final(0, 16, "one"),
    )


@pytest.mark.parametrize(
    "refusal",
    [
        error("input_audio_buffer_commit_empty", "c7"),
        error("x", "c7"),  # it is known by the event that it names
        error("input_audio_buffer_commit_empty"),
        error("invalid_state"),
        error("input_audio_buffer_commit_empty", "event_of_its_own"),
        error(None, message="Error committing input audio buffer: buffer too small."),
    ],
)
def test_a_commit_that_is_refused_skips_its_number(refusal: str) -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        PCM,
        commit("c8"),  # 5
        refusal,
        committed("a"),
        completed("a", "go"),
    )
    (refused,) = timeline.refusals
    assert (refused.item, refused.at) == (0, 6 * MS)
    assert timeline.events[-1] == final(1, 8, "go")


def test_the_second_of_two_commits_may_be_refused() -> None:
    timeline = lived(
        HELLO,
        PCM,
        commit("c1"),
        commit("c2"),
        PCM,  # 5
        commit("c3"),
        committed("a"),
        error("x", "c2"),
        committed("c"),
        completed("c", "three"),  # 10
        completed("a", "one"),
    )
    assert [refused.item for refused in timeline.refusals] == [1]
    assert timeline.events[-2:] == (final(2, 10, "three"), final(0, 11, "one"))


@pytest.mark.parametrize(
    "refusal",
    [
        error("invalid_value", "c5", param="audio"),
        error("invalid_value", None, param="audio"),
        error("invalid_state", "c5"),  # of the audio, which it names
        error("server_error"),
    ],
)
def test_an_error_that_is_of_no_commit_refuses_none(refusal: str) -> None:
    timeline = lived(
        HELLO,
        PCM,
        append(b"\0", event_id="c5"),
        COMMIT,
        refusal,
        committed("a"),
        completed("a", "go"),
    )
    (refused,) = timeline.refusals
    assert refused.item is None
    assert timeline.events[-1] == final(0, 7, "go")


def test_audio_that_was_too_little_is_of_the_next_commit() -> None:
    """The server keeps it, and the name that it gave to it."""
    timeline = lived(
        HELLO,
        Said(0, 1200),
        delta("a", "go"),
        COMMIT,
        error("input_audio_buffer_commit_empty", "c7"),  # 5
        PCM,
        commit("c8"),
        committed("a"),
        completed("a", "go on"),
        PCM,  # 10
        commit("c9"),
        committed("b"),
        completed("b", "now"),
    )
    assert timeline.item(0).final is None
    assert timeline.item(1).events == (
        heard(1, 6),
        ended(1, 7),
        partial(1, 8, "go"),
        final(1, 9, "go on"),
    )
    assert timeline.item(2).final == final(2, 13, "now")


def test_audio_that_was_too_little_may_be_told_of_at_once() -> None:
    timeline = lived(
        HELLO,
        PCM,
        commit("c7"),
        committed("a"),
        Said(0, 1200),  # 5
        commit("c8"),
        error("input_audio_buffer_commit_empty", "c8"),
        delta("b", "on"),
        completed("a", "go"),
        PCM,  # 10
        commit("c9"),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.item(0).final == final(0, 9, "go")
    assert timeline.item(1).final is None
    assert timeline.item(2).final == final(2, 13, "on")


def test_a_name_may_be_taken_for_that_of_another_item() -> None:
    """It shows when it is committed."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        delta("b", "on"),  # 5: there seems to be no audio for it
        PCM,
        commit("c8"),
        committed("b"),
        completed("b", "on"),
        completed("a", "go"),  # 10
    )
    assert timeline.item(0).final == final(0, 10, "go")
    assert timeline.item(1).final == final(1, 9, "on")


@pytest.mark.parametrize("piece", [delta("b", "go"), completed("b", "go")])
def test_an_item_may_be_told_by_another_name(piece: str) -> None:
    """LocalAI's transcription makes an id of its own up."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        piece,  # 5
        completed("b", "go"),
        PCM,
        COMMIT,
        committed("c"),
        completed("d", "on"),  # 10
    )
    assert timeline.item(0).final in (final(0, 5, "go"), final(0, 6, "go"))
    assert timeline.item(1).final == final(1, 10, "on")
    assert timeline.item(2).events == ()


def test_another_name_may_be_taken_for_that_of_the_next_item() -> None:
    """It shows when it is completed and never was committed."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        PCM,  # 5
        delta("b", "go"),
        completed("b", "go"),
        COMMIT,
        committed("c"),
        completed("c", "on"),  # 10
    )
    assert timeline.item(0).final == final(0, 7, "go")
    assert timeline.item(1).final == final(1, 10, "on")


def test_an_item_that_failed_has_no_final() -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        PCM,
        commit("c8"),  # 5
        committed("a"),
        committed("b"),
        failed("a"),
        completed("b", "two"),
        failed("a"),  # 10, once more
    )
    assert timeline.refusals[0] == Refusal(8 * MS, "broken", "no", 0)
    assert timeline.item(0).final is None
    assert timeline.item(1).final == final(1, 9, "two")


def test_what_comes_after_the_end_of_an_item_changes_nothing() -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        completed("a", "go"),  # 5
        delta("a", " on"),
        completed("a", "go on"),
        committed("a"),
        delta("a", " and on"),
        PCM,  # 10
        commit("c8"),
        committed("b"),
        completed("b", "now"),
    )
    assert timeline.item(0).events[2:] == (final(0, 5, "go"),)
    assert timeline.item(1).final == final(1, 13, "now")


def test_audio_that_was_cleared_is_not_counted() -> None:
    timeline = lived(
        HELLO,
        PCM,
        delta("a", "no"),
        CLEAR,
        delta("a", " no"),  # 5: it has not heard of it
        Said(0, 1600, "other"),
        CLEARED,
        COMMIT,
        delta("b", "go"),
        committed("b"),  # 10
        completed("b", "go"),
    )
    assert timeline.events == (
        heard(0, 2),
        partial(0, 3, "no"),
        partial(0, 5, " no", 2),
        heard(0, 6, 1600, 1600),
        ended(0, 8),
        partial(0, 9, "go"),
        final(0, 11, "go"),
    )


def test_what_was_committed_is_not_cleared() -> None:
    timeline = lived(
        HELLO, PCM, COMMIT, CLEAR, committed("a"), CLEARED, completed("a", "go")
    )
    assert timeline.item(0).final == final(0, 7, "go")


def test_audio_is_counted_from_the_frame_where_it_has_no_span() -> None:
    companded = update(format={"type": "audio/pcmu"}, turn_detection=None)
    for vantage, samples in ((Vantage.CLIENT, 5), (Vantage.SERVER, 15)):
        events = lived(HELLO, companded, append(bytes(5)), vantage=vantage).events
        assert events == (heard(0, 3, samples, samples),)
    events = lived(HELLO, MANUAL, append(bytes(10))).events
    assert events == (heard(0, 3, 5, 5),)


def test_riva_is_told_that_the_audio_is_complete() -> None:
    greeted = frame("conversation.created", conversation={"id": "c"})
    timeline = lived(
        greeted,
        flat(),
        PCM,
        COMMIT,
        DONE,  # 5
        committed("a"),
        completed("a", "go", is_last_result=True),
        PCM,
        DONE,
        committed("b"),  # 10
        completed("b", "on"),
        name="openai-beta:riva",
    )
    assert timeline.session == "c"
    assert timeline.events == (
        heard(0, 3),
        ended(0, 4),
        final(0, 7, "go"),
        heard(1, 8),
        ended(1, 9),
        final(1, 11, "on"),
    )


def test_a_result_that_is_not_the_last_is_a_part() -> None:
    usage = {"type": "duration", "seconds": 1.5}
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        delta("a", "go"),  # 5
        completed("a", "Go. ", is_last_result=False, usage=usage),
        delta("a", "on"),
        completed("a", "On. ", is_last_result=True, usage=usage),
    )
    assert timeline.events[2:] == (
        partial(0, 5, "go"),
        partial(0, 6, "Go."),
        partial(0, 7, " on", 3),
        final(0, 8, "Go. On.", Usage(seconds=3.0)),
    )


# Where the server detects turns: 500 ms of silence are 12,000 samples, by which they
# are over, and 2,500 ms are 60,000, by which they surely are

DETECT = update(turn_detection={"type": "server_vad"})
DETECTS = updated({"type": "server_vad"})


def tail(start: int, stop: int) -> Said:
    return Said(start, stop, TAIL)


def test_a_turn_is_an_utterance() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        DETECTS,
        PCM,
        started("a"),  # 5
        tail(0, 6000),
        tail(6000, 12_000),
        stopped("a", 600),
        committed("a"),
        delta("a", "go"),  # 10
        completed("a", "go"),
        PCM,
        started("b"),
        tail(0, 12_000),
        stopped("b", 1200),  # 15
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.events == (
        heard(0, 4),
        Endpoint(0, 8 * MS),
        partial(0, 10, "go"),
        final(0, 11, "go"),
        heard(1, 12),
        Endpoint(1, 15 * MS),
        final(1, 17, "on"),
    )


def test_an_utterance_may_be_cut_into_several_turns() -> None:
    usage = {"type": "tokens", "input_tokens": 4, "output_tokens": 1}
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a", 100),  # 5
        committed("a"),
        delta("a", "go "),
        completed("a", "Go. ", usage={**usage, "total_tokens": 5}),
        Said(2400, 4800),
        started("b"),  # 10
        tail(0, 12_000),
        stopped("b", 700),
        committed("b"),
        delta("b", "on"),
        completed("b", "On.", usage={**usage, "total_tokens": 5}),  # 15
    )
    assert timeline.events == (
        heard(0, 3),
        Endpoint(0, 5 * MS),
        partial(0, 7, "go "),
        partial(0, 8, "Go. "),
        heard(0, 9, 4800),
        Endpoint(0, 12 * MS),
        partial(0, 14, "on", 4),
        final(0, 15, "Go. On.", Usage(8, 2, 10)),
    )


def test_turns_may_be_completed_in_any_order() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        tail(0, 12_000),
        stopped("b", 600),
        committed("b"),
        completed("b", "on"),  # 10
        completed("a", "go"),
    )
    assert timeline.events == (
        heard(0, 3),
        Endpoint(0, 5 * MS),
        Endpoint(0, 8 * MS),
        partial(0, 10, "on"),
        final(0, 11, "go on"),
    )


@pytest.mark.parametrize(("end", "least"), [(200, 12_000), (199, 60_000), (0, 60_000)])
def test_a_final_is_told_when_no_other_turn_can_come(end: int, least: int) -> None:
    """That is sooner where the server has looked at all audio, which ends at 200 ms.

    Its time is when it came, and not when that is known.
    """
    rows = (
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a", end),  # 5
        committed("a"),
        completed("a", "go"),
        PCM,
        tail(0, least - 48),
    )
    before = lived(*rows).events
    assert before[1:] == (
        Endpoint(0, 5 * MS),
        partial(0, 7, "go"),
        heard(0, 8, 4800),
    )
    after = lived(*rows, tail(least - 48, least), tail(least, 80_000)).events
    assert after == (*before, final(0, 7, "go"))


@pytest.mark.parametrize(("end", "known"), [(900, True), (899, False)])
def test_where_turns_end_is_counted_from_the_first_audio(end: int, known: bool) -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,  # up to 100 ms, and 500 ms of silence
        tail(0, 12_000),
        Said(0, 7200),  # up to 900 ms
        started("b"),
        stopped("b", end),
        committed("b"),
        completed("b", "on"),
        tail(0, 12_000),
    )
    assert (timeline.item(1).final is not None) is known


def test_a_turn_of_several_may_fail() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        stopped("b", 600),
        committed("b"),
        failed("a"),
        tail(0, 12_000),  # 10
        completed("b", "on"),
    )
    assert timeline.refusals == (Refusal(9 * MS, "broken", "no", 0),)
    assert timeline.final == final(0, 11, "on")


def test_of_silence_nothing_is_told() -> None:
    timeline = lived(
        HELLO, DETECT, PCM, tail(0, 12_000), tail(12_000, 60_000), PCM, started("a")
    )
    assert timeline.events == (heard(0, 3), heard(1, 6))


def test_a_turn_may_be_committed_by_hand() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        COMMIT,  # 5
        PCM,
        committed("a"),
        started("b"),
        completed("a", "go"),
        tail(0, 12_000),  # 10
        stopped("b", 700),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.events == (
        heard(0, 3),
        ended(0, 5),
        heard(1, 6),
        final(0, 9, "go"),
        Endpoint(1, 11 * MS),
        final(1, 13, "on"),
    )


def test_what_is_said_before_a_commit_by_hand_is_answered_is_of_its_turn() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        COMMIT,
        PCM,  # 5
        started("a"),
        delta("a", "go"),
        committed("a"),
        started("b"),
        completed("a", "go"),  # 10
        tail(0, 60_000),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.item(0).events[2:] == (partial(0, 7, "go"), final(0, 10, "go"))
    assert timeline.item(1).events[1:] == (Endpoint(1, 12 * MS), final(1, 13, "on"))


def test_a_commit_by_hand_may_come_too_late() -> None:
    """The server had committed the turn before it heard of it."""
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a"),  # 5
        COMMIT,
        committed("a"),
        error("input_audio_buffer_commit_empty", "c7"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (
        Endpoint(0, 5 * MS),
        ended(0, 6),
        Refusal(8 * MS, "input_audio_buffer_commit_empty", "no", 0),
        final(0, 9, "go"),
    )


def test_a_turn_that_is_cleared_leaves_what_was_said_before() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        completed("a", "go"),
        tail(0, 60_000),
        CLEAR,
        CLEARED,  # 10
    )
    assert timeline.events[-1] == final(0, 7, "go")


def test_turns_are_detected_by_default() -> None:
    timeline = lived(
        greeting({"type": "server_vad"}),
        PCM,
        started("a"),
        tail(0, 60_000),
        committed("a"),  # 5
        completed("a", "go"),
    )
    assert timeline.events[1:] == (Endpoint(0, 5 * MS), final(0, 6, "go"))


@pytest.mark.parametrize(
    "refusal",
    [
        error("not_supported", "c7"),
        error("not_supported", None, param="session.audio.input.turn_detection"),
    ],
)
def test_a_set_up_that_is_refused_is_not_that_of_the_session(refusal: str) -> None:
    timeline = lived(
        HELLO,
        MANUAL,
        DETECT,
        updated(),
        refusal,  # 5
        PCM,
        COMMIT,
        committed("a"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (heard(0, 6), ended(0, 7), final(0, 9, "go"))


def test_the_set_up_is_what_the_server_says() -> None:
    """It may not take what was asked for, and say so."""
    timeline = lived(
        HELLO, DETECT, updated(), PCM, COMMIT, committed("a"), completed("a", "go")
    )
    assert timeline.events[1:] == (ended(0, 5), final(0, 7, "go"))


def test_what_is_asked_for_holds_until_it_is_answered() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        MANUAL,
        DETECTS,  # of the first
        PCM,  # 5
        COMMIT,
        updated(),
        committed("a"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (ended(0, 6), final(0, 9, "go"))


# The same as the server recorded it


def test_the_records_of_a_server_with_items_in_flight() -> None:
    events = lived(
        HELLO,
        MANUAL,
        updated(),
        PCM,
        COMMIT,  # 5
        committed("a"),
        PCM,
        commit("c8"),
        committed("b"),
        completed("b", "two"),  # 10
        commit("c9"),
        error("input_audio_buffer_commit_empty", "c9"),
        PCM,
        commit("c10"),
        committed("c"),  # 15
        completed("a", "one"),
        completed("c", "three"),
        vantage=Vantage.SERVER,
    ).events
    finals = [event for event in events if isinstance(event, Final)]
    assert finals == [final(1, 10, "two"), final(0, 16, "one"), final(3, 17, "three")]
    assert [event.item for event in events if isinstance(event, Heard)] == [0, 1, 3]


def test_in_the_records_of_a_server_each_turn_is_an_utterance() -> None:
    events = lived(
        HELLO,
        DETECT,
        DETECTS,
        PCM,
        started("a"),  # 5
        stopped("a"),
        committed("a"),
        PCM,
        started("b"),
        completed("a", "go"),  # 10
        committed("b"),
        completed("b", "on"),
        vantage=Vantage.SERVER,
    ).events
    assert events == (
        heard(0, 4),
        Endpoint(0, 6 * MS),
        heard(1, 8),
        final(0, 10, "go"),
        Endpoint(1, 11 * MS),
        final(1, 12, "on"),
    )


# Whatever is said

ITEMS = st.sampled_from(["a", "b", "c"])
ROWS = st.one_of(
    st.sampled_from(
        [HELLO, MANUAL, DETECT, updated(), DETECTS, PCM, COMMIT, CLEAR, CLEARED, DONE]
    ),
    st.sampled_from([tail(0, 6_000), error("x", "c7"), error("commit"), append(b"")]),
    st.builds(delta, ITEMS, st.sampled_from(["go", " on", ""])),
    st.builds(completed, ITEMS, st.sampled_from(["go", "go on"])),
    *(st.builds(kind, ITEMS) for kind in (committed, started, stopped, failed)),
)


@settings(deadline=None)
@given(st.lists(ROWS, max_size=30), st.sampled_from(Vantage))
def test_however_a_session_goes_its_meaning_is_sound(
    rows: list[Row], vantage: Vantage
) -> None:
    shown: dict[int | None, str] = {}
    final: set[int | None] = set()
    for event in lived(*rows, vantage=vantage).events:
        match event:
            case Partial(item=item, kept=kept, added=added):
                assert item not in final
                assert kept <= len(shown.get(item, ""))
                shown[item] = shown.get(item, "")[:kept] + added
            case Final(item=item):
                assert item not in final
                final.add(item)


@settings(deadline=None)
@given(
    st.lists(
        st.text()
        | st.binary()
        | st.builds(
            lambda kind, content: json.dumps({**content, "type": kind}),
            st.sampled_from(sorted(KINDS[CLIENT])),
            st.dictionaries(
                st.sampled_from(["session", "audio", "event_id"]),
                st.none()
                | st.text()
                | st.just(SESSION)
                | st.dictionaries(
                    st.sampled_from(["type", "audio", "include", "turn_detection"]),
                    st.none() | st.text() | st.just(SESSION),
                ),
            ),
        ),
        max_size=9,
    )
)
def test_the_server_answers_whatever_it_hears(frames: list[str | bytes]) -> None:
    for name in ("openai", "openai-beta"):
        Talk(name).hear(*frames)
