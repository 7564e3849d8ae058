"""What a server does with more streams than it holds, by mode."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.behaviour import Behaviour, compare
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.trace.records import Ending
from tests.support.load_rows import level, row

TEXT = "one two three four five six"
LESS_TEXT = "one two four five"


def session(place: int, **changes: object) -> Row:
    given = {"text": TEXT, "final": 200.0, "first": 300.0, "partials": 20, **changes}
    return row(
        clip=f"clip{place % 5}",
        at=0.5 * place,
        session=f"sess_{place}",
        **given,  # type: ignore[arg-type]
    )


def at(streams: int, make: Callable[[int], Row]) -> Level:
    return level([make(place) for place in range(60)], streams=streams)


HELD = at(8, session)


def queued(place: int) -> Row:
    return session(place, final=2200.0, first=2300.0)


def slowed(place: int) -> Row:
    return session(place, final=2200.0, first=600.0)


def sent_less(place: int) -> Row:
    return session(place, final=120.0, partials=7)


def lost_text(place: int) -> Row:
    return session(place, text=LESS_TEXT)


def lost_text_early(place: int) -> Row:
    """A session whose lost words are missing in the partials too."""
    return session(place, text=LESS_TEXT, partials=14)


def lost_some_texts(place: int) -> Row:
    return session(place, text=TEXT if place % 3 else "")


def refused(place: int) -> Row:
    if place % 3:
        return session(place)
    return session(place, lost=Loss.REFUSED, how=Ending.REFUSED, code=503)


def died(place: int) -> Row:
    if place < 20:
        return session(place)
    return session(place, lost=Loss.BROKE if place < 30 else Loss.REFUSED)


@pytest.mark.parametrize(
    ("make", "behaviour"),
    [
        (session, Behaviour.HOLDS),
        (queued, Behaviour.QUEUES),
        (slowed, Behaviour.SLOWS),
        (sent_less, Behaviour.SENDS_LESS),
        (lost_text, Behaviour.LOSES_TEXT),
        (lost_text_early, Behaviour.LOSES_TEXT),
        (lost_some_texts, Behaviour.LOSES_TEXT),
        (refused, Behaviour.REFUSES),
        (died, Behaviour.DIES),
    ],
)
def test_each_behaviour_is_named(
    make: Callable[[int], Row], behaviour: Behaviour
) -> None:
    found = compare(at(12, make), HELD)
    assert found is not None
    assert found.behaviours == (behaviour,)
    assert (found.streams, found.held) == (13, 9)  # with the witness of each level


def test_a_server_may_do_several_things() -> None:
    found = compare(
        at(12, lambda place: session(place, text=LESS_TEXT, final=9e3)), HELD
    )
    assert found is not None
    assert found.behaviours == (Behaviour.LOSES_TEXT, Behaviour.SLOWS)


def test_the_figures_are_relative_to_the_level_that_held() -> None:
    found = compare(at(12, queued), HELD)
    assert found is not None
    assert found.later == pytest.approx(2000)
    assert found.first_later == pytest.approx(2000)
    assert found.partials == pytest.approx(1)
    assert found.words == pytest.approx(1)
    assert found.recovery is None


def test_a_text_without_spaces_loses_characters() -> None:
    def japanese(text: str) -> Callable[[int], Row]:
        return lambda place: session(place, text=text)

    whole = at(8, japanese("今日は天気がいいです"))
    found = compare(at(12, japanese("今日は天気")), whole)
    assert found is not None
    assert found.words == pytest.approx(0.5)
    assert found.behaviours == (Behaviour.LOSES_TEXT,)


def test_another_mix_of_clips_does_not_change_the_figures() -> None:
    def mixed(place: int) -> Row:
        return row(TEXT, clip=f"clip{place % 5}", final=200.0 * (1 + place % 5))

    def other(place: int) -> Row:
        return mixed(4 if place % 2 else place)

    found = compare(at(12, other), at(8, mixed))
    assert found is not None
    assert found.later == pytest.approx(0)


def test_one_lost_session_is_no_behaviour() -> None:
    def once(place: int) -> Row:
        return session(place, lost=Loss.HUNG if place == 30 else Loss.NONE)

    found = compare(at(12, once), HELD)
    assert found is not None
    assert found.behaviours == (Behaviour.HOLDS,)
    assert found.broken == pytest.approx(1 / 60)


def test_hung_sessions_are_no_dead_server() -> None:
    def hung(place: int) -> Row:
        return session(place, lost=Loss.HUNG if place % 2 else Loss.NONE)

    found = compare(at(12, hung), HELD)
    assert found is not None
    assert found.behaviours == (Behaviour.HANGS,)
    assert found.broken == pytest.approx(0.5)


def test_without_sessions_there_is_no_behaviour() -> None:
    assert compare(level([], streams=12), HELD) is None
    cut = level([session(0, lost=Loss.CANCELLED)], streams=12)
    assert compare(cut, HELD) is None
