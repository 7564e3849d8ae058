"""The timeline of a session of Deepgram's protocol."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Final,
    Heard,
    Refusal,
    Settled,
    WordTime,
)
from tests.support.deepgram import (
    CLOSE,
    CLOSING,
    FINALIZE,
    RATE,
    SECOND,
    finalized,
    metadata,
    recording,
    results,
    settled,
    word,
)

MS = 1_000_000


def test_an_utterance_ends_with_the_answer_to_finalize() -> None:
    found = recording(
        SECOND,
        results("open"),
        settled("open the"),
        results("door", 1.0),
        FINALIZE,
        finalized("door now", 1.0, 0.0),
    ).timeline
    assert list(found.texts)[:3] == ["open", "open the", "open the door"]
    assert found.final == Final(0, 6 * MS, "open the door now")
    assert [each.length for each in found.settled] == [8, 17]
    assert found.commit == Commit(0, 5 * MS, 5 * MS, 5 * MS)
    assert found.session == "r-1"
    assert found.ready == found.opened


def test_interim_results_replace_the_open_segment() -> None:
    found = recording(SECOND, results("so open"), results("open"), FINALIZE).timeline
    assert list(found.texts) == ["so open", "open"]
    assert found.final is None


def test_each_utterance_has_its_own_text_and_its_own_times() -> None:
    first = word("one", 0.25, 0.5)
    second = word("two", 1.25, 1.5, punctuated_word="Two.")
    found = recording(
        SECOND,
        FINALIZE,
        finalized("one", words=[first]),
        SECOND,
        results("two", 1.0),
        FINALIZE,
        finalized("Two.", 1.0, words=[second]),
    ).timeline
    finals = [each for each in found.events if isinstance(each, Final)]
    assert [each.text for each in finals] == ["one", "Two."]
    assert finals[0].words == (WordTime("one", 0.25, 0.5),)
    assert finals[1].words == (WordTime("Two.", 0.25, 0.5),)
    assert [(each.item, each.samples) for each in found.heard] == [(0, RATE), (1, RATE)]


def test_audio_after_finalize_belongs_to_the_next_utterance() -> None:
    found = recording(
        SECOND, FINALIZE, SECOND, finalized("one"), FINALIZE, finalized("two", 1.0)
    ).timeline
    assert found.item(0).text == "one"
    assert found.item(1).text == "two"
    assert len(found.item(1).heard) == 1


def test_a_finalize_without_audio_ends_no_utterance() -> None:
    found = recording(
        FINALIZE, finalized("", 0.0, 0.0), SECOND, FINALIZE, finalized("one")
    ).timeline
    assert found.final == Final(0, 5 * MS, "one")
    assert found.item(1).events == ()


def test_a_settled_segment_that_changes_is_a_retraction() -> None:
    found = recording(SECOND, settled("so open"), settled("open"), FINALIZE).timeline
    assert list(found.texts) == ["so open", "open"]
    assert found.settled == (Settled(0, 2 * MS, 7), Settled(0, 3 * MS, 4))


def test_close_stream_ends_an_utterance_with_metadata() -> None:
    found = recording(SECOND, CLOSE, settled("one"), metadata(1.0)).timeline
    assert found.final == Final(0, 4 * MS, "one")
    without = recording(SECOND, FINALIZE, finalized("one"), CLOSE, metadata(1.0))
    assert [
        each.item for each in without.timeline.events if isinstance(each, Final)
    ] == [0]


def test_the_first_metadata_makes_a_session_ready() -> None:
    frames = (metadata(), SECOND, CLOSE, settled("one"), metadata(1.0))
    found = recording(*frames, dialect=CLOSING).timeline
    assert found.ready == MS
    assert found.final == Final(0, 5 * MS, "one")


def test_close_stream_without_audio_ends_an_empty_utterance() -> None:
    found = recording(metadata(), CLOSE, metadata(), dialect=CLOSING).timeline
    assert found.final == Final(0, 3 * MS, "")


def test_the_end_of_speech_is_an_endpoint_only_within_an_utterance() -> None:
    found = recording(
        SECOND,
        settled("one", speech_final=True),
        FINALIZE,
        finalized("", 1.0, 0.0, speech_final=True),
    ).timeline
    assert found.endpoints == (Endpoint(0, 2 * MS),)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ('{"type":"Error","description":"no","variant":"SchemaError"}', "SchemaError"),
        ('{"type":"Error","description":"no","code":"OLD"}', "OLD"),
        ('{"type":"Error","description":"no"}', ""),
    ],
)
def test_an_error_is_a_refusal_that_ends_no_utterance(frame: str, code: str) -> None:
    found = recording(SECOND, frame, FINALIZE, finalized("one")).timeline
    assert found.refusals == (Refusal(2 * MS, code, "no"),)
    assert found.final is not None


def test_audio_that_was_written_by_hand_is_counted_by_its_size() -> None:
    (heard,) = recording(bytes(320)).timeline.heard
    assert heard == Heard(0, 160, MS, MS, MS, 320)
