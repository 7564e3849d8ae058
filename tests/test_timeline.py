"""The timeline: what happened in a session, whatever its dialect."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Timeline,
    Usage,
)
from pytest_realtime_asr.trace import NO_LAG, End, Ending

END = End(Ending.CLOSED_BY_US, 99)


def timeline(*events: Event) -> Timeline:
    return Timeline(rate=1_000, opened=1, ready=2, events=events, end=END)


HEARD = [
    Heard(0, samples, due, due, due, 200)
    for samples, due in ((100, 10), (200, 20), (250, 25))
]
FIRST: tuple[Event, ...] = (
    *HEARD,
    Partial(0, 30, 0, "go"),
    Partial(0, 31, 2, " for"),
    Partial(0, 32, 3, "forward"),
    Commit(0, 40, 41, 42),
    Final(0, 50, "Go forward.", Usage(3, 2, 5)),
)
SECOND: tuple[Event, ...] = (
    Heard(1, 80, 60, 60, 60, 160),
    Refusal(61, "x", "why", 1),
    Partial(1, 62, 0, "turn"),
)
NOBODYS = Refusal(55, "y", "why not")
WHOLE = timeline(*FIRST, NOBODYS, *SECOND)


def test_an_item_is_the_same_session_with_its_events_alone() -> None:
    assert WHOLE.item(0) == timeline(*FIRST)
    assert WHOLE.item(1) == timeline(*SECOND)
    assert WHOLE.item(2) == timeline()


def test_the_events_by_their_kind() -> None:
    assert WHOLE.heard == (*HEARD, SECOND[0])
    assert WHOLE.commit == Commit(0, 40, 41, 42)
    assert WHOLE.final == FIRST[-1]
    assert WHOLE.refusals == (NOBODYS, SECOND[1])


def test_what_did_not_happen_is_none() -> None:
    empty = timeline()
    assert empty.heard == ()
    assert empty.refusals == ()
    assert empty.commit is None
    assert empty.final is None
    assert empty.text == ""
    assert list(empty.hypotheses()) == []
    assert empty.lag is NO_LAG
    assert empty.session == ""


def test_a_hypothesis_is_the_full_text_with_what_was_kept() -> None:
    assert list(WHOLE.item(0).hypotheses()) == [
        (30, "go"),
        (31, "go for"),
        (32, "go forward"),
        (50, "Go forward."),
    ]


def test_the_text_is_the_final_one_or_the_last_hypothesis() -> None:
    assert WHOLE.item(0).text == "Go forward."
    assert WHOLE.item(1).text == "turn"


@pytest.mark.parametrize(
    ("seconds", "due"),
    [(0, 10), (0.1, 10), (0.101, 20), (0.2, 20), (0.25, 25), (0.251, None)],
)
def test_audio_is_due_with_the_first_frame_that_reaches_it(
    seconds: float, due: int | None
) -> None:
    assert WHOLE.item(0).due(seconds) == due


def test_without_audio_nothing_was_due() -> None:
    assert timeline().due(0) is None
