"""Texts under load: lost words and cross-talk, and how rarely they are false."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.corpus.bundled_corpora import bundled
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.texts import (
    CrossTalk,
    Solo,
    cross_talk,
    errors_of,
    lost_words,
    name,
    solo,
)
from tests.support.load_rows import row

ENGLISH = {each.id: each for each in bundled("bundled:english")}
WORDS = [word for each in ENGLISH.values() for word in each.text.split()]
NOTHING = Solo({})


def clips(**texts: str) -> Mapping[str, Utterance]:
    return {id: Utterance(id, text, silence(1.0)) for id, text in texts.items()}


DOOR = "go forward ten meters and then stop at the door"
CALL = "please call the main office before nine on monday"
BOTH = clips(one=DOOR, two=CALL)
OTHER = row(CALL, clip="two", session="sess_2")


def talk(text: str, *others: Row, alone: Solo = NOTHING) -> Sequence[CrossTalk]:
    """The cross-talk of a session of the first clip; the others run beside it."""
    mine = row(text)
    found = cross_talk([mine, *(others or (OTHER,))], alone, BOTH)
    assert all(each.row is mine for each in found)
    return found


def misheard(text: str, rate: float, drawn: random.Random) -> str:
    """A text with this word error rate, whose wrong words are words of the corpus."""
    found = []
    for word in text.split():
        lot = drawn.random()
        if lot < 0.6 * rate:
            found.append(drawn.choice(WORDS))
        elif lot >= 0.8 * rate:
            found.append(word)
        if drawn.random() < 0.2 * rate:
            found.append(drawn.choice(WORDS))
    return " ".join(found)


# Cross-talk


def test_a_correct_text_has_no_cross_talk() -> None:
    assert talk(DOOR) == ()
    assert talk("") == ()
    assert talk("go forward ten meters") == ()
    assert talk("thank you for watching this video and goodbye") == ()


def test_the_text_of_another_session_is_named_with_both_ids() -> None:
    (found,) = talk(CALL)
    assert str(found) == (
        "session sess_1 (one) contains 9 words of session sess_2 (two), which was open "
        "at the same time"
    )


def test_a_few_words_of_another_session_within_the_own_text() -> None:
    (found,) = talk("go forward ten meters before nine on monday stop at the door")
    assert found.words == 4
    assert talk("go forward ten meters before nine on stop at the door") == ()


def test_a_text_of_another_session_with_errors() -> None:
    (found,) = talk("police call the main orifice before noon on sunday")
    assert found.other is OTHER


def test_another_session_must_be_open_at_the_same_time() -> None:
    later = row(CALL, clip="two", session="later", at=100.0)
    assert talk(CALL, later) == ()
    (found,) = talk(CALL, later, OTHER)
    assert found.other is OTHER


def test_words_that_also_come_without_load_are_no_cross_talk() -> None:
    text = f"{DOOR} before nine on monday"
    assert len(talk(text)) == 1
    assert talk(text, alone=Solo({"one": (text,)})) == ()


def test_a_repeated_text_is_no_cross_talk() -> None:
    shared = clips(one=DOOR, two="now stop at the door and wait")
    rows = [row(f"{DOOR} {DOOR}"), row(shared["two"].text, clip="two")]
    assert cross_talk(rows, NOTHING, shared) == ()


def test_a_clip_that_contains_another_is_no_cross_talk() -> None:
    shared = clips(one=DOOR, two=f"{DOOR} {CALL}")
    rows = [row(DOOR), row(f"{DOOR} {CALL}", clip="two")]
    assert cross_talk(rows, NOTHING, shared) == ()


def test_sessions_of_the_same_clip_and_lost_ones_have_no_cross_talk() -> None:
    assert cross_talk([row(CALL), row(CALL)], NOTHING, BOTH) == ()
    assert cross_talk([row(CALL, lost=Loss.HUNG), OTHER], NOTHING, BOTH) == ()
    assert cross_talk([row(CALL, clip="unknown"), OTHER], NOTHING, BOTH) == ()


def test_the_clip_with_most_words_in_the_text_is_named() -> None:
    three = {**BOTH, **clips(three="before nine on sunday evening")}
    rows = [row(CALL), row("", clip="three", session="three"), OTHER]
    (found,) = cross_talk(rows, NOTHING, three)
    assert found.other is OTHER


def test_cross_talk_in_a_writing_system_without_spaces() -> None:
    spoken = clips(one="今日は天気がとてもいいです", two="明日の会議は九時に始まります")
    rows = [row(spoken["two"].text), row(spoken["two"].text, clip="two")]
    assert len(cross_talk(rows, NOTHING, spoken)) == 1
    rows[0] = row(spoken["one"].text)
    assert cross_talk(rows, NOTHING, spoken) == ()


def test_a_session_without_an_id_has_a_name() -> None:
    assert name(row(session="")) == "one@12:00:00.000000"
    assert name(row(session="a\nb")) == "a\\nb"


def sessions(rate: float, drawn: random.Random) -> list[Row]:
    """A session of each clip of the corpus, all at one time."""
    return [
        row(misheard(clip.text, rate, drawn), clip=id, session=id)
        for id, clip in ENGLISH.items()
    ]


def false_alarms(rate: float, count: int) -> int:
    """How many of this many sessions are reported to have cross-talk by mistake."""
    drawn = random.Random(17)
    rounds = -(-count // len(ENGLISH))
    return sum(
        len(cross_talk(sessions(rate, drawn), NOTHING, ENGLISH)) for _ in range(rounds)
    )


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_a_recogniser_with_errors_has_no_cross_talk(rate: float) -> None:
    assert false_alarms(rate, 500) == 0


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_no_session_of_ten_thousand_is_reported_by_mistake(rate: float) -> None:
    assert false_alarms(rate, 10_000) == 0


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_most_texts_of_another_session_are_found(rate: float) -> None:
    drawn = random.Random(23)
    found = 0
    for _ in range(60):
        rows = sessions(rate, drawn)
        mine, other = drawn.sample(range(len(rows)), 2)
        text = misheard(ENGLISH[rows[other].clip].text, rate, drawn)
        rows[mine] = row(text, clip=rows[mine].clip, session="mixed")
        found += [each.row for each in cross_talk(rows, NOTHING, ENGLISH)] == [
            rows[mine]
        ]
    assert found >= 50  # short commands have too many words in common


# Lost words


def test_a_text_that_ends_early_has_lost_words() -> None:
    alone = solo([row(DOOR)], BOTH)
    assert lost_words(row("go forward ten meters"), alone, BOTH) == 6
    assert lost_words(row(""), alone, BOTH) == 10
    assert lost_words(row(DOOR), alone, BOTH) == 0
    assert lost_words(row(f"{DOOR} and more"), alone, BOTH) == 0


def test_a_substitution_loses_no_word() -> None:
    alone = solo([row(DOOR)], BOTH)
    changed = "so for word when matters an the stop and a floor"
    assert lost_words(row(changed), alone, BOTH) == 0


def test_few_words_are_lost_by_chance() -> None:
    alone = solo([row(DOOR)], BOTH)
    assert lost_words(row("go forward ten meters and then stop"), alone, BOTH) == 0


def test_the_noise_of_the_server_excuses_lost_words() -> None:
    short = "go forward ten meters and then"
    steady = solo([row(DOOR)] * 4, BOTH)
    texts = (CALL, "please call the")
    noisy = solo([*(row(text, clip="two") for text in texts), row(DOOR)], BOTH)
    assert lost_words(row(short), steady, BOTH) == 4
    assert noisy.noise > 0.5
    assert lost_words(row(short), noisy, BOTH) == 0


def test_the_shortest_text_without_load_counts() -> None:
    alone = solo(
        [row(DOOR), row("go forward ten meters"), row("", lost=Loss.HUNG)], BOTH
    )
    assert alone.texts == {"one": (DOOR, "go forward ten meters")}
    assert lost_words(row("go forward ten meters"), alone, BOTH) == 0


def test_without_a_text_alone_no_word_is_lost() -> None:
    assert lost_words(row(""), NOTHING, BOTH) == 0
    assert lost_words(row(lost=Loss.HUNG), solo([row(DOOR)], BOTH), BOTH) == 0


def test_a_noisy_server_loses_no_words() -> None:
    """Its noise is estimated from two texts without load of each clip."""
    drawn = random.Random(31)
    found = []
    for _ in range(8):
        before = [
            row(misheard(clip.text, 0.1, drawn), clip=id)
            for id, clip in ENGLISH.items()
            for _ in range(2)
        ]
        alone = solo(before, ENGLISH)
        loaded = sessions(0.1, drawn)
        found += [each for each in loaded if lost_words(each, alone, ENGLISH)]
    assert found == []


# Errors


def test_the_errors_of_a_text() -> None:
    assert errors_of(row(DOOR), BOTH) is not None
    found = errors_of(row("go forward ten matters and then stop at the door"), BOTH)
    assert found is not None
    assert (found.wrong, found.reference) == (1, 10)
    lost = errors_of(row(DOOR, lost=Loss.HUNG), BOTH)
    assert lost is not None
    assert (lost.deletions, lost.reference) == (10, 10)
    assert errors_of(row(DOOR), clips(one="")) is None
    assert errors_of(row(DOOR), {}) is None
