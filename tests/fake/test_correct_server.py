"""The reactions of a correct server, as faults use them."""

from __future__ import annotations

import json

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.correct_server import CorrectServer

OPENAI = dialects.load("openai")
CLEAR = '{"type":"input_audio_buffer.clear"}'
COMMIT = '{"type":"input_audio_buffer.commit"}'


def test_an_utterance_has_a_session_of_its_own() -> None:
    correct = CorrectServer(OPENAI, ["m"])
    replies, final = correct.utterance("so it is")
    again, _ = correct.utterance("so it is")
    assert [json.loads(each)["type"].rpartition(".")[2] for each in replies] == [
        "committed",
        "added",
        "done",
    ]
    assert json.loads(final[-1])["transcript"] == "so it is"
    assert json.loads(replies[0])["item_id"] != json.loads(again[0])["item_id"]


def test_a_clear_drops_and_a_commit_finishes_an_utterance() -> None:
    correct = CorrectServer(OPENAI, ["m"])
    assert correct.in_utterance(CLEAR).drop
    assert correct.finishes(COMMIT)
    assert not correct.finishes(CLEAR)


def test_it_needs_a_dialect() -> None:
    with pytest.raises(LookupError, match="needs a dialect; pass a ServerState"):
        CorrectServer(None, ["m"]).new()
