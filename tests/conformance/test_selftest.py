"""Every requirement is proven twice: a correct fake meets it, a fault violates it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import exchanges, results, selftest
from pytest_realtime_asr.conformance.machine_load import MachineLoad
from pytest_realtime_asr.conformance.results import Result, Status, judge
from pytest_realtime_asr.conformance.selftest import (
    Bench,
    Score,
    Seen,
    observe_faults,
    prove,
)
from pytest_realtime_asr.fake.faults import FAULTS
from pytest_realtime_asr.requirements import shared
from pytest_realtime_asr.requirements.requirement import Level, Proof, Requirement
from pytest_realtime_asr.trace.records import Sender
from tests.support.paths import ROOT

OTHERS = ("openai-beta", "openai:sglang", "deepgram:whisperlivekit-listen")
WHOLE = ("vllm", "openai", "sglang-omni", "deepgram", "vosk")
BINDING = {
    name: [
        each.id
        for each in dialects.load(name).requirements
        if each.binds is Sender.SERVER
    ]
    for name in (*WHOLE, *OTHERS)
}
SET_UP = (
    "first-event",
    "update-answered",
    "update-again",
    "update-shows-what-holds",
    "update-keeps-the-rest",
    "refused-update-unconfirmed",
    "refused-fields-unshown",
    "errors-name-the-field",
    "unknown-format-refused",
    "unknown-model-refused",
)
# Where a shape or a profile is otherwise than that of which all is proven.
OTHERWISE = {
    "openai-beta": (*SET_UP, "items-are-added", "same-text-pcmu", "turn-order"),
    "openai:sglang": (
        "usage-adds-up",
        "usage-counts",
        "empty-commit-code",
        "same-text-16000hz",
        "same-text-48000hz",
        "audio-limit-answered",
    ),
    "deepgram:whisperlivekit-listen": (
        "first-event",
        "order",
        "bad-option-refused",
        "close-settles-text",
        "close-is-summarised",
        "close-is-normal",
        "empty-utterance-finishes",
        "empty-utterance-is-wordless",
        "metadata-counts-audio",
    ),
}


@cache
def broken(name: str) -> Mapping[str, Seen]:
    """Return what is seen of each requirement on the fake with its fault."""
    with Bench(name) as bench:
        return observe_faults(bench, bench.proofs)


@cache
def correct(name: str) -> Mapping[str, Seen]:
    """Return what is seen of each requirement on the correct fake."""
    with Bench(name) as bench:
        return bench.observe(bench.requirements, Proof(()))()


@pytest.mark.parametrize("name", BINDING)
def test_each_requirement_has_a_proof(name: str) -> None:
    proofs = {
        each.id: each.proof for each in dialects.load(name).requirements if each.proof
    }
    assert list(proofs) == BINDING[name]
    assert {fault for proof in proofs.values() for fault in proof.faults} <= set(FAULTS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "id"), [(name, id) for name in WHOLE for id in BINDING[name]]
)
def test_its_fault_violates_it(name: str, id: str) -> None:
    found = broken(name)[id].result
    assert found.status is Status.VIOLATED, found.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE)
def test_the_correct_fake_satisfies_all(name: str) -> None:
    found = [each.result for each in correct(name).values()]
    assert [each.reason for each in found if each.reason] == []


# What a long text loses depends on the clips that the statistics choose.
CHOSEN = {"long-text-has-no-hole"}


# The frames of other protocols have numbers or times that depend on when a word comes.
WITH_EXCHANGES = tuple(name for name in WHOLE if name in ("vllm", "openai"))


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_EXCHANGES)
def test_the_exchanges_of_the_documentation_are_those_of_today(name: str) -> None:
    dialect = dialects.load(name)
    kept = exchanges.loads((ROOT / f"docs/protocols/{name}.jsonl").read_text())
    violated = {id for id, each in broken(name).items() if each.result.session}
    gone = {
        id: exchanges.unseen(kept[id], dialect, id, correct(name)[id], broken(name)[id])
        for id in violated - CHOSEN
    }
    changed = {id: frames for id, frames in gone.items() if frames}
    assert changed == {}, "run tools/make_exchanges.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERWISE)
def test_other_shapes_and_profiles_are_proven_too(name: str) -> None:
    with Bench(name) as bench:
        calm = [id for id in bench.requirements if not bench.floods([id])]
        judge = bench.start(calm, Proof(()))
        broken = prove(bench, OTHERWISE[name])  # meanwhile
        correct = judge()
    assert [each.reason for each in correct.values() if each.reason] == []
    kept = [each for each in broken.values() if each.status is not Status.VIOLATED]
    assert [each.reason for each in kept] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed"), [("vllm", 0), ("openai", 1), ("sglang-omni", 2)]
)
def test_legal_variation_violates_no_requirement(name: str, seed: int) -> None:
    with Bench(name, variety=seed) as bench:
        found = bench.start(bench.requirements, Proof(()))()
    # An INFO finding is reported and fails nothing.
    blamed = [
        each for each in found.values() if each.requirement.level is not Level.INFO
    ]
    assert [each.reason for each in blamed if each.reason] == []


def test_a_fault_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(FAULTS)
    del known["no-pong"]
    monkeypatch.setattr(selftest, "known", lambda: known)
    said = "the requirement pong of the dialect vllm is proven with the fault no-pong, "
    with pytest.raises(LookupError, match=said):
        Bench("vllm")


@pytest.mark.slow
def test_undecided_requirements_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """An undecided requirement is repeated at most three times, each time alone."""
    judged: list[str] = []

    def undecided(requirement: Requirement, *given: Any, **named: Any) -> Result:
        found = judge(requirement, *given, **named)
        judged.append(requirement.id)
        late = requirement.id == "order" and judged.count("order") < 3
        return replace(found, status=Status.UNDECIDED) if late else found

    monkeypatch.setattr(results, "judge", undecided)
    with Bench("vllm") as bench:
        found = bench.start(["first-event", "order"], Proof(()))()
    assert {each.status for each in found.values()} == {Status.SATISFIED}
    assert sorted(judged) == ["first-event", "order", "order", "order"]


def test_the_score_says_that_the_machine_was_busy() -> None:
    undecided = {
        "order": Result(shared.SHARED["order"], Status.UNDECIDED, reason="no event")
    }
    line = "vllm: order: undecided on a correct fake: no event"
    for load, more in (
        (None, ""),
        (MachineLoad(1.0, 2), ""),
        (
            MachineLoad(17.0, 2),
            "; the machine was busy: load average 17 on 2 cores; repeat the "
            "self-test on a quiet machine",
        ),
    ):
        assert Score("vllm", {}, undecided, {}, load).unproven == [f"{line}{more}"]


@pytest.mark.slow
def test_the_score_names_unproven_requirements() -> None:
    with Bench("vllm") as bench:
        correct = bench.start(["first-event", "order"], Proof(("created-twice",)))()
        broken = bench.start(["first-event", "order"], Proof(()))()
        score = Score("vllm", bench.proofs, correct, broken)
    assert score.unproven == [
        "vllm: order: violated on a correct fake: session.created came out of order",
        "vllm: first-event: satisfied with the fault nameless",
        "vllm: order: satisfied with the fault created-twice",
    ]
    assert str(score) == (
        "vllm: 1 of 2 requirements are satisfied by the correct fake, 0 of 2 are "
        "violated by the fake with the matching fault"
    )
