"""The words by which a user changes a profile."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import pytest

from pytest_realtime_asr.dialects import profile_words


class End(enum.Enum):
    NEAR = "near"
    FAR = "far"


@dataclass(frozen=True)
class Some:
    name: str = "some"
    end: End = End.NEAR
    loud: bool = False
    least: float = 0.5
    code: int = 1
    rates: tuple[int, ...] = (8_000,)


EVERY = Some("other", End.FAR, True, 0.25, 7, (16_000, 48_000))
WORDS = "end=far loud=yes least=0.25 code=7 rates=16000,48000"


def test_changes_are_read_as_they_are_written() -> None:
    assert profile_words.changes(EVERY, of=Some()) == WORDS
    assert profile_words.changes(Some("other"), of=Some()) == ""
    read = profile_words.changed(Some(), WORDS.split())
    assert read == replace(EVERY, name="some")


@pytest.mark.parametrize(
    "word", ["loud=perhaps", "least=-1", "least=inf", "code=x", "rates=7", "end=off"]
)
def test_a_value_of_another_type_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"the value of '{word}' is not valid"):
        profile_words.changed(Some(), [word])


@pytest.mark.parametrize("word", ["loud", "pitch=1", "name=a"])
def test_an_unknown_word_is_refused(word: str) -> None:
    known = "end, loud, least, code, rates"
    with pytest.raises(ValueError, match=f"choose from {known}, and give the value"):
        profile_words.changed(Some(), [word], fixed=("name",))
