"""Tests of the search for changes of settled text."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.settled_text import Retraction, retractions
from pytest_realtime_asr.trace.timeline import (
    Event,
    Final,
    Partial,
    Settled,
    Timeline,
)

GO = (Partial(0, 1, 0, "go on"), Settled(0, 1, 2))


def found(*events: Event) -> Sequence[Retraction]:
    return [*retractions(Timeline(16_000, 0, 0, events, End(Ending.CLOSED_BY_US, 9)))]


@pytest.mark.parametrize(
    "after",
    [
        (Partial(0, 2, 2, " off"),),
        (Partial(0, 2, 5, ""), Final(0, 3, "go off")),
        (Partial(0, 2, 0, "go"),),
        (Settled(0, 2, 1),),  # a smaller length takes nothing back
        (Settled(0, 2, 99), Partial(0, 3, 5, " now")),  # more than there is
        (Final(0, 2, "go on"), Partial(0, 3, 5, ""), Final(0, 4, "go on")),
    ],
)
def test_text_that_is_not_settled_may_change(after: Sequence[Event]) -> None:
    assert found(*GO, *after) == []


def test_a_retraction_has_the_settled_text_that_was_removed() -> None:
    assert found(*GO, Partial(0, 2, 0, "so on")) == [Retraction(2, "go", "so on")]
    assert found(*GO, Partial(0, 2, 1, "")) == [Retraction(2, "o", "")]
    assert found(*GO, Final(0, 2, "no")) == [Retraction(2, "go", "no")]


def test_text_in_the_place_of_settled_text_is_not_settled() -> None:
    changed = (Partial(0, 2, 0, "so"), Partial(0, 3, 0, "no"))
    assert found(*GO, *changed) == [Retraction(2, "go", "so")]
    again = (changed[0], Settled(0, 2, 2), changed[1])
    assert found(*GO, *again)[1:] == [Retraction(3, "so", "no")]


def test_a_final_settles_the_end_of_the_text() -> None:
    final = Final(0, 2, "go on")
    assert found(final, Partial(0, 3, 5, " now")) == [Retraction(3, "", " now")]
    assert found(final, Partial(0, 3, 2, "")) == [Retraction(3, " on", "")]
