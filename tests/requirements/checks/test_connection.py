"""Tests of the checks of connections and of the server's process."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import (
    Answer,
    Evidence,
    Gauges,
    Part,
)
from pytest_realtime_asr.trace.records import (
    Ending,
    Ping,
)
from tests.support.check_outcomes import (
    BROKEN,
    GONE,
    GOOD,
    HERE,
    LATE,
    OPENED,
    PEER,
    US,
    Bad,
    Found,
    Open,
    check,
    page,
    seen,
    there,
)
from tests.support.sessions import (
    CREATED,
    MS,
    UPDATE,
    WAITED,
    Hand,
    S,
    error,
    part,
    spoke,
    unopened,
)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a", "b", "c"), GOOD),
        (("a", "b", "a"), Bad("two sessions have the id 'a'; each")),
        (("a",), Open("fewer than two sessions have an id")),
        ((), Open("no session was run for this check (it, other)")),
    ],
)
def test_unique_ids(names: tuple[str, ...], found: Found) -> None:
    parts = [spoke("it", "a", name=name) for name in names]
    check(checks.unique_ids("it", "other"), seen(*parts), found)


def test_sessions_without_an_id_are_undecided() -> None:
    evidence = seen(*[part("it", UPDATE)] * 3, spoke("it", "a"))
    check(checks.unique_ids("it"), evidence, Open("fewer than two sessions have an id"))


IN_VAIN = (Ping(MS, 2 * MS), Ping(2 * MS, None))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, pings=(Ping(0, 5 * S),)), GOOD),
        (part("it", CREATED, pings=IN_VAIN), Bad("a ping was not answered in time")),
        (
            part("it", CREATED, pings=IN_VAIN, how=Ending.DEADLINE),
            Bad("a ping was not answered in time"),
        ),
        # Who is gone cannot answer, but whoever goes on speaking can.
        (
            part("it", CREATED, pings=(Ping(3 * MS, None),), how=PEER, code=1001),
            Open(
                "the session ended before the answer: the server closed with code 1001"
            ),
        ),
        (
            part("it", CREATED, UPDATE, pings=(Ping(3 * MS, None),), how=BROKEN),
            Open("the session ended before the answer: the connection broke off"),
        ),
        (
            part("it", CREATED, UPDATE, error("x"), pings=IN_VAIN, how=BROKEN),
            Bad("a ping was not answered in time"),
        ),
        (
            part("it", CREATED, pings=IN_VAIN, lag=LATE),
            Open("the client itself was up to 3.0 s late"),
        ),
        (part("it", CREATED), Open("no ping was sent")),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_pongs(evidence: Part, found: Found) -> None:
    check(checks.pongs("it"), evidence, found)


def test_an_undecided_session_hides_no_ping_without_an_answer() -> None:
    late = part("it", CREATED, pings=IN_VAIN, lag=LATE)
    bad = part("it", CREATED, pings=IN_VAIN)
    found = Bad("a ping was not answered in time")
    check(checks.pongs("it"), seen(late, bad), found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, code=1000), GOOD),
        (part("it", CREATED), Bad("the client's close frame was not answered")),
        (
            part("it", CREATED, how=PEER, code=1000),
            Open(
                "the client did not close the session: the server closed with code 1000"
            ),
        ),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_closes(evidence: Part, found: Found) -> None:
    check(checks.close_answered("it"), evidence, found)


WRITTEN = (CREATED, UPDATE, Hand(b"\0"))
UNANSWERED = (
    "the frame was answered neither by an error nor by a close with one of the codes "
    "1003, 1009"
)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", *WRITTEN, error("x")), GOOD),
        (part("it", *WRITTEN, error("x"), how=BROKEN), GOOD),
        (part("it", *WRITTEN, how=PEER, code=1003), GOOD),
        # The close came before the frame was taken to its end.
        (part("it", CREATED, how=PEER, code=1009), GOOD),
        (
            part("it", CREATED, how=PEER, code=1003),
            Open("there may be another reason why the server closed with code 1003"),
        ),
        # The server closes on everything.
        (part("it", UPDATE, Hand(b"\0"), how=PEER, code=1003), Open("there may be")),
        (
            part("it", CREATED, how=BROKEN),
            Open("the frame was not sent completely: the connection broke off"),
        ),
        (
            part("it", error("x"), *WRITTEN),
            Bad(UNANSWERED),
        ),
        (
            part("it", *WRITTEN),
            Bad(UNANSWERED),
        ),
        (
            part("it", *WRITTEN, how=PEER, code=1011),
            Bad(f"{UNANSWERED}: the server closed with code 1011"),
        ),
        (
            part("it", *WRITTEN, how=BROKEN),
            Bad(f"{UNANSWERED}: the connection broke off"),
        ),
        (part("it", *WRITTEN, how=Ending.CANCELLED, reason="our own"), Open("our own")),
        (
            part("it", *WRITTEN, how=Ending.DEADLINE, reason=WAITED),
            Bad(f"{UNANSWERED}: waited 30"),
        ),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_closed_with(evidence: Part, found: Found) -> None:
    check(checks.refused_or_closed("it", (1003, 1009)), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (
            seen(OPENED, unopened("it", code=403), unopened("it", code=401)),
            GOOD,
        ),
        (
            seen(unopened("other", code=403), unopened("it", code=403)),
            Open("no other session could be opened, so this"),
        ),
        (
            seen(unopened("it", code=500)),
            Bad("the handshake was refused by HTTP 500; the"),
        ),
        (
            seen(unopened("it", reason="no answer")),
            Open("the handshake was not answered: no ans"),
        ),
        (
            seen(unopened("it", US)),
            Open("the handshake was not answered: closed by us"),
        ),
        (seen(part("it", CREATED)), Bad("the server opened the session")),
        (seen(), Open("no key was given")),
    ],
)
def test_a_refused_handshake_is_checked(evidence: Evidence, found: Found) -> None:
    rule = checks.handshake_refused("it", (401, 403), without="no key was given")
    check(rule, evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(400, "", OPENED), GOOD),
        (page(426, "Upgrade Required", OPENED), GOOD),
        (page(404, ""), Open("no other session could be opened, so this")),
        (page(200, "hello"), Bad("plain HTTP got HTTP 200")),
        (page(500, ""), Bad("plain HTTP got HTTP 500")),
        (page(0, "no answer within 10 s"), Bad("plain HTTP got no answer within")),
        (Evidence((), (Answer("other", 500, ""),)), Open("no plain HTTP request was")),
    ],
)
def test_a_refused_plain_http_request_is_checked(
    evidence: Evidence, found: Found
) -> None:
    check(checks.plain_http_refused("plain-http"), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (seen(OPENED, part("it", how=PEER, code=4401)), GOOD),
        (seen(OPENED, part("it", error("x"), how=PEER, code=1008)), GOOD),
        (seen(OPENED, unopened("it", code=401)), GOOD),
        (
            seen(part("other", how=PEER, code=4401), part("it", how=PEER, code=4401)),
            Open("no other session could be opened, so this"),
        ),
        (
            seen(OPENED, part("it", how=PEER, code=1000)),
            Bad(
                "the server opened the session and did not close it with an expected "
                "code (1008, 4401): the server closed with code 1000"
            ),
        ),
        (
            seen(OPENED, part("it", CREATED)),
            Bad("the server opened the session and did not close it with an expected"),
        ),
    ],
)
def test_a_refusal_by_a_close_code_is_checked(evidence: Evidence, found: Found) -> None:
    rule = checks.handshake_refused(
        "it", (401,), codes=(1008, 4401), without="no key was given"
    )
    check(rule, evidence, found)


LEFT = [part("it", CREATED)] * 3


@pytest.mark.parametrize(
    ("parts", "counts", "found"),
    [
        (LEFT, [2, 6, 4, 2], GOOD),
        (LEFT, [2, 1], GOOD),
        (LEFT, [2, 6, 4], GOOD),  # two others have come
        (
            LEFT,
            [2, 6, 5],
            Bad("open was 2 and is 5 after 3 sessions were abandoned"),
        ),
        (
            LEFT,
            [2, 6, 7],
            Bad("open was 2 and is 6 after 3 sessions were abandoned"),
        ),
        (
            [*LEFT[1:], unopened("it")],
            [0, 2],
            Bad("open was 0 and is 2 after 2 sessions"),
        ),
        (LEFT, [2], Open("/metrics of the server does not show open")),
        (LEFT, [2, None], Open("/metrics of the server does not show open")),
        ([], [2, 2], Open("no session was run")),
    ],
)
def test_freed_sessions_are_checked_by_the_gauge(
    parts: list[Part], counts: list[float | None], found: Found
) -> None:
    gauges = [Gauges("it", {} if n is None else {"open": n}) for n in counts]
    check(checks.freed("it", "open"), there(*parts, gauges=gauges), found)


def since(*started: float | None) -> list[Gauges]:
    """Return the metrics of processes with these start times; ``None``: no answer."""
    name = "process_start_time_seconds"
    return [
        Gauges(f"scenario {place}", {}, "no answer")
        if each is None
        else Gauges(f"scenario {place}", {name: each})
        for place, each in enumerate(started)
    ]


LAST = spoke("last", "a")


@pytest.mark.parametrize(
    ("part", "gauges", "found"),
    [
        (LAST, since(5, 5, 5), GOOD),
        (LAST, [HERE, HERE], GOOD),  # it does not tell
        (LAST, [], GOOD),
        (
            LAST,
            since(5, 5, 7, 7),
            Bad("the server was restarted in or after scenario 2"),
        ),
        (LAST, since(5, 7), Bad("the server was restarted in or after scenario 1")),
        # Several processes answer in turn.
        (LAST, since(5, 7, 5, 7), GOOD),
        (LAST, since(7, 5, 5), GOOD),
        (
            LAST,
            since(5, 7, 5, 9),
            Bad("the server was restarted in or after scenario 3"),
        ),
        # It was too busy to answer, and is the same.
        (LAST, since(5, None, 5), GOOD),
        (
            LAST,
            since(5, None, None),
            Bad("the server stopped answering after scenario 1: no answer"),
        ),
        (
            LAST,
            since(5, None, 7),
            Bad("the server stopped answering after scenario 1: no answer"),
        ),
        (
            LAST,
            [HERE, GONE, HERE],
            Bad("the server stopped answering after it: no answer within 10 s"),
        ),
        (spoke("last", None), since(5, 5), Bad("no final came for turn-right")),
        (
            spoke("other", "a"),
            since(5, 5),
            Open("no session was run for this check (last)"),
        ),
    ],
)
def test_a_restart_of_the_server_process_is_found(
    part: Part, gauges: list[Gauges], found: Found
) -> None:
    check(checks.same_process, there(part, gauges=gauges), found)
