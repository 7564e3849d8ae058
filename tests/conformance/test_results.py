"""The results of requirements, and which of them fail a test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import cast

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance.results import (
    Result,
    Status,
    judge,
)
from pytest_realtime_asr.conformance.scheduler import ScenarioResult, Scheduler
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Part
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.requirement import (
    Level,
    Requirement,
    Undecided,
)
from pytest_realtime_asr.requirements.violations import observe
from pytest_realtime_asr.trace.records import NOT_RECORDED, End, Ending
from tests.support.sessions import CREATED, FIRST, UPDATE, part, spoke, unopened

KNOWN = Known("one", Expected.KNOWN, "as ever", "issue 1", date(2026, 12, 31))
FLAKY = replace(KNOWN, kind=Expected.FLAKY)


def result(
    status: Status, level: Level = Level.MUST, known: Known | None = None
) -> Result:
    requirement = Requirement(
        id="one",
        title="the title of one",
        level=level,
        clause="a clause",
        check=lambda evidence: Undecided("nothing"),
    )
    return Result(requirement, status, known=known)


@pytest.mark.parametrize(
    ("result", "plainly", "strictly"),
    [
        (result(Status.SATISFIED), False, False),
        (result(Status.VIOLATED), True, True),
        (result(Status.VIOLATED, Level.SHOULD), False, True),
        (result(Status.VIOLATED, Level.INFO), False, False),
        (result(Status.UNDECIDED), False, False),
        (result(Status.NOT_RUN), False, False),
        (result(Status.LIMITED), False, False),
        (result(Status.OTHER_VERSION), False, False),
        (result(Status.MISSING), True, True),
        (result(Status.HARNESS), True, True),
        (result(Status.VIOLATED, known=KNOWN), False, False),
        (result(Status.VIOLATED, known=FLAKY), False, False),
        (result(Status.SATISFIED, known=KNOWN), True, True),
        (result(Status.SATISFIED, known=FLAKY), False, False),
    ],
)
def test_strictness_decides_which_results_fail(
    result: Result, plainly: bool, strictly: bool
) -> None:
    assert result.fails(strict=False) is plainly
    assert result.fails(strict=True) is strictly


# Replayed sessions


class Ran:
    """A scheduler whose scenarios have left this evidence."""

    loss = None

    def __init__(self, evidence: Evidence) -> None:
        self.everything = self.first = evidence

    def collect(self, names: Iterable[str]) -> ScenarioResult:
        return ScenarioResult(self.everything)


def replayed(found: Part, *, code: int | None = None, reason: str = "") -> Part:
    """The session as one of a replay; with a code, the replay ended the session."""
    trace = replace(found.recording.trace, replayed=True)
    if code is not None:
        at = trace.end.at
        trace = replace(trace, end=End(Ending.CLOSED_BY_PEER, at, code, reason))
    return dialects.part(VLLM, trace, role=found.role, spoken=found.spoken)


def judged(name: str, *parts: Part, answers: tuple[Answer, ...] = ()) -> Result:
    (requirement,) = (each for each in VLLM.requirements if each.id == name)
    scheduler = cast("Scheduler", Ran(Evidence(parts, answers)))
    return judge(requirement, scheduler, VLLM, replayed=True)


MISSING = replayed(part("1s", CREATED, UPDATE), code=NOT_RECORDED, reason="not there")


def test_recorded_sessions_are_judged() -> None:
    whole = replayed(spoke("1s", "a", clips=(FIRST,)))
    assert judged("finishes-1s", whole).status is Status.SATISFIED
    assert judged("first-event", whole, MISSING).status is Status.SATISFIED


def test_a_session_that_was_not_recorded_decides_nothing() -> None:
    result = judged("finishes-1s", MISSING)
    assert result.status is Status.UNDECIDED
    assert result.reason == "the session was not recorded: not there"
    assert observe(VLLM.requirements, MISSING) == ()


def test_a_replay_shows_no_handshake() -> None:
    opened = replayed(part("wrong-key", CREATED, UPDATE))
    for result in (
        judged("wrong-key-refused", opened),
        judged("wrong-path-refused", replayed(unopened("wrong-path"))),
    ):
        assert result.status is Status.UNDECIDED
        assert result.reason is not None
        assert "neither the HTTP routes nor the handshake" in result.reason


def test_a_recording_that_was_used_twice_is_no_violation() -> None:
    twice = [replayed(spoke("crowd", "a", name="one", clips=(FIRST,)))] * 2
    result = judged("crowd-has-unique-ids", *twice)
    assert result.status is Status.UNDECIDED
    assert result.reason == "one recording was replayed in several sessions"
