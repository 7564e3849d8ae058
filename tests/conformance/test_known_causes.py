"""Failures of random sessions that another requirement has found already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import pytest

from pytest_realtime_asr.conformance.known_causes import excused
from pytest_realtime_asr.conformance.results import Status, judge
from pytest_realtime_asr.conformance.scheduler import ScenarioResult, Scheduler
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.dialects.vllm.events import BEGIN as BEGIN_MOVE
from pytest_realtime_asr.dialects.vllm.events import FINISH as FINISH_MOVE
from pytest_realtime_asr.requirements.evidence import Evidence, SessionFinding
from pytest_realtime_asr.requirements.order import illegal_moves
from tests.support.random_scripts import BAD, BEGUN, ENDED, GRAMMAR, SET_UP
from tests.support.sessions import (
    ALONE,
    BEGIN,
    CREATED,
    FINISH,
    FIRST,
    UPDATE,
    Frame,
    Hand,
    error,
    part,
    spoke,
)

STRAY, EARLY = ("idle", FINISH_MOVE), ("fresh", FINISH_MOVE)


@pytest.mark.parametrize(
    ("frames", "moves"),
    [
        ((CREATED, UPDATE, BEGIN, FINISH), set()),
        ((CREATED, UPDATE, Hand(FINISH), BEGIN), {STRAY}),
        ((CREATED, Hand(FINISH), error("x"), UPDATE), {EARLY}),
        ((CREATED, UPDATE, BEGIN, FINISH, Hand(FINISH)), {("finishing", FINISH_MOVE)}),
        ((CREATED, Hand(BEGIN), UPDATE), {("fresh", BEGIN_MOVE)}),
        ((CREATED, UPDATE, Hand('{"type":"no.such"}')), set()),
    ],
)
def test_the_illegal_moves_of_a_session_are_found(
    frames: Sequence[Frame], moves: set[tuple[str, str]]
) -> None:
    recording = part("it", *frames).recording
    assert illegal_moves(recording, VLLM.table, start=VLLM.start) == moves
    steps = {UPDATE: SET_UP, BEGIN: BEGUN, FINISH: ENDED}
    texts = [each.frame if isinstance(each, Hand) else each for each in frames]
    script = [steps.get(str(text), BAD) for text in texts if text != CREATED]
    if error("x") not in texts:
        assert GRAMMAR.unlawful(script) == moves


class Ran:
    """A scheduler whose scenarios have left this evidence."""

    def __init__(self, found: Mapping[str, Evidence]) -> None:
        self._found = found
        self.first = Evidence(())

    def done(self, names: Iterable[str]) -> bool:
        return set(names) <= set(self._found)

    def collect(self, names: Iterable[str]) -> ScenarioResult:
        evidence = Evidence(())
        for name in names:
            evidence += self._found[name]
        return ScenarioResult(evidence)


RANDOM = part("random", CREATED, UPDATE, Hand(FINISH))
FINDING = SessionFinding("random", "it failed", "a script", moves=frozenset({STRAY}))
OTHER = replace(FINDING, what="another", moves=frozenset({("hearing", UPDATE)}))
SPOILT = spoke("stray-final", "", clips=(FIRST,), before=(UPDATE, Hand(FINISH)))
WHOLE = spoke("stray-final", FIRST.text, before=(UPDATE, Hand(FINISH)))


@pytest.mark.parametrize(
    ("findings", "stray", "status"),
    [
        ((FINDING,), SPOILT, Status.SAME_CAUSE),
        ((FINDING,), WHOLE, Status.VIOLATED),
        ((FINDING,), None, Status.VIOLATED),
        ((FINDING, OTHER), SPOILT, Status.VIOLATED),
        ((OTHER,), SPOILT, Status.VIOLATED),
        ((replace(FINDING, moves=frozenset()),), SPOILT, Status.VIOLATED),
    ],
)
def test_a_failure_after_a_known_illegal_move_is_excused(
    findings: tuple[SessionFinding, ...], stray: object, status: Status
) -> None:
    sessions = (*(RANDOM for _ in findings), spoke("fresh", "a"))
    found = {"random": Evidence(sessions, findings=findings), "alone": Evidence(ALONE)}
    if stray is not None:
        found["stray-final"] = Evidence((SPOILT if stray is SPOILT else WHOLE,) * 2)
    scheduler = cast("Scheduler", Ran(found))
    rest, causes = excused(found["random"], scheduler, VLLM)
    known = FINDING in findings and stray is SPOILT
    assert causes == (("stray-final-spoils-nothing",) if known else ())
    assert sum(each.excused for each in rest.findings) == len(causes)
    requirement = next(r for r in VLLM.requirements if r.id == "random-sessions")
    result = judge(requirement, scheduler, VLLM)
    assert result.status is status, result.reason
    if status is Status.SAME_CAUSE:
        assert result.reason == (
            "the same cause as stray-final-spoils-nothing: it failed"
        )
