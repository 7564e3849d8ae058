"""What the levels of a search show together."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.load.decision import Proof
from pytest_realtime_asr.load.trials import (
    Bounds,
    Bracket,
    Step,
    Trial,
    bounds,
    bracket,
    of,
    points,
    reversals,
)
from tests.load.trial_rows import trial

UP, HALF, AGAIN = Step.DOUBLE, Step.BISECT, Step.RETEST


def test_without_levels_there_is_no_bound() -> None:
    assert bounds(()) == Bounds(0, None)
    assert bracket(()) == Bracket(None, None)


def test_only_proofs_are_bounds() -> None:
    found = bounds(
        [
            trial(UP, 8, 0.0),
            trial(Step.CONFIRM, 12, 0.0, Proof.HOLDS),
            trial(HALF, 14, 0.3),
            trial(Step.ABOVE, 16, 0.4, Proof.MISSES),
            trial(Step.BEYOND, 24, 1.0, Proof.MISSES),
        ]
    )
    assert found == Bounds(12, 16)


def test_a_level_that_holds_above_one_that_does_not_is_no_bound() -> None:
    found = bounds([trial(HALF, 8, 1.0, Proof.MISSES), trial(UP, 16, 0.0, Proof.HOLDS)])
    assert found == Bounds(0, 8)


def test_the_bracket_is_where_the_observed_share_crosses() -> None:
    levels = [trial(UP, 8, 0.0), trial(UP, 16, 0.2), trial(HALF, 12, 0.04)]
    assert bracket(levels) == Bracket(12, 16)


def test_the_levels_of_equal_streams_are_pooled_by_their_sessions() -> None:
    first = trial(UP, 8, 0.08, n=100)
    assert bracket([first]) == Bracket(None, 8)
    assert bracket([first, trial(AGAIN, 8, 0.02, n=300)]) == Bracket(8, None)
    assert bracket([first, trial(AGAIN, 8, 0.04, n=100)]) == Bracket(None, 8)


@pytest.mark.parametrize(
    "unjudged", [trial(UP, 16, 0.0, aborted=True), trial(UP, 16, 0.0, client=True)]
)
def test_a_level_that_cannot_be_judged_is_not_passed(unjudged: Trial) -> None:
    assert bracket([trial(UP, 8, 0.0), unjudged]) == Bracket(8, 16)


def test_proofs_do_not_choose_the_next_level() -> None:
    levels = [trial(UP, 8, 0.0), trial(Step.CONFIRM, 8, 0.3, Proof.MISSES)]
    assert bracket(levels) == Bracket(8, None)


def test_levels_that_contradict_monotony_are_named() -> None:
    levels = [
        trial(UP, 8, 0.0),
        trial(HALF, 10, 0.5, Proof.MISSES),
        trial(UP, 16, 0.0),
        trial(Step.BEYOND, 24, 0.6, Proof.MISSES),
    ]
    assert reversals(levels) == ((10, 16),)
    assert reversals(levels[::2]) == ()


def test_levels_are_chosen_by_their_steps() -> None:
    levels = [trial(UP, 8), trial(HALF, 10), trial(Step.ABOVE, 12)]
    assert [each.streams for each in of(levels, UP, Step.ABOVE)] == [8, 12]


def test_levels_limited_by_the_client_are_no_points_of_the_curve() -> None:
    levels = [
        trial(UP, 8, 0.1, n=100),
        trial(UP, 16, 0.2, client=True),
        trial(UP, 20, 0.2, aborted=True),
    ]
    found = list(points(levels))
    assert [each.streams for each in found] == [8, 20]
    assert found[0].share == pytest.approx(0.1)
    assert found[0].weight == 100
    assert found[1].share == 1.0
