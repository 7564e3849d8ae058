"""Digits grouped as in the reference."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.metrics.digits import regrouped

WORDS = st.lists(st.text("012ab", min_size=1, max_size=4), max_size=8)


@pytest.mark.parametrize(
    ("said", "heard", "grouped"),
    [
        ("1 2 3 4 5", "67890", "6 7 8 9 0"),
        ("1 2 3 4 5", "12 34", "1 2 3 4"),
        ("1 2 3", "12399", "1 2 3 9 9"),
        ("36", "3 6", "36"),
        ("15", "50", "50"),
        ("1984", "19 84", "1984"),
        ("7 30", "730", "7 30"),
        ("5 people", "500 people", "500 people"),
        ("2 apples", "2 3 apples", "2 3 apples"),
        ("call 555 1234 now", "call 5 5 5 1 2 3 4 now", "call 555 1234 now"),
        ("go on", "12 34", "12 34"),
        ("12", "go on", "go on"),
    ],
)
def test_digits_are_grouped_as_they_were_said(
    said: str, heard: str, grouped: str
) -> None:
    assert regrouped(said.split(), heard.split()) == grouped.split()


@given(WORDS, WORDS)
def test_no_digit_and_no_word_is_lost(said: list[str], heard: list[str]) -> None:
    found = regrouped(said, heard)
    assert "".join(found) == "".join(heard)
    assert [word for word in found if not word.isdigit()] == [
        word for word in heard if not word.isdigit()
    ]
    assert regrouped(said, said) == said
