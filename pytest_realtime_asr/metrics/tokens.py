"""Tokens of a text that grows, updated from one edit to the next.

Only the tokens at the changed place and after it are read again. So the cost of an edit
is proportional to what it appends or rewrites, not to the length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import NamedTuple

from pytest_realtime_asr.trace.timeline import Edit, common_prefix

LONGEST = 256  # characters of a token
# A combining mark stays with its letter, unless there are very many.
_MARKS = r"\u0300-\u036f\u3099\u309a\uff9e\uff9f"
_TOKEN = re.compile(rf"\S{{1,{LONGEST}}}[{_MARKS}]{{0,32}}")


class Token(NamedTuple):
    """A word, or a piece of a word with more than `LONGEST` characters.

    ``closed`` says that the word ends with this token.
    """

    text: str
    closed: bool


class Update(NamedTuple):
    """The change of a text's tokens by one edit, at ``at`` ns.

    The text keeps its first ``kept`` tokens, removes ``lost`` and appends ``added``,
    which begin with different tokens.
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
    held: list[Token] = []
    places: list[tuple[int, int]] = []  # the start and end of each token in the text
    for edit in edits:
        if not (edit.removed or edit.added):
            yield Update(edit.at, edit.final, len(held), (), ())
            continue
        begin, kept = edit.kept, len(held)
        # A token that ends at the edited place may continue after it.
        while kept and places[kept - 1][1] >= edit.kept:
            kept -= 1
            begin = min(begin, places[kept][0])
        lost = held[kept:]
        del held[kept:], places[kept:]
        text.seek(edit.kept)
        text.truncate()
        text.write(edit.added)
        text.seek(begin)
        for token, start, end in _tokens(text.read()):
            held.append(token)
            places.append((begin + start, begin + end))
        added = held[kept:]
        same = common_prefix(lost, added)
        yield Update(edit.at, edit.final, kept + same, lost[same:], added[same:])
