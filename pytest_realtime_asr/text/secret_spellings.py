"""The spellings of a secret: unchanged, in hex, in base64 or wrongly decoded."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from pytest_realtime_asr.text.escapes import Span

SHORTEST = 8  # characters; a shorter secret may be a word of a transcript
PART = 16  # a run of this many characters of a secret is removed too
QUOTE = '"'


class Needle(NamedTuple):
    """A spelling to search for; any substring of ``part`` characters is a match."""

    text: str
    part: int


def spellings(secrets: Iterable[str]) -> tuple[Needle, ...]:
    """Return the spellings that secrets can have in a text whose escapes are decoded.

    A server may decode the bytes of a secret in the wrong encoding; the texts that
    result are spellings too. The first and last characters in base64 depend on what
    surrounds the secret, so these characters are left out.
    """
    found: dict[str, int] = {}  # spelling -> how many characters are a match
    for secret in sorted(secrets, key=len, reverse=True):
        wide = secret.encode("utf-16-le", "surrogatepass")
        codes = [secret.encode("utf-8", "surrogateescape")]
        with suppress(UnicodeEncodeError):  # a header may be in Latin-1
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
    return tuple(Needle(text, part) for text, part in found.items())


def _cores(code: bytes) -> Iterator[str]:
    """Yield the base64 of ``code``, standard and URL-safe, at each 3-byte alignment."""
    for before in range(3):
        text = base64.b64encode(bytes(before) + code).decode().rstrip("=")
        # The last character of an unfinished group depends on what follows.
        last = len(text) - ((before + len(code)) % 3 > 0)
        core = text[(before * 8 + 5) // 6 : last]
        if len(core) >= SHORTEST:
            yield from (core, core.translate(_URL))


_URL = str.maketrans("+/", "-_")


def occurrences(needle: Needle, text: str, *, whole: bool) -> Iterator[Span]:
    """Yield the spans of a text that match the spelling, or a long enough part of it.

    If ``whole`` is true, only the whole spelling is a match.
    """
    wanted, part = needle.text, needle.part
    if whole or len(wanted) < part:
        at = text.find(wanted)
        while at >= 0:
            yield at, at + len(wanted)
            at = text.find(wanted, at + len(wanted))
        return
    # Each part that is long enough contains at least one of these blocks.
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
                    first += 1  # this character belongs to an escape
                # A quote at the edge may belong to the JSON around the secret.
                left = first + (text[first] == QUOTE)
                yield left, last - (text[last - 1] == QUOTE)
            at = text.find(block, at + 1)
