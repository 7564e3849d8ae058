"""Edits of a server's frames as JSON objects.

The dialects write each frame as a JSON object whose ``type`` names the event. An error
has one of two forms: ``error`` is its text and ``code`` is a field beside ``error``, or
``error`` is an object with ``message`` and ``code``. The functions here use these field
names and no other part of a protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pytest_realtime_asr.trace.records import Frame

Event = dict[str, Any]


def event(frame: Frame) -> Event:
    """Return the JSON object in a frame, or an empty dict if there is none."""
    try:
        value = msgspec.json.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def encoded(content: Event) -> str:
    """Return a JSON object as a frame."""
    return msgspec.json.encode(content).decode()


def edited(frame: Frame, change: Callable[[Event], None]) -> Frame:
    """Return a frame after ``change`` was applied to its JSON object.

    A frame without a JSON object is returned unchanged.
    """
    content = event(frame)
    if not content:
        return frame
    change(content)
    return encoded(content)


def is_error(frame: Frame) -> bool:
    """Return whether a frame of the server reports an error."""
    return event(frame).get("type") == "error"


def error_edited(frame: Frame, **fields: object) -> Frame:
    """Return an error with a new ``message`` or a new ``code``, or both.

    A frame that is not an error is returned unchanged.
    """

    def change(content: Event) -> None:
        inner = content.get("error")
        if isinstance(inner, dict):
            inner.update(fields)
        else:
            named = {"error" if k == "message" else k: v for k, v in fields.items()}
            content.update(named)

    return edited(frame, change) if is_error(frame) else frame
