"""The shared requirements that fit a protocol, by its capabilities."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.conformance.selection import unfit_requirements
from pytest_realtime_asr.dialects import Traits
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.capability import EVERY, Capability
from pytest_realtime_asr.requirements.requirement import Proof, Requirement
from pytest_realtime_asr.requirements.scenario_steps import Exercise, Misuse
from tests.support.packed import Packed

NONE: frozenset[Capability] = frozenset()


def dialect(capabilities: frozenset[Capability]) -> Packed:
    """Return a dialect with all shared requirements that fit these capabilities."""

    class Shared(Packed):
        traits = Traits(capabilities=capabilities)
        requirements: tuple[Requirement, ...] = shared.requirements(capabilities)
        misuses: tuple[Misuse, ...] = shared.misuses_for(capabilities)
        exercises = (Exercise(shared.TWO_SET_UPS, "two sessions", ()),)

    return Shared()


@pytest.mark.parametrize("without", [*Capability, None])
def test_the_requirements_of_a_protocol_can_be_judged(
    without: Capability | None,
) -> None:
    assert list(unfit_requirements(dialect(EVERY - {without}))) == []


@pytest.mark.parametrize("only", [*Capability, None])
def test_a_protocol_that_can_do_little_has_requirements_too(
    only: Capability | None,
) -> None:
    found = dialect(EVERY & {only})
    assert len(found.requirements) > 30
    assert list(unfit_requirements(found)) == []


def test_each_requirement_has_a_clause_and_a_proof() -> None:
    for each in shared.requirements(EVERY):
        assert each.clause
        assert each.proof is not None
        assert set(each.proof.faults) <= set(FAULTS)


def test_a_changed_requirement_replaces_the_shared_one() -> None:
    changed = shared.stated("no-secret", "another clause", proof=Proof(("echoes",)))
    found = shared.requirements(EVERY, changed)
    assert [each for each in found if each.id == "no-secret"] == [changed]


def test_a_changed_requirement_has_only_the_scenarios_that_fit() -> None:
    changed = shared.stated("no-secret", "another clause", proof=Proof(("echoes",)))
    (found,) = [
        each for each in shared.requirements(NONE, changed) if each.id == "no-secret"
    ]
    assert "unknown-event" in changed.scenarios
    assert found == replace(changed, scenarios=("utterances",))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (
            replace(shared.SHARED["pong"], id="pongs"),
            "'pongs' is not a shared requirement",
        ),
        (
            shared.stated("update-again", "a clause"),
            "the requirement 'update-again' needs a protocol in which the client sends "
            "frames that set the session up",
        ),
    ],
)
def test_a_changed_requirement_that_does_not_fit(
    changed: Requirement, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        shared.requirements(NONE, changed)


@pytest.mark.parametrize("id", ["no-secret", "no-stack-trace"])
def test_the_proof_does_not_need_errors_that_the_protocol_lacks(id: str) -> None:
    (found,) = [each for each in shared.requirements(NONE) if each.id == id]
    (usual,) = [each for each in shared.requirements(EVERY) if each.id == id]
    assert found.proof != usual.proof
    assert set(found.scenarios) < set(usual.scenarios)
