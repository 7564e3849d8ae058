"""The check of words that come twice in place of the next word."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.requirements.checks.doubled_words import (
    LEAST_ALONE,
    doubled,
    no_doubled_words,
)
from pytest_realtime_asr.requirements.checks.lost_words import CUT
from pytest_realtime_asr.requirements.evidence import Evidence
from tests.support.check_outcomes import GOOD, Bad, Found, Open, check, seen
from tests.support.many_clips import CLIPS, Change, said, sessions
from tests.support.sessions import spoke

REFERENCE = "the cat and the dog lay by the door all day"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (REFERENCE, 0),
        ("the cat cat the dog lay by the door all day", 1),
        ("the cat and the dog lay by the door door day", 1),
        ("the cat cat the dog lay by the door door day", 2),
        ("the cat cat and the dog lay by the door all day", 0),  # nothing is lost
        ("the cat the dog lay by the door all day", 0),  # nothing comes twice
        ("the cat hat the dog lay by the door all day", 0),
        ("the cat cat dog lay by the door all day", 0),  # two words are lost
        ("", 0),
    ],
)
def test_doubled_words_are_found(text: str, number: int) -> None:
    pairs = words(REFERENCE, text, language="en").pairs
    assert len(list(doubled(pairs))) == number


def at(name: str) -> Change:
    """Return a change that doubles a word of one clip."""
    return lambda text: (
        text.replace("a black", "a a") if text.startswith(name) else text
    )


def wrong(text: str) -> str:
    return text.replace("black", "white") if "berta" in text else text


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, GOOD),
        (
            {"60s-fast": at("anna")},
            Bad(
                "a word comes twice and the next word is missing at 1 places of long "
                "texts, and at no place of 75 shorter texts; for example 'anna sees a "
                "a cat berta' instead of 'anna sees a black cat berta'"
            ),
        ),
        ({"60s-fast": at("anna"), CUT: wrong}, GOOD),
        (
            {"60s-fast": at("anna"), "35s": at("berta"), CUT: wrong},
            Bad("a word comes twice and the next word is missing at 2 places"),
        ),
        (
            {"60s-fast": at("anna"), CUT: at("berta")},
            Open("words are doubled in shorter utterances, too"),
        ),
    ],
)
def test_doubled_words_are_violations_only_in_long_texts(
    changes: dict[str, Change], found: Found
) -> None:
    check(no_doubled_words, Evidence(tuple(sessions(changes))), found)


def test_few_texts_decide_nothing() -> None:
    check(no_doubled_words, seen(), Open("no session was run"))
    alone = spoke(CUT, *said(str), clips=CLIPS)
    check(no_doubled_words, alone, Open("no long utterance got its final"))
    long = spoke("35s", CLIPS[0].text, clips=CLIPS[:1])
    few = Open(f"{LEAST_ALONE} texts of shorter utterances are needed")
    check(no_doubled_words, seen(alone, long), few)


def test_the_probabilities_of_the_documentation() -> None:
    rates = np.linspace(0, 0.1, 10_001)
    no_long = (1 - rates) ** 40
    one_long = 40 * rates * (1 - rates) ** 39
    two_or_more = (1 - rates) ** 100 * (1 - no_long - one_long)
    one_or_more = (1 - np.minimum(1, 10 * rates)) ** 100 * (1 - no_long)
    assert 0.02 < two_or_more.max() <= 0.03
    assert 0.01 < one_or_more.max() <= 0.015
