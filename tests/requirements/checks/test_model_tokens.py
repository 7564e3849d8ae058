"""Tests of the checks that no text has tokens of the model."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Part
from tests.support.check_outcomes import GOOD, Bad, Open, check
from tests.support.sessions import CREATED, SPEAK, UPDATE, delta, done, part

CONTROL, VOCABULARY = "a control token ", "a vocabulary token "
PIECE, STREAM = "a word-piece mark ", "a token of the stream "
LANGUAGE, TIME, SOUND = "a language token ", "a time stamp ", "a label of a sound "


def said(text: str, reference: str | None = None) -> Part:
    """A session with this final; the utterance is known if there is a reference."""
    spoken = {} if reference is None else {0: Utterance("it", reference, silence(1.0))}
    return part("it", CREATED, UPDATE, *SPEAK, done(text), spoken=spoken)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<|endoftext|>", CONTROL),
        ("<|0.00|> a", CONTROL),
        ("<|en|><|NEUTRAL|><|Speech|><|woitn|>a", CONTROL),
        ("language English<asr_text>a", CONTROL),
        ("language None<asr_text>", CONTROL),
        ("[BLANK_AUDIO]", CONTROL),
        ("[PAD] [UNK]", CONTROL),
        ("<s> a </s>", CONTROL),
        ("turn <unk> and", VOCABULARY),
        ("<PAD>a", VOCABULARY),
        ("a<eos>", VOCABULARY),
        ("<sos/eos>", VOCABULARY),
        ("caf<0xC3><0xA9>", VOCABULARY),
        ("[CLS] a [SEP]", VOCABULARY),
        ("MON CHIEN \u2047", VOCABULARY),
        ("\u2581turn\u2581right", PIECE),
        ("transcrip ##tion", PIECE),
        ("tran@@ scription", PIECE),
        ("turn\u0120right", PIECE),
        ("[STREAMING_WORD]turn", STREAM),
        ("[STREAMING_PAD]", STREAM),
        ("turn right<EOU>", STREAM),
        ("turn right <fin>", STREAM),
        ("turn right<end>", STREAM),
        ("turn right <en-US>", LANGUAGE),
        ("language EnglishTurn right", LANGUAGE),
        ("[00:00.000 --> 00:02.000] turn", TIME),
    ],
)
def test_a_token_in_a_text(text: str, kind: str) -> None:
    """Each token is found by one of the two checks, and only by one."""
    for known in (None, "turn right and stop"):
        control = kind == CONTROL
        found, other = Bad(kind), GOOD
        for rule, expected in (
            (checks.no_control_tokens, found if control else other),
            (checks.no_vocabulary_tokens, other if control else found),
        ):
            check(rule, said(text, known), expected)


@pytest.mark.parametrize(
    "text",
    [
        "a < b and b > c, <3 [sic] a|b",
        "see [1] and [Smith 2020] (or not)",
        "the C# language and the ## heading, user@@example",
        "\u0120img\u0127a t-tajba",  # Maltese
        "it is a foreign language English people learn",
        "from 10:30 to 11:15 --> then",
        "the list <T> of tags <div>",
        "A_B and [OK] and [NASA]",
        "la musique (de chambre)",
    ],
)
def test_ordinary_brackets_and_marks_are_no_tokens(text: str) -> None:
    for rule in (checks.no_control_tokens, checks.no_vocabulary_tokens):
        check(rule, said(text), GOOD)
        check(rule, said(text, "turn right"), GOOD)


def test_a_token_that_was_dictated_is_right() -> None:
    for text, rule in (
        ("The tag <unk> is ...", checks.no_vocabulary_tokens),
        ("Play [music] now", checks.no_vocabulary_tokens),
        ("the end is </s>", checks.no_control_tokens),
    ):
        check(rule, said(text, text.upper()), GOOD)
    other = said("<unk> and <pad>", "say <unk>")
    check(checks.no_vocabulary_tokens, other, Bad("a vocabulary token '<pad>'"))


@pytest.mark.parametrize(
    "text",
    [
        *("[Music]", "[MUSIC PLAYING]", "(applause)", "[ Silence ]", "\u266a la la"),
        *("[Musik]", "[\u97f3\u697d]", "(speaking in foreign language)"),
    ],
)
def test_a_label_of_a_sound_is_wrong_only_for_speech(text: str) -> None:
    rule = checks.no_vocabulary_tokens
    check(rule, said(text, "turn right"), Bad("a label of a sound "))
    check(rule, said(text, ""), GOOD)  # it may be music
    check(rule, said(text), GOOD)


def test_a_token_in_two_pieces() -> None:
    texts = ("turn <un", "k> and")
    evidence = part("it", CREATED, UPDATE, *SPEAK, *map(delta, texts))
    check(checks.no_vocabulary_tokens, evidence, Bad("a vocabulary token '<unk>' is "))
    check(checks.no_vocabulary_tokens, part("it", CREATED), Open("no text came"))


def test_a_message_shows_where_the_token_is() -> None:
    text = f"{'word ' * 100}<unk>{' other' * 100}"
    shown = f"{'word ' * 12}<unk>{' other' * 9} "
    found = Bad(f"a vocabulary token '<unk>' is in the text '{shown}'")
    check(checks.no_vocabulary_tokens, said(text), found)
