"""Tests of the reader: the timeline of a session from its frames."""

from __future__ import annotations

import json
import random
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.dialects.openai.utterances import Turn, Utterance
from pytest_realtime_asr.trace.records import Vantage
from pytest_realtime_asr.trace.timeline import (
    Endpoint,
    Final,
    Heard,
    Partial,
    Refusal,
    Usage,
)
from tests.support.openai import (
    CLEAR,
    CLEARED,
    COMMIT,
    DETECT,
    DETECTS,
    DONE,
    HELLO,
    KINDS,
    MANUAL,
    PCM,
    SESSION,
    Row,
    Said,
    Talk,
    append,
    commit,
    committed,
    completed,
    delta,
    ended,
    error,
    failed,
    final,
    flat,
    frame,
    greeting,
    heard,
    lived,
    partial,
    started,
    stopped,
    tail,
    update,
    updated,
)
from tests.support.sessions import CLIENT, MS


def test_an_utterance_that_the_client_commits() -> None:
    usage = {"type": "tokens", "input_tokens": 4, "output_tokens": 2}
    timeline = lived(
        HELLO,  # 1 ms
        MANUAL,
        updated(),
        Said(0, 2400),
        Said(2400, 4000),  # 5
        delta("a", "go"),
        COMMIT,
        committed("a"),
        frame("conversation.item.added", item={"id": "a"}),
        delta("a", " on"),  # 10
        delta("a", ""),
        delta("a", None),
        completed("a", "go on", usage={**usage, "total_tokens": 6}),
    )
    assert timeline.events == (
        heard(0, 4),
        heard(0, 5, 4000, 1600),
        partial(0, 6, "go"),
        ended(0, 7),
        partial(0, 10, " on", 2),
        final(0, 13, "go on", Usage(4, 2, 6)),
    )
    assert (timeline.ready, timeline.session) == (MS, "sess-1")


def test_the_text_that_is_completed_may_differ_from_its_pieces() -> None:
    events = lived(
        HELLO, PCM, COMMIT, committed("a"), delta("a", " go  on"), completed("a", "Go.")
    ).events
    assert events[2:] == (partial(0, 5, " go  on"), final(0, 6, "Go."))


def test_items_in_flight_are_completed_in_any_order() -> None:
    events = lived(
        HELLO,  # 1
        PCM,
        COMMIT,
        PCM,
        delta("a", "one"),  # 5, of the first, whose name was not told yet
        COMMIT,
        committed("a"),
        PCM,
        committed("b"),
        delta("b", "two"),  # 10
        COMMIT,
        delta("c", "three"),
        completed("b", "two"),
        committed("c"),
        completed("c", "three"),  # 15
        completed("a", "one"),
    ).events
    assert events == (
        heard(0, 2),
        ended(0, 3),
        heard(1, 4),
        partial(0, 5, "one"),
        ended(1, 6),
        heard(2, 8),
        partial(1, 10, "two"),
        ended(2, 11),
        partial(2, 12, "three"),
        final(1, 13, "two"),
        final(2, 15, "three"),
        final(0, 16, "one"),
    )


@pytest.mark.parametrize(
    "refusal",
    [
        error("input_audio_buffer_commit_empty", "c7"),
        error("x", "c7"),  # it is known by the event that it names
        error("input_audio_buffer_commit_empty"),
        error("invalid_state"),
        error("input_audio_buffer_commit_empty", "event_of_its_own"),
        error(None, message="Error committing input audio buffer: buffer too small."),
    ],
)
def test_a_commit_that_is_refused_skips_its_number(refusal: str) -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        PCM,
        commit("c8"),  # 5
        refusal,
        committed("a"),
        completed("a", "go"),
    )
    (refused,) = timeline.refusals
    assert (refused.item, refused.at) == (0, 6 * MS)
    assert timeline.events[-1] == final(1, 8, "go")


