"""The grammar of a dialect: its moves, and pending utterances."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.grammar import grammar_of
from pytest_realtime_asr.conformance.random_script import (
    Send,
)
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.trace.records import Record, Sender, Trace
from tests.support.random_scripts import (
    AUDIO,
    BAD,
    BEGUN,
    ENDED,
    GRAMMAR,
    SET_UP,
    generated,
)
from tests.support.servers import CREATED, plan
from tests.support.sessions import (
    BEGIN,
    FINISH,
    done,
    error,
    mixed,
)
from tests.support.sessions import trace_of as traced


def records(dialect: Dialect, frames: Iterable[str]) -> Trace:
    """Return a trace of these frames; the client sends each frame that it may send."""
    ours = set(dialect.table[Sender.CLIENT]["idle"])
    return traced(
        Record(
            Sender.CLIENT if json.loads(text)["type"] in ours else Sender.SERVER,
            at,
            text,
        )
        for at, text in enumerate(frames)
    )


def test_the_grammar_is_read_from_the_table() -> None:
    assert GRAMMAR.pending == {"finishing"}
    assert GRAMMAR.ends[0] == "transcription.done"
    assert GRAMMAR.fresh == {"fresh"}
    assert GRAMMAR.audio == "input_audio_buffer.append"
    assert list(GRAMMAR.moves.values()) == [SET_UP.frame, BEGIN, FINISH]


def test_the_grammar_of_a_dialect_with_items() -> None:
    """The number of items is not counted: the last one is pending."""
    dialect = dialects.load("openai")
    grammar = grammar_of(replace(plan("http://127.0.0.1:1"), dialect=dialect))
    assert grammar.pending == {"owing"}
    assert grammar.ends[0] == "conversation.item.input_audio_transcription.completed"
    assert grammar.fresh == {"fresh"}
    assert grammar.begin == ()
    assert generated(1, 5, grammar)
    audio = grammar.caller.append(bytes(4800)).decode()
    said = (*grammar.configure, audio, *grammar.finish)
    events = {
        move: json.dumps({"type": move, "item_id": "a", "transcript": "", **more})
        for move, more in (
            (grammar.ends[0], {}),
            ("error", {"error": {"type": "t", "message": "no"}}),
        )
    }
    created = json.dumps({"type": "session.created", "session": {"id": "s"}})
    for answers, pending in (
        ((), True),
        ((grammar.ends[0],), False),
        (("error",), False),
    ):
        frames = (created, *map(str, said), *(events[each] for each in answers))
        assert grammar.is_pending(map(Send, said), records(dialect, frames)) is pending


UTTERANCE = (BEGUN, AUDIO, ENDED)


@pytest.mark.parametrize(
    ("said", "pending"),
    [
        ((SET_UP, *UTTERANCE), True),
        ((SET_UP, BEGUN, ENDED), True),
        ((SET_UP, BEGUN, AUDIO), False),
        ((SET_UP, *UTTERANCE, done("a")), False),
        ((SET_UP, *UTTERANCE, done("a"), *UTTERANCE), True),
        # Frames cross: it may have completed the first before it received the second.
        ((SET_UP, *UTTERANCE, *UTTERANCE, done("a")), False),
        ((SET_UP, *UTTERANCE, ENDED), True),
        ((SET_UP, ENDED), False),
        ((SET_UP, ENDED, *UTTERANCE), True),
        ((BEGUN, ENDED), False),
        # An error may have ended it, but not one that arrived before.
        ((SET_UP, *UTTERANCE, error("no")), False),
        ((SET_UP, BAD, error("no"), SET_UP, *UTTERANCE), True),
        (
            (SET_UP, BAD, error("no"), *UTTERANCE),
            False,
        ),  # it may require a configuration
        # A foreign frame may have been taken for any other.
        ((SET_UP, BEGUN, BAD, ENDED), True),
        ((SET_UP, BEGUN, BAD), False),
        ((SET_UP, BAD, BEGUN, ENDED), True),
        ((SET_UP, BEGUN, BAD, done("a"), ENDED), False),
        ((BAD, SET_UP, *UTTERANCE), True),
        # An utterance may have ended before its commit; the next one is awaited.
        ((SET_UP, BEGUN, done("a"), AUDIO, ENDED), False),
        ((SET_UP, BEGUN, done("a"), ENDED, BEGUN, ENDED), True),
        # As in vLLM 0.33.0, where a stray commit ends the next utterance.
        ((SET_UP, ENDED, BEGUN, done(""), ENDED), False),
        # A final before any utterance completes nothing.
        ((SET_UP, done("a"), BEGUN, AUDIO, ENDED), True),
    ],
)
def test_whether_an_utterance_is_pending(
    said: tuple[Send | str, ...], pending: bool
) -> None:
    texts = [str(each.frame) if isinstance(each, Send) else each for each in said]
    taken = [each for each in said if isinstance(each, Send)]
    trace = traced(mixed(CREATED, *texts))
    assert GRAMMAR.is_pending(taken, trace) is pending
