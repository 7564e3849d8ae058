"""Tests of the events of OpenAI's dialect: parsing, encoding and order."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from pytest_realtime_asr.dialects.openai import events as protocol
from pytest_realtime_asr.dialects.openai.events import (
    SHAPES,
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
from pytest_realtime_asr.trace.json_events import Malformed, Typed, Unknown
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Sender
from tests.support.openai import BUFFER, KINDS, TRANSCRIPTION, frame
from tests.support.sessions import CLIENT, SERVER

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
def test_events_of_a_client(frame: str, message: Message) -> None:
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
def test_events_of_a_server(
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
def test_an_event_outside_the_protocol_is_unknown(
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
        (SERVER, "[]", "a JSON list, not an object"),
    ],
)
def test_not_an_event(sender: Sender, frame: str, reason: str) -> None:
    message = SHAPES.read(frame, sender)
    assert isinstance(message, Malformed)
    assert message.json
    assert reason in message.reason


def test_the_table_has_every_event() -> None:
    """Each event has an order, and the table has no event that does not exist."""
    for sender, kinds in KINDS.items():
        for kind in kinds:
            assert SHAPES.read(frame(kind), sender) != Unknown(kind)
    every = {
        each.__struct_config__.tag
        for name, each in vars(protocol).items()
        if isinstance(each, type) and issubclass(each, Typed) and name[0] != "_"
    }
    assert frozenset.union(*KINDS.values()) == every - {"Typed"}
