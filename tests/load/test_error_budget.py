"""How the levels of a search share the probability of a wrong proof."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_realtime_asr.load.decision import Proof, Risk
from pytest_realtime_asr.load.error_budget import (
    ANY,
    FIRST_CONFIDENCE,
    MOST_LEVELS,
    next_error,
)
from pytest_realtime_asr.load.trials import Step, Trial
from tests.load.trial_rows import trial


def spent(step: Step, proof: Proof, error: float) -> Trial:
    risk = Risk(error, ANY) if step is Step.CONFIRM else Risk(ANY, error)
    return trial(step, 8, 0.0, proof, risk=risk)


def test_the_first_proof_spends_two_and_a_half_percent() -> None:
    assert next_error(()) == pytest.approx(0.025)
    assert pytest.approx(0.975) == FIRST_CONFIDENCE


@pytest.mark.parametrize(
    ("step", "aim"), [(Step.CONFIRM, Proof.HOLDS), (Step.ABOVE, Proof.MISSES)]
)
def test_only_a_proof_that_fails_costs_something(step: Step, aim: Proof) -> None:
    first = next_error(())
    assert next_error([spent(step, aim, first)]) == first
    for other in set(Proof) - {aim}:
        assert next_error([spent(step, other, first)]) < first


def test_levels_of_the_search_cost_nothing() -> None:
    assert next_error([trial(Step.DOUBLE, 8), trial(Step.RETEST, 8)]) == next_error(())


def test_all_proofs_that_fail_spend_five_percent_at_most() -> None:
    levels: list[Trial] = []
    for _ in range(MOST_LEVELS):
        levels.append(spent(Step.CONFIRM, Proof.NONE, next_error(levels)))
    aimed = sum(each.task.risk.holds for each in levels)
    assert aimed + MOST_LEVELS * ANY <= 0.05


def test_the_interval_is_wrong_in_at_most_four_percent_of_searches() -> None:
    # Every proof is wrong with exactly the probability that its level may spend, and
    # the choice between a level that holds and one that does not is the worst one: the
    # next level is always one whose proof would be wrong, or one whose proof is right
    # and succeeds half of the time.
    rng, wrong, runs = np.random.default_rng(3), 0, 4000
    for _ in range(runs):
        levels: list[Trial] = []
        for _ in range(6):
            error = next_error(levels)
            false = rng.random() < 0.6
            success = rng.random() < (error if false else 0.5)
            levels.append(
                spent(Step.CONFIRM, Proof.HOLDS if success else Proof.NONE, error)
            )
            if false and success:
                wrong += 1
                break
    assert wrong / runs <= 0.045
