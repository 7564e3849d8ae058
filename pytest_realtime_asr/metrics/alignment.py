"""Alignment of a hypothesis with its reference, word by word or by characters.

Two texts are aligned with the least number of edits. If the product of their lengths is
over `MOST_CELLS`, both texts are cut before runs of words that they have in common, and
each part is aligned by itself, so that the cost stays linear. The number of edits may
then be slightly more than the least. If the product of the lengths of two parts is
still over `MOST_CELLS`, the n-th word of one part is aligned with the n-th word of the
other part.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.corpus.language import Language

MOST_CELLS = 4 * 10**9  # product of the numbers of words of two texts
_RUN = 12  # common words in a row at which both texts may be cut
_PART = 1_000  # least number of words between two cuts


class TextUnit(enum.StrEnum):
    """The unit that an error rate counts."""

    WORD = "word"
    CHARACTER = "character"


@dataclass(frozen=True, slots=True)
class Errors:
    """The counts of hits and errors in an alignment; ``+`` adds two such counts.

    ``unspoken`` is the number of words recognised in utterances with an empty
    reference. The rate does not include them.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    unspoken: int = 0

    @property
    def reference(self) -> int:
        """The number of words (or characters) of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def wrong(self) -> int:
        """The sum of substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """The errors per word of the reference; ``None`` if the reference is empty."""
        return self.wrong / self.reference if self.reference else None

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.unspoken + other.unspoken,
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """A word of the reference and the word of the hypothesis that is aligned with it.

    In an insertion, ``reference`` is ``None``; in a deletion, ``hypothesis`` is
    ``None``. At most one of the two is ``None``.
    """

    reference: str | None
    hypothesis: str | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """A normalised reference and hypothesis, aligned by words or characters.

    ``normalizer`` is the id of the normaliser that was used. ``reason`` says why the
    chosen normaliser was not used; ``None`` if it was used. ``language`` is the
    language of the reference, by which the normaliser was chosen; ``None`` if the user
    named a normaliser.
    """

    unit: TextUnit
    normalizer: str
    pairs: tuple[Pair, ...]
    reason: str | None = None
    language: Language | None = None

    @property
    def errors(self) -> Errors:
        """The error counts."""
        kinds = Counter(map(kind, self.pairs))
        spoken = kinds["I"] < len(self.pairs)
        return Errors(
            hits=kinds[""],
            substitutions=kinds["S"],
            deletions=kinds["D"],
            insertions=kinds["I"] if spoken else 0,
            unspoken=0 if spoken else kinds["I"],
        )


def kind(pair: Pair) -> str:
    """Return the kind of error of a pair: ``I``, ``D`` or ``S``, or "" for a match."""
    if pair.reference is None:
        return "I"
    if pair.hypothesis is None:
        return "D"
    return "" if pair.reference == pair.hypothesis else "S"


def split(text: str, unit: TextUnit) -> list[str]:
    """Return the words of a text, or its characters without the blanks."""
    tokens = text.split()
    return tokens if unit is TextUnit.WORD else list("".join(tokens))


def numbered(words: Sequence[str], numbers: dict[str, int]) -> npt.NDArray[np.int64]:
    """Return the number of each word; add unknown words to ``numbers``."""
    return np.array([numbers.setdefault(w, len(numbers)) for w in words], np.int64)


def align(said: Sequence[str], heard: Sequence[str]) -> tuple[Pair, ...]:
    """Return the words of a reference and a hypothesis, aligned with the least edits.

    No word may be empty or contain a blank. If the product of the two lengths is over
    `MOST_CELLS`, the number of edits may be more than the least.
    """
    if len(said) * len(heard) <= MOST_CELLS:
        return _least(said, heard)
    pairs: list[Pair] = []
    for left, right in _parts(said, heard):
        if len(left) * len(right) <= MOST_CELLS:
            pairs += _least(left, right)
        else:
            pairs += map(Pair, left, right)
            pairs += [Pair(word, None) for word in left[len(right) :]]
            pairs += [Pair(None, word) for word in right[len(left) :]]
    return tuple(pairs)


def _parts(
    said: Sequence[str], heard: Sequence[str]
) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """Yield each part of the reference with the matching part of the hypothesis.

    Both texts are cut before runs of words that occur exactly once in each text.
    The cuts are chosen from the longest sequence of runs that has the same order in
    both texts, as in the patience diff of Bram Cohen.
    """
    numbers: dict[str, int] = {}
    left, lefts = _once(numbered(said, numbers))
    right, rights = _once(numbered(heard, numbers))
    _, one, other = np.intersect1d(left, right, True, return_indices=True)
    places = sorted(zip(lefts[one].tolist(), rights[other].tolist(), strict=True))
    start, begin = 0, 0
    for at, place in _rising(places):
        if at - start >= _PART and place > begin:
            yield said[start:at], heard[begin:place]
            start, begin = at, place
    yield said[start:], heard[begin:]


def _once(
    words: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the hash and the index of each run of `_RUN` words that occurs once."""
    hashes = np.zeros(max(0, len(words) - _RUN + 1), np.uint64)
    for number in range(_RUN):
        following = words[number : number + len(hashes)].astype(np.uint64)
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + following + np.uint64(1)
    values, places, counts = np.unique(hashes, return_index=True, return_counts=True)
    return values[counts == 1], places[counts == 1]


def _rising(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence of pairs in which the second number rises.

    The first number must rise from each pair of ``places`` to the next.
    """
    ends: list[int] = []  # for each length, the least second number that ends a chain
    tops: list[int] = []  # for each length, the index of the pair with this number
    before: list[int] = []
    for index, (_, place) in enumerate(places):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        tops[length : length + 1] = [index]
        before.append(tops[length - 1] if length else -1)
    chain = []
    index = tops[-1] if tops else -1
    while index >= 0:
        chain.append(places[index])
        index = before[index]
    return chain[::-1]


def _least(said: Sequence[str], heard: Sequence[str]) -> tuple[Pair, ...]:
    found = jiwer.process_words(" ".join(said), " ".join(heard))
    pairs: list[Pair] = []
    for chunk in found.alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "delete":
            pairs += [Pair(token, None) for token in left]
        elif chunk.type == "insert":
            pairs += [Pair(None, token) for token in right]
        else:
            pairs += map(Pair, left, right)
    return tuple(pairs)
