"""Every requirement is proven twice: a sound fake satisfies it, a fault violates it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.proofs import PROOFS, QUICK, Proof
from pytest_realtime_asr.conformance.results import Result, Status
from pytest_realtime_asr.conformance.selftest import Bench, Score, prove
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.rules import Level
from pytest_realtime_asr.trace import Sender

BINDING = [
    each.id
    for each in dialects.load("vllm").requirements
    if each.blames is Sender.SERVER
]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Bench() as bench:
        yield bench


@pytest.fixture(scope="module")
def broken(bench: Bench) -> Mapping[str, Result]:
    """Each requirement on the fake with its fault, all at the same time."""
    return prove(bench, PROOFS)


def test_no_requirement_is_left_without_its_proofs() -> None:
    assert sorted(PROOFS) == sorted(BINDING)
    assert {name for proof in PROOFS.values() for name in proof.faults} <= set(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize("id", BINDING)
def test_its_fault_violates_it(broken: Mapping[str, Result], id: str) -> None:
    found = broken[id]
    assert found.status is Status.VIOLATED, found.told


@pytest.mark.slow
def test_the_sound_fake_satisfies_all(bench: Bench) -> None:
    found = bench.hold(BINDING, Proof((), pace=QUICK))()
    assert [each.told for each in found.values() if each.seen] == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_requirement_trips_on_what_a_sound_server_may_do(seed: int) -> None:
    with Bench(variety=seed) as bench:
        found = bench.hold(BINDING, Proof((), pace=QUICK))()
    # That it may answer what it accepts is told, and blames it not.
    blamed = [each for each in found.values() if each.level is not Level.INFO]
    assert [each.told for each in blamed if each.seen] == []


@pytest.mark.slow
def test_the_score_names_what_is_not_proven(bench: Bench) -> None:
    sound = bench.hold(["first-event", "order"], Proof(("created-twice",)))()
    broken = bench.hold(["first-event", "order"], Proof(()))()
    score = Score(sound, broken)
    assert score.unproven == [
        "order: sound, yet violated: session.created came out of turn",
        "first-event: with nameless, yet satisfied: ",
        "order: with created-twice, yet satisfied: ",
    ]
    assert str(score) == (
        "1 of 2 requirements are satisfied by the sound fake, 0 of 2 are violated by "
        "their fault"
    )
