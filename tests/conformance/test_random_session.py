"""Random sessions: how a script is executed, and what is judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Pause,
    Send,
    frames,
)
from pytest_realtime_asr.conformance.random_session import (
    FRESH,
    ROLE,
    ProblemKind,
    execute,
    judge,
)
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges
from pytest_realtime_asr.trace.records import Ending, Sender
from tests.support.random_scripts import (
    AUDIO,
    BAD,
    BEGUN,
    ENDED,
    GRAMMAR,
    SET_UP,
    run_config,
)
from tests.support.servers import CLIP, CREATED, faking
from tests.support.sessions import (
    BEGIN,
    FINISH,
    NO_JSON,
    UPDATE,
    done,
    error,
    part,
)


def played(*said: str, **ending: Any) -> Evidence:
    return Evidence((part(ROLE, CREATED, *said, **ending),))


SPOKE = part(FRESH, CREATED, UPDATE, BEGIN, FINISH, done("a"), spoken={0: CLIP})
MUTE = part(
    FRESH, CREATED, spoken={0: CLIP}, how=Ending.DEADLINE, reason="waited 5.0 s for it"
)


@pytest.mark.parametrize(
    ("evidence", "kind", "what"),
    [
        (played(), None, ""),
        (played(UPDATE, BEGIN, FINISH, done("a")), None, ""),
        (
            played(UPDATE, BEGIN, FINISH),
            ProblemKind.NOT_COMPLETED,
            "was not completed within 5 s",
        ),
        # It may end the session with a reason: another close code, or an error before.
        (played(UPDATE, how=Ending.CLOSED_BY_PEER, code=1008), None, ""),
        (
            played(UPDATE, BEGIN, FINISH, how=Ending.CLOSED_BY_PEER, code=1000),
            None,
            "",
        ),
        (
            played(UPDATE, error("no"), how=Ending.CLOSED_BY_PEER, code=1011),
            None,
            "",
        ),
        (played(UPDATE, error("no"), how=Ending.BROKEN), None, ""),
        (played(UPDATE, error("no"), how=Ending.DEADLINE), None, ""),
        (
            played(UPDATE, how=Ending.CLOSED_BY_PEER, code=1011),
            ProblemKind.ENDED,
            "ended the session without an error: the server closed with code 1011",
        ),
        (
            played(UPDATE, how=Ending.BROKEN, reason="it broke"),
            ProblemKind.ENDED,
            "ended the session without an error: the connection broke off: it broke",
        ),
        (
            played(UPDATE, error("no"), how=Ending.BROKEN, code=1002, reason="frame"),
            ProblemKind.ENDED,
            "broke off: frame",
        ),
        (played(how=Ending.LIMIT, reason="flooded"), ProblemKind.ENDED, "flooded"),
        (played(how=Ending.CANCELLED, reason="our own limit"), None, ""),
        (
            played(how=Ending.DEADLINE, reason="no frame"),
            ProblemKind.NOT_COMPLETED,
            "no frame",
        ),
        (
            played(opened=None, how=Ending.REFUSED, code=500, reason="HTTP 500"),
            ProblemKind.NEXT_SESSION,
            "no session could be opened: HTTP 500",
        ),
        (Evidence((*played().parts, SPOKE)), None, ""),
        (
            Evidence((*played().parts, MUTE)),
            ProblemKind.NEXT_SESSION,
            "next session failed: waited 5.0 s for it",
        ),
        (
            replace(played(), gauges=(Gauges(ROLE, {}, "refused"),)),
            ProblemKind.UNREACHABLE,
            "the server is unreachable: refused",
        ),
    ],
)
def test_each_problem_of_a_random_session_has_its_kind(
    evidence: Evidence, kind: ProblemKind | None, what: str
) -> None:
    texts = [r.text for r in evidence.parts[0].trace.records]
    taken = tuple(Send(text) for text in texts if text in (UPDATE, BEGIN, FINISH))
    problem = judge(GRAMMAR, taken, evidence, limit=5.0)
    assert (problem and problem.kind) is kind
    if problem:
        assert what in problem.message


@pytest.mark.parametrize(
    "ending",
    [
        {"how": Ending.CLOSED_BY_PEER, "code": 1011},
        {"how": Ending.BROKEN},
        {"how": Ending.DEADLINE, "reason": "it did not take a frame"},
    ],
)
def test_a_session_may_end_after_a_foreign_frame(ending: dict[str, Any]) -> None:
    evidence = played(NO_JSON, **ending)
    assert judge(GRAMMAR, (BAD,), evidence, limit=5.0) is None
    assert judge(GRAMMAR, (Send(NO_JSON),), evidence, limit=5.0) is not None


@pytest.mark.slow
def test_the_steps_are_taken_in_order(loop: Loop) -> None:
    script = (SET_UP, Pause(0.05), BEGUN, AUDIO, ENDED, Await(), BAD, Await(), ENDED)
    with faking(final_delay=0.02) as (url, _):
        there = run_config(loop, url)
        took = loop.run(execute(there, GRAMMAR, script, limit=5.0))
    assert took.problem is None
    assert took.script[:5] == script[:5]
    assert took.script[5:] == (Await("transcription.done"), BAD, Await(), ENDED)
    assert 0.02 <= took.slowest < 5
    it, fresh = took.evidence.parts
    assert (it.role, fresh.role) == (ROLE, FRESH)
    sent = [r for r in it.trace.records if r.sender is Sender.CLIENT]
    assert [r.text for r in sent] == [step.frame for step in frames(script)]
    assert sent[1].at - sent[0].at >= 50_000_000
    moves = [m.move for m in it.recording.messages]
    assert moves[-3:] == ["malformed", "error", "input_audio_buffer.commit final"]
