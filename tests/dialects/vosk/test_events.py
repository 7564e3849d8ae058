"""Tests of the messages of vosk-server's protocol."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.dialects.vosk.events import (
    EOF_TEXT,
    RESET_TEXT,
    Alternative,
    Audio,
    Config,
    Eof,
    PartialResult,
    Reset,
    Result,
    Settings,
    Word,
    encode,
    parse,
    read_client,
    table,
)
from pytest_realtime_asr.trace.json_events import Malformed, Unknown
from pytest_realtime_asr.trace.recording import Flawed, Message
from pytest_realtime_asr.trace.records import Record, Sender, Span, content

WORD: dict[str, Any] = {"word": "turn", "start": 0.3, "end": 0.57, "conf": 0.9}


def from_server(frame: str | bytes) -> Message:
    return parse(Record(Sender.SERVER, 0, *content(frame)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EOF_TEXT, Eof()),
        (RESET_TEXT, Reset()),
        ('{"config": {"sample_rate": 8000}}', Config(Settings(8000.0))),
        (
            '{ "config" : { "words" : 0, "phrase_list" : ["one two"], "x" : 1 } }',
            Config(Settings(words=0, phrase_list=["one two"])),
        ),
        ('{"no": "message"}', Unknown(None)),
    ],
)
def test_texts_of_the_client(text: str, message: Message) -> None:
    assert read_client(text) == message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"eof":1}', r'eof: .* only the exact text {"eof" : 1}'),
        ('{"reset":1}', r"reset: .* only the exact text"),
        ("hello", "not JSON"),
        ("[]", "a JSON list, not an object"),
        ('{"config": 5}', "config: Expected `object`"),
        ('{"config": {"sample_rate": "fast"}}', "config: Expected `float"),
    ],
)
def test_texts_that_are_no_message_of_the_client(text: str, reason: str) -> None:
    found = read_client(text)
    assert isinstance(found, Malformed)
    assert re.search(reason, found.reason)


def test_binary_frames_of_the_client_are_audio() -> None:
    assert parse(Record(Sender.CLIENT, 0, data=bytes(7))) == Audio(7)
    span = Span("clip", 100, 1_700)
    assert parse(Record(Sender.CLIENT, 0, data=b"", span=span)) == Audio(3_200)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"partial": "turn"}, PartialResult("turn")),
        ({"text": ""}, Result()),
        ({"text": "turn", "result": [WORD]}, Result("turn", [Word(**WORD)])),
        ({"text": "turn", "spk": [0.1], "spk_frames": 5}, Result("turn")),
        (
            {"alternatives": [{"text": "turn", "confidence": 231.5}]},
            Result(alternatives=[Alternative("turn", 231.5)]),
        ),
        ({"hypothesis": "turn"}, Unknown(None)),
    ],
)
def test_messages_of_the_server(value: dict[str, Any], message: Message) -> None:
    text = json.dumps(value)
    assert from_server(text) == message
    assert from_server(text.encode()) == message  # vosk-server in C++ after eof


@pytest.mark.parametrize(
    ("text", "event", "reason"),
    [
        ('{"partial": 5}', PartialResult(""), "partial: `partial` is 5"),
        (
            '{"text": "a", "result": [{"word": "a"}]}',
            Result("a"),
            "result: `result` is",
        ),
        ('{"partial": "a", "x": NaN}', PartialResult("a"), "JSON has no number NaN"),
    ],
)
def test_messages_with_wrong_fields(text: str, event: Message, reason: str) -> None:
    found = from_server(text)
    assert isinstance(found, Flawed)
    assert found.event == event
    assert reason in found.reason


@pytest.mark.parametrize("frame", ["turn", "[]", b"\xff\xfe"])
def test_frames_of_the_server_that_are_no_message(frame: str | bytes) -> None:
    assert isinstance(from_server(frame), Malformed)


def test_the_best_alternative_is_the_text_of_a_result() -> None:
    assert Result("turn", [Word("turn", 0, 1)]).best.text == "turn"
    several = [Alternative("turn"), Alternative("learn")]
    assert Result(alternatives=several).best.text == "turn"


@given(st.text(), st.lists(st.builds(Word, st.text(), st.just(0.5), st.just(1.0))))
def test_an_encoded_result_is_read_again(text: str, words: list[Word]) -> None:
    clean = text.encode("utf-8", "replace").decode()
    made = Result(clean, words)
    assert from_server(encode(made)) == made
    assert json.loads(encode(Result(clean))) == {"text": clean}


def test_only_servers_with_several_utterances_support_a_reset() -> None:
    plain, several = table(several=False), table(several=True)
    assert not any("reset" in moves for moves in plain[Sender.CLIENT].values())
    assert "reset" in several[Sender.CLIENT]["hearing"]


@given(st.binary() | st.text(st.characters(codec="utf-8")), st.sampled_from(Sender))
def test_reading_never_raises(frame: str | bytes, sender: Sender) -> None:
    assert parse(Record(sender, 0, *content(frame))).move
