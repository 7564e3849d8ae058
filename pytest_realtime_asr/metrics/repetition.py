"""Repetition: a phrase that a recogniser repeats although nobody said it so often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.metrics.alignment import Alignment, TextUnit, numbered

LONGEST_PHRASE = 250  # words of a phrase


def repeated(alignment: Alignment) -> str | None:
    """Return the phrase that a text has three times in a row, and its reference not.

    ``None`` where there is no such phrase. A phrase has one word at least, or two
    characters, since three equal characters may be a number or a long vowel. Phrases of
    up to `LONGEST_PHRASE` words (or characters) are searched.
    """
    said = [p.hypothesis for p in alignment.pairs if p.hypothesis is not None]
    spoken = [p.reference for p in alignment.pairs if p.reference is not None]
    numbers: dict[str, int] = {}
    heard, known = numbered(said, numbers), numbered(spoken, numbers)
    shortest = 1 if alignment.unit is TextUnit.WORD else 2
    for size in range(shortest, min(len(said) // 3, LONGEST_PHRASE) + 1):
        phrases = (said[at : at + size] for at in _thrice(heard, size))
        if first := next(phrases, None):
            theirs = [spoken[at : at + size] for at in _thrice(known, size)]
            others = (each for each in (first, *phrases) if each not in theirs)
            if found := next(others, None):
                return " ".join(found)
    return None


def _thrice(words: npt.NDArray[np.int64], size: int) -> Iterator[int]:
    """Yield where a phrase of this size occurs three times in a row, each one once."""
    if len(words) < 3 * size:
        return
    alike = np.zeros(len(words) - size + 2, bool)
    alike[1:-1] = words[size:] == words[:-size]
    starts, stops = np.flatnonzero(np.diff(alike)).reshape(-1, 2).T
    for start, stop in zip(starts, stops, strict=True):
        # A later start in the same run gives a phrase that was found before.
        yield from range(start, min(stop - 2 * size + 1, start + size))
