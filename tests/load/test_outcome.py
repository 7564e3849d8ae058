"""The outcome of a session, from its loss, its latencies and its text."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loss import LOSSES, Loss
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.outcome import (
    Outcome,
    counted,
    is_late,
    limits_of,
    lost_outcome,
    outcomes,
)
from pytest_realtime_asr.load.row import refusal_code
from pytest_realtime_asr.load.texts import Solo
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.verdicts.budgets import budget, latency_budget
from tests.support.load_rows import row
from tests.support.sessions import CREATED, SPEAK, UPDATE, done, error, part

SPOKEN = {
    "one": "go forward ten meters and then stop at the door",
    "two": "please call the office before nine o'clock on monday",
}
CLIPS = {id: Utterance(id, text, silence(1.0)) for id, text in SPOKEN.items()}
ALONE = Solo({id: (text,) for id, text in SPOKEN.items()})
FINAL = {"final_from_commit": 800.0}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"lost": Loss.REFUSED, "code": 429}, Outcome.REFUSED),
        ({"lost": Loss.REFUSED, "code": 503}, Outcome.REFUSED),
        ({"lost": Loss.REFUSED, "code": 500}, Outcome.BROKEN),
        ({"lost": Loss.REFUSED, "code": 401}, Outcome.BROKEN),
        ({"lost": Loss.REFUSED}, Outcome.BROKEN),  # no server was there
        ({"lost": Loss.CLOSED, "code": 1013}, Outcome.REFUSED),
        ({"lost": Loss.CLOSED, "code": 1011}, Outcome.BROKEN),
        ({"lost": Loss.CLOSED, "code": 1000}, Outcome.BROKEN),
        ({"lost": Loss.BROKE, "code": 1013}, Outcome.BROKEN),  # by the client
        ({"lost": Loss.FLOODED}, Outcome.BROKEN),
        ({"lost": Loss.HUNG}, Outcome.HUNG),
        ({"lost": Loss.CANCELLED}, Outcome.CANCELLED),
        ({"lost": Loss.CANCELLED, "refusal": "buffer_full"}, Outcome.CANCELLED),
    ],
)
def test_a_lost_session(made: dict[str, Any], expected: Outcome) -> None:
    assert lost_outcome(row(**made)) is expected


@pytest.mark.parametrize("code", ["too_many_sessions", "buffer_full", "idle_timeout"])
def test_an_error_code_that_limits_the_load_is_a_refusal(code: str) -> None:
    refused = row(lost=Loss.REFUSED, how=Ending.CLOSED_BY_US, refusal=code)
    assert lost_outcome(refused) is Outcome.REFUSED
    closed = row(lost=Loss.CLOSED, code=1000, refusal=code)
    assert lost_outcome(closed) is Outcome.REFUSED
    other = row(lost=Loss.REFUSED, how=Ending.CLOSED_BY_US, refusal="server_error")
    assert lost_outcome(other) is Outcome.BROKEN


def test_every_loss_has_an_outcome() -> None:
    assert set(LOSSES.values()) == set(Loss) - {Loss.NONE}
    for loss in Loss:
        assert (lost_outcome(row(lost=loss)) is None) is (loss is Loss.NONE)


def test_the_code_of_a_refusal_is_that_of_the_servers_error() -> None:
    refused = part("it", CREATED, UPDATE, *SPEAK, error("too_many_sessions"))
    assert refusal_code(refused.recording.timeline) == "too_many_sessions"
    sound = part("it", CREATED, UPDATE, *SPEAK, done("go"))
    assert refusal_code(sound.recording.timeline) is None


# Latencies


def test_a_late_final() -> None:
    assert not is_late(row(final=800.0), FINAL)
    assert is_late(row(final=800.1), FINAL)
    assert is_late(row(final=None), FINAL)
    assert is_late(row(final=10.0, premature=Premature.FINAL_BEFORE_COMMIT), FINAL)
    assert not is_late(row(final=9000.0), {})
    both = {**FINAL, "first_partial_from_speech": 500.0}
    assert not is_late(row(), both)
    assert is_late(row(first=501.0), both)


def test_the_limits_of_a_single_session() -> None:
    made = [
        latency_budget("final_from_commit", p50="300ms", p95="800ms"),
        latency_budget("final_from_commit", max="2s"),
        latency_budget("first_partial_from_speech", p95="500ms"),
        latency_budget("recovery", max="10s"),
        budget("normalized_erasure", at_most=0.2),
    ]
    assert limits_of(made[:1]) == {"final_from_commit": 800.0}
    assert limits_of(made) == {
        "final_from_commit": 2000.0,
        "first_partial_from_speech": 500.0,
    }
    assert limits_of([]) == {}


# All sessions of a level


def test_the_outcomes_of_a_level() -> None:
    rows = [
        row(SPOKEN["one"], session="good"),
        row(SPOKEN["one"], session="late", final=900.0),
        row("go forward ten", session="short", final=900.0),
        row(SPOKEN["two"], clip="one", session="mixed", final=900.0),
        row(SPOKEN["two"], clip="two", session="other"),
        row(lost=Loss.HUNG, session="hung"),
        row(lost=Loss.CANCELLED, session="cut"),
    ]
    found = outcomes(rows, ALONE, CLIPS, FINAL)
    assert found == (
        Outcome.DONE,
        Outcome.LATE,
        Outcome.LOST_TEXT,
        Outcome.CROSS_TALK,
        Outcome.DONE,
        Outcome.HUNG,
        Outcome.CANCELLED,
    )
    assert counted(found)[Outcome.DONE] == 2
    assert sum(counted(found).values()) == len(rows)
    assert Outcome.BROKEN not in counted(found)


def test_every_session_of_a_correct_server_is_done() -> None:
    rows = [row(SPOKEN[clip], clip=clip) for clip in SPOKEN for _ in range(20)]
    assert counted(outcomes(rows, ALONE, CLIPS, FINAL)) == {Outcome.DONE: 40}
