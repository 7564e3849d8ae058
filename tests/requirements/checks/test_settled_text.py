"""Tests of the check that settled text does not change."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.timeline import Event, Final, Partial, Settled
from tests.support.sessions import MS, spoke

GO = (Partial(0, 4 * MS, 0, "go on"), Settled(0, 4 * MS, 2))


def outcome(*events: Event) -> Outcome:
    """Return the outcome for a session whose server sent these events."""
    part = spoke("alone", "go")
    timeline = replace(part.timeline, events=events)
    recording = replace(part.recording, timeline=timeline)
    return checks.settled_text_stays(Evidence((Part("alone", recording, part.spoken),)))


def test_other_text_may_change() -> None:
    assert outcome(*GO, Partial(0, 5 * MS, 2, " off")) == Satisfied()
    assert outcome(*GO, Final(0, 5 * MS, "go off")) == Satisfied()
    final = Final(0, 5 * MS, "go on")
    assert outcome(*GO, final, Partial(0, 6 * MS, 5, " now")) == Satisfied()


def test_settled_text_must_stay() -> None:
    found = outcome(*GO, Partial(0, 5 * MS, 0, "so on"))
    assert isinstance(found, Violated)
    assert found.message == "the text 'go' was settled, and 'so on' came in its place"
    assert found.records == (3,)  # the frame at 5 ms
    found = outcome(*GO, Final(0, 5 * MS, ""))
    assert isinstance(found, Violated)
    assert found.message == "the text 'go' was settled, and nothing came in its place"


def test_each_utterance_is_judged() -> None:
    other = (Partial(1, 5 * MS, 0, "stop"), Settled(1, 5 * MS, 4))
    assert outcome(*GO, *other) == Satisfied()
    assert isinstance(outcome(*GO, *other, Final(1, 6 * MS, "top")), Violated)


def test_a_session_without_settled_text_shows_nothing() -> None:
    assert outcome(GO[0]) == Undecided("no text was settled")
