"""The words of a text that grows, kept up to date from one edit to the next.

Only the words at the changed place and behind it are looked at again. So a text to
which words are appended costs what was appended, and one that is rewritten costs what
was rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import NamedTuple, TypeVar

from pytest_realtime_asr.trace.timeline import Edit

LONGEST = 256  # characters of a token
# No mark is parted from its letter, unless there are very many.
_MARKS = r"\u0300-\u036f\u3099\u309a\uff9e\uff9f"
_TOKEN = re.compile(rf"\S{{1,{LONGEST}}}[{_MARKS}]{{0,32}}")
_T = TypeVar("_T")


class Token(NamedTuple):
    """A word, or a piece of one that has more than `LONGEST` characters.

    ``closed`` says that the word ends with it.
    """

    text: str
    closed: bool


class Update(NamedTuple):
    """The text keeps its first ``kept`` tokens, loses others, and goes on with more.

    ``lost`` and ``added`` begin with different tokens. The time ``at`` is in ns.
    """

    at: int
    final: bool
    kept: int
    lost: Sequence[Token]
    added: Sequence[Token]


def tokens(text: str) -> list[Token]:
    """The tokens of a text."""
    return [
        Token(found.group(), text[found.end() : found.end() + 1].strip() == "")
        for found in _TOKEN.finditer(text)
    ]


def updates(edits: Iterable[Edit]) -> Iterator[Update]:
    """What each edit changes in the tokens of the text before it."""
    text = StringIO()
    held: list[Token] = []
    places: list[tuple[int, int]] = []  # where each of them begins and ends
    for edit in edits:
        if not (edit.removed or edit.added):
            yield Update(edit.at, edit.final, len(held), (), ())
            continue
        begin, kept = edit.kept, len(held)
        # A token that ends at the place itself may go on behind it.
        while kept and places[kept - 1][1] >= edit.kept:
            kept -= 1
            begin = min(begin, places[kept][0])
        lost = held[kept:]
        del held[kept:], places[kept:]
        text.seek(edit.kept)
        text.truncate()
        text.write(edit.added)
        text.seek(begin)
        tail = text.read()
        for found in _TOKEN.finditer(tail):
            start, stop = found.span()
            held.append(Token(found.group(), not tail[stop : stop + 1].strip()))
            places.append((begin + start, begin + stop))
        added = held[kept:]
        same = alike(lost, added)
        yield Update(edit.at, edit.final, kept + same, lost[same:], added[same:])


def alike(one: Sequence[_T], other: Sequence[_T]) -> int:
    """How many items two sequences have in common from the begin on."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:  # mostly, and soon seen
        return length
    return next(place for place in range(length) if one[place] != other[place])
