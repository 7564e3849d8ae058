"""Removal of secrets and of control characters from what leaves the process.

What was recorded is judged as it came, in memory. Whatever is written to a file, a
terminal or a report passes through a `Redactor` first, which knows a secret in each
spelling that a server may give it: escaped for JSON, for a URL or for HTML, several
times over, or in base64. A part of a secret that is long enough to betray it is removed
like the whole. So a text that was cut within a secret needs no special care.
"""

from __future__ import annotations

import base64
import html
import re
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any, NamedTuple

import msgspec

REMOVED = "[removed]"  # stands where a secret stood
PRIVATE = "[private]"  # stands where a text stood, in a run that keeps texts private
SHORTEST = 8  # characters of a secret that can be told from other text
PART = 16  # characters in a row of a secret that are removed like the whole
_DEPTH = 6  # escapes of escapes that are undone
_QUOTE = '"'
_JSON = (
    r"\\u[0-9a-fA-F]{4}|\\u\{[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}"
    r"|\\x[0-9a-fA-F]{2}|\\[\"'\\/]"
)
_PERCENT = r"(?:%[0-9a-fA-F]{2})+|%u[0-9a-fA-F]{4}"
_HTML = r"&\#[0-9]{1,9};?|&\#[xX][0-9a-fA-F]{1,8};?|&[a-zA-Z]{2,8};"
_KINDS = tuple(re.compile(each) for each in (_JSON, _PERCENT, _HTML))
_ESCAPE = re.compile("|".join((_JSON, _PERCENT, _HTML)))
Span = tuple[int, int]


class Redactor:
    """Finds and removes secrets; those of fewer than `SHORTEST` characters are kept.

    A shorter one may be a word of a transcript, and would take it away. ``private``
    says that texts, audio and names of files must not leave the process either; those
    who write or show a text ask for it.
    """

    def __init__(self, secrets: Iterable[str] = (), *, private: bool = False) -> None:
        self.private = private
        plain = (each.strip(_QUOTE) for each in secrets)
        self._secrets = frozenset(each for each in plain if len(each) >= SHORTEST)
        self._needles = _spellings(self._secrets)

    def __bool__(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self._secrets)

    def also(self, secrets: Iterable[str]) -> Redactor:
        """Return a redactor that knows these secrets as well."""
        return Redactor((*self._secrets, *secrets), private=self.private)

    def shows(self, text: str) -> bool:
        """Return whether a whole secret is in the text, in some spelling."""
        return any(True for _ in self._found(text, whole=True))

    def clean(self, text: str) -> str:
        """Return the text with `REMOVED` in place of each secret, or part of one."""
        return _without(text, self._found(text))

    def message(self, text: str) -> str:
        """Return a message that may quote a text, or `PRIVATE` in its place."""
        return PRIVATE if self.private else text

    def clean_bytes(self, data: bytes) -> bytes:
        """Return the bytes with `REMOVED` in place of each secret, or part of one."""
        # Each byte is one character here, and the UTF-8 of a secret is one spelling.
        return self.clean(data.decode("latin-1")).encode("latin-1")

    def clean_value(self, value: Any) -> Any:
        """Return a value of builtin types with each text in it cleaned."""
        if not self:
            return value
        match value:
            case str():
                return self.clean(value)
            case dict():
                return {
                    self.clean_value(name): self.clean_value(each)
                    for name, each in value.items()
                }
            case list():
                return [self.clean_value(each) for each in value]
            case tuple():  # also one with names
                return tuple(self.clean_value(each) for each in value)
        return value

    def clean_frames(self, frames: Sequence[str]) -> list[str]:
        """Return the text frames of one sender, in their order, without secrets.

        A secret that runs over the same field of several frames is removed from each.
        """
        if not self:
            return list(frames)
        cuts: defaultdict[tuple[int, _Path], list[Span]] = defaultdict(list)
        for field in _fields(frames):
            for parts in self._crossing(field, whole=False):
                for frame, path, cut in parts:
                    cuts[frame, path].append(cut)
        changed: dict[int, Any] = {}  # the values of frames that hold a part of one
        for (frame, path), spans in cuts.items():
            value = changed.setdefault(frame, _decoded(frames[frame]))
            changed[frame] = _cut_out(value, path, spans)
        cleaned = [
            _encoded(changed[index], frame) if index in changed else frame
            for index, frame in enumerate(frames)
        ]
        # Mostly there is nothing, which one look at all of them shows.
        if any(True for _ in self._found("\n".join(cleaned))):
            cleaned = list(map(self.clean, cleaned))
        return cleaned

    def shown_by(self, frames: Sequence[str]) -> tuple[int, ...]:
        """Return the indexes of the text frames of one sender that show a secret.

        A secret that runs over the same field of several frames is shown by each.
        """
        if not self:
            return ()
        found: set[int] = set()
        if self.shows("\n".join(frames)):
            found.update(i for i, frame in enumerate(frames) if self.shows(frame))
        for field in _fields(frames):
            for parts in self._crossing(field, whole=True):
                found.update(frame for frame, _, _ in parts)
        return tuple(sorted(found))

    def _crossing(
        self, field: _Field, *, whole: bool
    ) -> Iterator[list[tuple[int, _Path, Span]]]:
        """Yield the parts of each secret that runs over several texts of a field.

        A part is a frame, the place of the text in it, and the stretch of the text.
        """
        starts = [0, *accumulate(len(text) for _, _, text in field)]
        joined = "".join(text for _, _, text in field)
        for first, last in _merged(self._found(joined, whole=whole)):
            index = bisect_right(starts, first) - 1
            parts = []
            while index < len(field) and starts[index] < last:
                frame, path, text = field[index]
                start, stop = first - starts[index], last - starts[index]
                if text:
                    cut = max(0, start), min(stop, len(text))
                    parts.append((frame, path, cut))
                index += 1
            if len(parts) > 1:
                yield parts

    def _found(self, text: str, *, whole: bool = False) -> Iterator[Span]:
        """Yield where secrets are in a text as it is written, in any order."""
        if not self:
            return
        for layer in _layers(text):
            for needle in self._needles:
                for span in _occurrences(needle, layer.text, whole=whole):
                    yield layer.source(span)