def test_the_second_of_two_commits_may_be_refused() -> None:
    timeline = lived(
        HELLO,
        PCM,
        commit("c1"),
        commit("c2"),
        PCM,  # 5
        commit("c3"),
        committed("a"),
        error("x", "c2"),
        committed("c"),
        completed("c", "three"),  # 10
        completed("a", "one"),
    )
    assert [refused.item for refused in timeline.refusals] == [1]
    assert timeline.events[-2:] == (final(2, 10, "three"), final(0, 11, "one"))


@pytest.mark.parametrize(
    "refusal",
    [
        error("invalid_value", "c5", param="audio"),
        error("invalid_value", None, param="audio"),
        error("invalid_state", "c5"),  # of the audio, which it names
        error("server_error"),
    ],
)
def test_another_error_refuses_no_commit(refusal: str) -> None:
    timeline = lived(
        HELLO,
        PCM,
        append(b"\0", event_id="c5"),
        COMMIT,
        refusal,
        committed("a"),
        completed("a", "go"),
    )
    (refused,) = timeline.refusals
    assert refused.item is None
    assert timeline.events[-1] == final(0, 7, "go")


def test_audio_of_a_commit_refused_as_too_short_joins_the_next_commit() -> None:
    """The server keeps the audio of the refused commit, and the id of its item."""
    timeline = lived(
        HELLO,
        Said(0, 1200),
        delta("a", "go"),
        COMMIT,
        error("input_audio_buffer_commit_empty", "c7"),  # 5
        PCM,
        commit("c8"),
        committed("a"),
        completed("a", "go on"),
        PCM,  # 10
        commit("c9"),
        committed("b"),
        completed("b", "now"),
    )
    assert timeline.item(0).final is None
    assert timeline.item(1).events == (
        heard(1, 6),
        ended(1, 7),
        partial(1, 8, "go"),
        final(1, 9, "go on"),
    )
    assert timeline.item(2).final == final(2, 13, "now")


def test_short_audio_may_be_refused_at_once() -> None:
    timeline = lived(
        HELLO,
        PCM,
        commit("c7"),
        committed("a"),
        Said(0, 1200),  # 5
        commit("c8"),
        error("input_audio_buffer_commit_empty", "c8"),
        delta("b", "on"),
        completed("a", "go"),
        PCM,  # 10
        commit("c9"),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.item(0).final == final(0, 9, "go")
    assert timeline.item(1).final is None
    assert timeline.item(2).final == final(2, 13, "on")


def test_an_unknown_id_may_first_be_attributed_to_an_earlier_item() -> None:
    """The reader corrects its assumption when the second item is committed."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        delta("b", "on"),  # 5: there seems to be no audio for it
        PCM,
        commit("c8"),
        committed("b"),
        completed("b", "on"),
        completed("a", "go"),  # 10
    )
    assert timeline.item(0).final == final(0, 10, "go")
    assert timeline.item(1).final == final(1, 9, "on")


@pytest.mark.parametrize("piece", [delta("b", "go"), completed("b", "go")])
def test_an_item_may_have_another_id(piece: str) -> None:
    """LocalAI's transcription events do not have the id of the committed item."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        piece,  # 5
        completed("b", "go"),
        PCM,
        COMMIT,
        committed("c"),
        completed("d", "on"),  # 10
    )
    assert timeline.item(0).final in (final(0, 5, "go"), final(0, 6, "go"))
    assert timeline.item(1).final == final(1, 10, "on")
    assert timeline.item(2).events == ()


def test_an_unknown_id_may_first_be_attributed_to_the_next_item() -> None:
    """The reader corrects this when the item is completed without a commit."""
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        PCM,  # 5
        delta("b", "go"),
        completed("b", "go"),
        COMMIT,
        committed("c"),
        completed("c", "on"),  # 10
    )
    assert timeline.item(0).final == final(0, 7, "go")
    assert timeline.item(1).final == final(1, 10, "on")


