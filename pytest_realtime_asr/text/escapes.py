"""Decodes escapes of JSON, URLs and HTML; finds decoded text in the original text."""

from __future__ import annotations

import html
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator

Span = tuple[int, int]  # start and end (exclusive) of a part of a text, in characters
_DEPTH = 6  # layers of escapes that are decoded
_JSON = (
    r"\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}"
    r"|\\x[0-9a-fA-F]{2}|\\[\"'\\/]"
)
_PERCENT = r"(?:%[0-9a-fA-F]{2})+|%u[0-9a-fA-F]{4}"
_HTML = r"&\#[0-9]{1,9};?|&\#[xX][0-9a-fA-F]{1,8};?|&[a-zA-Z]{2,8};"
_KINDS = tuple(re.compile(each) for each in (_JSON, _PERCENT, _HTML))
_ESCAPE = re.compile("|".join((_JSON, _PERCENT, _HTML)))


def layers(text: str) -> Iterator[Layer]:
    """Yield the text unchanged, then with one, two, ... layers of escapes decoded.

    For each kind of escape, also yield the text in which one layer of only this kind is
    decoded. A secret may contain characters that look like an escape of another kind.
    """
    written = layer = Layer(text)
    yield layer
    for _ in range(_DEPTH):
        inner = layer.unescaped()
        if inner is None:
            return
        if layer is written:
            yield from filter(None, map(written.unescaped, _KINDS))
        layer = inner
        yield layer


class Layer:
    """A text in which some layers of escapes are decoded.

    `source` returns, for a part of this text, the matching part of the original text.
    """

    def __init__(self, text: str, steps: tuple[_Step, ...] = ()) -> None:
        self.text = text
        self._steps = steps

    def unescaped(self, escape: re.Pattern[str] = _ESCAPE) -> Layer | None:
        """Return the text with one more layer decoded; ``None`` if it has no escape."""
        if not any(sign in self.text for sign in "\\%&"):
            return None
        parts: list[str] = []
        step = _Step()
        at = length = 0
        for match in escape.finditer(self.text):
            plain = _plain(match.group())
            if plain == match.group():
                continue
            before = self.text[at : match.start()]
            length += len(before)
            step.add(length, len(plain), match.span())
            parts += (before, plain)
            length += len(plain)
            at = match.end()
        if not parts:
            return None
        parts.append(self.text[at:])
        return Layer("".join(parts), (*self._steps, step))

    def source(self, span: Span) -> Span:
        """Return the span of the original text from which ``span`` was decoded."""
        for step in reversed(self._steps):
            span = step.source(span)
        return span


class _Step:
    """The positions of the escapes in one layer, before and after decoding."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # of the decoded text of an escape
        self._ends: list[int] = []  # of the decoded text of an escape
        self._spans: list[Span] = []  # of the escape before decoding

    def add(self, start: int, length: int, span: Span) -> None:
        self._starts.append(start)
        self._ends.append(start + length)
        self._spans.append(span)

    def source(self, span: Span) -> Span:
        first, last = span
        return self._place(first)[0], self._place(last - 1)[1]

    def _place(self, at: int) -> Span:
        """Return the span from which the character at index ``at`` was decoded."""
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return at, at + 1
        if at < self._ends[index]:
            return self._spans[index]
        moved = at - self._ends[index] + self._spans[index][1]
        return moved, moved + 1


def _plain(escape: str) -> str:
    """Return the decoded text of one escape."""
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[:2] == "%u":
        return chr(int(escape[2:], 16))
    if escape[0] == "%":
        data = bytes.fromhex(escape.replace("%", ""))
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("latin-1")
    if escape[1] not in "uUx":
        return escape[1:]
    number = int(escape[2:].strip("{}"), 16)
    return chr(number) if number <= sys.maxunicode else escape
