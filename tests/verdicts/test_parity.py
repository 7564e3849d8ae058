"""Tests of parity: the text of a clip differs at most by the own variation."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.report.parity import cause, details, summary
from pytest_realtime_asr.verdicts.parity import (
    Clip,
    Condition,
    LostSession,
    Parity,
    judge,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

SOUND = silence(1.0)
TEXT = "the road to the mountains is closed because of the snow"
NEAR = TEXT.replace("closed", "close")  # one word differs, which is tolerated
CUT = "the road to the mountains is closed"
GONE = LostSession("refused", "ws://h/: cannot connect")
LONG = " ".join(f"word{number}" for number in range(100))


def clip(
    name: str = "one",
    *,
    alone: tuple[str | LostSession, ...] = (TEXT,) * 3,
    then: tuple[str | LostSession, ...] = (TEXT,) * 3,
    language: str = "en",
) -> Clip:
    """Return a clip without a reference transcript, with its texts."""
    return Clip(Utterance(name, "", SOUND, language=language), alone, then)


def judged(*clips: Clip, over: Condition = Condition.CHUNK) -> Parity:
    return judge(over, clips)


def other(count: int, text: str = LONG) -> str:
    """Return the text with its first ``count`` words replaced."""
    words = text.split()
    return " ".join(["x"] * count + words[count:])


def test_the_same_texts_pass() -> None:
    found = judged(clip("one"), clip("two", alone=(LONG,) * 3, then=(LONG,)))
    assert found.verdict is Verdict.PASS
    assert (found.judged, found.texts, found.noise, found.differences) == (2, 4, 0, ())
    assert details(found) == summary(found)
    assert summary(found) == (
        "parity over chunk: 0 of 2 utterances differ "
        "(the server's own variation is 0 words; this variation plus 5% of "
        "the words is tolerated; 4 texts); "
        "PASS"
    )


def test_case_and_punctuation_are_no_difference() -> None:
    shouted = TEXT.upper().replace(" IS", ", IS") + "!"
    assert judged(clip(then=(shouted,) * 3)).verdict is Verdict.PASS


def test_another_text_fails_and_is_shown_word_by_word() -> None:
    found = judged(
        clip("one"), clip("two", then=(CUT, TEXT, CUT)), over=Condition.CROWD
    )
    assert found.verdict is Verdict.FAIL
    assert details(found).splitlines() == [
        "parity over crowd: 1 of 2 utterances differ "
        "(the server's own variation is 0 words; this variation plus 5% of "
        "the words is tolerated; 6 texts); "
        "FAIL",
        "two: 4 of 11 words differ; in 2 of 3 sessions",
        "ref: the road to the mountains is closed because of the snow",
        "hyp: the road to the mountains is closed ******* ** *** ****",
        "                                         D       D  D   D",
    ]


@pytest.mark.parametrize(
    ("then", "verdict"),
    [
        ((CUT, CUT, CUT), Verdict.FAIL),
        ((CUT, CUT, TEXT), Verdict.FAIL),
        ((CUT, TEXT, TEXT), Verdict.PASS),
        ((CUT, CUT, TEXT, TEXT), Verdict.PASS),
        ((CUT, CUT), Verdict.FAIL),
        ((CUT, TEXT), Verdict.INCONCLUSIVE),
        ((NEAR, NEAR, NEAR), Verdict.PASS),
        (("", "", TEXT), Verdict.FAIL),
        ((GONE, GONE, TEXT), Verdict.FAIL),
        ((GONE, CUT, TEXT), Verdict.INCONCLUSIVE),
        ((GONE, TEXT, TEXT), Verdict.PASS),
        ((GONE, TEXT), Verdict.INCONCLUSIVE),
        ((GONE,), Verdict.INCONCLUSIVE),
    ],
)
def test_two_of_three_repeats_decide(
    then: tuple[str | LostSession, ...], verdict: Verdict
) -> None:
    assert judged(clip("one", then=then), clip("two")).verdict is verdict


def test_single_texts_decide_only_if_many_clips_differ() -> None:
    clips = [clip(f"clip-{n}", then=(CUT if n < 4 else TEXT,)) for n in range(6)]
    assert judged(*clips).verdict is Verdict.FAIL
    found = judged(*clips[2:], clip("a"), clip("b"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        cause(found)
        == "a single difference may be due to chance; send clip-2, clip-3 3 times"
    )
    assert summary(found).endswith(f"INCONCLUSIVE: {cause(found)}")
    assert judged(*clips[4:]).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("words", "noise", "fails"),
    [(5, 0, False), (6, 0, True), (8, 3, False), (9, 3, True)],
)
def test_noise_and_five_percent_are_tolerated(
    words: int, noise: int, fails: bool
) -> None:
    alone = (LONG, LONG, other(noise))
    found = judged(clip(alone=alone, then=(other(words),) * 3, language="de"))
    assert found.noise == noise
    assert found.verdict is (Verdict.FAIL if fails else Verdict.PASS)


def test_the_noise_is_that_of_the_noisiest_clip() -> None:
    quiet = clip("quiet", alone=(LONG,) * 3, then=(other(8),) * 3, language="de")
    alone = (LONG, LONG, other(3))
    noisy = clip("noisy", alone=alone, then=(LONG,) * 3, language="de")
    assert judged(quiet).verdict is Verdict.FAIL
    assert judged(quiet, noisy).verdict is Verdict.PASS


def test_with_too_much_own_variation_parity_is_inconclusive() -> None:
    alone = (TEXT, "so many other words are heard each time it is spoken", TEXT)
    found = judged(clip("one", alone=alone), clip("two"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.judged, found.noise) == (0, 11)
    assert found.unused == ("one", "two")
    assert "not judged: one, two" in summary(found)
    assert (
        cause(found)
        == "the server's own variation is too large: only 0 of 2 clips can be judged"
    )


def test_a_clip_sent_alone_only_once_is_inconclusive() -> None:
    for alone in [(TEXT,), ()]:
        found = judged(clip(alone=alone, then=(CUT,) * 3))
        assert (found.verdict, found.noise) == (Verdict.INCONCLUSIVE, None)
        assert (
            cause(found)
            == "the server's own variation is not known: send each clip alone at "
            "least 2 times"
        )


def test_most_clips_must_be_judgeable() -> None:
    useless = [clip(name, alone=(TEXT,)) for name in ("a", "b", "c", "d")]
    found = judged(clip("one"), *useless)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (
        cause(found)
        == "the server's own variation is too large: only 1 of 5 clips can be judged"
    )
    assert "not judged: a, b, c and 1 more" in summary(found)
    broken = clip("one", then=(CUT,) * 3)
    assert judged(broken, *useless).verdict is Verdict.FAIL


def test_no_text_is_no_pass() -> None:
    assert judged().verdict is Verdict.INCONCLUSIVE
    assert judged(clip(then=())).verdict is Verdict.INCONCLUSIVE
    assert judged(clip(then=(TEXT,))).verdict is Verdict.INCONCLUSIVE


def test_a_lost_session_does_not_count_as_another_text() -> None:
    found = judged(clip(then=(GONE, GONE, TEXT)), clip("two"))
    assert (found.texts, found.lost, found.differences) == (4, 2, ())
    assert details(found) == (
        "parity over chunk: 0 of 2 utterances differ (the server's own "
        "variation is 0 words; this variation plus 5% of the words is tolerated; 4 "
        "texts, 2 lost); FAIL: 2 of 6 sessions were lost; one refused: ws://h/: cannot "
        "connect"
    )


def test_a_difference_is_counted_among_all_sessions() -> None:
    found = judged(clip("one", then=(CUT, GONE, CUT)), clip("two"))
    assert (found.verdict, found.texts, found.lost) == (Verdict.FAIL, 5, 1)
    assert [each.texts for each in found.differences] == [(CUT, CUT)]
    assert details(found).splitlines()[:2] == [
        "parity over chunk: 1 of 2 utterances differ (the server's own "
        "variation is 0 words; this variation plus 5% of the words is tolerated; 5 "
        "texts, 1 lost); FAIL",
        "one: 4 of 11 words differ; in 2 of 3 sessions",
    ]


def test_lost_sessions_that_could_decide_make_it_inconclusive() -> None:
    found = judged(clip("one", then=(CUT, GONE, TEXT)), clip("two"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert cause(found) == (
        "1 of 6 sessions were lost; one refused: ws://h/: cannot connect"
    )


def test_lost_sessions_alone_are_named() -> None:
    found = judged(clip(alone=(GONE, TEXT, GONE), then=(CUT,) * 3))
    assert (found.verdict, found.noise) == (Verdict.INCONCLUSIVE, None)
    assert cause(found) == (
        "the server's own variation is not known: 2 of 3 sessions that ran alone "
        "were lost; one refused: ws://h/: cannot connect"
    )


def test_scripts_without_spaces_go_by_characters() -> None:
    text, cut = "今日の天気はとても良いです", "今日の天気は"
    japanese = clip(alone=(text,) * 3, then=(cut,) * 3, language="ja")
    assert judged(japanese).verdict is Verdict.FAIL
    assert "one: 7 of 13 words differ" in details(judged(japanese))
