"""The strings in JSON frames, grouped by the field that contains them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

_DEEPEST = 32  # levels of nested JSON
Path = tuple[str | int, ...]
Field = list[tuple[int, Path, str]]  # index of a frame, path in the frame, string


def fields(frames: Sequence[str]) -> list[Field]:
    """Return the strings of the frames, grouped by type of frame and by field.

    The strings of a group are in the order of the frames. If a frame has ids, such as
    an ``item_id``, its strings are also in a second group, for frames of the same type
    with the same ids. A group with only one string is left out.
    """
    found: defaultdict[object, Field] = defaultdict(list)
    for index, frame in enumerate(frames):
        value = decoded(frame)
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


def decoded(frame: str) -> Any:
    """Return the value of a JSON frame, or the frame itself if it is not JSON."""
    try:
        return msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return frame


def _leaves(value: Any) -> Iterator[tuple[Path, str]]:
    """Yield the strings in a value, each with its path, down to `_DEEPEST` levels."""
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, each = waiting.pop()
        if isinstance(each, str):
            yield path, each
        elif len(path) < _DEEPEST:
            if isinstance(each, Mapping):
                waiting += [((*path, name), inner) for name, inner in each.items()]
            elif isinstance(each, list):
                waiting += [((*path, n), inner) for n, inner in enumerate(each)]


def encoded(value: Any, frame: str) -> str:
    """Return a changed value as JSON, or as plain text if ``frame`` was not JSON."""
    plain = isinstance(value, str) and not frame.lstrip().startswith('"')
    return value if plain else msgspec.json.encode(value).decode()
