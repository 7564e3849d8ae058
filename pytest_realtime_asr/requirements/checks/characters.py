"""Checks of the characters in texts: none is broken, and none is a control character.

Tab, line feed and carriage return are allowed. The marks U+200E, U+200F and U+061C
change only the direction of the characters next to them, so they are allowed too.
"""

from __future__ import annotations

import re

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.checks.text_search import Find, in_no_text

_BROKEN = re.compile("[\ufffd\ud800-\udfff]")
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_EMBEDDINGS, _POP_EMBEDDING = "\u202a\u202b\u202d\u202e", "\u202c"
_ISOLATES, _POP_ISOLATE = "\u2066\u2067\u2068", "\u2069"


def _matches(pattern: re.Pattern[str], what: str) -> Find:
    def find(text: str, spoken: Utterance | None) -> tuple[str, int] | None:
        found = pattern.search(text)
        return found and (f"{what} {found.group()!r}", found.start())

    return find


def _unpaired(text: str, spoken: Utterance | None) -> tuple[str, int] | None:
    """Find the first direction control character that has no partner in its line.

    Return a description of the character and its index in the text. The end of an
    isolate also ends the embeddings in it, as in UAX #9.
    """
    start = 0
    for line in text.splitlines(keepends=True):
        if (place := _unpaired_in_line(line)) is not None:
            return f"an unpaired direction control {line[place]!r}", start + place
        start += len(line)
    return None


def _unpaired_in_line(line: str) -> int | None:
    open: list[int] = []  # the places of the controls that are not ended yet
    for place, char in enumerate(line):
        if char in _EMBEDDINGS or char in _ISOLATES:
            open.append(place)
        elif char == _POP_EMBEDDING:
            if not open or line[open[-1]] not in _EMBEDDINGS:
                return place
            open.pop()
        elif char == _POP_ISOLATE:
            while open and line[open[-1]] in _EMBEDDINGS:
                open.pop()
            if not open:
                return place
            open.pop()
    return open[0] if open else None


whole_characters = in_no_text(_matches(_BROKEN, "a broken character"))
"""A check that no text has a character that is cut in two or replaced by U+FFFD."""
no_control_characters = in_no_text(_matches(_CONTROL, "a control character"))
"""A check that no text has a control character other than tab and line break."""
paired_directions = in_no_text(_unpaired, finals_only=True)
"""A check that each final ends the changes of writing direction that it starts."""