def _layers(text: str) -> Iterator[_Layer]:
    """Yield a text as it is written, and with ever more escapes undone.

    A secret that looks escaped itself is seen where one kind of escape is undone alone.
    """
    written = layer = _Layer(text)
    yield layer
    for _ in range(_DEPTH):
        inner = layer.unescaped()
        if inner is None:
            return
        if layer is written:
            yield from filter(None, map(written.unescaped, _KINDS))
        layer = inner
        yield layer


class _Layer:
    """A text with so many layers of escapes undone, and where each character was."""

    def __init__(self, text: str, steps: tuple[_Step, ...] = ()) -> None:
        self.text = text
        self._steps = steps

    def unescaped(self, escape: re.Pattern[str] = _ESCAPE) -> _Layer | None:
        """Return the next layer; ``None`` where nothing is escaped."""
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
        return _Layer("".join(parts), (*self._steps, step))

    def source(self, span: Span) -> Span:
        """Return where a stretch of the text is in the text as it is written."""
        for step in reversed(self._steps):
            span = step.source(span)
        return span


class _Step:
    """Where the escapes of one layer were: one text before, one after it was undone."""

    def __init__(self) -> None:
        self._starts: list[int] = []  # of what an escape stands for
        self._ends: list[int] = []
        self._spans: list[Span] = []  # of the escape itself

    def add(self, start: int, length: int, span: Span) -> None:
        self._starts.append(start)
        self._ends.append(start + length)
        self._spans.append(span)

    def source(self, span: Span) -> Span:
        first, last = span
        return self._place(first)[0], self._place(last - 1)[1]

    def _place(self, at: int) -> Span:
        """Where one character was."""
        index = bisect_right(self._starts, at) - 1
        if index < 0:
            return at, at + 1
        if at < self._ends[index]:
            return self._spans[index]
        moved = at - self._ends[index] + self._spans[index][1]
        return moved, moved + 1


