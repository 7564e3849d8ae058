"""Tests of the wording of the reasons for a verdict."""

from __future__ import annotations

from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.report.reasons import client_state, reason_text
from pytest_realtime_asr.verdicts.reasons import NotDecided, Simple, TooFew


def test_the_state_of_the_client_is_one_line() -> None:
    state = ClientState(send=50.0, loop=8.0, pause=7.0, cpu=0.5)
    assert client_state(state) == (
        "send delay p99 50.0 ms, loop lag p99 8.0 ms, GC pause 7.0 ms, "
        "CPU 50% of a core"
    )


def test_a_reason_states_its_numbers() -> None:
    assert reason_text(None) == ""
    assert reason_text(NotDecided(60, 60)) == "not decided within 60 sessions"
    assert (
        reason_text(NotDecided(5, 60)) == "not decided after 5 of at most 60 sessions"
    )
    assert reason_text(TooFew(10, speakers=True)) == (
        "fewer than 10 speakers prove nothing"
    )
    assert all(map(reason_text, Simple))
