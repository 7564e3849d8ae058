"""The word errors of a growing text against the words that were said so far.

For each partial, only the end of the text is aligned again: a text of more than
`MAX_WORDS` words is cut at words that the text and the reference have in common, and
the number of errors before the cut is stored. So the cost of a session is linear in its
length.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from pytest_realtime_asr.metrics.emission import Shown

MAX_WORDS = 2_000  # words of a partial that are aligned again


class GrowingText:
    """Counts the edits between a growing text and the start of a reference."""

    def __init__(self, reference: Sequence[str]) -> None:
        self._codes: dict[str, str] = {}  # one character per word, as in jiwer
        self._reference = "".join(map(self._code, reference))
        self._words: list[str] = []
        self._near = 0
        self._cuts = [(0, 0, 0)]  # (words of the reference, words of the text, edits)

    def change(self, shown: Shown) -> None:
        """Apply one hypothesis to the text."""
        self._words[shown.kept :] = map(self._code, shown.added)
        while self._cuts[-1][1] > shown.kept:
            self._cuts.pop()

    def wrong(self, count: int) -> int:
        """Return the number of edits between the text and the start of the reference.

        The start is the first ``count`` words. The result is the least number of words
        to replace, insert or delete.
        """
        while self._cuts[-1][0] > count:
            self._cuts.pop()
        while True:
            said, heard, edits = self._cuts[-1]
            left = self._reference[said:count]
            right = "".join(self._words[heard:])
            if len(right) <= MAX_WORDS:
                hint = self._near + 8  # a hint near the distance saves time
                self._near = Levenshtein.distance(left, right, score_hint=hint)
                return edits + self._near
            one, other = _cut(left[:MAX_WORDS], right[:MAX_WORDS])
            edits += Levenshtein.distance(left[:one], right[:other])
            self._cuts.append((said + one, heard + other, edits))

    def _code(self, word: str) -> str:
        return self._codes.setdefault(word, chr(min(len(self._codes), sys.maxunicode)))


def _cut(left: str, right: str) -> tuple[int, int]:
    """Return the index at which to cut each of two texts.

    Both are cut after a word that they have in common, between the first quarter and
    the middle of ``right``. If there is no such word, both are cut at the index of the
    middle of ``right``; if ``left`` is shorter than this index, it is cut at its end.
    """
    half = len(right) // 2
    found = (min(half, len(left)), half)
    for op in Levenshtein.opcodes(left, right):
        if op.tag == "equal" and op.dest_start < half:
            size = min(op.dest_end, half) - op.dest_start
            if op.dest_start + size >= half // 2:
                found = (op.src_start + size, op.dest_start + size)
    return found
