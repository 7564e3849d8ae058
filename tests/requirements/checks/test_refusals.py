"""Tests of the checks of refusals and their errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import (
    Part,
)
from pytest_realtime_asr.trace.records import (
    Ending,
)
from tests.support.check_outcomes import (
    BROKEN,
    GOOD,
    PEER,
    Bad,
    Found,
    Open,
    begun,
    check,
    mistaken,
    seen,
)
from tests.support.sessions import (
    APPEND,
    BEGIN,
    CREATED,
    FINISH,
    FIRST,
    SPEAK,
    UNKNOWN,
    UPDATE,
    WAITED,
    Frame,
    Hand,
    delta,
    done,
    error,
    mixed,
    part,
    spoke,
    trace_of,
    unopened,
)

TWICE = (Hand(UNKNOWN), Hand(UNKNOWN))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (mistaken(Hand(UNKNOWN), error("x")), GOOD),
        (mistaken(*TWICE, error("x"), error("y")), GOOD),
        (mistaken(*TWICE, error("y"), error("x"), error("z")), GOOD),
        (mistaken(), Open("it was not sent: closed by us")),
        (unopened("it"), Open("no session could be opened")),
        (mistaken(Hand(UNKNOWN)), Bad("it got no error within the time given")),
        (
            mistaken(*TWICE, error("x")),
            Bad("2 frames with it got only 1 of 2 errors within the time given"),
        ),
        # An error that had come before is no answer.
        (mistaken(error("x"), Hand(UNKNOWN)), Bad("it got no error")),
        (
            mistaken(Hand(UNKNOWN), error("z")),
            Bad("it was answered by an error with the code z, not with x or y"),
        ),
        (
            mistaken(Hand(UNKNOWN), error(None)),
            Bad("it was answered by an error with no code, not with x or y"),
        ),
        (
            part("it", CREATED, Hand(UNKNOWN), how=PEER, code=1011),
            Bad("it was not answered by an error: the server closed with code 1011"),
        ),
        (
            part("it", Hand(UNKNOWN), how=Ending.CANCELLED, reason="our own limit"),
            Open("our own limit"),
        ),
        # It is to be outlived, too.
        (
            part("it", CREATED, Hand(UNKNOWN), error("x"), how=PEER, code=1011),
            Bad("no utterance could be started: the server closed with code 1011"),
        ),
        (
            begun(Hand(UNKNOWN), error("x"), how=Ending.DEADLINE, reason=WAITED),
            Bad("no final came for turn-right: waited"),
        ),
    ],
)
def test_refused(evidence: Part, found: Found) -> None:
    check(checks.refused("it", "it", "x", "y"), evidence, found)


PLAIN = part("first-utterance", CREATED, UPDATE, error("x"), *SPEAK, done("a"))


@pytest.mark.parametrize(
    ("session", "found"),
    [
        # A plain session gets such an error too, as the answer to its set-up.
        (mistaken(Hand(UNKNOWN), error("x")), Bad("it got no error")),
        (mistaken(Hand(UNKNOWN), error("x"), error("y")), GOOD),
        (mistaken(Hand(UNKNOWN), error("x"), error("x")), GOOD),
        # It came before the frame was sent, so that the later one is the answer.
        (mistaken(error("x"), Hand(UNKNOWN), error("x")), GOOD),
        (
            mistaken(*TWICE, error("x"), error("x")),
            Bad(
                "2 frames with it got only 1 of 2 errors within the time given; 1 "
                "error answered other frames"
            ),
        ),
        (mistaken(Hand(UNKNOWN), error("y")), GOOD),
    ],
)
def test_an_error_that_a_plain_session_gets_is_no_answer(
    session: Part, found: Found
) -> None:
    check(checks.refused("it", "it", "x", "y"), seen(session, PLAIN), found)


def test_an_error_in_place_of_a_final_is_no_answer() -> None:
    failed = (CREATED, UPDATE, Hand(UNKNOWN), *SPEAK, error("x"))
    lost = part("it", *failed, spoken={0: FIRST})
    check(checks.refused("it", "it"), lost, Bad("it got no error"))
    check(checks.silent("it", "it"), lost, GOOD)
    whole = part("it", *failed, done("a"), spoken={0: FIRST})
    check(checks.refused("it", "it"), whole, GOOD)


@pytest.mark.parametrize(
    ("cause", "count"), [(None, 1), ("by_hand", 1), ("client_1", 0), ("unknown", 1)]
)
def test_an_error_that_names_another_event_is_no_answer(
    cause: str | None, count: int
) -> None:
    set_up = {"type": "session.update", "event_id": "client_1", "session": {}}
    problem = {"type": "invalid_request_error", "message": "no", "event_id": cause}
    records = mixed(
        json.dumps(set_up),
        Hand(json.dumps({"type": "no.such", "event_id": "by_hand"})),
        json.dumps({"type": "error", "event_id": "e", "error": problem}),
    )
    trace = trace_of(records, dialect="openai")
    it = dialects.part(dialects.load("openai"), trace, role="it")
    assert len(checks.answers_by_hand(it)) == count


def test_any_error_is_accepted_if_no_code_is_required() -> None:
    evidence = mistaken(Hand(UNKNOWN), error(None))
    check(checks.refused("it", "it"), evidence, GOOD)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (mistaken(Hand(FINISH)), GOOD),
        (
            part("it", CREATED, UPDATE, Hand(FINISH), *SPEAK),
            Open("the server sent nothing after it"),
        ),
        (mistaken(error("x"), Hand(FINISH)), GOOD),
        (
            mistaken(Hand(FINISH), error("x")),
            Bad("it was answered by the error x, but the documented"),
        ),
        (mistaken(Hand(FINISH), error(None)), Bad("it was answered by an error")),
        (mistaken(how=BROKEN), Open("it was not sent: the connection broke off")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_frames_that_get_no_answer_are_checked(evidence: Part, found: Found) -> None:
    check(checks.silent("it", "it"), evidence, found)


REFUSED = (Hand(BEGIN), error("x"), Hand(APPEND), Hand(FINISH), error("x"))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, *REFUSED), GOOD),
        (
            part("it", CREATED, *REFUSED, delta("a")),
            Bad("a text came for an utterance whose"),
        ),
        (
            part("it", CREATED, *REFUSED, done("")),
            Bad("a text came for an utterance whose"),
        ),
        (
            part("it", CREATED, Hand(BEGIN), done("a")),
            Open("the server did not refuse the start"),
        ),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_frames_that_start_no_utterance_are_checked(
    evidence: Part, found: Found
) -> None:
    check(checks.starts_nothing("it"), evidence, found)


SECOND = (*SPEAK, Hand(BEGIN), Hand(APPEND), Hand(FINISH))


def answered(*frames: Frame, **changes: Any) -> Part:
    """A session with a second utterance that begins too early."""
    return part("it", CREATED, UPDATE, *SECOND, *frames, **changes)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (answered(done("a"), done("b")), GOOD),
        (answered(error("x"), done("a")), GOOD),
        (answered(done("a"), error("x")), GOOD),
        (
            answered(done("a")),
            Bad("it got no final and no error: nothing came within the time given"),
        ),
        (
            answered(done("a"), how=BROKEN),
            Bad("it got no final and no error: the connection broke off"),
        ),
        (answered(done("a"), how=PEER, code=1011), Bad("it got no final and no error")),
        (answered(done("a"), how=PEER, code=1008), GOOD),
        (
            part("it", *SECOND, how=PEER, code=1008),
            Open("the utterance before it got no final"),
        ),
        (answered(), Open("the utterance before it got no final")),
        (answered(done("a"), how=Ending.CANCELLED), Open("cancelled")),
        (part("it", CREATED, UPDATE, *SPEAK, done("a")), Open("it was not sent")),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_an_utterance_is_answered(evidence: Part, found: Found) -> None:
    check(checks.utterances_answered("it", "it", finals=2), evidence, found)


def test_a_close_before_any_frame_answers_nothing() -> None:
    evidence = part("it", Hand(APPEND), Hand(FINISH), how=PEER, code=1008)
    rule = checks.utterances_answered("it", "it", finals=1)
    check(rule, evidence, Open("there may be another reason why the server closed"))
