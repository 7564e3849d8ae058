"""Languages as users write them, and the languages of scripts."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.corpus.language import Basis, Language, language_of, parse
from pytest_realtime_asr.text.inputs import InputError


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("en", "en"),
        ("eng", "en"),
        ("English", "en"),
        (" ENGLISH ", "en"),
        ("EN_us", "en-US"),
        ("zh-Hans", "zh-Hans"),
        ("zh_cn", "zh-CN"),
        ("Chinese", "zh"),
        ("cmn-Hans-CN", "zh-Hans-CN"),
        ("zh-yue", "yue"),
        ("Cantonese", "yue"),
        ("iw", "he"),
        ("tl", "fil"),
        ("Norwegian Nynorsk", "nn"),
        ("haitian_creole", "ht"),
        ("tlh", "tlh"),
        ("tok", "tok"),
        ("rm-sursilv", "rm-sursilv"),
        ("yue_hant_hk", "yue-Hant-HK"),
        ("und", ""),
        ("", ""),
        (" ", ""),
    ],
)
def test_names_and_tags_are_read(text: str, tag: str) -> None:
    assert parse(text) == tag
    assert parse(tag) == tag


@pytest.mark.parametrize(
    "text", ["xx", "auto", "mul", "x-own", "de-", "d\u00e9", "-", "\0"]
)
def test_an_unknown_language_is_an_error(text: str) -> None:
    with pytest.raises(
        InputError, match=r"is not a known language; write a tag such as"
    ):
        parse(text)


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(InputError, match=r"; did you mean German \(de\)\?"):
        parse("Germann")


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("안녕하세요 세계", "ko"),
        ("今日は", "ja"),
        ("ｶﾀｶﾅ", "ja"),
        ("今日は Python で", ""),  # mainly Latin
        ("สวัสดี 123", "th"),
        ("\u03b3\u03b5\u03b9\u03b1 \u03c3\u03bf\u03c5", "el"),
        ("the letter \u03b1", ""),
        ("שלום", "he"),
        ("வணக்கம்", "ta"),
        ("你好", ""),  # Chinese, or Japanese without Kana
        ("привет", ""),
        ("नमस्ते", ""),
        ("مرحبا", ""),
        ("hello", ""),
        ("\u03b3\u03b5\u03b9\u03b1 안녕", ""),
        ("", ""),
    ],
)
def test_a_script_of_one_language_states_it(text: str, tag: str) -> None:
    basis = Basis.SCRIPT if tag else Basis.UNKNOWN
    assert language_of(text) == Language(tag, basis)
    assert language_of(text, "de") == Language("de", Basis.STATED)


def test_the_primary_subtag() -> None:
    assert Language("zh-Hans-CN").primary == "zh"
