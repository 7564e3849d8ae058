"""Tests of the checks of the times at which text comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import (
    Part,
)
from pytest_realtime_asr.requirements.requirement import Undecided
from tests.support.check_outcomes import (
    GOOD,
    LATE,
    Bad,
    Found,
    Open,
    check,
    seen,
)
from tests.support.sessions import (
    APPEND,
    BEGIN,
    CREATED,
    FINISH,
    SPEAK,
    UPDATE,
    delta,
    done,
    error,
    paced,
    part,
    spoke,
)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (paced("it", 0.5), GOOD),
        (paced("it", 10.0), GOOD),
        (
            paced("it", 10.1),
            Bad("no text came during the 10.0 s in which audio was sent"),
        ),
        (
            paced("it"),
            Open("no text has words, or the client did not commit: closed by us"),
        ),
        (
            part("it", CREATED, UPDATE, BEGIN, APPEND),
            Open("no text has words, or the client did not commit"),
        ),
        (paced("it", 1.0, pace=8.0), GOOD),
        (paced("it", 2.0, pace=8.0), Open("the audio was sent faster than it is spok")),
        (paced("it", 11.0, late=3.0), Open("the client itself was 3.0 s late")),
        (paced("it", 11.0, late=2.0), Bad("no text came")),
        (paced("it", 11.0, lag=LATE), Open("the client itself was 3.0 s late")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_text_comes_during_the_audio(evidence: Part, found: Found) -> None:
    check(checks.text_during_audio("it"), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (paced("it", 3.0, 6.0, 9.0), GOOD),
        (paced("it", 7.0), GOOD),
        (paced("it", 7.2), Bad("no new text for 7.1 s while speech was sent; the")),
        (paced("it", 1.0, 2.0), Bad("no new text for 8.0 s")),
        (paced("it"), Bad("no new text for 9.9 s")),
        (paced("it", 3.0, 6.0, late=1.5), GOOD),
        # What was a second too late may be so because we were.
        (paced("it", 8.0, late=1.5), Open("the client itself was 1.5 s late")),
        (paced("it", 8.0, late=0.5), Bad("no new text for 7.9 s")),
        (paced("it", late=1.5), Bad("no new text for 9.9 s")),
        (paced("it", 0.5, 1.0, pace=8.0), GOOD),
        (paced("it", 0.1, pace=8.0), Open("the audio was sent faster than it is spok")),
        (paced("it", 4.0, 8.0, 13.0, pace=0.5), GOOD),
        (paced("it", 4.0, 12.0, pace=0.5), Bad("no new text for 8.0 s")),
        (paced("it", 1.0, seconds=0.1), Open("the audio was not sent completely")),
        (
            part("it", CREATED, UPDATE, BEGIN, APPEND),
            Open("the audio was not sent completely"),
        ),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_a_stall_of_the_text_is_found(evidence: Part, found: Found) -> None:
    check(checks.no_stall("it", at_most=7.0), evidence, found)


def falling(
    role: str, share: float, *, seconds: float = 20.0, timed: bool = True, **given: Any
) -> Part:
    """A session in which a word ends each half second, and comes late by a share."""
    count = round(2 * seconds)
    ends = [(number + 1) / 2 for number in range(count)]
    pace = given.get("pace", 1.0)
    held = paced(
        role, *(end / pace + share * end for end in ends), seconds=seconds, **given
    )
    words = tuple(Word("word", end - 0.5, end) for end in ends) if timed else ()
    said = " ".join(["word"] * count)
    clip = Utterance("speech", said, silence(seconds), words=words)
    return replace(held, spoken={0: clip})


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ((falling("10s", 0.0), falling("35s", 0.0)), GOOD),
        ((falling("10s", 0.019), falling("35s", 0.019)), GOOD),
        (
            (falling("10s", 0.1), falling("35s", 0.1)),
            Bad("the text falls behind: its lag grows by 10 % of the audio (at least "),
        ),
        # Two utterances that differ so much may well be of one that keeps up.
        (
            (falling("10s", 0.0), falling("35s", 0.1)),
            Open("the lag grows by 5 % of the audio, but 2 utterances do not prove"),
        ),
        (
            (falling("10s", -0.1), falling("35s", 0.3)),
            Open("the lag grows by 10 % of the audio, but 2 utterances do not"),
        ),
        ((falling("10s", -0.1), falling("35s", 0.1)), GOOD),
        (
            (falling("10s", 0.1), *(falling("35s", 0.1),) * 3, falling("10s", 0.05)),
            Bad("the text falls behind: its lag grows by 9"),
        ),
        ((falling("35s", 0.5, seconds=40.0),), Open("too few utterances had text")),
        (
            (falling("10s", 0.5, seconds=10.0), falling("35s", 0.5, seconds=10.0)),
            Open("too few utterances had text during their audio (needed: two"),
        ),
        (
            (falling("10s", 0.5, timed=False), falling("35s", 0.5, timed=False)),
            Open("too few utterances had text"),
        ),
        (
            (falling("10s", 0.1, pace=2.0), falling("35s", 0.1, pace=2.0)),
            Open("the audio was sent faster than it is spoken"),
        ),
        ((falling("10s", 0.0, pace=2.0), falling("35s", 0.0, pace=2.0)), GOOD),
        (
            (falling("10s", 0.1, lag=LATE), falling("35s", 0.1, lag=LATE)),
            Open("the client itself was 3.0 s late"),
        ),
        ((spoke("other", "a"),), Open("no session was run")),
    ],
)
def test_the_lag_does_not_grow(parts: tuple[Part, ...], found: Found) -> None:
    check(checks.keeps_up("10s", "35s", at_most=0.02), seen(*parts), found)


BEHIND = (falling("10s", 0.1), falling("35s", 0.1))


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ((falling("10s", 0.0), falling("35s", 0.0)), GOOD),
        ((falling("10s", 0.0), falling("35s", 0.0), falling("alone", 0.1)), GOOD),
        (
            (*BEHIND, falling("alone", 0.05)),
            Bad("the text falls behind: its lag grows by 10 % of the audio (at least "),
        ),
        (
            (*BEHIND, falling("alone", 0.019)),
            Open("beside other sessions, the text falls behind: its lag grows by 10 %"),
        ),
        (BEHIND, Open("beside other sessions, the text falls behind: its lag grows")),
        (
            (*BEHIND, falling("alone", 0.1, lag=LATE)),
            Open("beside other sessions, the text falls behind: its lag grows"),
        ),
        (
            (*BEHIND, falling("alone", 0.1, timed=False)),
            Open("beside other sessions, the text falls behind: its lag grows"),
        ),
    ],
)
def test_lag_growth_is_a_violation_only_if_confirmed_alone(
    parts: tuple[Part, ...], found: Found
) -> None:
    shared = checks.keeps_up("10s", "35s", at_most=0.02)
    alone = checks.confirmed_alone(shared, "alone", at_most=0.02)
    check(alone, seen(*parts), found)


@pytest.mark.parametrize(
    ("alone", "reason"),
    [
        ((), "; without other sessions: no session was run for this check (alone)"),
        (
            (falling("alone", 0.019),),
            "; without other sessions, the lag grows by 1.9 % of the audio, so the "
            "server was overloaded",
        ),
        (
            (falling("alone", 0.1, lag=LATE),),
            "; without other sessions, the client itself was 3.0 s late and may have "
            "caused the late text",
        ),
        (
            (falling("alone", 0.1, timed=False),),
            "; without other sessions, fewer than five correct words came during the "
            "speech",
        ),
    ],
)
def test_the_reason_states_the_result_alone(
    alone: tuple[Part, ...], reason: str
) -> None:
    shared = checks.keeps_up("10s", "35s", at_most=0.02)
    outcome = checks.confirmed_alone(shared, "alone", at_most=0.02)(
        seen(*BEHIND, *alone)
    )
    assert isinstance(outcome, Undecided)
    assert outcome.reason.endswith(reason)


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ((*SPEAK, delta("a"), done("a"), *SPEAK, delta("b"), done("b")), GOOD),
        ((APPEND, BEGIN, delta("a")), GOOD),
        ((BEGIN, delta("a")), Bad("the text 'a' came before any audio of its")),
        ((*SPEAK, done("a"), BEGIN, delta("b")), Bad("the text 'b' came before any")),
        ((BEGIN, delta(" "), APPEND, delta("a")), GOOD),  # no text
        ((BEGIN, delta("")), Open("no text came")),
        # An utterance without audio may have its final, and the next one its text.
        ((BEGIN, FINISH, done(""), *SPEAK, delta("b")), GOOD),
        # The client went on, and what comes yet is of the utterance before.
        ((*SPEAK, BEGIN, delta("a"), done("a"), APPEND, delta("b")), GOOD),
        ((*SPEAK, *SPEAK, done("a"), delta("b")), GOOD),
        ((BEGIN, APPEND, error("x"), FINISH, BEGIN, delta("a")), GOOD),
        # One that failed has no final.
        ((BEGIN, APPEND, error("x"), BEGIN, delta("a"), APPEND), GOOD),
    ],
)
def test_no_text_comes_early(frames: tuple[str, ...], found: Found) -> None:
    check(checks.no_early_text, part("it", CREATED, UPDATE, *frames), found)
