"""The steps of a search for the capacity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pytest_realtime_asr.load.decision import Proof
from pytest_realtime_asr.load.error_budget import ANY, MOST_LEVELS, next_error
from pytest_realtime_asr.load.search import following
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import Step, Task, Trial
from tests.load.services import PLAN
from tests.load.trial_rows import trial

UP, HALF, AGAIN = Step.DOUBLE, Step.BISECT, Step.RETEST
CONFIRM, ABOVE, BEYOND = Step.CONFIRM, Step.ABOVE, Step.BEYOND
ENDLESS = replace(PLAN, max_time=1e6)
GOOD, BAD = 0.0, 0.9


def after(*trials: Trial, plan: SearchPlan = ENDLESS, spent: float = 0.0) -> Task:
    task = following(plan, trials, spent)
    assert task is not None
    return task


def nothing_after(
    *trials: Trial, plan: SearchPlan = ENDLESS, spent: float = 0.0
) -> bool:
    return following(plan, trials, spent) is None


UP_TO_8 = (trial(UP, 1), trial(UP, 2), trial(UP, 4), trial(UP, 8))
CROSSED = (*UP_TO_8, trial(UP, 16, BAD))
NARROW = (*CROSSED, trial(HALF, 12, BAD), trial(HALF, 10, BAD), trial(HALF, 9, BAD))
TESTED = (*NARROW, trial(AGAIN, 8), trial(AGAIN, 9, BAD))
CONFIRMED = (*TESTED, trial(CONFIRM, 7, GOOD, Proof.HOLDS, n=900))
ENDED = (*CONFIRMED, trial(ABOVE, 8, BAD, Proof.MISSES))


@pytest.mark.parametrize(
    ("trials", "step", "streams"),
    [
        ((), UP, 1),
        (UP_TO_8, UP, 16),
        (CROSSED, HALF, 12),
        ((*CROSSED, trial(HALF, 12, BAD)), HALF, 10),
        ((*CROSSED, trial(HALF, 12, GOOD)), HALF, 14),
        (NARROW, AGAIN, 8),
        ((*NARROW, trial(AGAIN, 8)), AGAIN, 9),
        # A retest that turns sends the search down, or up again.
        ((*NARROW, trial(AGAIN, 8, BAD, n=900)), HALF, 6),
        ((*NARROW, trial(AGAIN, 8), trial(AGAIN, 9, GOOD, n=9000)), AGAIN, 10),
        (TESTED, CONFIRM, 7),
        # What the search itself has proven is confirmed, not a lower level.
        ((*NARROW, trial(AGAIN, 8, GOOD, Proof.HOLDS), TESTED[-1]), CONFIRM, 8),
        (CONFIRMED, ABOVE, 9),
        (ENDED, BEYOND, 12),
    ],
)
def test_the_next_step(trials: tuple[Trial, ...], step: Step, streams: int) -> None:
    task = after(*trials)
    assert (task.step, task.streams) == (step, streams)


def test_doubling_ends_at_the_largest_number() -> None:
    plan = replace(ENDLESS, high=12)
    assert after(*UP_TO_8, plan=plan).streams == 12
    held = (*UP_TO_8, trial(UP, 12), trial(AGAIN, 12))
    assert after(*held, plan=plan).step is CONFIRM


def test_a_failure_at_the_lowest_number_is_proven() -> None:
    failed = (trial(UP, 1, BAD), trial(AGAIN, 1, BAD))
    task = after(*failed)
    assert (task.step, task.streams) == (ABOVE, 1)
    assert nothing_after(*failed, trial(ABOVE, 1, BAD, Proof.MISSES))


def test_levels_that_only_double_are_short() -> None:
    assert after().hold == PLAN.scout < PLAN.hold
    assert after(*CROSSED).hold == PLAN.scout
    assert after(*NARROW).hold == PLAN.hold
    assert after(*TESTED).hold >= PLAN.confirm


def test_a_confirmation_of_few_streams_is_longer() -> None:
    few = (
        trial(UP, 1),
        trial(UP, 2, BAD),
        trial(AGAIN, 1),
        trial(AGAIN, 2, BAD),
    )
    task = after(*few)
    assert task.step is CONFIRM
    assert task.streams == 1
    assert task.hold > PLAN.needed(1, 0.975) > PLAN.confirm


def test_the_proofs_may_spend_the_error_that_is_left() -> None:
    confirm, above = after(*TESTED), after(*CONFIRMED)
    assert (confirm.risk.holds, confirm.risk.misses) == (next_error(TESTED), ANY)
    assert (above.risk.holds, above.risk.misses) == (ANY, next_error(CONFIRMED))
    assert after().risk.holds == after().risk.misses == ANY


def test_a_confirmation_that_proves_nothing_is_followed_by_a_lower_one() -> None:
    first = after(*TESTED)
    failed = trial(CONFIRM, first.streams, 0.05, n=900, risk=first.risk)
    second = after(*TESTED, failed)
    assert second.step is CONFIRM
    assert second.streams < first.streams
    assert second.risk.holds < first.risk.holds


def test_no_level_runs_above_the_limit_of_the_client() -> None:
    client = (*UP_TO_8, trial(UP, 16, BAD, client=True), trial(HALF, 12))
    search = (*client, trial(HALF, 14), trial(HALF, 15), trial(AGAIN, 15))
    done = (
        *search,
        trial(AGAIN, 16, BAD, client=True),
        trial(CONFIRM, 15, GOOD, Proof.HOLDS),
    )
    task = after(*done)
    assert (task.step, task.streams) == (BEYOND, 23)


def test_an_aborted_level_is_no_bound_but_lowers_the_next_level() -> None:
    aborted = (*UP_TO_8, trial(UP, 16, GOOD, aborted=True))
    assert after(*aborted).streams == 12


def test_the_level_beyond_is_left_out_if_requested() -> None:
    assert nothing_after(*ENDED, plan=replace(ENDLESS, beyond=False))
    assert nothing_after(*ENDED, trial(BEYOND, 12, BAD))


def test_no_level_begins_that_cannot_end_in_time() -> None:
    left = PLAN.seconds(PLAN.hold) - 1
    assert nothing_after(*ENDED, plan=PLAN, spent=PLAN.max_time - left)
    assert not nothing_after(*ENDED, plan=PLAN, spent=PLAN.max_time - left - 1)


def test_time_for_the_confirmation_is_kept() -> None:
    left = PLAN.seconds(PLAN.confirm) + PLAN.last + 1
    task = after(*CROSSED, plan=PLAN, spent=PLAN.max_time - left)
    assert (task.step, task.streams) == (CONFIRM, 7)


def answered(holds: Callable[[int], bool], plan: SearchPlan) -> list[Trial]:
    """A whole search of a server that either holds a level or does not."""
    trials: list[Trial] = []
    spent = 0.0
    while (task := following(plan, trials, spent)) is not None:
        good = holds(task.streams)
        proof = Proof.NONE
        if task.step not in (UP, HALF, AGAIN):
            proof = Proof.HOLDS if good else Proof.MISSES
        n = max(1, round(plan.sessions(task.streams, task.hold)))
        share = GOOD if good else 1.0
        trials.append(
            trial(
                task.step,
                task.streams,
                share,
                proof,
                n=n,
                hold=task.hold,
                risk=task.risk,
            )
        )
        spent += plan.seconds(task.hold)
        assert len(trials) <= MOST_LEVELS
    return trials


@pytest.mark.parametrize("capacity", [1, 2, 3, 37, 128, 199, 400, 499])
def test_every_capacity_is_found(capacity: int) -> None:
    trials = answered(lambda streams: streams <= capacity, ENDLESS)
    held = [each.streams for each in trials if each.decision.proof is Proof.HOLDS]
    failed = [each.streams for each in trials if each.decision.proof is Proof.MISSES]
    assert max(held) <= capacity < min(failed)
    assert min(failed) - max(held) <= max(2, capacity // 25)


@pytest.mark.parametrize("max_time", [400.0, 700.0, 1100.0, 1800.0, 3600.0])
def test_a_search_ends_in_time(max_time: float) -> None:
    plan = replace(PLAN, max_time=max_time)
    plan.check()
    trials = answered(lambda streams: streams <= 37, plan)
    assert sum(plan.seconds(each.task.hold) for each in trials) <= max_time
