"""Tests of the server's side of vosk-server's protocol."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.trace.timeline import Usage, WordTime
from tests.support.vosk import CONFIG, EOF, RESET, RESETTING, SECOND, VOSK

LOUD = (np.sin(np.arange(1_600)) * 8_000).astype("<i2").tobytes()  # 0.1 s
NONE = Usage()


class Talk:
    """A session with a correct server; ``said`` are its messages in order."""

    def __init__(
        self, dialect: dialects.Dialect = VOSK, config: str | None = CONFIG
    ) -> None:
        self.server = dialect.server(["m"])
        self.said: list[dict[str, Any]] = []
        self.text: dict[int, list[WordTime]] = {}
        assert not tuple(self.server.open("sess-1", 0))
        if config is not None:
            assert self.server.hear(config) == dialects.Reaction()

    def hear(self, frame: str | bytes) -> dialects.Reaction:
        reaction = self.server.hear(frame)
        self.said += map(json.loads, reaction.replies)
        return reaction

    def word(self, text: str, start: float, item: int = 0) -> None:
        words = self.text.setdefault(item, [])
        words.append(WordTime(text, start, start + 0.25))
        added = f" {text}" if len(words) > 1 else text
        frames = self.server.partial(added, item, words=words)  # type: ignore[call-arg]
        assert not tuple(frames)

    def final(self, item: int = 0) -> None:
        words = self.text.get(item, [])
        text = " ".join(each.text for each in words)
        frames = self.server.final(text, NONE, item, words=words)  # type: ignore[call-arg]
        self.said += map(json.loads, frames)


def test_each_message_of_audio_is_answered_by_the_text_so_far() -> None:
    talk = Talk()
    first = talk.hear(LOUD)
    assert (first.begin, first.audio) == (True, LOUD)
    talk.word("turn", 0.0)
    assert not talk.hear(LOUD).begin
    assert talk.said == [{"partial": ""}, {"partial": "turn"}]


def test_the_end_is_answered_by_the_rest_and_the_server_closes() -> None:
    talk = Talk()
    talk.hear(LOUD)
    talk.word("turn", 0.0)
    end = talk.hear(EOF)
    assert (end.finish, end.close, end.after_finals) == (True, 1000, True)
    talk.final()
    word = {"word": "turn", "start": 0.0, "end": 0.25, "conf": 1.0}
    assert talk.said[-1] == {"text": "turn", "result": [word]}


def test_the_end_without_audio_has_an_empty_result() -> None:
    talk = Talk()
    assert talk.hear(EOF).begin
    talk.final()
    assert talk.said == [{"text": ""}]


def test_silence_settles_a_segment_that_is_not_repeated() -> None:
    talk = Talk()
    talk.hear(LOUD)
    talk.word("turn", 0.0)
    talk.hear(SECOND)
    talk.hear(SECOND)
    talk.word("right", 2.5)
    talk.hear(LOUD)
    talk.hear(EOF)
    talk.final()
    texts = [(each.get("partial"), each.get("text")) for each in talk.said]
    assert texts == [
        ("", None),
        (None, "turn"),
        ("", None),
        ("right", None),
        (None, "right"),
    ]
    assert [word["word"] for word in talk.said[-1]["result"]] == ["right"]


def test_answers_wait_for_the_final_of_the_utterance_before() -> None:
    talk = Talk(RESETTING)
    talk.hear(LOUD)
    talk.word("turn", 0.0)
    assert talk.hear(RESET).close is None
    assert talk.hear(LOUD).begin
    talk.hear(RESET)
    assert len(talk.said) == 1
    talk.word("stop", 0.0, item=1)
    talk.final(1)
    assert len(talk.said) == 1
    talk.final(0)
    texts = [each.get("text") for each in talk.said]
    assert texts == [None, "turn", None, "stop"]
    assert talk.said[-1]["result"][0]["start"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("config", "rate"),
    [
        (None, 8_000),
        (CONFIG, 16_000),
        ('{"config":{"sample_rate":48000.0}}', 48_000),
        ('{"config":{"words":true}}', 8_000),
    ],
)
def test_the_configuration_sets_the_rate(config: str | None, rate: int) -> None:
    assert Talk(config=config).server.rate == rate


def test_a_configuration_after_the_first_audio_is_ignored() -> None:
    talk = Talk()
    talk.hear(LOUD)
    assert talk.hear('{"config":{"sample_rate":8000}}') == dialects.Reaction()
    assert talk.server.rate == 16_000


def test_words_are_left_out_if_they_are_not_requested() -> None:
    talk = Talk(config='{"config":{"words":0}}')
    talk.hear(LOUD)
    talk.word("turn", 0.0)
    talk.hear(EOF)
    talk.final()
    assert talk.said[-1] == {"text": "turn"}


@pytest.mark.parametrize(
    "text",
    [
        *("hello", "{}", '{"eof":1}', RESET, '{"config":5}'),
        *('{"config":{"sample_rate":0}}', '{"config":{"sample_rate":1e300}}'),
    ],
)
def test_any_other_text_ends_the_session(text: str) -> None:
    reaction = Talk(config=None).hear(text)
    assert reaction.close == 1007
    assert not reaction.after_finals


def test_half_a_sample_is_dropped_and_answered() -> None:
    talk = Talk()
    assert talk.hear(b"").audio == b""
    assert talk.hear(b"\1\2\3").audio == b"\1\2"
    assert len(talk.said) == 2


def test_a_server_without_configuration_refuses_one() -> None:
    server = dialects.load("vosk:vosk-cpp").server(["m"])
    assert server.rate == 8_000
    assert server.hear(CONFIG).close == 1007
