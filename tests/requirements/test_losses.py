"""The rate of lost utterances, and which roles lose too many for it.

Whole runs of the suite are simulated: each scenario of a dialect sends its utterances
until one is lost, and is repeated as the scheduler repeats it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenarios import many_clips, scenarios
from pytest_realtime_asr.conformance.scheduler import REPEATS
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.losses import (
    Losses,
    by_role,
    excessive,
    rate,
    scattered,
)
from pytest_realtime_asr.requirements.requirement import (
    Harm,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.records import Ending
from tests.support.sessions import (
    BEGIN,
    FINISH,
    FIRST,
    SECOND,
    SPEAK,
    UNKNOWN,
    UPDATE,
    Hand,
    created,
    error,
    part,
    spoke,
)

RUNS = 500

# What is counted


EMPTY = Utterance("no audio", "", replace(FIRST.audio, pcm=b""))


@pytest.mark.parametrize(
    ("session", "lost", "total"),
    [
        (spoke("a", "x", "y"), 0, 2),
        (spoke("a", "x", None), 1, 2),
        (spoke("a", None, how=Ending.CLOSED_BY_PEER, code=1011), 1, 1),
        (spoke("a", None, how=Ending.BROKEN), 1, 1),
        # The client did not wait for the final.
        (spoke("a", "x", None, how=Ending.CLOSED_BY_US), 0, 1),
        # An error came in place of the final.
        (
            part(
                "a",
                created(),
                UPDATE,
                *SPEAK,
                error("failed"),
                spoken={0: FIRST},
                how=Ending.CLOSED_BY_US,
            ),
            1,
            1,
        ),
        # An utterance without audio may be refused.
        (
            part("a", created(), UPDATE, BEGIN, FINISH, error("x"), spoken={0: EMPTY}),
            0,
            0,
        ),
    ],
)
def test_each_ending_counts_as_lost_or_not(
    session: Part, lost: int, total: int
) -> None:
    found = by_role(Evidence((session,)))
    assert bool(found) is bool(total)
    for each in found.values():
        assert (each.lost, each.total) == (lost, total)
        assert each.plain


def test_a_hand_written_frame_or_a_harmful_scenario_makes_a_role_not_plain() -> None:
    misused = part("b", created(), Hand(UNKNOWN), *SPEAK, spoken={0: FIRST})
    found = by_role(Evidence((spoke("a", "x"), spoke("fresh", "x"), misused)))
    assert [role for role, each in found.items() if each.plain] == ["a"]


def test_a_scenario_sent_faster_than_the_pace_is_not_plain() -> None:
    assert many_clips.FAST in scenarios(dialects.load("vllm"))
    (found,) = by_role(Evidence((spoke(many_clips.FAST, "x"),))).values()
    assert not found.plain


# Which roles lose too many


def of(lost: int, total: int, *, sessions: int = 1, plain: bool = True) -> Losses:
    return Losses(lost, total, sessions, min(lost, sessions), plain)


PLENTY = {f"role-{number}": of(0, 2) for number in range(30)}


@pytest.mark.parametrize(
    ("losses", "own"),
    [
        ({}, set()),
        (PLENTY, set()),
        # Nothing else explains the loss.
        ({**PLENTY, "35s": of(1, 1)}, {"35s"}),
        ({"35s": of(1, 1)}, {"35s"}),
        ({**PLENTY, "misuse": of(1, 1, plain=False)}, {"misuse"}),
        # The loss in the other scenario explains it, until they are repeated.
        ({**PLENTY, "35s": of(1, 1), "10s": of(1, 1)}, set()),
        (
            {
                **PLENTY,
                "35s": of(4, 4, sessions=4),
                "10s": of(4, 4, sessions=4),
                "2s": of(1, 2, sessions=2),
                "1s": of(1, 2, sessions=2),
            },
            {"35s", "10s"},
        ),
        # A session with a frame by hand says nothing about plain utterances.
        (
            {**PLENTY, "35s": of(1, 1), "misuse": of(1, 1, plain=False)},
            {"35s"},
        ),
        ({"a": of(6, 60), "crowd": of(1, 8)}, set()),
        ({"a": of(1, 60), "crowd": of(8, 8)}, {"crowd"}),
    ],
)
def test_which_roles_lose_too_many(losses: Mapping[str, Losses], own: set[str]) -> None:
    assert excessive(losses) == own


def test_the_rate_leaves_out_roles_with_a_fault_of_their_own() -> None:
    losses = {"a": of(4, 60, sessions=60), "b": of(2, 40), "35s": of(4, 4, sessions=4)}
    assert excessive(losses) == {"35s"}
    assert rate(losses) == (6, 100)
    assert set(scattered(losses)) == {"a", "b"}


# Simulated runs


def _utterances(scenario: Scenario) -> int:
    return max(1, round(scenario.times))


def run(
    known: Mapping[str, Scenario], loses: Callable[[str], bool]
) -> dict[str, Losses]:
    """Return the losses of a run in which ``loses`` draws the fate of an utterance."""
    found: dict[str, Losses] = {}
    lost: list[str] = []

    def once(name: str, scenario: Scenario) -> None:
        total = _utterances(scenario)
        fates = [loses(name) for _ in range(total)]
        if scenario.streams == 1:  # a scenario ends with its first loss
            fates = fates[: fates.index(True) + 1] if True in fates else fates
        before = found.get(name, Losses(0, 0, 0, 0, plain=name not in special))
        found[name] = Losses(
            before.lost + sum(fates),
            before.total + len(fates),
            before.sessions + 1,
            before.losing + (True in fates),
            before.plain,
        )

    misuses = {each.name for each in dialects.load("vllm").misuses}
    special = {*misuses, many_clips.FAST}
    repeatable = (Concurrency.PARALLEL, Concurrency.LONG_RUNNING)
    for name, scenario in known.items():
        if scenario.harm is Harm.SAFE or name == "crowd":
            once(name, scenario)
            if found[name].lost and scenario.concurrency in repeatable:
                lost.append(name)
    for name in lost if len(lost) > 1 else ():
        for _ in range(REPEATS):
            losing = found[name].losing
            once(name, known[name])
            if found[name].losing == losing:
                break
    return found


def findings(losses: Mapping[str, Losses]) -> set[str]:
    """Return the roles whose requirements are violated, and no-loss if it is."""
    many = {"no-loss"} if len(scattered(losses)) > 1 else set()
    return set(excessive(losses)) | many


@pytest.mark.parametrize(
    ("dialect", "share"),
    [("vllm", 0.02), ("vllm", 0.1), ("openai", 0.1), ("openai", 0.2)],
)
def test_a_server_that_loses_by_chance_has_one_finding(
    dialect: str, share: float
) -> None:
    known = scenarios(dialects.load(dialect))
    draw = random.Random(f"{dialect} {share}").random
    found = [findings(run(known, lambda _: draw() < share)) for _ in range(RUNS)]
    assert sum(len(each) <= 1 for each in found) >= 0.95 * RUNS
    if share >= 0.1:
        assert sum("no-loss" in each for each in found) >= 0.95 * RUNS


@pytest.mark.parametrize(
    "faulty",
    [("35s",), ("35s", "pause"), ("20ms-chunks", "1s", "10s", "fragments", "idle")],
)
def test_a_fault_of_some_scenarios_is_found_in_all_runs(
    faulty: tuple[str, ...],
) -> None:
    known = scenarios(dialects.load("vllm"))
    assert findings(run(known, lambda name: name in faulty)) == set(faulty)


def test_a_fault_of_a_scenario_is_found_beside_losses_by_chance() -> None:
    known = scenarios(dialects.load("vllm"))
    draw = random.Random(1).random
    found = [
        findings(run(known, lambda name: name == "35s" or draw() < 0.1))
        for _ in range(RUNS)
    ]
    assert sum("35s" in each for each in found) >= 0.95 * RUNS
    assert sum(len(each) <= 2 for each in found) >= 0.95 * RUNS


# The requirement


@pytest.mark.parametrize(
    ("parts", "kind", "what"),
    [
        ((), Undecided, "no plain utterance was sent"),
        ((spoke("a", "x"),), Satisfied, ""),
        ((spoke("a", "x"), spoke(many_clips.FAST, None)), Satisfied, ""),
        (
            (*(spoke("a", "x") for _ in range(8)), spoke("b", None)),
            Undecided,
            "random losses cannot be shown, since utterances were lost only in b: "
            "waited 30.0 s",
        ),
        (
            (
                *(spoke("a", "x") for _ in range(8)),
                spoke("b", None),
                spoke("c", "x", None, clips=(FIRST, SECOND)),
            ),
            Violated,
            "2 of 11 plain utterances have no final: 18.2 % (95 % confidence "
            f"interval 2.3 to 51.8 %), in b, c; lost clips: {FIRST.id}, {SECOND.id}",
        ),
    ],
)
def test_each_case_of_losses_has_its_outcome(
    parts: tuple[Part, ...], kind: type[Outcome], what: str
) -> None:
    outcome = checks.no_loss(Evidence(parts))
    assert isinstance(outcome, kind)
    if isinstance(outcome, Violated):
        assert outcome.message == what
        assert parts[outcome.part].role == "b"
    if isinstance(outcome, Undecided):
        assert outcome.reason == what
