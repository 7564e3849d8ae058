"""Tests of the checks that utterances get their finals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import (
    Evidence,
    Part,
    SessionFinding,
)
from pytest_realtime_asr.requirements.requirement import (
    Violated,
)
from pytest_realtime_asr.trace.records import (
    Ending,
)
from tests.support.check_outcomes import (
    BROKEN,
    CLOSED_FIRST,
    GONE,
    GOOD,
    HERE,
    PEER,
    Bad,
    Found,
    Open,
    begun,
    check,
    seen,
    there,
)
from tests.support.sessions import (
    BEGIN,
    CREATED,
    FINISH,
    FIRST,
    SILENCE,
    SPEAK,
    UNKNOWN,
    UPDATE,
    WAITED,
    Frame,
    Hand,
    done,
    error,
    part,
    spoke,
    unopened,
)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (seen(spoke("it", "a", "b")), GOOD),
        (seen(spoke("it", "a"), spoke("other", None)), GOOD),
        (seen(spoke("it", "a"), spoke("it", "")), GOOD),
        (seen(spoke("other", "a")), Open("no session was run for this check (it)")),
        (
            seen(unopened("it", code=503, reason="HTTP 503")),
            Open("no session could be opened: HTTP 503"),
        ),
        (
            seen(spoke("it", "a"), unopened("it", reason="HTTP 503")),
            Open(
                "no utterance could be started: the session could not be opened: HTTP"
            ),
        ),
        (seen(spoke("it", None)), Bad(f"no final came for turn-right: {WAITED}")),
        (
            seen(spoke("it", "a", None)),
            Bad("no final came for open-door: waited"),
        ),
        (
            seen(spoke("it", "a"), begun(how=PEER, code=1011, reason="oops")),
            Bad("no final came for turn-right: the server closed with code 1011: oops"),
        ),
        (
            seen(begun(how=PEER, code=1000)),
            Bad("no final came for turn-right: the server closed with code 1000"),
        ),
        (
            seen(begun(how=BROKEN, reason="reset")),
            Bad("no final came for turn-right: the connection broke off: reset"),
        ),
        (
            seen(begun(how=Ending.LIMIT)),
            Bad("no final came for turn-right: limit"),
        ),
        (
            seen(begun()),
            Open("no final came for turn-right: the client closed the session first"),
        ),
        (
            seen(begun(how=Ending.CANCELLED, code=1009, reason="our own limit")),
            Open("no final came for turn-right: our own limit"),
        ),
        (
            seen(begun(error("no_model", "why"))),
            Bad(
                "no final came for turn-right: the server sent an error: why (no_model)"
            ),
        ),
        # What was written by hand is to be refused, and ended no session of ours.
        (
            seen(begun(Hand(UNKNOWN), error("x"))),
            Open("no final came for turn-right"),
        ),
        (
            seen(part("it", CREATED)),
            Open(f"no utterance could be started: {CLOSED_FIRST}"),
        ),
        (
            seen(part("it", CREATED, how=PEER, code=1008)),
            Bad("no utterance could be started: the server closed with code 1008"),
        ),
        (
            seen(begun(), spoke("it", "a")),
            Open(f"no final came for turn-right: {CLOSED_FIRST}"),
        ),
        # What is violated weighs more than what is not known.
        (
            seen(begun(), spoke("it", None)),
            Bad("no final came for turn-right: waited"),
        ),
    ],
)
def test_finishes(evidence: Evidence, found: Found) -> None:
    check(checks.finishes("it"), evidence, found)


def test_a_violation_shows_where_it_is() -> None:
    lost, refused = spoke("it", None), begun(error("x"))
    outcome = checks.finishes("it")(seen(spoke("it", "a"), lost))
    assert outcome == Violated(
        f"no final came for turn-right: {WAITED}",
        (len(lost.trace.records) - 1,),
        1,
        by_end=True,
        by_loss=True,
    )
    outcome = checks.finishes("it")(seen(spoke("it", "a"), refused))
    assert isinstance(outcome, Violated)
    assert (outcome.records, outcome.part) == ((4,), 1)


def test_all_of_several_checks_must_be_satisfied() -> None:
    good, bad = checks.finishes("a"), checks.finishes("b")
    evidence = seen(spoke("a", "text"), spoke("b", None))
    check(checks.both(good, good), evidence, GOOD)
    check(checks.both(good, bad), evidence, Bad("no final came for turn-right"))
    check(checks.both(good, checks.finishes("c")), evidence, Open("no session was"))


def empty(*frames: Frame, more: bool = False, **changes: object) -> Part:
    """Return a session with an utterance without audio, and with ``more`` another one.

    ``frames`` are the frames after the first utterance."""
    whole = (CREATED, UPDATE, BEGIN, FINISH, *frames)
    spoken = {0: SILENCE, 1: FIRST} if more else {0: SILENCE}
    return part("empty", *whole, spoken=spoken, **changes)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (empty(done(""), *SPEAK, done("a"), more=True), GOOD),
        (empty(error("x"), *SPEAK, done("a"), more=True), GOOD),
        (
            empty(error("x")),
            Open("the first utterance was refused, and no other was sent"),
        ),
        (
            empty(error("x"), *SPEAK, more=True, how=Ending.DEADLINE, reason=WAITED),
            Bad("no final came for turn-right: waited"),
        ),
        (
            empty(error("x"), how=PEER, code=1011),
            Bad("no utterance could be started: the server closed with code 1011"),
        ),
        (empty(how=BROKEN), Bad("no final came for silence: the connection broke off")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_an_utterance_without_audio_is_answered(evidence: Part, found: Found) -> None:
    check(checks.answers("empty"), evidence, found)


DONE_TO = part("it", CREATED, how=BROKEN)


BYSTANDER, FRESH = spoke("bystander", "a", "b"), spoke("fresh", "a")


SURVIVED = [
    (there(DONE_TO, BYSTANDER, FRESH), GOOD),
    (there(DONE_TO, FRESH, gauges=()), GOOD),
    (there(BYSTANDER, FRESH), Open("no session was run for this check (it)")),
    (there(unopened("it"), BYSTANDER, FRESH), Open("no session could be opened")),
    (
        there(DONE_TO, spoke("bystander", "a", None), FRESH),
        Bad("no final came for open-door: waited"),
    ),
    (
        there(DONE_TO, BYSTANDER, spoke("fresh", None)),
        Bad("no final came for turn-right: waited"),
    ),
    (
        there(DONE_TO, BYSTANDER, unopened("fresh", reason="HTTP 503")),
        Bad("no session could be opened after the sessions of it: HTTP 503"),
    ),
    (
        there(DONE_TO, BYSTANDER, part("fresh", CREATED)),
        Open("no utterance could be started: the client closed the session first"),
    ),
    (there(DONE_TO, BYSTANDER), Open("no session was run after the sessions of")),
    (
        there(DONE_TO, spoke("bystander", None), gauges=[GONE]),
        Bad("the server stopped answering: no answer within 10 s"),
    ),
    (there(DONE_TO, BYSTANDER, gauges=[GONE]), Bad("the server stopped answering")),
    # A busy server may answer late; who is served yet knows that it is there.
    (there(DONE_TO, BYSTANDER, FRESH, gauges=[HERE, GONE]), GOOD),
]


@pytest.mark.parametrize(("evidence", "found"), SURVIVED)
def test_survives(evidence: Evidence, found: Found) -> None:
    check(checks.survives("it"), evidence, found)
    check(checks.random_sessions_pass("it"), evidence, found)  # nothing was found in it


def test_a_finding_of_a_random_session_is_reported() -> None:
    finding = SessionFinding("it", "no final came", "a script")
    evidence = replace(there(FRESH, DONE_TO, DONE_TO), findings=(finding,))
    outcome = checks.random_sessions_pass("it")(evidence)
    assert outcome == Violated("no final came\n\na script", (0,), 1)
    other = replace(evidence, findings=(replace(finding, role="other"),))
    check(checks.random_sessions_pass("it"), other, GOOD)
