"""The output of an application, sorted by the session that caused it.

In the child process, a tag is written before each part of the output. The tag contains
the port of the client whose session printed this part. Output that belongs to no
session, such as the output of the startup, has an empty tag. The parent reads the tags.
Output that bypasses Python's streams is attributed to the session that printed last.
"""

from __future__ import annotations

import io
import os
import re
from collections import OrderedDict
from contextvars import ContextVar
from typing import IO

from pytest_realtime_asr.client.child_server import SHOWN, Output

KEPT = 1000  # the latest sessions whose output is kept
_MOST = 1 << 20  # bytes that are read at a time; of more, only the last are read
_MARK = "\x1e"  # the record separator of ASCII
_TAG = re.compile(f"{_MARK}(\\d*){_MARK}")

client_port: ContextVar[int | None] = ContextVar("client_port", default=None)


class TaggingStreams:
    """The standard output and the standard error of the child, with tags.

    The texts of both streams are written immediately, in the order of the calls.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self.stdout = _Stream(1, self)
        self.stderr = _Stream(2, self)

    def tag(self) -> str:
        """Return the tag to write before the next text; "" if none is needed."""
        port = client_port.get()
        if port == self._last:
            return ""
        self._last = port
        return f"{_MARK}{'' if port is None else port}{_MARK}"


class _Stream(io.TextIOWrapper):
    def __init__(self, number: int, streams: TaggingStreams) -> None:
        raw = open(number, "wb", buffering=0, closefd=False)  # noqa: SIM115 - until the exit
        super().__init__(raw, encoding="utf-8", errors="replace", write_through=True)
        self._streams = streams

    def write(self, text: str) -> int:
        super().write(self._streams.tag() + text)
        return len(text)


class TaggedOutput:
    """The output of the application as the parent reads it.

    ``file`` is the file to which the child writes. For each session, the last `SHOWN`
    characters of its output are kept.
    """

    def __init__(self) -> None:
        self._output = Output()
        self._read = 0  # bytes
        self._port = ""  # of the last tag
        self._sessions: OrderedDict[str, str] = OrderedDict()  # by port
        self._new: list[tuple[str, str]] = []  # port and text, not yet taken

    @property
    def file(self) -> IO[bytes]:
        return self._output.file

    def take(self, *, sessions: bool = True) -> str:
        """Return the output since the last call.

        If ``sessions`` is false, the output that belongs to a session is left out.
        """
        self.update()
        new, self._new = self._new, []
        text = "".join(text for port, text in new if sessions or not port)
        return _end(text)

    def of_session(self, port: int) -> str:
        """Return the output of the session whose client has this port."""
        self.update()
        return self._sessions.get(str(port), "")

    def close(self) -> None:
        """Read the remaining output and delete the file.

        A second call does nothing.
        """
        self.update()
        self._output.close()

    def update(self) -> None:
        """Read what the child has written since the last call."""
        if self.file.closed:
            return
        end = self.file.seek(0, os.SEEK_END)
        self.file.seek(max(self._read, end - _MOST))
        self._read = end
        text = self.file.read().decode(errors="replace")
        before, *rest = _TAG.split(text)
        self._add(self._port, before)
        for port, part in zip(rest[::2], rest[1::2], strict=True):
            self._port = port
            self._add(port, part)

    def _add(self, port: str, text: str) -> None:
        if not text:
            return
        self._new.append((port, text))
        if port:
            self._sessions[port] = _end(self._sessions.pop(port, "") + text)
            while len(self._sessions) > KEPT:
                self._sessions.popitem(last=False)


def _end(text: str) -> str:
    """Return the last part of a text, after a note if the beginning was left out."""
    if len(text) <= SHOWN:
        return text
    _, _, lines = text[-SHOWN:].partition("\n")
    return f"[only the last part of the output]\n{lines}"