def test_an_item_that_failed_has_no_final() -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        PCM,
        commit("c8"),  # 5
        committed("a"),
        committed("b"),
        failed("a"),
        completed("b", "two"),
        failed("a"),  # 10, once more
    )
    assert timeline.refusals[0] == Refusal(8 * MS, "broken", "no", 0)
    assert timeline.item(0).final is None
    assert timeline.item(1).final == final(1, 9, "two")


def test_events_after_the_end_of_an_item_change_nothing() -> None:
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        completed("a", "go"),  # 5
        delta("a", " on"),
        completed("a", "go on"),
        committed("a"),
        delta("a", " and on"),
        PCM,  # 10
        commit("c8"),
        committed("b"),
        completed("b", "now"),
    )
    assert timeline.item(0).events[2:] == (final(0, 5, "go"),)
    assert timeline.item(1).final == final(1, 13, "now")


def test_audio_that_was_cleared_is_not_counted() -> None:
    timeline = lived(
        HELLO,
        PCM,
        delta("a", "no"),
        CLEAR,
        delta("a", " no"),  # 5: it has not heard of it
        Said(0, 1600, "other"),
        CLEARED,
        COMMIT,
        delta("b", "go"),
        committed("b"),  # 10
        completed("b", "go"),
    )
    assert timeline.events == (
        heard(0, 2),
        partial(0, 3, "no"),
        partial(0, 5, " no", 2),
        heard(0, 6, 1600, 1600),
        ended(0, 8),
        partial(0, 9, "go"),
        final(0, 11, "go"),
    )


def test_committed_audio_is_not_cleared() -> None:
    timeline = lived(
        HELLO, PCM, COMMIT, CLEAR, committed("a"), CLEARED, completed("a", "go")
    )
    assert timeline.item(0).final == final(0, 7, "go")


def test_audio_without_a_span_is_counted_from_its_frame() -> None:
    companded = update(format={"type": "audio/pcmu"}, turn_detection=None)
    for vantage, samples in ((Vantage.CLIENT, 5), (Vantage.SERVER, 15)):
        events = lived(HELLO, companded, append(bytes(5)), vantage=vantage).events
        assert events == (heard(0, 3, samples, samples),)
    events = lived(HELLO, MANUAL, append(bytes(10))).events
    assert events == (heard(0, 3, 5, 5),)


def test_riva_commits_at_the_end_of_the_audio() -> None:
    greeted = frame("conversation.created", conversation={"id": "c"})
    timeline = lived(
        greeted,
        flat(),
        PCM,
        COMMIT,
        DONE,  # 5
        committed("a"),
        completed("a", "go", is_last_result=True),
        PCM,
        DONE,
        committed("b"),  # 10
        completed("b", "on"),
        name="openai-beta:riva",
    )
    assert timeline.session == "c"
    assert timeline.events == (
        heard(0, 3),
        ended(0, 4),
        final(0, 7, "go"),
        heard(1, 8),
        ended(1, 9),
        final(1, 11, "on"),
    )


def test_a_result_that_is_not_the_last_is_a_part() -> None:
    usage = {"type": "duration", "seconds": 1.5}
    timeline = lived(
        HELLO,
        PCM,
        COMMIT,
        committed("a"),
        delta("a", "go"),  # 5
        completed("a", "Go. ", is_last_result=False, usage=usage),
        delta("a", "on"),
        completed("a", "On. ", is_last_result=True, usage=usage),
    )
    assert timeline.events[2:] == (
        partial(0, 5, "go"),
        partial(0, 6, "Go."),
        partial(0, 7, " on", 3),
        final(0, 8, "Go. On.", Usage(seconds=3.0)),
    )


