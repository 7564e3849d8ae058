"""Frames, ids and codes without the texts that a private run keeps to itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pytest_realtime_asr.text.frame_fields import decoded

PRIVATE = "[private]"  # stands where a text stood, in a run that keeps texts private
_DEEPEST = 32  # levels of nested JSON
_TOKEN = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
# The fields of a frame whose texts are those of the protocol, and of no speaker.
_PUBLIC = frozenset(
    {"type", "id", "object", "model", "code", "param", "status", "role", "format"}
)


def without_texts(frame: str) -> str:
    """Return a text frame that keeps its form, and no text but ids, types and codes.

    Of each other text, and of a frame that is no JSON object, the length is left.
    """
    value = decoded(frame)
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
