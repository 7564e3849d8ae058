"""Verdicts without the losses that the loss rate of the run explains."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.conformance.explained_losses import without_losses
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Undecided,
    Violated,
)
from tests.support.sessions import FIRST, spoke

SOUND = tuple(spoke(f"role-{number}", "a", "b") for number in range(30))
LOST = spoke("35s", None)
LOSSES = (spoke("a", None), spoke("b", None))
REPEATED = "2 of 63 plain utterances have no final: 3.2 % "


def judged(check: Check, evidence: Evidence, whole: Evidence) -> Outcome:
    outcome = check(evidence)
    assert isinstance(outcome, Violated)
    assert outcome.by_loss
    return without_losses(check, evidence, outcome, whole)


def test_a_loss_that_is_the_only_one_is_a_violation() -> None:
    own = Evidence((LOST,))
    found = judged(checks.finishes("35s"), own, Evidence(SOUND) + own)
    assert isinstance(found, Violated)


def test_a_loss_beside_others_is_undecided() -> None:
    own = Evidence((LOST,))
    found = judged(checks.finishes("35s"), own, Evidence((*SOUND, *LOSSES)) + own)
    assert isinstance(found, Undecided)
    assert found.reason.startswith(
        "an utterance has no final, but the loss rate of the whole run explains this "
        "(see no-loss): 3 of 63 plain utterances "
        "have no final: 4.8 % (95 % confidence interval "
    )


def test_a_scenario_that_loses_each_time_is_a_violation_beside_others() -> None:
    own = Evidence((LOST,) * 4)
    found = judged(checks.finishes("35s"), own, Evidence((*SOUND, *LOSSES)) + own)
    assert isinstance(found, Violated)


def test_the_first_utterance_is_never_excused() -> None:
    own = Evidence((spoke("first-utterance", None),))
    whole = Evidence((*SOUND, *LOSSES)) + own
    found = judged(checks.finishes("first-utterance"), own, whole)
    assert isinstance(found, Violated)


@pytest.mark.parametrize("place", [0, 2])
def test_another_violation_remains(place: int) -> None:
    parts = [spoke("it", None), spoke("it", "a")]
    parts.insert(place, spoke("it", FIRST.text, "x " * 20, clips=(FIRST, FIRST)))
    own = Evidence(tuple(parts))
    check = checks.both(checks.finishes("it"), checks.no_repetition("it"))
    found = judged(check, own, Evidence((*SOUND, *LOSSES)) + own)
    assert isinstance(found, Violated)
    assert not found.by_loss
    assert found.part == place
