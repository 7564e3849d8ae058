"""The checks of lost words, on evidence made by hand."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.corpus.joined import joined
from pytest_realtime_asr.requirements.checks.lost_words import (
    CHUNKS,
    CUT,
    PROTECTED,
    Loss,
    long_take,
    loses_nothing,
    no_leftover_punctuation,
)
from pytest_realtime_asr.requirements.evidence import Evidence
from tests.support.check_outcomes import GOOD, Bad, Found, Open, check, seen
from tests.support.many_clips import CLIPS, said, same, without_first, without_last
from tests.support.sessions import spoke


def run(cut: list[str], protected: list[str]) -> Evidence:
    return seen(
        spoke(CUT, *cut, clips=CLIPS), spoke(PROTECTED, *protected, clips=CLIPS)
    )


@pytest.mark.parametrize(
    ("cut", "loss", "found"),
    [
        (said(same), Loss.TAIL, GOOD),
        (
            said(without_last, clips=7),
            Loss.TAIL,
            Bad(
                "the last word is missing in 7 of 12 clips; for example 'anna sees a "
                "black' instead of 'anna sees a black cat'; on a server that loses "
                "nothing, the probability of this is "
            ),
        ),
        (said(without_last, clips=1), Loss.TAIL, GOOD),
        # The place of a missing word is not known among wrong words.
        (said(lambda text: "it is wrong"), Loss.TAIL, Open("10 clips are needed, ")),
        (said(without_last, clips=7), Loss.HEAD, GOOD),
        (
            said(without_first),
            Loss.HEAD,
            Bad("the first word is missing in 12 of 12 clips"),
        ),
        (
            said(without_last),
            Loss.SILENCE,
            Bad(
                "the text has more errors without silence around clips than with "
                "silence in 12 of 12 clips (fewer errors in 0)"
            ),
        ),
        (
            said(without_last, clips=4),
            Loss.SILENCE,
            Open("4 of 12 clips have more errors under one condition"),
        ),
        (said(without_last, clips=2), Loss.SILENCE, GOOD),
    ],
)
def test_the_lost_words_are_named(cut: list[str], loss: Loss, found: Found) -> None:
    check(loses_nothing(loss), run(cut, said(same)), found)


def test_few_clips_decide_nothing() -> None:
    few = spoke(CUT, *said(without_last)[:9], clips=CLIPS[:9])
    check(loses_nothing(Loss.TAIL), few, Open("10 clips are needed, but only 9 have"))
    check(loses_nothing(Loss.TAIL), seen(), Open("no session was run"))


def test_the_correction_is_for_the_tests_that_can_decide() -> None:
    outcome = loses_nothing(Loss.SILENCE)(run(said(without_last), said(same)))
    assert "for 3 tests" in str(outcome)
    chunks = spoke(next(iter(CHUNKS)), *said(same), clips=CLIPS)
    more = Evidence((*run(said(without_last), said(same)).parts, chunks))
    assert "for 5 tests" in str(loses_nothing(Loss.SILENCE)(more))


def test_a_long_text_is_divided_into_its_clips() -> None:
    timed = [
        Utterance(
            name,
            text,
            silence(1.0),
            words=tuple(
                Word(word, 0.2 * place, 0.2 * place + 0.1)
                for place, word in enumerate(text.split())
            ),
        )
        for name, text in (("a", "one cat"), ("b", "a black dog"), ("c", "no bird"))
    ]
    whole = joined(timed, 0.5)
    long = long_take(whole, "One cat, so, a dog!")
    assert [take.kept for take in long.takes] == [
        (True, True),
        (True, False, True),
        (False, False),
    ]
    assert [take.errors for take in long.takes] == [1, 1, 2]
    assert long.times[1] == pytest.approx((1.55, 1.75, 1.95))
    assert long.heard == 2
    assert long.end == pytest.approx(1.95)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("turn right?", "and stop", "now"), GOOD),
        (("turn right", "? and stop", "now"), GOOD),  # once may be chance
        (
            ("turn right", "? and stop", "\uff1fnow"),
            Bad("2 of 2 texts start with punctuation of the utterance before"),
        ),
        (("? turn right", "? and stop", "? now"), GOOD),  # its usual form
        (("turn right", "\u00bfand stop?", '"now"'), GOOD),
        (("turn right",), Open("no session has the text of a second utterance")),
        (("", "?", ""), Open("no session has the text of a second utterance")),
    ],
)
def test_leftover_punctuation(texts: tuple[str, ...], found: Found) -> None:
    part = spoke("it", *texts, clips=CLIPS[: len(texts)])
    check(no_leftover_punctuation("it"), part, found)
