"""Tests of the text of an utterance whose results come in segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.dialects.segments import Segments
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import (
    Event,
    Partial,
    Settled,
    Timeline,
    WordTime,
)

TEXT = st.text("ab ", max_size=6)
STEPS = st.lists(st.tuples(st.sampled_from(["show", "settle", "revise"]), TEXT))


@pytest.fixture
def segments() -> Segments:
    return Segments()


def shown(events: list[Event]) -> str:
    """Return the text that a timeline makes from the events."""
    end = End(Ending.CLOSED_BY_US, 0)
    return Timeline(16_000, 0, 0, tuple(events), end).text


def test_an_open_segment_is_replaced(segments: Segments) -> None:
    assert segments.show("the cat", 5) == (Partial(0, 5, 0, "the cat"),)
    assert segments.show("the cap", 7) == (Partial(0, 7, 6, "p"),)
    assert segments.text == "the cap"


def test_a_result_without_a_change_is_no_partial(segments: Segments) -> None:
    segments.show("go", 1)
    assert segments.show("go", 2) == ()
    assert segments.settle("go", 3) == (Settled(0, 3, 2),)


def test_the_next_segment_follows_after_one_space(segments: Segments) -> None:
    assert segments.settle("go on ", 1) == (Partial(0, 1, 0, "go on"), Settled(0, 1, 5))
    assert segments.show(" now", 2) == (Partial(0, 2, 5, " now"),)
    assert segments.settle("no", 3) == (Partial(0, 3, 8, ""), Settled(0, 3, 8))
    assert segments.text == "go on no"
    assert segments.count == 2


def test_a_segment_without_text_settles_nothing(segments: Segments) -> None:
    segments.settle("go", 1)
    segments.show("uh", 2)
    assert segments.settle("", 3) == (Partial(0, 3, 2, ""),)
    assert segments.count == 2
    assert segments.show("on", 4) == (Partial(0, 4, 2, " on"),)


def test_a_settled_segment_can_be_revised(segments: Segments) -> None:
    segments.settle("go", 1)
    segments.settle("on", 2)
    segments.show("now", 3)
    assert segments.revise(0, "no", 4) == (
        Partial(0, 4, 0, "no on now"),
        Settled(0, 4, 5),
    )
    assert segments.revise(0, "", 5)[-1] == Settled(0, 5, 2)
    assert segments.text == "on now"
    with pytest.raises(IndexError):
        segments.revise(2, "later", 6)


def test_word_times_count_from_the_start_of_the_utterance(segments: Segments) -> None:
    segments.begin(3, offset=10.0)
    segments.settle("go", 1, words=[WordTime("go", 10.5, 10.75)])
    (partial,) = segments.show("on", 2, words=[WordTime("on", 11.0, 11.25)])
    assert partial.item == 3
    assert segments.words == (WordTime("go", 0.5, 0.75), WordTime("on", 1.0, 1.25))


def test_the_words_of_an_open_segment_are_replaced(segments: Segments) -> None:
    segments.show("a", 1, words=[WordTime("a", 0.0, 0.25)])
    segments.show("b", 2, words=[WordTime("b", 0.0, 0.5)])
    assert segments.words == (WordTime("b", 0.0, 0.5),)


def test_begin_drops_the_earlier_utterance(segments: Segments) -> None:
    segments.settle("go", 1, words=[WordTime("go", 0.0, 0.5)])
    segments.show("on", 2)
    segments.begin(1)
    assert (segments.text, segments.words, segments.count) == ("", (), 0)
    assert segments.settle("now", 3) == (Partial(1, 3, 0, "now"), Settled(1, 3, 3))


@given(STEPS)
def test_the_events_add_up_to_the_text(steps: list[tuple[str, str]]) -> None:
    segments = Segments()
    events: list[Event] = []
    for at, (step, text) in enumerate(steps):
        match step:
            case "show":
                events += segments.show(text, at)
            case "settle":
                events += segments.settle(text, at)
            case "revise" if segments.count:
                events += segments.revise(at % segments.count, text, at)
        assert shown(events) == segments.text
        if step == "settle" and text.strip():
            assert events[-1] == Settled(0, at, len(segments.text))
