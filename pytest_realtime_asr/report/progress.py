"""Shows a text about progress after the cursor of the terminal, and removes it again.

pytest captures the output of a test by file descriptor. A duplicate of the descriptor
that was made before the capture still leads to the terminal. So any thread can write to
the duplicate while a test runs, and the capture is not affected.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_LEAST = 16  # columns; if fewer are left, nothing is shown


class Progress:
    """A progress text on the terminal; each new text replaces the one before.

    ``fd`` is a file descriptor of the terminal; it is duplicated. ``room`` returns the
    number of columns that are left on the line of the cursor.
    """

    def __init__(self, fd: int, room: Callable[[], int]) -> None:
        self._fd = os.dup(fd)
        self._room = room
        self._width = 0
        self._writing = threading.Lock()

    def show(self, text: str) -> None:
        """Show a text after the cursor, which does not move; "" removes the text."""
        with self._writing:
            room = (
                self._room() - 1
            )  # from beyond the last column, the cursor cannot go back
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
    """Show a text on standard error if this is a terminal; "" removes the text."""
    if sys.stderr.isatty():
        end = "" if text else "\r"
        print(f"\r{text:78.78}", end=end, file=sys.stderr, flush=True)