def test_a_turn_is_an_utterance() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        DETECTS,
        PCM,
        started("a"),  # 5
        tail(0, 6000),
        tail(6000, 12_000),
        stopped("a", 600),
        committed("a"),
        delta("a", "go"),  # 10
        completed("a", "go"),
        PCM,
        started("b"),
        tail(0, 12_000),
        stopped("b", 1200),  # 15
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.events == (
        heard(0, 4),
        Endpoint(0, 8 * MS),
        partial(0, 10, "go"),
        final(0, 11, "go"),
        heard(1, 12),
        Endpoint(1, 15 * MS),
        final(1, 17, "on"),
    )


def test_an_utterance_may_be_cut_into_several_turns() -> None:
    usage = {"type": "tokens", "input_tokens": 4, "output_tokens": 1}
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a", 100),  # 5
        committed("a"),
        delta("a", "go "),
        completed("a", "Go. ", usage={**usage, "total_tokens": 5}),
        Said(2400, 4800),
        started("b"),  # 10
        tail(0, 12_000),
        stopped("b", 700),
        committed("b"),
        delta("b", "on"),
        completed("b", "On.", usage={**usage, "total_tokens": 5}),  # 15
    )
    assert timeline.events == (
        heard(0, 3),
        Endpoint(0, 5 * MS),
        partial(0, 7, "go "),
        partial(0, 8, "Go. "),
        heard(0, 9, 4800),
        Endpoint(0, 12 * MS),
        partial(0, 14, "on", 4),
        final(0, 15, "Go. On.", Usage(8, 2, 10)),
    )


def test_turns_may_be_completed_in_any_order() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        tail(0, 12_000),
        stopped("b", 600),
        committed("b"),
        completed("b", "on"),  # 10
        completed("a", "go"),
    )
    assert timeline.events == (
        heard(0, 3),
        Endpoint(0, 5 * MS),
        Endpoint(0, 8 * MS),
        partial(0, 10, "on"),
        final(0, 11, "go on"),
    )


@pytest.mark.parametrize(("end", "least"), [(200, 12_000), (199, 60_000), (0, 60_000)])
def test_a_final_is_read_once_no_other_turn_can_follow(end: int, least: int) -> None:
    """Less silence is enough if the turn ends after all audio, which ends at 200 ms.

    The time of the final is that of its event, not the later time of this decision.
    """
    rows = (
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a", end),  # 5
        committed("a"),
        completed("a", "go"),
        PCM,
        tail(0, least - 48),
    )
    before = lived(*rows).events
    assert before[1:] == (
        Endpoint(0, 5 * MS),
        partial(0, 7, "go"),
        heard(0, 8, 4800),
    )
    after = lived(*rows, tail(least - 48, least), tail(least, 80_000)).events
    assert after == (*before, final(0, 7, "go"))


@pytest.mark.parametrize(("end", "known"), [(900, True), (899, False)])
def test_ends_of_turns_are_counted_from_the_first_audio(end: int, known: bool) -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,  # up to 100 ms, and 500 ms of silence
        tail(0, 12_000),
        Said(0, 7200),  # up to 900 ms
        started("b"),
        stopped("b", end),
        committed("b"),
        completed("b", "on"),
        tail(0, 12_000),
    )
    assert (timeline.item(1).final is not None) is known


def test_a_turn_of_several_may_fail() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        stopped("b", 600),
        committed("b"),
        failed("a"),
        tail(0, 12_000),  # 10
        completed("b", "on"),
    )
    assert timeline.refusals == (Refusal(9 * MS, "broken", "no", 0),)
    assert timeline.final == final(0, 11, "on")


def test_added_silence_causes_no_events() -> None:
    timeline = lived(
        HELLO, DETECT, PCM, tail(0, 12_000), tail(12_000, 60_000), PCM, started("a")
    )
    assert timeline.events == (heard(0, 3), heard(1, 6))


def test_a_turn_may_be_committed_by_hand() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        COMMIT,  # 5
        PCM,
        committed("a"),
        started("b"),
        completed("a", "go"),
        tail(0, 12_000),  # 10
        stopped("b", 700),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.events == (
        heard(0, 3),
        ended(0, 5),
        heard(1, 6),
        final(0, 9, "go"),
        Endpoint(1, 11 * MS),
        final(1, 13, "on"),
    )


