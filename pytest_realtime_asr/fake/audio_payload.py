"""Finds the audio in the frames of a client, in any dialect.

The client's side of a dialect makes two frames with different audio. The audio is the
part in which the two frames differ. It is a whole binary frame, or a field with base64
in a JSON frame.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

import msgspec

from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.trace.records import Frame

_PROBE = b"\x01\x00"  # one sample


class AudioPayload:
    """Finds the audio in the frames of a client.

    Raises ValueError if the audio frames of the dialect are neither binary nor JSON.
    """

    def __init__(self, dialect: Dialect) -> None:
        caller = dialect.caller("", {})
        self._binary = caller.binary
        self._path: tuple[str, ...] = ()
        self._kind: dict[str, object] = {}
        if self._binary:
            return
        encoded = base64.b64encode(_PROBE).decode()
        try:
            content = msgspec.json.decode(caller.append(_PROBE), type=dict[str, object])
        except msgspec.MsgspecError:
            content = {}
        paths = [path for path, value in _texts(content) if value == encoded]
        if len(paths) != 1:
            raise ValueError(
                f"the audio in the frames of the dialect {dialect.name} cannot be "
                "found: it is neither a binary frame nor base64 in one field of a "
                "JSON object"
            )
        self._path = paths[0]
        self._kind = {
            name: value for name, value in content.items() if name != self._path[0]
        }

    def pcm(self, frame: Frame) -> bytes | None:
        """Return the audio in a frame; ``None`` if the frame has no audio."""
        if isinstance(frame, bytes):
            return frame or None if self._binary else None
        if self._binary:
            return None
        try:
            content = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        if not isinstance(content, dict):
            return None
        if any(content.get(name) != value for name, value in self._kind.items()):
            return None
        for name in self._path:
            content = content.get(name) if isinstance(content, dict) else None
        if not isinstance(content, str):
            return None
        try:
            return base64.b64decode(content, validate=True) or None
        except (binascii.Error, ValueError):
            return None


def _texts(
    content: object, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield each string in nested JSON objects, with the names that lead to it."""
    if isinstance(content, str):
        yield path, content
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _texts(value, (*path, name))
