"""Functions that edit the frames of a server as objects with named fields.

A text frame is a JSON object; a binary frame is a MessagePack object. The field
``type`` names the event, and an error has the type ``error`` in small or capital
letters. The text and the code of an error are in one of three pairs of fields:

* ``error`` and ``code``,
* ``error.message`` and ``error.code``,
* ``description`` and ``variant``.

The functions here use these field names and no other part of a protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pytest_realtime_asr.trace.records import Frame

Event = dict[str, Any]


def event(frame: Frame) -> Event:
    """Return the object in a frame, or an empty dict if the frame has no object."""
    codec = msgspec.json if isinstance(frame, str) else msgspec.msgpack
    try:
        value = codec.decode(frame)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def encoded(content: Event, *, like: Frame = "") -> Frame:
    """Return an object as a text frame or a binary frame, whichever ``like`` is."""
    if isinstance(like, bytes):
        return msgspec.msgpack.encode(content)
    return msgspec.json.encode(content).decode()


def edited(frame: Frame, change: Callable[[Event], None]) -> Frame:
    """Return a copy of a frame, with ``change`` applied to its object.

    A frame without an object is returned unchanged.
    """
    content = event(frame)
    if not content:
        return frame
    change(content)
    return encoded(content, like=frame)


def is_error(frame: Frame) -> bool:
    """Return whether a frame of the server reports an error."""
    return str(event(frame).get("type", "")).lower() == "error"


def error_edited(frame: Frame, **fields: object) -> Frame:
    """Return a copy of an error with a new ``message``, a new ``code`` or both.

    A frame that is not an error is returned unchanged.
    """

    def change(content: Event) -> None:
        inner = content.get("error")
        if isinstance(inner, dict):
            inner.update(fields)
            return
        names = {"message": "error", "code": "code"}
        if "description" in content:
            names = {"message": "description", "code": "variant"}
        content.update({names[name]: value for name, value in fields.items()})

    return edited(frame, change) if is_error(frame) else frame