def without_texts(frame: str) -> str:
    """Return a text frame that keeps its form, and no text but ids, types and codes.

    Of each other text, and of a frame that is no JSON object, the length is left.
    """
    value = _decoded(frame)
    if not isinstance(value, Mapping | list):
        return _length(len(frame), "character")
    return msgspec.json.encode(_bare(value, "")).decode()


def without_bytes(frame: bytes) -> bytes:
    """Return what stands for a binary frame whose content is private."""
    return _length(len(frame), "byte").encode()


def public(text: str) -> str:
    """Return an id or a code of a server, or `PRIVATE` where it may be a text."""
    return text if _TOKEN.fullmatch(text) else PRIVATE


def _bare(value: Any, name: str, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return PRIVATE
    if isinstance(value, Mapping):
        return {
            public(each): _bare(inner, each, depth + 1) for each, inner in value.items()
        }
    if isinstance(value, list):  # numbers in a row may be the codes of characters
        kept = [each for each in value if not isinstance(each, int | float)]
        return [_bare(each, name, depth + 1) for each in kept]
    if not isinstance(value, str) or not value:
        return value
    if name in _PUBLIC or name.endswith("_id"):
        return public(value)
    return _length(len(value), "character")


def _length(count: int, unit: str) -> str:
    return f"[private: {count} {unit}{'s' * (count != 1)}]"


_TOKEN = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
# The fields of a frame whose texts are those of the protocol, and of no speaker.
_PUBLIC = frozenset(
    {"type", "id", "object", "model", "code", "param", "status", "role", "format"}
)


def printable(text: str) -> str:
    """Return a text of a server, or of a file, that is safe in a terminal and a log.

    Line breaks and control characters are written out as escapes. What a CI service
    would take for a command (``::error::``, ``##[error]``) is written so that it does
    not.
    """
    if not text.isprintable():
        text = "".join(
            sign if sign.isprintable() else sign.encode("unicode_escape").decode()
            for sign in text
        )
    if "::" in text or "##" in text:
        text = _COMMAND.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text


_COMMAND = re.compile(r"(?:(?<=\s)|^):(?=:\w)|#(?=#(?:\[|vso\[|teamcity\[))")


class _Needle(NamedTuple):
    """A spelling to look for; a part of ``part`` characters is removed like it."""

    text: str
    part: int


def _spellings(secrets: Iterable[str]) -> tuple[_Needle, ...]:
    """Return each secret as a server may hold it once nothing is escaped any more.

    Its bytes may have been read in another encoding; of base64, what stands before and
    after the secret decides on its first and last characters, which are left out.
    """
    found: dict[str, int] = {}  # the characters that stand for `PART` of the secret
    for secret in sorted(secrets, key=len, reverse=True):
        wide = secret.encode("utf-16-le", "surrogatepass")
        codes = [secret.encode("utf-8", "surrogateescape")]
        with suppress(UnicodeEncodeError):  # not each can stand in a header so
            codes.append(secret.encode("latin-1"))
        found |= dict.fromkeys((secret, secret.lower(), secret.upper()), PART)
        found[wide.decode("latin-1")] = 2 * PART
        for code in codes:
            found[code.decode("latin-1")] = PART
            found |= dict.fromkeys((code.hex(), code.hex().upper()), 2 * PART)
            for lossy in (
                code.decode("utf-8", "replace"),
                code.decode("ascii", "replace"),
                code.decode("ascii", "replace").replace("\ufffd", "?"),
            ):
                if 4 * sum(sign in "\ufffd?" for sign in lossy) <= len(lossy):
                    found[lossy] = PART
        for code, part in ((wide, 2 * PART), *((code, PART) for code in codes)):
            for core in _cores(code):
                found[core] = part * 4 // 3
    return tuple(_Needle(text, part) for text, part in found.items())


def _cores(code: bytes) -> Iterator[str]:
    """Yield the base64 of these bytes wherever they stand in what is encoded."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + code).decode().rstrip("=")
        # The last character of an unfinished group depends on what follows.
        last = len(text) - ((before + len(code)) % 3 > 0)
        core = text[(before * 8 + 5) // 6 : last]
        if len(core) >= SHORTEST:
            yield from (core, core.translate(_URL))


_URL = str.maketrans("+/", "-_")


def _occurrences(needle: _Needle, text: str, *, whole: bool) -> Iterator[Span]:
    """Yield where a secret is in a text, or a part of it that is long enough."""
    wanted, part = needle.text, needle.part
    if whole or len(wanted) < part:
        at = text.find(wanted)
        while at >= 0:
            yield at, at + len(wanted)
            at = text.find(wanted, at + len(wanted))
        return
    # Each part that is long enough holds a whole one of these blocks.
    length = part // 2
    for place in range(0, len(wanted) - length + 1, length):
        block = wanted[place : place + length]
        at = text.find(block)
        while at >= 0:
            first, last = at, at + length
            left, right = place, place + length
            while left and first and text[first - 1] == wanted[left - 1]:
                left, first = left - 1, first - 1
            while (
                right < len(wanted) and last < len(text) and text[last] == wanted[right]
            ):
                right, last = right + 1, last + 1
            if last - first >= part:
                if first and text[first - 1] == "\\":
                    first += 1  # it is the letter of an escape
                # A quote at its edge may be one of the JSON around it.
                left = first + (text[first] == _QUOTE)
                yield left, last - (text[last - 1] == _QUOTE)
            at = text.find(block, at + 1)


def _without(text: str, spans: Iterable[Span]) -> str:
    parts: list[str] = []
    at = 0
    for first, last in _merged(spans):
        parts += (text[at:first], REMOVED)
        at = last
    return "".join((*parts, text[at:])) if parts else text


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the stretches in their order, those that overlap as one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _plain(escape: str) -> str:
    """Return what an escape stands for."""
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


# The fields of JSON frames, to see a secret that runs over several frames

_Path = tuple[str | int, ...]
_Field = list[tuple[int, _Path, str]]  # frame, place in it, text


def _fields(frames: Sequence[str]) -> list[_Field]:
    """Return the texts of the same field of the same kind of frame, in their order.

    They are put together twice: those about the same items, and those of all items.
    """
    found: defaultdict[object, _Field] = defaultdict(list)
    for index, frame in enumerate(frames):
        value = _decoded(frame)
        kinds: list[object] = [None]
        if isinstance(value, Mapping):
            kinds = [str(value.get("type"))]
            about = (n for n in value if n.endswith("_id") and n != "event_id")
            if ids := [str(value[name]) for name in sorted(about)]:
                kinds.append((*kinds, *ids))
        for path, text in _leaves(value):
            for kind in kinds:
                found[kind, path].append((index, path, text))
    return [field for field in found.values() if len(field) > 1]


def _decoded(frame: str) -> Any:
    """Return the value of a JSON frame; another frame is a text of its own."""
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return frame


def _leaves(value: Any) -> Iterator[tuple[_Path, str]]:
    """Yield each text in a value, with its place; bounded where it is deeply nested."""
    waiting: list[tuple[_Path, Any]] = [((), value)]
    while waiting:
        path, each = waiting.pop()
        if isinstance(each, str):
            yield path, each
        elif len(path) < _DEEPEST:
            if isinstance(each, Mapping):
                waiting += [((*path, name), inner) for name, inner in each.items()]
            elif isinstance(each, list):
                waiting += [((*path, n), inner) for n, inner in enumerate(each)]


_DEEPEST = 32  # levels of JSON that are looked into for a secret over several frames


def _encoded(value: Any, frame: str) -> str:
    """Return a changed value as a frame like the one that it came from."""
    plain = isinstance(value, str) and not frame.lstrip().startswith('"')
    return value if plain else msgspec.json.encode(value).decode()


def _cut_out(value: Any, path: _Path, cuts: Iterable[Span]) -> Any:
    """Return the value with stretches of the text at this place removed."""
    if not path:
        return _without(value, cuts)
    name, *rest = path
    value[name] = _cut_out(value[name], tuple(rest), cuts)
    return value


WRITTEN = Redactor()
"""Marks a trace that was read from a file: its secrets are removed, and not known."""