def test_text_before_the_answer_to_a_commit_belongs_to_its_turn() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        COMMIT,
        PCM,  # 5
        started("a"),
        delta("a", "go"),
        committed("a"),
        started("b"),
        completed("a", "go"),  # 10
        tail(0, 60_000),
        committed("b"),
        completed("b", "on"),
    )
    assert timeline.item(0).events[2:] == (partial(0, 7, "go"), final(0, 10, "go"))
    assert timeline.item(1).events[1:] == (Endpoint(1, 12 * MS), final(1, 13, "on"))


def test_a_commit_by_hand_may_come_too_late() -> None:
    """The server had committed the turn before the client's commit arrived."""
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        stopped("a"),  # 5
        COMMIT,
        committed("a"),
        error("input_audio_buffer_commit_empty", "c7"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (
        Endpoint(0, 5 * MS),
        ended(0, 6),
        Refusal(8 * MS, "input_audio_buffer_commit_empty", "no", 0, cause=2),
        final(0, 9, "go"),
    )


def test_a_cleared_turn_leaves_the_turns_before() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        PCM,
        started("a"),
        committed("a"),  # 5
        started("b"),
        completed("a", "go"),
        tail(0, 60_000),
        CLEAR,
        CLEARED,  # 10
    )
    assert timeline.events[-1] == final(0, 7, "go")


def test_turns_are_detected_by_default() -> None:
    timeline = lived(
        greeting({"type": "server_vad"}),
        PCM,
        started("a"),
        tail(0, 60_000),
        committed("a"),  # 5
        completed("a", "go"),
    )
    assert timeline.events[1:] == (Endpoint(0, 5 * MS), final(0, 6, "go"))


