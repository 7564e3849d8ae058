"""Tests of the reader of vosk-server's protocol."""

from __future__ import annotations

import json

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.trace.records import Record, Sender, content
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Final,
    Heard,
    Partial,
    Settled,
    WordTime,
)
from tests.support.sessions import MS
from tests.support.vosk import (
    CONFIG,
    EOF,
    RESET,
    RESETTING,
    SECOND,
    VOSK,
    Server,
    events,
    partial,
    result,
    word,
)


def test_partials_replace_each_other_and_the_result_after_the_end_is_final() -> None:
    found = events(
        *(CONFIG, SECOND, partial("turn"), SECOND, partial("turn right")),
        *(EOF, result("turn right and")),
    )
    assert found == [
        Heard(0, 16_000, 2 * MS, 2 * MS, 2 * MS, len(SECOND)),
        Partial(0, 3 * MS, 0, "turn"),
        Heard(0, 32_000, 4 * MS, 4 * MS, 4 * MS, len(SECOND)),
        Partial(0, 5 * MS, 4, " right"),
        Commit(0, 6 * MS, 6 * MS, 6 * MS),
        Final(0, 7 * MS, "turn right and"),
    ]


def test_results_in_speech_settle_segments_and_the_text_is_joined() -> None:
    found = events(
        *(SECOND, partial("turn"), SECOND, result("turn right")),
        *(SECOND, partial("stop"), EOF, result("stop now")),
    )
    texts = [each for each in found if isinstance(each, Partial | Settled | Final)]
    assert texts == [
        Partial(0, 2 * MS, 0, "turn"),
        Partial(0, 4 * MS, 4, " right"),
        Settled(0, 4 * MS, 10),
        Partial(0, 6 * MS, 10, " stop"),
        Final(0, 8 * MS, "turn right stop now"),
    ]


def test_a_result_of_audio_that_was_sent_before_the_end_is_not_the_final() -> None:
    """The client does not wait for each answer, so an answer may come after the end."""
    found = events(SECOND, SECOND, EOF, partial("a"), result("a b"), result("c"))
    assert [each for each in found if isinstance(each, Final)] == [
        Final(0, 6 * MS, "a b c")
    ]


def test_word_times_are_those_of_all_segments() -> None:
    found = events(
        *(SECOND, result("turn", word("turn", 0.1, 0.4))),
        *(EOF, result("right", word("right", 0.5, 0.9))),
    )
    (final,) = (each for each in found if isinstance(each, Final))
    assert final.words == (WordTime("turn", 0.1, 0.4), WordTime("right", 0.5, 0.9))


def test_word_times_after_a_reset_count_from_the_start_of_the_utterance() -> None:
    found = events(
        *(CONFIG, SECOND, partial("turn"), RESET, result("turn")),
        *(SECOND, partial(""), RESET, result("stop", word("stop", 1.25, 1.5))),
        dialect=RESETTING,
    )
    first, second = (each for each in found if isinstance(each, Final))
    assert (first.item, first.text, second.item) == (0, "turn", 1)
    assert second.words == (WordTime("stop", 0.25, 0.5),)


def test_the_rate_of_the_configuration_gives_the_start_of_an_utterance() -> None:
    found = events(
        *('{"config":{"sample_rate":8000}}', SECOND, partial(""), RESET, result("")),
        *(SECOND, partial(""), RESET, result("stop", word("stop", 2.25, 2.5))),
        dialect=RESETTING,
    )
    assert found[-1] == Final(1, 9 * MS, "stop", words=(WordTime("stop", 0.25, 0.5),))


def test_the_answer_may_be_recorded_before_the_end_of_the_audio() -> None:
    found = events(SECOND, partial("a"), result("b"), EOF)
    assert found[-2:] == [Commit(0, 4 * MS, 4 * MS, 4 * MS), Final(0, 4 * MS, "b")]


def test_the_best_alternative_is_the_text() -> None:
    said = {"alternatives": [{"text": "turn"}, {"text": "learn"}]}
    assert events(EOF, Server(json.dumps(said)))[-1] == Final(0, 2 * MS, "turn")


def test_a_partial_or_no_answer_at_the_end_is_no_final() -> None:
    assert not [x for x in events(EOF, partial("a")) if isinstance(x, Final)]
    unanswered = events(SECOND, SECOND, EOF, result("a"))
    assert not [each for each in unanswered if isinstance(each, Final)]


@pytest.mark.parametrize("dialect", [VOSK, RESETTING])
def test_a_session_is_ready_when_it_is_open(dialect: dialects.Dialect) -> None:
    reader = dialect.reader()
    record = Record(Sender.CLIENT, 0, *content(CONFIG))
    assert reader.step(record, dialect.parse(record)) == ()
    assert reader.ready is None
