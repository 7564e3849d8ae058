"""The neutral normaliser, and the rules of single languages."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.metrics import folding


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("1.000", "1000"),
        ("1.234.567", "1234567"),
        ("1.234,5", "1234.5"),
        ("0.500", "0.500"),
        ("3,5", "3.5"),
        ("7:30", "7.30"),
        ("24.12.2024", "24 12 2024"),
        ("\u0663\u066b\u0665", "3.5"),
        ("<|en|> [Music]", "en music"),
        ("\u2764\ufe0f ok", "ok"),
        ("l\u2019\u0153uvre", "l oeuvre"),
    ],
)
def test_the_basic_form(text: str, normal: str) -> None:
    assert folding.basic(text).split() == normal.split()


def test_a_letter_with_hamza_stays_another_letter() -> None:
    assert folding.arabic("\u0623\u0645\u0631") != folding.arabic("\u0627\u0645\u0631")
    composed, decomposed = "\u0623\u064e", "\u0627\u064e\u0654"
    assert folding.arabic(composed) == folding.arabic(decomposed)


def test_only_the_notes_of_a_reference_are_removed() -> None:
    assert folding.without_notes("go [noise] <uh> on").split() == ["go", "on"]
    assert folding.basic("go [noise] on").split() == ["go", "noise", "on"]