@pytest.mark.parametrize(
    "refusal",
    [
        error("not_supported", "c7"),
        error("not_supported", None, param="session.audio.input.turn_detection"),
    ],
)
def test_a_refused_set_up_does_not_apply_to_the_session(refusal: str) -> None:
    timeline = lived(
        HELLO,
        MANUAL,
        DETECT,
        updated(),
        refusal,  # 5
        PCM,
        COMMIT,
        committed("a"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (heard(0, 6), ended(0, 7), final(0, 9, "go"))


def test_the_setup_is_what_the_server_shows() -> None:
    """A server may ignore a requested setting, and then shows the old setting."""
    timeline = lived(
        HELLO, DETECT, updated(), PCM, COMMIT, committed("a"), completed("a", "go")
    )
    assert timeline.events[1:] == (ended(0, 5), final(0, 7, "go"))


def test_an_update_applies_until_it_is_answered() -> None:
    timeline = lived(
        HELLO,
        DETECT,
        MANUAL,
        DETECTS,  # of the first
        PCM,  # 5
        COMMIT,
        updated(),
        committed("a"),
        completed("a", "go"),
    )
    assert timeline.events[1:] == (ended(0, 6), final(0, 9, "go"))


# The same as the server recorded it


def test_the_records_of_a_server_with_items_in_flight() -> None:
    events = lived(
        HELLO,
        MANUAL,
        updated(),
        PCM,
        COMMIT,  # 5
        committed("a"),
        PCM,
        commit("c8"),
        committed("b"),
        completed("b", "two"),  # 10
        commit("c9"),
        error("input_audio_buffer_commit_empty", "c9"),
        PCM,
        commit("c10"),
        committed("c"),  # 15
        completed("a", "one"),
        completed("c", "three"),
        vantage=Vantage.SERVER,
    ).events
    finals = [event for event in events if isinstance(event, Final)]
    assert finals == [final(1, 10, "two"), final(0, 16, "one"), final(3, 17, "three")]
    assert [event.item for event in events if isinstance(event, Heard)] == [0, 1, 3]


def test_in_the_records_of_a_server_each_turn_is_an_utterance() -> None:
    events = lived(
        HELLO,
        DETECT,
        DETECTS,
        PCM,
        started("a"),  # 5
        stopped("a"),
        committed("a"),
        PCM,
        started("b"),
        completed("a", "go"),  # 10
        committed("b"),
        completed("b", "on"),
        vantage=Vantage.SERVER,
    ).events
    assert events == (
        heard(0, 4),
        Endpoint(0, 6 * MS),
        heard(1, 8),
        final(0, 10, "go"),
        Endpoint(1, 11 * MS),
        final(1, 12, "on"),
    )


# Whatever is said

ITEMS = st.sampled_from(["a", "b", "c"])
ROWS = st.one_of(
    st.sampled_from(
        [HELLO, MANUAL, DETECT, updated(), DETECTS, PCM, COMMIT, CLEAR, CLEARED, DONE]
    ),
    st.sampled_from([tail(0, 6_000), error("x", "c7"), error("commit"), append(b"")]),
    st.builds(delta, ITEMS, st.sampled_from(["go", " on", ""])),
    st.builds(completed, ITEMS, st.sampled_from(["go", "go on"])),
    *(st.builds(kind, ITEMS) for kind in (committed, started, stopped, failed)),
)


@given(st.lists(ROWS, max_size=30), st.sampled_from(Vantage))
def test_any_session_has_a_consistent_timeline(
    rows: list[Row], vantage: Vantage
) -> None:
    shown: dict[int | None, str] = {}
    final: set[int | None] = set()
    for event in lived(*rows, vantage=vantage).events:
        match event:
            case Partial(item=item, kept=kept, added=added):
                assert item not in final
                assert kept <= len(shown.get(item, ""))
                shown[item] = shown.get(item, "")[:kept] + added
            case Final(item=item):
                assert item not in final
                final.add(item)


@given(
    st.lists(
        st.text()
        | st.binary()
        | st.builds(
            lambda kind, content: json.dumps({**content, "type": kind}),
            st.sampled_from(sorted(KINDS[CLIENT])),
            st.dictionaries(
                st.sampled_from(["session", "audio", "event_id"]),
                st.none()
                | st.text()
                | st.just(SESSION)
                | st.dictionaries(
                    st.sampled_from(["type", "audio", "include", "turn_detection"]),
                    st.none() | st.text() | st.just(SESSION),
                ),
            ),
        ),
        max_size=9,
    )
)
def test_the_server_answers_any_frame(frames: list[str | bytes]) -> None:
    for name in ("openai", "openai-beta"):
        Talk(name).hear(*frames)


def test_the_text_of_an_utterance_is_that_of_its_turns_joined() -> None:
    for seed in range(2_000):
        rng = random.Random(seed)
        utterance = Utterance()
        text = ""
        for _ in range(rng.randrange(1, 25)):
            said = "".join(rng.choices(("a", "b c", " ", "\u00a0", ""), k=3))
            move = rng.randrange(8)
            if move == 0 or not utterance.turns:
                utterance.turns.append(Turn(0))
            turn = rng.choice([*utterance.turns, utterance.turns[-1]])
            if move == 1:
                utterance.drop(turn)
                continue
            changed = (
                utterance.set_text(turn, said)
                if move == 2
                else utterance.add(turn, said)
            )
            if changed is not None:
                kept, added = changed
                text = text[:kept] + added
            assert text == utterance.text, seed


def test_the_cost_of_a_delta_depends_on_its_own_length() -> None:
    """The number of characters written for 5,000 deltas is linear in the text."""

    class Counted(StringIO):
        written = 0

        def write(self, text: str) -> int:
            Counted.written += len(text)
            return super().write(text)

    utterance = Utterance(shown=Counted())
    for number in range(5_000):
        if number % 50 == 0:
            utterance.turns.append(Turn(0))
        utterance.add(utterance.turns[-1], f"word{number} ")
    assert Counted.written <= len(utterance.text) + 5_000
