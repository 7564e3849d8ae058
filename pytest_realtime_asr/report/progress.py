"""Shows progress at the end of the terminal's line, and removes it again.

pytest captures what a test prints, by file descriptor. A duplicate that was made before
still leads to the terminal, so that any thread can write to it while a test runs, and
the capture is not affected.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_LEAST = 16  # columns, below which nothing is shown


class Progress:
    """Replaces its last text on the terminal by the next.

    ``fd`` leads to a terminal, and is duplicated. ``room`` returns the number of
    columns that are left on the line of the cursor.
    """

    def __init__(self, fd: int, room: Callable[[], int]) -> None:
        self._fd = os.dup(fd)
        self._room = room
        self._width = 0
        self._writing = threading.Lock()

    def show(self, text: str) -> None:
        """Show a text, or nothing if it is empty; the cursor stays in its place."""
        with self._writing:
            room = self._room() - 1  # a cursor beyond the last column cannot go back
            text = f" {text}"[:room] if text and room >= _LEAST else ""
            over, self._width = text.ljust(self._width), len(text)
            if over and self._fd >= 0:
                os.write(self._fd, f"{over}{chr(8) * len(over)}".encode())

    def close(self) -> None:
        """Show nothing from now on."""
        with self._writing:
            os.close(self._fd)
            self._fd = -1


def show_status(text: str) -> None:
    """Show progress on standard error if it is a terminal; an empty text clears it."""
    if sys.stderr.isatty():
        end = "" if text else "\r"
        print(f"\r{text:78.78}", end=end, file=sys.stderr, flush=True)
