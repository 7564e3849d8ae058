"""Frames with exactly one mistake, made from frames of the protocol."""

from __future__ import annotations

import json

from pytest_realtime_asr.trace.records import Frame

_OTHERS: tuple[object, ...] = (None, True, 5, "", "x", [], {})

Group = tuple[str | bytes, ...]


def mutations(frame: Frame) -> tuple[Group, ...]:
    """Return groups of mutations of a frame, the simplest group first.

    A group has the mutations of one kind, such as a missing field.
    """
    if isinstance(frame, bytes):
        return ((frame[: len(frame) // 2], frame[:-1]), (frame * 2, frame.hex()))
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
    missing, changed, duplicate = [], [], []
    for name, value in content.items():
        missing.append(
            json.dumps({key: content[key] for key in content if key != name})
        )
        others = [other for other in _OTHERS if type(other) is not type(value)]
        changed += [json.dumps({**content, name: other}) for other in others]
        # A parser may use the first or the last of two values.
        duplicate += [_with_field(frame, name, other) for other in [value, *others]]
    return (*found, tuple(missing), tuple(changed), tuple(duplicate))


def _with_field(frame: str, name: str, value: object) -> str:
    """Return a JSON object with a field added, even if it already has this field."""
    head = frame.rstrip().removesuffix("}")
    return f"{head},{json.dumps(name)}:{json.dumps(value)}}}"
