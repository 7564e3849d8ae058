"""Edits of a server's frames as JSON objects.

The dialects write each frame as a JSON object whose ``type`` names the event. An error
holds its text in ``error`` beside its ``code``, or ``error`` is an object with
``message`` and ``code``. The edits here know these field names and nothing else of a
protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

Event = dict[str, Any]


def event(frame: str | bytes) -> Event:
    """Return the JSON object of a frame, or an empty one for any other frame."""
    try:
        value = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def encoded(content: Event) -> str:
    """Return the frame that holds a JSON object."""
    return msgspec.json.encode(content).decode()


def edited(frame: str, change: Callable[[Event], None]) -> str:
    """Apply ``change`` to the JSON object of a frame; keep any other frame."""
    content = event(frame)
    if not content:
        return frame
    change(content)
    return encoded(content)


def is_error(frame: str) -> bool:
    """Return whether a frame of the server reports an error."""
    return event(frame).get("type") == "error"


def error_edited(frame: str, **fields: object) -> str:
    """Replace the ``message`` or ``code`` of an error; keep any other frame."""

    def change(content: Event) -> None:
        inner = content.get("error")
        if isinstance(inner, dict):
            inner.update(fields)
        else:
            named = {"error" if k == "message" else k: v for k, v in fields.items()}
            content.update(named)

    return edited(frame, change) if is_error(frame) else frame
