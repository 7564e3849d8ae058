"""Frames that are almost right: those of the protocol, with one thing wrong in each."""

from __future__ import annotations

import json

_OTHERS: tuple[object, ...] = (None, True, 5, "", "x", [], {})

Group = tuple[str | bytes, ...]


def mutations(frame: str) -> tuple[Group, ...]:
    """What can be made of a text frame, by kinds; the simplest are first."""
    found: list[Group] = [
        (frame.encode(),),
        (*(frame[: len(frame) * part // 4] for part in range(4)), frame[:-1]),
    ]
    try:
        content = json.loads(frame)
    except ValueError:
        return tuple(found)
    found.append((frame * 2, json.dumps([content])))
    if not isinstance(content, dict) or not content:
        return tuple(found)
    missing, changed, twice = [], [], []
    for name, value in content.items():
        missing.append(
            json.dumps({key: content[key] for key in content if key != name})
        )
        others = [other for other in _OTHERS if type(other) is not type(value)]
        changed += [json.dumps({**content, name: other}) for other in others]
        # Of two values the first or the last may count.
        twice += [_added(frame, name, other) for other in [value, *others]]
    return (*found, tuple(missing), tuple(changed), tuple(twice))


def _added(frame: str, name: str, value: object) -> str:
    """The object with one more field, whether it has one of this name or not."""
    head = frame.rstrip().removesuffix("}")
    return f"{head},{json.dumps(name)}:{json.dumps(value)}}}"
