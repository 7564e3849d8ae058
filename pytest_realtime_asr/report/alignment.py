"""Shows an alignment in three lines: the reference, the hypothesis and the errors."""

from __future__ import annotations

import textwrap
import unicodedata

from pytest_realtime_asr.metrics.alignment import Alignment, Pair, TextUnit, kind

_MARGIN = 5  # columns for the name of a line, such as "ref: "
_LINES = 8  # the most blocks that are shown
# Characters that let a text change the order of the line around it.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def lines(
    alignment: Alignment,
    *,
    width: int = 80,
    names: tuple[str, str] = ("ref: ", "hyp: "),
) -> str:
    """Return an alignment as blocks of three lines: reference, hypothesis and errors.

    ``names`` stand at the start of the lines of the reference and the hypothesis. Both
    names must have the same length, at most five characters. A line has at most
    ``width`` columns; a longer word is cut. If there are more than `_LINES` blocks,
    only the first `_LINES` blocks with an error are shown, and a note gives the number
    of all blocks. Raises ValueError if ``width`` is less than 20.
    """
    if width < 20:
        raise ValueError(
            f"width={width} is too narrow for an alignment; give 20 or more"
        )
    gap = " " if alignment.unit is TextUnit.WORD else ""
    room = width - _MARGIN
    blocks: list[list[tuple[str, str, str]]] = []
    used = room
    for pair in alignment.pairs:
        cells, size = _cells(pair, room)
        if used + len(gap) + size > room:
            blocks.append([])
            used = -len(gap)
        blocks[-1].append(cells)
        used += len(gap) + size
    shown, hidden = blocks, list[str]()
    if len(blocks) > _LINES:
        wrong = [block for block in blocks if any(error.strip() for *_, error in block)]
        shown = wrong[:_LINES]
        note = (
            f"... {len(shown)} of {len(blocks)} lines are shown; {len(wrong)} of "
            f"{len(blocks)} lines have errors"
        )
        hidden = textwrap.wrap(note, width)
    texts = []
    for block in shown:
        heads = (*names, " " * len(names[0]))
        rows = zip(heads, zip(*block, strict=True), strict=True)
        texts += [(name + gap.join(row)).rstrip() for name, row in rows]
    return "\n".join(text for text in (*texts, *hidden) if text)


def _cells(pair: Pair, room: int) -> tuple[tuple[str, str, str], int]:
    """Return the two words of a pair and its kind of error, padded to the same width.

    The second value is this width in columns.
    """
    texts = [
        None if text is None else _cut(text, room)
        for text in (pair.reference, pair.hypothesis)
    ]
    width = max(1, *(columns(text or "") for text in texts))
    left, right = (
        "*" * width if text is None else text + " " * (width - columns(text))
        for text in texts
    )
    return (left, right, kind(pair).ljust(width)), width


def _cut(text: str, room: int) -> str:
    text = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _REORDERING else c
        for c in text
    )
    if columns(text) <= room:
        return text
    return beginning(text, room - 3) + "..."


def beginning(text: str, room: int) -> str:
    """Return the longest beginning of a text that takes at most ``room`` columns."""
    used = 0
    for index, char in enumerate(text):
        used += column(char)
        if used > room:
            return text[:index]
    return text


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(map(column, text))


def column(char: str) -> int:
    """Return the columns of a character.

    This is 0 for a combining character, 2 for a wide character, and 1 for any other
    character.
    """
    if unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
