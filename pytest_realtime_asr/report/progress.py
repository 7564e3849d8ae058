"""Shows the progress of a run after the cursor of a terminal or as lines of a log.

pytest captures the output of a test by file descriptor. If the descriptor is duplicated
before the capture begins, the duplicate still leads to the terminal. So any thread can
write to the duplicate while a test runs, and the capture is not affected.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

INTERVAL = 15.0  # s between two lines in a log
_LEAST = 16  # columns; if fewer are left, nothing is shown


class Progress:
    """A progress text on the terminal; each new text replaces the previous text.

    ``fd`` is a file descriptor of the terminal; it is duplicated. ``room`` returns the
    number of columns that are left on the line of the cursor. ``width`` returns the
    number of columns of a whole line. A text that is too long for the line of the
    cursor is shown on the line below it; without ``width``, the text is cut off
    instead. If ``width`` is given, the terminal must know the usual escape sequences.
    """

    def __init__(
        self,
        fd: int,
        room: Callable[[], int],
        *,
        width: Callable[[], int] | None = None,
    ) -> None:
        self._fd = os.dup(fd)
        self._room = room
        self._whole = width
        self._width = 0
        self._below = False
        self._writing = threading.Lock()

    def show(self, text: str) -> None:
        """Show a text beside the cursor, which does not move; "" removes the text."""
        with self._writing:
            # From beyond the last column, the cursor cannot go back.
            room, whole = self._room() - 1, 0 if self._whole is None else self._whole()
            below = bool(text) and whole > 0 and len(text) + 1 > room
            out = ""
            if self._below and not below:
                out += _line_below("", whole - room - 1)
            shown = "" if below else self._beside(text, room)
            over, self._width = shown.ljust(self._width), len(shown)
            out += f"{over}{chr(8) * len(over)}"
            if below:
                out += _line_below(_cut(text, whole - 1), whole - room - 1)
            self._below = below
            if out and self._fd >= 0:
                os.write(self._fd, out.encode())

    def _beside(self, text: str, room: int) -> str:
        return _cut(f" {text}", room) if text and room >= _LEAST else ""

    def close(self) -> None:
        """Show nothing from now on."""
        with self._writing:
            os.close(self._fd)
            self._fd = -1


def _line_below(text: str, column: int) -> str:
    """Return the characters that write a text on the next line and then move back."""
    back = f"\x1b[{column}C" if column > 0 else ""
    return f"\n\r{text}\x1b[K\x1b[A\r{back}"


def _cut(text: str, room: int) -> str:
    """Return as much of a text as fits in ``room`` columns.

    A text that is too long is cut at a comma if it has one.
    """
    if len(text) <= room:
        return text
    return text[: room + 1].rpartition(", ")[0] or text[:room]


class ProgressLines:
    """Progress as lines, for an output that is not a terminal, such as a log of CI.

    ``fd`` is a file descriptor of the output; it is duplicated. ``column`` returns the
    column of the cursor. The first line is written after `INTERVAL` s at the earliest,
    and at least `INTERVAL` s pass from one line to the next.
    """

    def __init__(
        self,
        fd: int,
        column: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fd = os.dup(fd)
        self._column = column
        self._clock = clock
        self._last = clock()
        self._ended_at = 0  # the column at which the last line interrupted pytest
        self._writing = threading.Lock()

    def show(self, text: str) -> None:
        """Write a line, except if ``text`` is "" or the last line is too recent."""
        with self._writing:
            if not text or self._clock() - self._last < INTERVAL or self._fd < 0:
                return
            self._last = self._clock()
            column = self._column()
            # pytest does not know of this line; its own line ends only once.
            start = "\n" if column not in (0, self._ended_at) else ""
            self._ended_at = column
            os.write(self._fd, f"{start}realtime: {text}\n".encode())

    def close(self) -> None:
        """Write nothing from now on."""
        with self._writing:
            os.close(self._fd)
            self._fd = -1


def show_status(text: str) -> None:
    """Show a text on standard error if this is a terminal; "" removes the text."""
    if sys.stderr.isatty():
        end = "" if text else "\r"
        print(f"\r{text:78.78}", end=end, file=sys.stderr, flush=True)
