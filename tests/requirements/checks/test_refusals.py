"""Tests of the checks of refusals and their errors."""

from __future__ import annotations

import pytest

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
)
from tests.support.sessions import (
    APPEND,
    BEGIN,
    CREATED,
    FINISH,
    SPEAK,
    UNKNOWN,
    UPDATE,
    WAITED,
    Hand,
    delta,
    done,
    error,
    part,
    spoke,
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


def test_where_no_code_is_asked_for_any_error_will_do() -> None:
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
            Bad("it was answered by the error x; documented"),
        ),
        (mistaken(Hand(FINISH), error(None)), Bad("it was answered by an error")),
        (mistaken(how=BROKEN), Open("it was not sent: the connection broke off")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_silent(evidence: Part, found: Found) -> None:
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
def test_unheard(evidence: Part, found: Found) -> None:
    check(checks.starts_nothing("it"), evidence, found)
