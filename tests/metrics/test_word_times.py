"""The metrics of word times, with numbers that were worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_realtime_asr.corpus import Word
from pytest_realtime_asr.metrics import CATALOGUE, measure
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import Event, Final, Partial, Timeline, WordTime
from pytest_realtime_asr.verdicts.client_delay import bound

NAMES = ("word_time_error", "word_time_bias")
SHARE = "word_time_coverage"


@dataclass(frozen=True)
class Said:
    """A reference with word times in s."""

    words: tuple[Word, ...]
    text: str
    language: str = "en"
    speech_by: str = "words"
    speech_start: float | None = None
    speech_end: float | None = None


def said(*words: tuple[str, float, float], language: str = "en") -> Said:
    made = tuple(Word(*word) for word in words)
    return Said(made, " ".join(word.text for word in made), language)


THREE = said(("go", 0.25, 0.5), ("straight", 0.5, 1.0), ("on", 1.25, 1.5))


def found(
    script: Said | None, *words: tuple[str, float, float]
) -> Sequence[float | None]:
    """Return both metrics of a final with these words, with their times in s."""
    text = " ".join(word for word, _, _ in words)
    final = Final(0, 9, text, words=tuple(WordTime(*word) for word in words))
    measured = measure(timeline(final), script)
    return [measured[name] for name in NAMES]


def timeline(*events: Event) -> Timeline:
    return Timeline(16_000, 0, 0, events, End(Ending.CLOSED_BY_US, 10))


def test_exact_times_have_no_error() -> None:
    exact = [(word.text, word.start, word.end) for word in THREE.words]
    assert found(THREE, *exact) == [0.0, 0.0]


@pytest.mark.parametrize("shift", [0.25, -0.125])
def test_a_constant_shift_is_error_and_bias(shift: float) -> None:
    moved = [(word.text, word.start + shift, word.end + shift) for word in THREE.words]
    assert found(THREE, *moved) == [1000 * abs(shift), 1000 * shift]


def test_the_error_has_no_sign_and_the_bias_has_one() -> None:
    words = [("go", 0.125, 0.375), ("straight", 0.5, 1.0), ("on", 1.5, 1.75)]
    # The shifts are -125, 0 and 250 ms.
    assert found(THREE, *words) == [125.0, 0.0]


def test_a_word_that_is_too_long_has_an_error_without_a_bias() -> None:
    words = [(word.text, word.start - 0.125, word.end + 0.125) for word in THREE.words]
    assert found(THREE, *words) == [125.0, 0.0]


def test_only_words_that_match_are_compared() -> None:
    words = [("Go,", 0.5, 0.75), ("late", 7.0, 8.0), ("uh", 8.0, 8.0), ("on", 1.5, 2.0)]
    # go is 250 ms late; on is 250 ms late at its start and 500 ms at its end.
    assert found(THREE, *words) == [250.0, 250.0]
    assert found(THREE, ("stop", 0.25, 0.5)) == [None, None]


def test_one_word_far_away_does_not_determine_the_value() -> None:
    words = [("go", 90.0, 91.0), ("straight", 0.5, 1.0), ("on", 1.25, 1.5)]
    assert found(THREE, *words) == [0.0, 0.0]


def test_of_a_word_with_several_normal_words_only_the_outer_times_count() -> None:
    script = said(("can't", 1.0, 2.0))  # its normal form is "can not"
    assert found(script, ("can", 1.25, 1.5), ("not", 1.5, 2.5)) == [250.0, 250.0]
    assert found(script, ("cannot", 1.0, 2.5)) == [0.0, 0.0]  # 0 and 500 ms


def test_characters_are_compared_if_words_are_not_separated() -> None:
    script = said(("\u4f60\u597d", 1.0, 2.0), language="zh")
    assert found(script, ("\u4f60", 1.25, 1.5), ("\u597d", 1.5, 2.25)) == [250.0, 250.0]


@pytest.mark.parametrize(
    ("words", "share"),
    [
        ([("go", 0.25, 0.5), ("straight", 0.5, 1.0), ("on", 1.25, 1.5)], 1.0),
        ([("straight", 0.5, 1.0), ("on", 1.25, 1.5)], 2 / 3),
        ([("go", 0.25, 0.5), ("late", 0.5, 1.0), ("off", 1.25, 1.5)], 1 / 3),
        ([("stop", 0.25, 0.5)], 0.0),
    ],
)
def test_the_share_of_the_words_with_a_stated_time(
    words: Sequence[tuple[str, float, float]], share: float
) -> None:
    # The text has all words of the reference, but only some words have a time.
    times = tuple(WordTime(*word) for word in words)
    final = Final(0, 9, THREE.text, words=times)
    measured = measure(timeline(final), THREE)
    assert measured["word_coverage"] == 1.0
    assert measured[SHARE] == pytest.approx(share)


def test_each_part_of_a_word_with_several_normal_words_has_a_time() -> None:
    words = (WordTime("can't", 1.0, 2.0),)
    final = Final(0, 9, "can't", words=words)
    script = said(("can't", 1.0, 2.0))
    assert measure(timeline(final), script)[SHARE] == 1.0


def test_without_times_on_both_sides_there_is_no_value() -> None:
    words = [(word.text, word.start, word.end) for word in THREE.words]
    assert found(None, *words) == [None, None]
    without = Final(0, 9, THREE.text)
    assert measure(timeline(without), THREE)[SHARE] is None
    assert found(Said((), "go straight on"), *words) == [None, None]
    assert found(THREE) == [None, None]
    partial = measure(timeline(Partial(0, 9, 0, "go")), THREE)
    assert [partial[name] for name in NAMES] == [None, None]


def test_no_delay_of_the_client_changes_a_word_time() -> None:
    for name in NAMES:
        assert CATALOGUE[name].timed
        assert not CATALOGUE[name].paced
        assert bound(name, 100.0) == math.inf
    assert bound("word_first_emission", 1000.0) == 50.0
