"""Tests of evidence: sessions and their roles."""

from __future__ import annotations

from pytest_realtime_asr.requirements.evidence import (
    Answer,
    Evidence,
    Gauges,
    SessionFinding,
)
from tests.support.sessions import FIRST, SECOND, part, spoke

ANSWER = Answer("plain-http", 404, "")
GAUGES = Gauges("the start", {"open": 1.0})
FINDING = SessionFinding("random", "no final came", "a script")


def test_the_sessions_of_some_roles_are_found_in_their_order() -> None:
    parts = [spoke(role, "a") for role in ("b", "a", "c", "a")]
    evidence = Evidence(tuple(parts))
    assert evidence.role("a") == (parts[1], parts[3])
    assert evidence.role("a", "b") == (parts[0], parts[1], parts[3])
    assert evidence.role("d") == ()


def test_equal_sessions_have_different_indexes() -> None:
    parts = tuple(spoke("a", "text") for _ in range(3))
    assert parts[0] == parts[2]
    evidence = Evidence(parts)
    assert [evidence.index(each) for each in parts] == [0, 1, 2]


def test_evidence_of_several_scenarios_is_put_together() -> None:
    one = Evidence((spoke("a", "text"),), (ANSWER,), (GAUGES,), (FINDING,))
    other = Evidence((spoke("b", None),))
    assert one + other == Evidence(
        one.parts + other.parts, (ANSWER,), (GAUGES,), (FINDING,)
    )
    assert other + one == Evidence(
        other.parts + one.parts, (ANSWER,), (GAUGES,), (FINDING,)
    )


def test_a_part_knows_the_final_text_of_each_item() -> None:
    found = spoke("a", "text", "", None, clips=(FIRST, SECOND, FIRST))
    assert [found.text(item) for item in range(4)] == ["text", "", None, None]
    assert list(found.spoken) == [0, 1, 2]
    assert found.trace is found.recording.trace


def test_a_session_without_speech_has_no_utterances() -> None:
    assert part("a").spoken == {}
