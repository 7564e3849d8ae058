"""Tokens of a growing text, updated from one edit to the next.

After an edit, only the tokens at and after the edited position are read again. So the
cost of an edit is proportional to the length of the new part of the text, not to the
length of the whole text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import NamedTuple

from pytest_realtime_asr.trace.timeline import Edit, common_prefix

LONGEST = 256  # most characters of a token
# A combining mark is in the same token as its letter, up to 32 marks.
_MARKS = r"\u0300-\u036f\u3099\u309a\uff9e\uff9f"
_TOKEN = re.compile(rf"\S{{1,{LONGEST}}}[{_MARKS}]{{0,32}}")


class Token(NamedTuple):
    """A word, or a piece of a word with more than `LONGEST` characters.

    ``closed`` is true if the word ends with this token.
    """

    text: str
    closed: bool


class Update(NamedTuple):
    """The change of a text's tokens by one edit.

    The first ``kept`` tokens stay, the tokens of ``lost`` are removed, and the tokens
    of ``added`` are appended. The first tokens of ``lost`` and ``added`` differ. ``at``
    is the time of the edit in ns. ``final`` is true for a final.
    """

    at: int
    final: bool
    kept: int
    lost: Sequence[Token]
    added: Sequence[Token]


def tokens(text: str) -> list[Token]:
    """Return the tokens of a text."""
    return [token for token, _, _ in _tokens(text)]


def _tokens(text: str) -> Iterator[tuple[Token, int, int]]:
    """Yield the tokens of a text, each with its start and end."""
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        yield Token(found.group(), not text[end : end + 1].strip()), start, end


def updates(edits: Iterable[Edit]) -> Iterator[Update]:
    """Yield the change that each edit makes to the tokens of the text."""
    text = StringIO()
    current: list[Token] = []
    places: list[tuple[int, int]] = []  # the start and end of each token in the text
    for edit in edits:
        if not (edit.removed or edit.added):
            yield Update(edit.at, edit.final, len(current), (), ())
            continue
        begin, kept = edit.kept, len(current)
        # A token that ends at the edited position may be longer after the edit.
        while kept and places[kept - 1][1] >= edit.kept:
            kept -= 1
            begin = min(begin, places[kept][0])
        lost = current[kept:]
        del current[kept:], places[kept:]
        text.seek(edit.kept)
        text.truncate()
        text.write(edit.added)
        text.seek(begin)
        for token, start, end in _tokens(text.read()):
            current.append(token)
            places.append((begin + start, begin + end))
        added = current[kept:]
        same = common_prefix(lost, added)
        yield Update(edit.at, edit.final, kept + same, lost[same:], added[same:])
