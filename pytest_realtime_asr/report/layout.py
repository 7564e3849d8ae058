"""The layout of a report in the terminal: the width of lines, and their colours.

A line gets its colours only when it is printed, since secrets can be removed only from
plain text. The parts to colour are found in the plain line.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping

LEAST = 60  # columns; a narrower terminal breaks the lines itself
USUAL = 80  # columns, if there is no terminal

Markup = Mapping[str, bool]

_GOOD: Markup = {"green": True}
_BAD: Markup = {"red": True, "bold": True}
_OPEN: Markup = {"yellow": True}
_PLAIN: Markup = {}
_WORDS: Mapping[str, Markup] = {
    "PASS": _GOOD,
    "FAIL": _BAD,
    "INCONCLUSIVE": _OPEN,
    "INVALID": _OPEN,
    "MUST": _BAD,
    "SHOULD": _OPEN,
    "INFO": {"cyan": True},
    "worse": _BAD,
    "better": _GOOD,
    "satisfied": _GOOD,
    "violated": _BAD,
    "undecided": _OPEN,
}
# The codes of the terminal (ECMA-48, SGR) for a markup.
_CODES = {"bold": 1, "red": 31, "green": 32, "yellow": 33, "cyan": 36}
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|s|min|pp|words)\b)")
_UNBROKEN = "\N{NO-BREAK SPACE}"
_COLOURED = re.compile(
    # A verdict: the first or the last word of a line, or the start of a part of it.
    r"^\s+(?:replayed: )?(?P<first>PASS|FAIL|INCONCLUSIVE|INVALID)(?= \()"
    r"| (?P<last>PASS|FAIL|INCONCLUSIVE|INVALID)(?=$| replayed$)"
    r"|(?<=; )(?P<part>FAIL|INCONCLUSIVE|INVALID)(?=[:,])"
    # The outcome of a comparison.
    r"|^ +[\w.]+ (?P<change>worse|better|undecided)(?=:)"
    # A level: the heading of a list of violated requirements, or in brackets.
    r"|^(?P<level>MUST|SHOULD|INFO)(?= violated|:)"
    r"|(?<=\[)(?P<rule>MUST|SHOULD|INFO)(?=\])"
    # The number of requirements with a result.
    r"|(?<=[:,] )\d+ (?P<status>satisfied|violated|undecided)(?=,|$)"
)


def wrapped(line: str, width: int, *, first: str = "", then: str = "") -> list[str]:
    """Break a line into lines of at most ``width`` columns; no word is divided.

    A word longer than ``width``, such as a path, has a line of its own. A number and
    its unit stay together. ``first`` is the indent of the first line, and ``then`` is
    the indent of the other lines.
    """
    lines = textwrap.wrap(
        _UNIT.sub(_UNBROKEN, line),
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(_UNBROKEN, " ") for line in lines]


def painted(parts: Iterable[tuple[str, Markup]]) -> str:
    """Return the parts of a line as one text, with the codes that colour a terminal."""
    return "".join(
        f"\033[{';'.join(str(_CODES[name]) for name in markup)}m{text}\033[0m"
        if markup
        else text
        for text, markup in parts
    )


def coloured(line: str) -> list[tuple[str, Markup]]:
    """Return the parts of a line, each with its markup for pytest's terminal writer."""
    found: list[tuple[str, Markup]] = []
    end = 0
    for match in _COLOURED.finditer(line):
        word = match[match.lastindex or 0]
        start = match.end() - len(word)
        if match["status"]:  # its number has the same colour
            start = match.start()
        found += [(line[end:start], _PLAIN), (line[start : match.end()], _WORDS[word])]
        end = match.end()
    return [part for part in [*found, (line[end:], _PLAIN)] if part[0]]
