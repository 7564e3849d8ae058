"""Removes secrets from everything that leaves the process.

Checks judge the unchanged frames, in memory. Everything that is written to a file, a
terminal or a report is first cleaned by a `Redactor`. A redactor recognises each
spelling of a secret that a server may send: escaped once or several times for JSON, for
a URL or for HTML, or in base64. Any `PART` consecutive characters of a secret are
removed too, since a text may be cut in the middle of a secret before it is cleaned.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from pytest_realtime_asr.text.escapes import Span, layers
from pytest_realtime_asr.text.frame_fields import Field, Path, decoded, encoded, fields
from pytest_realtime_asr.text.privacy import PRIVATE
from pytest_realtime_asr.text.secret_spellings import (
    QUOTE,
    SHORTEST,
    Needle,
    occurrences,
    spellings,
)

REMOVED = "[removed]"  # replaces a secret


class Redactor:
    """A filter that removes secrets of at least `SHORTEST` characters.

    A shorter secret may be a word of a transcript, so it is not removed. If ``private``
    is true, texts, audio and file names must not leave the process either; the code
    that writes them checks this attribute.
    """

    def __init__(self, secrets: Iterable[str] = (), *, private: bool = False) -> None:
        self.private = private
        self._secrets = _long_enough(secrets)
        self._learned: set[str] = set()  # shared with the redactors made by `also`
        self._needles = spellings(self._secrets)
        self._with = 0  # learned secrets among the needles

    def __bool__(self) -> bool:
        """Return whether there is a secret to remove."""
        return bool(self._secrets or self._learned)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that are known so far; they must not be shown."""
        return tuple(sorted(self._secrets | self._learned))

    def also(self, secrets: Iterable[str]) -> Redactor:
        """Return a redactor that also removes ``secrets``."""
        found = Redactor((*self._secrets, *secrets), private=self.private)
        found._learned = self._learned
        return found

    def learn(self, secret: str) -> None:
        """Treat ``secret`` as a secret from now on.

        All redactors that `also` makes from this redactor learn the secret too. If one
        of them learns a secret, this redactor learns it too.
        """
        self._learned |= _long_enough([secret])

    def shows(self, text: str) -> bool:
        """Return whether the text contains a whole secret, in any spelling."""
        return any(True for _ in self._found(text, whole=True))

    def clean(self, text: str) -> str:
        """Return the text with each secret, and each part of a secret, replaced.

        The replacement is `REMOVED`.
        """
        return _without(text, self._found(text))

    def message(self, text: str) -> str:
        """Return ``text``, or `PRIVATE` in a private run.

        The text may quote a transcript, which a private run must not show.
        """
        return PRIVATE if self.private else text

    def clean_bytes(self, data: bytes) -> bytes:
        """Return the bytes with each secret, and each part of a secret, replaced.

        The replacement is `REMOVED`.
        """
        # Latin-1 makes each byte one character. The UTF-8 bytes of a secret, read as
        # Latin-1, are one of its spellings.
        return self.clean(data.decode("latin-1")).encode("latin-1")

    def clean_value(self, value: Any) -> Any:
        """Return a value of builtin types, with each string in it cleaned."""
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
            case tuple():  # also a named tuple
                return tuple(self.clean_value(each) for each in value)
        return value

    def clean_frames(self, frames: Sequence[str]) -> list[str]:
        """Return the text frames of one sender, in order, without secrets.

        A secret that is split between several frames, for example between deltas, is
        removed too if its parts are in the same field.
        """
        if not self:
            return list(frames)
        cuts: defaultdict[tuple[int, Path], list[Span]] = defaultdict(list)
        for field in fields(frames):
            for parts in self._crossing(field, whole=False):
                for frame, path, cut in parts:
                    cuts[frame, path].append(cut)
        changed: dict[int, Any] = {}  # values of frames with a part of a secret
        for (frame, path), spans in cuts.items():
            value = changed.setdefault(frame, decoded(frames[frame]))
            changed[frame] = _cut_out(value, path, spans)
        cleaned = [
            encoded(changed[index], frame) if index in changed else frame
            for index, frame in enumerate(frames)
        ]
        # Usually no secret is left; one search in all frames together shows this.
        if any(True for _ in self._found("\n".join(cleaned))):
            cleaned = list(map(self.clean, cleaned))
        return cleaned

    def shown_by(self, frames: Sequence[str]) -> tuple[int, ...]:
        """Return the indexes of the text frames that show a secret.

        All ``frames`` are of one sender. A secret that is split between several frames,
        for example between deltas, is found too if its parts are in the same field.
        """
        if not self:
            return ()
        found: set[int] = set()
        if self.shows("\n".join(frames)):
            found.update(i for i, frame in enumerate(frames) if self.shows(frame))
        for field in fields(frames):
            for parts in self._crossing(field, whole=True):
                found.update(frame for frame, _, _ in parts)
        return tuple(sorted(found))

    def _known(self) -> tuple[Needle, ...]:
        """Return the spellings of all secrets, including the secrets learned so far."""
        if len(self._learned) != self._with:
            learned = frozenset(self._learned)
            self._needles = spellings(self._secrets | learned)
            self._with = len(learned)
        return self._needles

    def _crossing(
        self, field: Field, *, whole: bool
    ) -> Iterator[list[tuple[int, Path, Span]]]:
        """Yield the parts of each secret that is split between strings of a field.

        A part is the index of a frame, the path of a string in the frame, and a span of
        the string.
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
        """Yield the spans of secrets in a text, in any order."""
        if not self:
            return
        for layer in layers(text):
            for needle in self._known():
                for span in occurrences(needle, layer.text, whole=whole):
                    yield layer.source(span)


def _without(text: str, spans: Iterable[Span]) -> str:
    parts: list[str] = []
    at = 0
    for first, last in _merged(spans):
        parts += (text[at:first], REMOVED)
        at = last
    return "".join((*parts, text[at:])) if parts else text


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, with overlapping spans merged into one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def _cut_out(value: Any, path: Path, cuts: Iterable[Span]) -> Any:
    """Replace spans of the string at ``path`` by `REMOVED`; return the new value."""
    if not path:
        return _without(value, cuts)
    name, *rest = path
    value[name] = _cut_out(value[name], tuple(rest), cuts)
    return value


def _long_enough(secrets: Iterable[str]) -> frozenset[str]:
    plain = (each.strip(QUOTE) for each in secrets)
    return frozenset(each for each in plain if len(each) >= SHORTEST)


WRITTEN = Redactor()
"""The redactor of a trace that was read from a file.

It removes nothing, since the secrets were removed when the file was written.
"""
