"""What the levels of a search say about a capacity."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.capacity import (
    Capacity,
    Edge,
    LimitedBy,
    Tried,
    capacity,
)
from pytest_realtime_asr.load.decision import Proof
from pytest_realtime_asr.load.trials import Step, Trial
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.load.services import PLAN, SETTING
from tests.load.trial_rows import trial
from tests.support.load_rows import level, row

UP, HALF, AGAIN = Step.DOUBLE, Step.BISECT, Step.RETEST
CONFIRM, ABOVE, BEYOND = Step.CONFIRM, Step.ABOVE, Step.BEYOND
HELD = (trial(UP, 1), trial(UP, 10), trial(CONFIRM, 9, 0.01, Proof.HOLDS))


def found(trials: Iterable[Trial], **changes: str) -> Capacity:
    return capacity([Tried(each) for each in trials], PLAN, SETTING, **changes)  # type: ignore[arg-type]


def test_the_result_is_the_proven_number() -> None:
    shown = found((*HELD, trial(HALF, 11, 0.2), trial(ABOVE, 12, 0.4, Proof.MISSES)))
    assert shown.streams == 9
    assert shown.interval == (9, 12)
    assert shown.undecided == (10, 11)
    assert shown.confirmed
    assert shown.verdict is Verdict.PASS
    assert shown.limited_by is LimitedBy.SERVER
    assert shown.binding is not None
    assert shown.binding.share == pytest.approx(0.4)


def test_a_search_that_was_not_confirmed_is_inconclusive() -> None:
    shown = found((trial(UP, 8, 0.0, Proof.HOLDS), trial(UP, 16, 0.4)))
    assert (shown.streams, shown.confirmed) == (8, False)
    assert shown.verdict is Verdict.INCONCLUSIVE
    assert shown.limited_by is LimitedBy.TIME
    assert shown.needed is not None
    assert shown.needed[1] > 0


def test_the_result_is_that_of_the_confirmation() -> None:
    shown = found((*HELD, trial(AGAIN, 10, 0.0, Proof.HOLDS)))
    assert (shown.streams, shown.confirmed) == (9, True)
    assert shown.interval == (9, None)
    above = found((*HELD, trial(ABOVE, 11, 0.0, Proof.HOLDS)))
    assert (above.streams, above.confirmed) == (11, True)


def test_without_levels_the_capacity_is_inconclusive() -> None:
    shown = found(())
    assert (shown.streams, shown.interval) == (0, (0, None))
    assert shown.binding is None
    assert shown.edge is None
    assert shown.curve == ()
    assert shown.verdict is Verdict.INCONCLUSIVE


def test_the_instrument_is_a_limit() -> None:
    shown = found((*HELD, trial(UP, 20, 0.4, client=True)))
    assert shown.limited_by is LimitedBy.CLIENT
    assert shown.reaches(9) is Verdict.PASS
    assert shown.reaches(10) is Verdict.INVALID
    alone = found((trial(UP, 1, 0.4, client=True),))
    assert alone.verdict is Verdict.INVALID


def test_lost_sessions_are_reported_as_such() -> None:
    late = trial(ABOVE, 12, 0.4, Proof.MISSES)
    broken = trial(ABOVE, 12, 0.4, Proof.MISSES, lost=80)
    assert found((*HELD, late)).limited_by is LimitedBy.SERVER
    assert found((*HELD, broken)).limited_by is LimitedBy.LOSSES


def test_a_lost_session_of_a_small_level_is_no_limit_of_latency() -> None:
    # The 50th session of the server was lost: one of ten at a level of the search.
    lost = trial(UP, 4, 0.1, n=10, lost=1)
    shown = found((trial(UP, 1), trial(UP, 2), lost))
    assert shown.limited_by is LimitedBy.LOSSES
    again = trial(AGAIN, 4, 0.0, n=40)
    held = found((trial(UP, 1), trial(UP, 2), lost, again, *HELD))
    assert held.interval == (9, None)


def test_the_lost_sessions_of_all_levels_are_counted() -> None:
    rows = [row(), row(lost=Loss.HUNG), row(lost=Loss.BROKE), row(lost=Loss.HUNG)]
    tried = Tried(trial(UP, 4), level(rows))
    shown = capacity([tried, tried], PLAN, SETTING)
    assert shown.lost == (("hung", 4), ("broke", 2))


def test_the_end_of_the_range_is_a_limit() -> None:
    high = PLAN.high
    held = (trial(UP, high), trial(CONFIRM, high, 0.0, Proof.HOLDS))
    assert found(held).limited_by is LimitedBy.RANGE
    assert found(held).interval == (high, None)


def test_a_search_that_was_ended_states_the_reason() -> None:
    shown = found((trial(UP, 1),), ended="the server did not come back")
    assert shown.limited_by is LimitedBy.ENDED
    assert shown.ended == "the server did not come back"


@pytest.mark.parametrize(
    ("below", "above", "edge"),
    [(0.01, 0.6, Edge.CLIFF), (0.06, 0.6, Edge.SLOPE), (0.01, 0.4, Edge.SLOPE)],
)
def test_a_cliff_rises_from_one_level_to_the_next(
    below: float, above: float, edge: Edge
) -> None:
    levels = (
        trial(CONFIRM, 9, 0.0, Proof.HOLDS),
        trial(HALF, 10, below),
        trial(ABOVE, 11, above, Proof.MISSES),
    )
    assert found(levels).edge is edge


def test_levels_outside_the_bracket_make_no_cliff() -> None:
    levels = (
        *HELD,
        trial(HALF, 11, 0.2),
        trial(ABOVE, 12, 0.4, Proof.MISSES),
        trial(BEYOND, 18, 1.0, Proof.MISSES),
    )
    assert found(levels).edge is Edge.SLOPE


@pytest.mark.parametrize(
    ("streams", "verdict"),
    [
        (8, Verdict.PASS),
        (9, Verdict.PASS),
        (10, Verdict.INCONCLUSIVE),
        (11, Verdict.INCONCLUSIVE),
        (12, Verdict.FAIL),
        (40, Verdict.FAIL),
    ],
)
def test_the_interval_decides_whether_a_number_is_reached(
    streams: int, verdict: Verdict
) -> None:
    shown = found((*HELD, trial(ABOVE, 12, 0.4, Proof.MISSES)))
    assert shown.reaches(streams) is verdict


def test_a_server_that_holds_no_stream_fails() -> None:
    shown = found((trial(UP, 1, 0.9), trial(ABOVE, 1, 0.9, Proof.MISSES)))
    assert shown.interval == (0, 1)
    assert shown.verdict is Verdict.FAIL
    assert shown.limited_by is LimitedBy.SERVER


def test_levels_that_contradict_each_other_are_named() -> None:
    shown = found((trial(HALF, 5, 0.9, Proof.MISSES), *HELD))
    assert shown.reversals == ((5, 9), (5, 10))
    assert shown.interval == (0, 5)
