"""The English normaliser."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.metrics.english import MOST_CHARACTERS, english


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("twenty three", "23"),
        ("twenty, three", "20 3"),
        ("one, two, three", "1 2 3"),
        ("one / two - three", "1 2 3"),
        ("one/two \u201cthree\u201d four", "1 2 3 4"),
        ("one hundred and five", "105"),
        ("one thousand, two hundred", "1200"),
        ("nineteen eighty-four", "19 84"),
        ("nineteen oh five", "19 0 5"),
        ("two thousand twenty four", "2024"),
        ("three point one four", "3.14"),
        ("double seven", "7 7"),
        ("007", "0 0 7"),
        ("0000", "0 0 0 0"),
        ("$0.50, 10,000 and 3.5", "\u00a250 10000 and 3.5"),
        ("minus five or -5", "-5 or -5"),
        ("oh no, O my", "oh no oh my"),
        ("7:05 p.m.", "7 0 5 pm"),
        ("07:30", "7 30"),
        ("7 o\u2019clock", "7 oclock"),
        ("U.S.A. R&D", "usa r and d"),
        ("a hundred people", "100 people"),
        ("no one", "no 1"),
        ("we cannot, we can't", "we can not we can not"),
        ("\ue000 private", "private"),
        ("", ""),
    ],
)
def test_the_normal_form(text: str, normal: str) -> None:
    assert english(text) == normal
    assert english(text.upper()) == normal


def test_a_long_text_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 200,000 are allowed"):
        english("a" * (MOST_CHARACTERS + 1))
