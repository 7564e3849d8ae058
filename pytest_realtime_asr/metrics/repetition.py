"""Repetition: a phrase that a recogniser repeats more often than it was said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.metrics.alignment import Alignment, TextUnit, numbered

LONGEST_PHRASE = 250  # most words of a phrase


def repeated(alignment: Alignment) -> str | None:
    """Return a phrase that the text, but not the reference, has three times in a row.

    Returns ``None`` if there is no such phrase. A phrase has at most `LONGEST_PHRASE`
    words. In an alignment of characters, a phrase has at least two and at most
    `LONGEST_PHRASE` characters, since three equal characters may be a number or a long
    vowel.
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
    """Yield the index of each phrase of this size that occurs three times in a row."""
    if len(words) < 3 * size:
        return
    alike = np.zeros(len(words) - size + 2, bool)
    alike[1:-1] = words[size:] == words[:-size]
    starts, stops = np.flatnonzero(np.diff(alike)).reshape(-1, 2).T
    for start, stop in zip(starts, stops, strict=True):
        # A later start in the same run gives a phrase that was already found.
        yield from range(start, min(stop - 2 * size + 1, start + size))
