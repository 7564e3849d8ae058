"""The server's side of Deepgram's protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.dialects.deepgram.server import SEGMENT, Server
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage, WordTime
from tests.support.deepgram import (
    ALIVE,
    CLOSE,
    CLOSING,
    DEEPGRAM,
    FINALIZE,
    RATE,
    asked,
)

TEXT = "one two three four five six"
TIMES = tuple(
    WordTime(text, 0.5 * number, 0.5 * number + 0.4)
    for number, text in enumerate(TEXT.split())
)
SPEECH = (b"\xff\x3f\x01\xc0" * RATE)[: 2 * RATE]  # a second of it


class Talk:
    """A session with the server, which has these options."""

    def __init__(self, dialect: Any = DEEPGRAM, **options: object) -> None:
        self.server: Server = dialect.server(["fake"], request=asked(**options))
        self.greeting = self.events(self.server.open("r-1", 0))

    def events(self, frames: Iterable[Frame]) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in frames]

    def hear(self, frame: Frame) -> Reaction:
        return self.server.hear(frame)

    def replies(self, frame: Frame) -> list[dict[str, Any]]:
        return self.events(self.hear(frame).replies)

    def seconds(self, count: int) -> list[dict[str, Any]]:
        found = (self.replies(bytes(2 * self.server.rate)) for _ in range(count))
        return [event for each in found for event in each]

    def partial(
        self, added: str, *, item: int = 0, words: Sequence[WordTime] = TIMES
    ) -> list[dict[str, Any]]:
        return self.events(self.server.partial(added, item, words=words))

    def final(
        self, text: str, *, item: int = 0, words: Sequence[WordTime] = TIMES
    ) -> list[dict[str, Any]]:
        return self.events(self.server.final(text, Usage(), item, words=words))


def span(event: dict[str, Any]) -> tuple[Any, Any]:
    return event["start"], event["start"] + event["duration"]


def text(event: dict[str, Any]) -> str:
    return str(event["channel"]["alternatives"][0]["transcript"])


def test_audio_begins_an_utterance_and_finalize_ends_it() -> None:
    talk = Talk()
    assert talk.greeting == []
    assert talk.hear(SPEECH) == Reaction([], begin=True, audio=SPEECH)
    assert talk.hear(SPEECH) == Reaction([], audio=SPEECH)
    assert talk.hear(FINALIZE) == Reaction(finish=True)
    assert talk.hear(FINALIZE) == Reaction()
    (final,) = talk.final("one")
    assert (text(final), span(final)) == ("one", (0.0, 2.0))
    assert final["is_final"]
    assert final["from_finalize"]
    assert final["metadata"]["request_id"] == "r-1"
    assert talk.hear(SPEECH).begin


def test_long_text_is_settled_in_segments_that_follow_each_other() -> None:
    talk = Talk()
    talk.seconds(3)
    words = TEXT.split()
    shown = [talk.partial(f" {each}" if n else each) for n, each in enumerate(words)]
    settled, interim = shown[SEGMENT]
    assert text(settled) == "one two three four"
    assert settled["is_final"]
    assert span(settled) == (0.0, pytest.approx(1.9))
    assert not interim["is_final"]
    assert (text(interim), span(interim)) == ("five", (pytest.approx(1.9), 3.0))
    talk.hear(FINALIZE)
    (final,) = talk.final(TEXT)
    assert text(final) == "five six"
    assert span(final) == (pytest.approx(1.9), pytest.approx(3.0))
    listed = final["channel"]["alternatives"][0]["words"]
    assert [each["start"] for each in listed] == [2.0, 2.5]


def test_the_times_of_the_next_utterance_continue() -> None:
    talk = Talk()
    talk.seconds(2)
    talk.hear(FINALIZE)
    talk.final("one")
    talk.seconds(1)
    talk.hear(FINALIZE)
    (final,) = talk.final("one", item=1)
    assert span(final) == (2.0, 3.0)
    (first,) = final["channel"]["alternatives"][0]["words"]
    assert (first["start"], first["end"]) == (2.0, 2.4)


def two_utterances() -> Talk:
    """Return a session with two complete utterances of 2 s and 1 s."""
    talk = Talk()
    for seconds in (2, 1):
        talk.seconds(seconds)
        talk.hear(FINALIZE)
    return talk


def test_the_results_of_an_utterance_wait_for_the_final_before_it() -> None:
    talk = two_utterances()
    assert talk.partial("two", item=1) == []
    (interim,) = talk.partial("one", item=0)
    assert span(interim) == (0.0, 2.0)
    final, interim = talk.final("one", item=0)
    assert (text(final), span(final)) == ("one", (0.0, 2.0))
    assert (text(interim), span(interim)) == ("two", (2.0, 3.0))
    assert not interim["is_final"]
    (final,) = talk.final("two", item=1)
    assert (text(final), final["from_finalize"]) == ("two", True)


def test_an_utterance_of_half_a_sample_has_no_length() -> None:
    talk = Talk()
    for frame in (b"\0", FINALIZE, SPEECH, FINALIZE):
        talk.hear(frame)
    (final,) = talk.final("", item=0)
    assert span(final) == (0.0, 0.0)
    (final,) = talk.final("two", item=1)
    assert span(final) == (0.0, 1.0)


def test_a_final_waits_for_the_final_before_it() -> None:
    talk = two_utterances()
    closing = talk.hear(CLOSE)
    assert (list(closing.replies), closing.after_finals) == ([], True)
    assert talk.final("two", item=1) == []
    *finals, metadata = talk.final("one", item=0)
    assert [text(each) for each in finals] == ["one", "two"]
    assert [span(each) for each in finals] == [(0.0, 2.0), (2.0, 3.0)]
    assert metadata["type"] == "Metadata"


def test_a_text_of_unknown_times_has_words_inside_its_segment() -> None:
    talk = Talk()
    talk.seconds(1)
    (interim,) = talk.partial("Hello, there", words=())
    listed = interim["channel"]["alternatives"][0]["words"]
    assert [each["word"] for each in listed] == ["hello", "there"]
    assert [each["punctuated_word"] for each in listed] == ["Hello,", "there"]
    assert {each["start"] for each in listed} == {0.0}


def test_interim_results_come_only_if_requested() -> None:
    talk = Talk(interim_results=False)
    talk.seconds(3)
    assert talk.partial("one") == []
    (settled,) = talk.partial(" two three four five")
    assert settled["is_final"]


def test_a_pause_as_long_as_endpointing_ends_speech() -> None:
    for options, ended in (({}, True), ({"endpointing": 300}, False)):
        talk = Talk(**options)
        talk.seconds(3)
        settled, _ = talk.partial("one two three four five")  # pauses of 100 ms
        assert settled["speech_final"] is ended
    assert Talk(endpointing=False).server._ends_speech(9.0) is False


def test_close_stream_settles_the_rest_then_metadata_then_a_close() -> None:
    talk = Talk()
    talk.seconds(1)
    closing = talk.hear(CLOSE)
    assert closing == Reaction((), finish=True, close=1000, after_finals=True)
    settled, metadata = talk.final("one")
    assert settled["is_final"]
    assert not settled["from_finalize"]
    assert (metadata["type"], metadata["duration"]) == ("Metadata", 1.0)
    assert talk.hear(SPEECH) == Reaction()


@pytest.mark.parametrize("frame", [CLOSE, b""])
def test_a_stream_without_audio_is_closed_at_once(frame: Frame) -> None:
    found = Talk().hear(frame)
    assert found.close == 1000
    assert [json.loads(each)["type"] for each in found.replies] == ["Metadata"]


def test_keepalive_is_not_answered() -> None:
    assert Talk().hear(ALIVE) == Reaction()


@pytest.mark.parametrize(
    "frame", ["", "hello", "[]", "{}", '{"type":5}', '{"type":"no.such"}']
)
def test_other_frames_are_refused_and_change_nothing(frame: str) -> None:
    talk = Talk()
    (error,) = talk.replies(frame)
    assert error["type"] == "Error"
    assert error["variant"] == "SchemaError"
    assert error["message"] == frame
    assert talk.hear(SPEECH).begin


def test_a_sample_may_be_split_over_two_frames() -> None:
    talk = Talk()
    assert talk.hear(b"\1\0\2").audio == b"\1\0"
    assert talk.hear(b"\0").audio == b"\2\0"


def test_the_encoding_and_the_rate_are_those_of_the_query() -> None:
    talk = Talk(encoding="mulaw")
    assert talk.server.rate == g711.RATE
    assert talk.hear(b"\xff\x80").audio == g711.MU.decode(b"\xff\x80")


def test_speech_and_its_end_are_reported_if_requested() -> None:
    talk = Talk(vad_events=True, utterance_end_ms=1000)
    talk.seconds(1)
    (started,) = talk.replies(SPEECH)
    assert started["type"] == "SpeechStarted"
    assert started["timestamp"] == pytest.approx(1.0, abs=0.05)
    talk.hear(FINALIZE)
    assert [each["type"] for each in talk.final("one")] == ["Results", "UtteranceEnd"]
    assert talk.seconds(3) == []  # one for each last word


def test_the_end_of_an_utterance_waits_for_its_gap() -> None:
    talk = Talk(utterance_end_ms=1000)
    talk.seconds(1)
    talk.hear(FINALIZE)
    last = WordTime("one", 0.5, 0.9)
    assert [each["type"] for each in talk.final("one", words=(last,))] == ["Results"]
    (ended,) = talk.seconds(2)
    assert (ended["type"], ended["last_word_end"]) == ("UtteranceEnd", 0.9)


def test_a_server_that_ends_sessions_with_their_utterance() -> None:
    talk = Talk(CLOSING)
    assert [each["type"] for each in talk.greeting] == ["Metadata"]
    assert talk.hear('{"type":"no.such"}') == Reaction()
    assert talk.hear(FINALIZE).close == 4400
    assert Talk(CLOSING).hear(b"").close == 4400
    assert Talk(CLOSING).replies("hello")[0]["type"] == "Error"


def test_a_session_expires_with_a_close() -> None:
    assert Talk().server.expire() == Reaction(close=1001)
