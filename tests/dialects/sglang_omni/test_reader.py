"""The reader of SGLang-Omni's protocol: from segments to utterances."""

from __future__ import annotations

from pytest_realtime_asr.trace.records import Sender
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Final,
    Heard,
    Partial,
    Refusal,
    Settled,
    Timeline,
)
from tests.support.omni import (
    CLEAR,
    CLEARED,
    COMMIT,
    CREATED,
    DONE,
    MS,
    Sent,
    append,
    append_of,
    committed,
    error,
    heard,
    said,
    segment,
)


def timeline(*frames: Sent) -> Timeline:
    return heard(CREATED, *frames).timeline


def finals(*frames: Sent) -> list[tuple[int, str]]:
    """Return the number and the text of each final of a session."""
    events = timeline(*frames).events
    return [(each.item, each.text) for each in events if isinstance(each, Final)]


def test_an_utterance_of_one_segment() -> None:
    found = timeline(
        append(100),
        segment(0, 0, 100, "open", final=False),
        append(100),
        segment(0, 0, 200, "open the", final=False),
        COMMIT,
        committed(0),
        segment(0, 0, 200, "open a door"),
    )
    assert found.ready == 0
    assert found.session == "sess_1"
    assert found.events == (
        Heard(0, 1600, 1 * MS, 1 * MS, 1 * MS, 3200),
        Partial(0, 2 * MS, 0, "open"),
        Heard(0, 3200, 3 * MS, 3 * MS, 3 * MS, 3200),
        Partial(0, 4 * MS, 4, " the"),
        Commit(0, 5 * MS, 5 * MS, 5 * MS),
        Partial(0, 7 * MS, 5, "a door"),
        Settled(0, 7 * MS, 11),
        Final(0, 7 * MS, "open a door"),
    )


def test_the_server_divides_an_utterance() -> None:
    divided = (
        append(300),
        committed(0),
        segment(0, 0, 200, "one"),
        segment(1, 200, 300, "tw", final=False),
        COMMIT,
        committed(1),
    )
    assert finals(*divided) == []
    assert finals(*divided, segment(1, 200, 300, "two")) == [(0, "one two")]
    assert timeline(*divided).text == "one tw"


def test_a_segment_that_ends_just_before_the_commit_ends_the_utterance() -> None:
    before = (append(200), committed(0), COMMIT)
    assert finals(*before, segment(0, 0, 200, "one")) == [(0, "one")]
    assert finals(*before, segment(0, 0, 150, "one")) == []


def test_segments_of_several_open_utterances() -> None:
    audio = (append(100), COMMIT, append(200), COMMIT, append(50))
    frames = (*audio, committed(0), committed(1))
    assert finals(*frames, segment(0, 0, 100, "one"), segment(1, 100, 300, "two")) == [
        (0, "one"),
        (1, "two"),
    ]
    # The transcription of the first utterance failed, and the next utterance goes on.
    assert finals(*frames, segment(1, 100, 300, "two")) == [(1, "two")]


def test_silence_that_the_server_leaves_out_belongs_to_no_segment() -> None:
    frames = (append(900), segment(0, 300, 600, "one"), COMMIT, committed(1))
    assert finals(*frames, segment(1, 700, 900, "")) == [(0, "one")]


def test_the_end_of_the_session_commits() -> None:
    assert finals(append(100), DONE, segment(0, 0, 100, "one")) == [(0, "one")]
    assert not any(isinstance(e, Commit) for e in timeline(DONE).events)


def test_cleared_audio_still_counts_for_the_times_of_later_audio() -> None:
    frames = (append(100), CLEAR, CLEARED, append(50), COMMIT, committed(1))
    assert finals(*frames, segment(1, 100, 150, "one")) == [(0, "one")]
    assert timeline(*frames).heard[-1].samples == 800


def test_an_utterance_without_audio_owns_no_audio() -> None:
    frames = (COMMIT, append(100), COMMIT, committed(0))
    assert finals(*frames, segment(0, 0, 100, "one")) == [(1, "one")]
    assert finals(COMMIT, segment(0, 0, 0, "")) == [(0, "")]


def test_errors_and_the_utterances_that_they_end() -> None:
    def items(*frames: Sent) -> list[int | None]:
        return [each.item for each in timeline(*frames).refusals]

    assert items(append(100), error("invalid_audio")) == [None]
    assert items(append(100), COMMIT, error("invalid_audio")) == [None]
    assert items(COMMIT, error("input_audio_buffer_commit_empty")) == [0]
    two = (append(100), COMMIT, append(100), COMMIT)
    failed = error("transcription_failed")
    assert items(*two, failed) == [0]
    assert items(*two, segment(0, 0, 100, "one"), failed) == [1]


def test_audio_that_the_server_refuses_does_not_move_later_audio() -> None:
    for wrong in ("AAAAA", "AAAA", "!!!!"):
        frames = (append_of(wrong, raw=True), append(100), COMMIT)
        assert finals(*frames, segment(0, 0, 100, "one")) == [(0, "one")], wrong
    full = (append(5000), error("audio_buffer_overflow"), append(100), COMMIT)
    assert finals(*full, segment(0, 0, 100, "one")) == [(0, "one")]
    late = (append(100), COMMIT, append(5000), COMMIT, error("audio_buffer_overflow"))
    assert finals(
        *late,
        segment(0, 0, 100, "one"),
        append(50),
        COMMIT,
        segment(1, 100, 150, "two"),
    ) == [(0, "one"), (2, "two")]


def test_a_settled_segment_that_changes_is_still_read() -> None:
    found = timeline(
        append(100),
        COMMIT,
        segment(0, 0, 100, "one"),
        segment(0, 0, 100, "two", final=False),
    )
    assert found.events[-2:] == (Partial(0, 4 * MS, 0, "two"), Settled(0, 4 * MS, 3))
    assert found.final is not None
    assert found.final.text == "one"


def test_the_end_of_speech_is_an_endpoint() -> None:
    stopped = said("input_audio_buffer.speech_stopped", segment_id=0, audio_end_ms=80)
    assert timeline(append(100), stopped).endpoints == (Endpoint(0, 2 * MS),)


def test_an_error_without_a_code() -> None:
    failed = said("error", error={"type": "server_error", "message": "no"})
    assert timeline(failed).refusals == (Refusal(1 * MS, "", "no"),)
    assert failed.sender is Sender.SERVER
