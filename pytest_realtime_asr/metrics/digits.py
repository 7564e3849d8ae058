"""Regrouping of digits: the digits of a hypothesis are grouped as in its reference.

The grouping of digits is a matter of style. A telephone number is written ``555 1234``,
``5551234`` or ``5 5 5 1 2 3 4``, a year ``1984`` or ``19 84``, a time ``7 30`` or
``730``. So the digits of a hypothesis are aligned with the digits of the reference, and
get the same groups. The reference decides how many words are counted: if it spells a
number digit by digit, five wrong digits are five errors; if it has the number as one
word, a wrong number is one error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_realtime_asr.metrics.alignment import align


class Units(NamedTuple):
    """The words of a text, where each number is split into its digits.

    ``places`` has, for each unit, the index of the word to which the unit belongs.
    """

    units: list[str]
    places: list[int]


def is_number(word: str) -> bool:
    """Return whether a word consists of the digits 0 to 9 only."""
    return word.isascii() and word.isdigit()


def single(words: Sequence[str]) -> Units:
    """Return the units of a text: the digits of its numbers, and its other words."""
    units: list[str] = []
    places: list[int] = []
    for place, word in enumerate(words):
        parts = list(word) if is_number(word) else [word]
        units += parts
        places += [place] * len(parts)
    return Units(units, places)


def regrouped(said: Sequence[str], heard: Sequence[str]) -> list[str]:
    """Return the words of a hypothesis with its digits grouped as in the reference."""
    if list(said) == list(heard) or not any(map(is_number, heard)):
        return list(heard)
    if not any(map(is_number, said)):
        return list(heard)
    units, places = single(heard)
    partners = _partners(said, heard)
    spelled = _spelled(said)
    split = _split(places, partners, spelled)
    found: list[str] = []
    for index, unit in enumerate(units):
        if not (is_number(unit) and index and is_number(units[index - 1])):
            found.append(unit)
            continue
        one, other = partners[index - 1], partners[index]
        together = places[index - 1] == places[index]
        if one is not None and other is not None:
            joined = one == other
        else:
            joined = together and places[index] not in split
        if joined:
            found[-1] += unit
        else:
            found.append(unit)
    return found


def _partners(said: Sequence[str], heard: Sequence[str]) -> list[int | None]:
    """Return, for each unit of the hypothesis, the index of a number in the reference.

    This number has the digit that is aligned with the unit. The index is ``None`` for a
    unit that is not aligned with a digit. For units, see `Units`.
    """
    units, places = single(said)
    found: list[int | None] = []
    index = 0
    for pair in align(units, single(heard).units):
        if pair.hypothesis is not None:
            number = pair.reference is not None and is_number(pair.reference)
            found.append(places[index] if number else None)
        index += pair.reference is not None
    return found


def _spelled(said: Sequence[str]) -> set[int]:
    """Return the indices of the one-digit words that are next to another number."""
    numbers = [False, *map(is_number, said), False]
    return {
        index
        for index, word in enumerate(said)
        if numbers[index + 1]
        and len(word) == 1
        and (numbers[index] or numbers[index + 2])
    }


def _split(
    places: Sequence[int], partners: Sequence[int | None], spelled: set[int]
) -> set[int]:
    """Return the indices of those words of a hypothesis that match only spelled digits.

    A spelled digit is a word of the reference that is one digit and is next to another
    number. ``spelled`` has the indices of these words. For each unit of the hypothesis,
    ``places`` has the index of its word, and ``partners`` has the index of the number
    in the reference that the unit matches, or ``None``.
    """
    found: dict[int, bool] = {}
    for place, partner in zip(places, partners, strict=True):
        if partner is not None:
            found[place] = found.get(place, True) and partner in spelled
    return {place for place, only in found.items() if only}
