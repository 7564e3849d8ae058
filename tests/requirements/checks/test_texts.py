"""Tests of the checks of texts; a noisy but correct server must not fail them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks import solo_transcripts
from pytest_realtime_asr.requirements.evidence import (
    Evidence,
    Part,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from tests.support.check_outcomes import (
    GOOD,
    Bad,
    Found,
    Open,
    check,
    seen,
)
from tests.support.sessions import (
    ALONE,
    BOTH,
    FIRST,
    SECOND,
    SILENCE,
    UNKNOWN,
    UPDATE,
    Hand,
    error,
    spoke,
)

LONG = Utterance("long", " ".join(f"word{n}" for n in range(60)), silence(1.0))


CHINESE = Utterance("park", "今天天气很好我们去公园散步", silence(1.0), language="zh")


def alone(clip: Utterance, *texts: str | None) -> tuple[Part, ...]:
    return tuple(spoke("alone", text, clips=(clip,)) for text in texts)


def changed(clip: Utterance, words: int) -> str:
    """Return the text of a clip with its first ``words`` words replaced."""
    return " ".join(["other"] * words + clip.text.split()[words:])


def test_the_solo_transcript_is_the_median_text_and_has_its_noise() -> None:
    texts = ("turn right and", "turn right and stop", "turn right and stop it")
    (found,) = solo_transcripts(seen(*alone(FIRST, *texts, None))).values()
    assert found.text == "turn right and stop"
    assert found.repeats == texts
    assert (found.words, found.noise) == (4, 1)


def test_the_noise_is_that_of_the_noisiest_usable_clip() -> None:
    noisy = alone(FIRST, FIRST.text, "turn left and stop")
    useless = alone(BOTH, "nothing of it", "nothing at all")
    found = solo_transcripts(seen(*noisy, *useless, *alone(SECOND, SECOND.text)))
    assert {name: each.noise for name, each in found.items()} == {
        FIRST.id: 1,
        SECOND.id: 1,
    }


@pytest.mark.parametrize(
    ("text", "useful"),
    [
        (changed(LONG, 12), True),  # 20 % of the words are wrong
        (changed(LONG, 13), False),
        ("", False),
    ],
)
def test_a_clip_that_is_not_recognised_is_not_used(text: str, useful: bool) -> None:
    assert checks.usable(LONG, text) is useful
    assert bool(solo_transcripts(seen(*alone(LONG, text)))) is useful
    assert not checks.usable(SILENCE, text)


def test_a_clip_whose_words_are_one_number_is_not_used() -> None:
    digits = replace(FIRST, text="four two seven one")
    assert not checks.usable(digits, "4271")
    assert checks.usable(digits, digits.text)
    assert checks.usable(FIRST, FIRST.text)


@pytest.mark.parametrize(
    ("text", "repeats", "useful"),
    [
        ("yes", ["yes"], False),  # one word may be chance
        ("yes please", ["yes please"], True),
        ("yes please do", ["yes please do"] * 2 + ["yes do"], True),
        ("yes please do", ["yes please do"] * 2 + ["do"], False),
    ],
)
def test_a_clip_shorter_than_the_tolerance_is_not_used(
    text: str, repeats: list[str], useful: bool
) -> None:
    clip = Utterance("short", text, silence(1.0))
    assert bool(solo_transcripts(seen(*alone(clip, *repeats)))) is useful


@pytest.mark.parametrize(
    ("clip", "repeats", "text", "another"),
    [
        (FIRST, [FIRST.text], FIRST.text, False),
        (FIRST, [FIRST.text], "Turn right, and stop!", False),
        (FIRST, [FIRST.text], "turn left and stop", False),  # one word
        (FIRST, [FIRST.text], "turn left and drop", True),
        (FIRST, [FIRST.text], "", True),
        (FIRST, [FIRST.text] * 2 + ["turn right"], "left", True),
        (FIRST, [FIRST.text] * 2 + ["turn right"], "right", False),  # 2 of noise, 1
        (LONG, [LONG.text], changed(LONG, 3), False),  # 5 %
        (LONG, [LONG.text], changed(LONG, 4), True),
        # In scripts without spaces, characters are counted.
        (CHINESE, [CHINESE.text], "今天天气很好 我们去公园散步。", False),
        (CHINESE, [CHINESE.text], "今天天气很好我们去公园跑步", False),
        (CHINESE, [CHINESE.text], "今天天气很好我们去学校散步", True),
    ],
)
def test_a_text_differs_only_beyond_noise_and_tolerance(
    clip: Utterance, repeats: list[str], text: str, another: bool
) -> None:
    found = solo_transcripts(seen(*alone(clip, *repeats)))[clip.id]
    assert found.differs(text) is another


NO_USE = Open(
    "too few clips can be used to compare texts: a clip is left out if its solo"
)


USELESS = alone(FIRST, "nothing of it")


OTHER, NEARLY = "turn left and drop", "turn left and stop"


DIFFER = "differ from the solo transcript of their clip"


ONE_CLIP = alone(FIRST, *[FIRST.text] * 5)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([FIRST.text, FIRST.text], GOOD),
        ([NEARLY, NEARLY], GOOD),
        ([OTHER, OTHER], Bad(f"2 of 2 texts {DIFFER}: '{OTHER}' instead of")),
        ([FIRST.text, OTHER], GOOD),  # one of two may be chance
        (
            [FIRST.text, OTHER, OTHER],
            Bad(f"2 of 3 texts {DIFFER}: '{OTHER}' instead of"),
        ),
        ([FIRST.text, FIRST.text, OTHER, OTHER], GOOD),
        ([OTHER], Open("fewer than two texts can be compared")),
        ([FIRST.text, None], Open("fewer than two texts can be compared")),
    ],
)
def test_same_text(texts: list[str | None], found: Found) -> None:
    parts = [spoke("it", text, clips=(FIRST,)) for text in texts]
    check(checks.same_text("it"), seen(*ALONE, *parts), found)


def test_the_repeats_of_one_clip_may_be_wrong_while_those_of_another_are_right() -> (
    None
):
    right = [spoke("it", FIRST.text)] * 4
    wrong = [spoke("it", "open it", clips=(SECOND,))] * 3
    check(
        checks.same_text("it"),
        seen(*ALONE, *right, *wrong),
        Bad(
            f"3 of 3 texts {DIFFER}: 'open it' instead of 'open the front door' (3 of 4"
        ),
    )


@pytest.mark.parametrize(
    "rule",
    [
        checks.same_text("it"),
        checks.kept_apart("it"),
        checks.has_first_word("it"),
        checks.has_last_word("it"),
        checks.has_clip("it"),
        checks.has_both_clips("it"),
    ],
)
def test_no_text_is_judged_without_a_solo_transcript(rule: Check) -> None:
    check(rule, seen(*USELESS, spoke("it", OTHER, OTHER)), NO_USE)
    check(rule, seen(spoke("it", OTHER, OTHER)), NO_USE)
    check(rule, seen(*ALONE), Open("no session was run for this check (it)"))


@pytest.mark.parametrize("rule", [checks.kept_apart("it"), checks.has_both_clips("it")])
def test_one_clip_is_too_few_to_compare_clips(rule: Check) -> None:
    check(rule, seen(*ONE_CLIP, spoke("it", FIRST.text)), NO_USE)


LEAK = (
    "the text '{}' came for the clip 'open the front door' but has words of another "
    "clip, "
    "'turn right"
)


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        (SECOND.text, False),
        ("", False),  # that is another fault
        ("open", False),
        ("something else altogether", False),
        ("stop open the front door", False),  # one word may be chance
        ("open the front door open the front door", False),
        (FIRST.text, True),
        (f"{FIRST.text} {SECOND.text}", True),
        (f"{SECOND.text} {FIRST.text}", True),
        ("and stop open the front door", True),
        ("turn the front door and stop", True),
    ],
)
def test_an_utterance_has_no_words_of_another(text: str, leaks: bool) -> None:
    evidence = seen(*ALONE, spoke("it", FIRST.text, text))
    check(checks.kept_apart("it"), evidence, Bad(LEAK.format(text)) if leaks else GOOD)


def test_a_text_that_a_clip_also_gets_alone_is_no_leak() -> None:
    noisy = alone(SECOND, SECOND.text, SECOND.text, "open the front door and stop")
    check(
        checks.kept_apart("it"),
        seen(
            *noisy, *ONE_CLIP, spoke("it", FIRST.text, "open the front door and stop")
        ),
        GOOD,
    )


def test_clips_that_are_too_similar_cannot_be_checked_for_leaks() -> None:
    alike = Utterance("alike", "turn left and stop", silence(1.0))
    check(
        checks.kept_apart("it"),
        seen(*ONE_CLIP, *alone(alike, alike.text), spoke("it", alike.text)),
        Open("no text can be checked: each clip with a final is too short, or too"),
    )


def test_only_later_utterances_are_judged_if_the_first_may_contain_both() -> None:
    rule = checks.kept_apart("it", later=True)
    clips = (FIRST, FIRST)
    check(
        rule,
        seen(*ALONE, spoke("it", BOTH.text, FIRST.text, clips=clips)),
        GOOD,
    )
    check(
        rule,
        seen(*ALONE, spoke("it", FIRST.text, f"{SECOND.text} turn", clips=clips)),
        Bad("the text 'open the front door turn' came for"),
    )
    check(
        rule,
        seen(*ALONE, spoke("it", BOTH.text)),
        Open("no text can be checked"),
    )


@pytest.mark.parametrize(
    ("texts", "first", "last"),
    [
        ((FIRST.text, SECOND.text), GOOD, GOOD),
        (("right and stop", SECOND.text, FIRST.text), GOOD, GOOD),  # one may be chance
        (("left right and stop", "pen the front door"), GOOD, GOOD),  # misheard
        (
            ("right and stop", "the front door"),
            Bad(
                "the first word is missing in 2 of 2 texts: 'right and stop' instead "
                "of 'turn right and stop'"
            ),
            GOOD,
        ),
        (
            (FIRST.text, "open the front", "turn right and"),
            GOOD,
            Bad(
                "the last word is missing in 2 of 3 texts: 'open the front' instead "
                "of 'open the front door'"
            ),
        ),
        (
            ("", ""),
            Bad("the first word is missing in 2"),
            Bad("the last word is missing"),
        ),
        (
            (FIRST.text,),
            Open("fewer than two"),
            Open("fewer than two texts can be checked for their last"),
        ),
    ],
)
def test_the_first_and_the_last_word_are_present(
    texts: tuple[str, ...], first: Found, last: Found
) -> None:
    evidence = seen(*ALONE, spoke("it", *texts))
    check(checks.has_first_word("it"), evidence, first)
    check(checks.has_last_word("it"), evidence, last)


def test_a_word_missing_in_solo_transcripts_is_not_expected() -> None:
    noisy = alone(FIRST, FIRST.text, FIRST.text, "right and stop")
    evidence = seen(*noisy, *[spoke("it", "right and stop")] * 3)
    check(
        checks.has_first_word("it"),
        evidence,
        Open("fewer than two texts can be checked for their first"),
    )
    check(checks.has_last_word("it"), evidence, GOOD)


def test_the_first_character_of_a_script_without_spaces_is_checked() -> None:
    parts = [spoke("it", CHINESE.text[1:], clips=(CHINESE,))] * 2
    evidence = seen(*alone(CHINESE, CHINESE.text), *parts)
    check(
        checks.has_first_word("it"),
        evidence,
        Bad("the first word is missing in 2 of 2"),
    )
    check(checks.has_last_word("it"), evidence, GOOD)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FIRST.text, GOOD),
        ("turn stop", GOOD),
        (
            "stop",
            Bad(
                "the text 'stop' has only 1 of the 4 words of the solo transcript "
                "'turn right and stop'"
            ),
        ),
        (None, Open("no final came")),
    ],
)
def test_half_of_a_clip_is_present(text: str | None, found: Found) -> None:
    check(checks.has_clip("it"), seen(*ALONE, spoke("it", text)), found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (BOTH.text, GOOD),
        ("turn stop open door", GOOD),
        (
            FIRST.text,
            Bad(
                "the text 'turn right and stop' has only 0 of the 4 words of the solo "
                "transcript 'open the"
            ),
        ),
        (
            SECOND.text,
            Bad(
                "the text 'open the front door' has only 0 of the 4 words of the solo "
                "transcript 'turn"
            ),
        ),
        (None, Open("no final came")),
    ],
)
def test_two_clips_are_joined(text: str | None, found: Found) -> None:
    evidence = seen(*ALONE, spoke("it", text, clips=(BOTH,)))
    check(checks.has_both_clips("it"), evidence, found)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("", "a"), GOOD),
        ((" \n", "a"), GOOD),
        (
            ("Thank you.", "a"),
            Bad("the text 'Thank you.' came for an utterance without speech"),
        ),
        ((None,), Open("no final came")),
    ],
)
def test_text_without_speech_is_found(
    texts: tuple[str | None, ...], found: Found
) -> None:
    check(checks.wordless("it"), spoke("it", *texts, clips=(SILENCE, FIRST)), found)
    check(checks.wordless("it"), spoke("other", ""), Open("no session was run"))


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([spoke("it", "", "a")], GOOD),
        (
            [spoke("it", ""), spoke("it", None)],
            Bad("speech was sent, but no final has a word (finals: 1)"),
        ),
        ([spoke("it", None)], Open("no final came")),
        ([], Open("no session was run")),
    ],
)
def test_spoken_text(parts: list[Part], found: Found) -> None:
    check(checks.speech_has_text("it"), seen(*parts), found)


THRICE = Utterance("thrice", "No, no, no! Go on, go on, go on.", silence(1.0))


LOUD = Utterance("loud", "好好好", silence(1.0), language="zh")


@pytest.mark.parametrize(
    ("clip", "text", "found"),
    [
        (FIRST, FIRST.text, GOOD),
        (FIRST, "turn right turn right and stop", GOOD),
        (
            FIRST,
            "turn turn turn right",
            Bad("the text has 'turn' three times in a row"),
        ),
        (FIRST, "Turn, turn, turn", Bad("the text has 'turn' three times")),
        (
            FIRST,
            "and stop and stop and stop",
            Bad("the text has 'and stop' three times"),
        ),
        (THRICE, "no no no go on go on go on", GOOD),  # as it was said
        (THRICE, "on on on no", Bad("the text has 'on' three times")),
        (LOUD, "好好好", GOOD),
        (CHINESE, "10000", GOOD),  # a number
        (CHINESE, "天气天气天气", Bad("the text has '天 气' three times")),
        (FIRST, None, Open("no final with words came")),
        (FIRST, "...", Open("no final with words came")),
    ],
)
def test_repeated_words_are_found(
    clip: Utterance, text: str | None, found: Found
) -> None:
    check(checks.no_repetition("it"), spoke("it", text, clips=(clip,)), found)
    check(checks.no_repetition("it"), spoke("other", ""), Open("no session was run"))


TEN = (
    Utterance("ten", "send a message to my brother and call him back", silence(1.0)),
    Utterance("too", "turn off the light in the hall before you leave", silence(1.0)),
)


misheard = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "the", "call", "hall"])),
    max_size=2,
)


def mishear(clip: Utterance, changes: list[tuple[int, str]]) -> str:
    """Return the text of a clip with words at some places replaced or removed."""
    said = clip.text.split()
    for place, word in changes:
        said[place] = word
    return " ".join(filter(None, said))


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.lists(misheard, min_size=1, max_size=3)] * 2), st.data())
def test_a_server_with_texts_as_noisy_as_alone_never_fails(
    noise: tuple[list[list[tuple[int, str]]], ...], data: st.DataObject
) -> None:
    """A server passes however noisy it is, since its noise is measured."""
    repeats = [
        [mishear(c, n) for n in each] for c, each in zip(TEN, noise, strict=True)
    ]
    solo = [
        part for c, said in zip(TEN, repeats, strict=True) for part in alone(c, *said)
    ]
    assert len(solo_transcripts(seen(*solo))) == 2
    clips = [TEN[n] for n in (0, 1, 0)]
    texts = [data.draw(st.sampled_from(repeats[TEN.index(clip)])) for clip in clips]
    evidence = seen(*solo, spoke("it", *texts, clips=clips))
    for rule in (
        checks.same_text("it"),
        checks.kept_apart("it"),
        checks.has_first_word("it"),
        checks.has_last_word("it"),
        checks.has_clip("it"),
    ):
        assert not isinstance(rule(evidence), Violated)
    whole = spoke("it", f"{texts[0]} {texts[1]}", clips=(BOTH,))
    assert checks.has_both_clips("it")(seen(*solo, whole)) == GOOD


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.lists(misheard, min_size=1, max_size=3))
def test_a_server_that_confuses_two_clips_always_fails(
    noise: list[list[tuple[int, str]]],
) -> None:
    first, second = TEN
    repeats = [mishear(first, each) for each in noise]
    solo = (*alone(first, *repeats), *alone(second, second.text))
    evidence = seen(*solo, spoke("it", second.text, second.text, clips=(first,) * 2))
    for rule in (checks.same_text("it"), checks.kept_apart("it")):
        assert isinstance(rule(evidence), Violated)


def test_a_text_that_came_too_late_is_not_judged() -> None:
    refused = (UPDATE, Hand(UNKNOWN), error("unknown_event"))
    late = spoke("late", FIRST.text, BOTH.text)
    early = spoke("late", FIRST.text, BOTH.text, before=refused)
    judge = checks.if_in_time("late", checks.kept_apart("late"))
    assert judge(Evidence((*ALONE, late))) == Undecided(
        "in each session, the final came before the server had read the audio that "
        "was sent after the commit"
    )
    found = judge(Evidence((*ALONE, late, early)))
    assert isinstance(found, Violated)
    assert found.part == len(ALONE) + 1
    unlost = spoke("late", None, before=refused)
    assert isinstance(judge(Evidence((*ALONE, unlost))), Undecided)
    assert isinstance(judge(Evidence(ALONE)), Undecided)


def test_the_beginning_of_a_long_text_is_checked() -> None:
    judge = checks.keeps_start("35s")

    def of(text: str | None, *others: Part) -> Outcome:
        return judge(Evidence((*others, spoke("35s", text))))

    assert of(f"{FIRST.text} {SECOND.text}", *ALONE) == Satisfied()
    assert of("turn and go on and on", *ALONE) == Satisfied()
    assert isinstance(of(SECOND.text, *ALONE), Violated)
    assert isinstance(of(None, *ALONE), Undecided)
    assert isinstance(of(FIRST.text), Undecided)
    assert isinstance(judge(Evidence(ALONE)), Undecided)
