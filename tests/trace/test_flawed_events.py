"""Events with missing or wrong fields are read, and each flaw is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.dialects.openai import events as openai
from pytest_realtime_asr.dialects.vllm.events import (
    SHAPES,
    Delta,
    Done,
    Error,
    SessionCreated,
    Tokens,
)
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flawed
from pytest_realtime_asr.trace.records import Sender

TRANSCRIPTION = "conversation.item.input_audio_transcription"


def test_a_missing_field_is_named_with_its_type() -> None:
    found = SHAPES.read('{"type":"session.created","id":"s"}', Sender.SERVER)
    assert found == Flawed(
        SessionCreated("s", 0),
        "session.created: `created` is missing; it must be an integer of 64 bits",
    )
    assert found.move == "session.created"


@pytest.mark.parametrize(
    ("frame", "event", "reason"),
    [
        (
            {"type": "transcription.delta"},
            Delta(""),
            "`delta` is missing; it must be a string",
        ),
        (
            {"type": "error", "error": {}},
            Error(""),
            "`error` is {}; it must be a string",
        ),
        (
            {"type": "transcription.done", "text": "a", "usage": {"total_tokens": "5"}},
            Done("a", Tokens(0, 0, 0)),
            "`usage.prompt_tokens` is missing; it must be an integer of 64 bits, and "
            "`usage.completion_tokens` is missing; it must be an integer of 64 bits, "
            'and `usage.total_tokens` is "5"; it must be an integer of 64 bits',
        ),
        (
            {"type": "transcription.done", "text": ["x" * 90], "usage": 5},
            Done("", None),
            "it must be a string, and `usage` is 5; it must be an object or null",
        ),
    ],
)
def test_wrong_fields_get_neutral_values(
    frame: dict[str, object], event: object, reason: str
) -> None:
    found = SHAPES.read(json.dumps(frame), Sender.SERVER)
    assert isinstance(found, Flawed)
    assert found.event == event
    assert reason in found.reason
    assert len(found.reason) < 300


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_named(number: str) -> None:
    frame = f'{{"type":"transcription.done","text":"a","usage":{number}}}'
    assert SHAPES.read(frame, Sender.SERVER) == Flawed(
        Done("a"),
        f"transcription.done: `usage` is {number}; it must be an object or null",
    )
    extra = f'{{"type":"transcription.done","text":"a","score":{number}}}'
    assert SHAPES.read(extra, Sender.SERVER) == Flawed(
        Done("a"), f"transcription.done: not JSON: JSON has no number {number}"
    )
    assert SHAPES.read(f"[{number}]", Sender.SERVER) == Malformed(
        f"not JSON: JSON has no number {number}", json=False
    )
    assert SHAPES.read(frame, Sender.CLIENT) == Malformed(
        f"not JSON: JSON has no number {number}", json=False
    )


def test_a_final_of_openai_without_a_text_is_still_a_final() -> None:
    frame = json.dumps({"type": f"{TRANSCRIPTION}.completed", "item_id": "i"})
    found = openai.SHAPES.read(frame, Sender.SERVER)
    assert isinstance(found, Flawed)
    assert found.event == openai.Completed(item_id="i", transcript="")
    assert "`transcript` is missing; it must be a string" in found.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
    ),
    max_leaves=8,
)
KINDS = {
    "vllm": (
        SHAPES,
        ["session.created", "transcription.delta", "transcription.done", "error"],
    ),
    "openai": (
        openai.SHAPES,
        [
            "session.created",
            "session.updated",
            "rate_limits.updated",
            f"{TRANSCRIPTION}.completed",
            f"{TRANSCRIPTION}.delta",
            f"{TRANSCRIPTION}.failed",
            "error",
        ],
    ),
}
FIELDS = ["id", "created", "text", "delta", "usage", "error", "session", "item_id"]
FIELDS += ["transcript", "logprobs", "rate_limits", "code"]


@given(
    which=st.sampled_from(sorted(KINDS)),
    kind=st.integers(0, 6),
    content=st.dictionaries(st.sampled_from(FIELDS), JSON),
)
def test_an_event_of_a_known_type_is_always_read(
    which: str, kind: int, content: dict[str, object]
) -> None:
    shapes, kinds = KINDS[which]
    name = kinds[kind % len(kinds)]
    found = shapes.read(json.dumps({"type": name, **content}), Sender.SERVER)
    assert not isinstance(found, Malformed | Unknown)
    assert found.move == name
