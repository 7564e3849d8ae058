"""Removes texts from frames, since no text may leave a private run.

An id or a code is also removed if it may contain a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pytest_realtime_asr.text.frame_fields import decoded

PRIVATE = "[private]"  # replaces a text in a private run
_DEEPEST = 32  # levels of nested JSON
_WITHHELD = re.compile(r"\[private: \d+ (character|byte)s?\]")
_TOKEN = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
# The fields of a frame whose texts are part of the protocol, not of a transcript.
_PUBLIC = frozenset(
    {"type", "id", "object", "model", "code", "param", "status", "role", "format"}
)


def without_texts(frame: str, length: int | None = None) -> str:
    """Return a text frame without its strings, except ids, types, codes and the like.

    The structure of the frame stays. Every other string is replaced by its length. A
    frame that is not JSON is replaced as a whole. Numbers in lists are removed.
    ``length`` is the length of the frame if ``frame`` is only a part of it.
    """
    value = decoded(frame)
    if not isinstance(value, Mapping | list):
        return _length(len(frame) if length is None else length, "character")
    return msgspec.json.encode(_without_texts(value, "")).decode()


def without_bytes(length: int) -> bytes:
    """Return a replacement for a binary frame of ``length`` bytes, which it states."""
    return _length(length, "byte").encode()


def is_withheld(frame: str) -> bool:
    """Return whether `without_texts` has replaced a string of this frame."""
    return _WITHHELD.search(frame) is not None


def public(text: str) -> str:
    """Return ``text`` if it looks like an id or a code, or else `PRIVATE`."""
    return text if _TOKEN.fullmatch(text) else PRIVATE


def _without_texts(value: Any, name: str, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        return PRIVATE
    if isinstance(value, Mapping):
        return {
            public(each): _without_texts(inner, each, depth + 1)
            for each, inner in value.items()
        }
    if isinstance(value, list):  # numbers may be the codes of characters
        kept = [each for each in value if not isinstance(each, int | float)]
        return [_without_texts(each, name, depth + 1) for each in kept]
    if not isinstance(value, str) or not value:
        return value
    if name in _PUBLIC or name.endswith("_id"):
        return public(value)
    return _length(len(value), "character")


def _length(count: int, unit: str) -> str:
    return f"[private: {count} {unit}{'s' * (count != 1)}]"
