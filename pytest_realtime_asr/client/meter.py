"""A meter for the length of the audio that sessions send."""

from __future__ import annotations

import threading


class Meter:
    """The length of the audio that was sent, in s; any thread may add to it.

    What is added to a meter is also added to its ``parent``.
    """

    def __init__(self, parent: Meter | None = None) -> None:
        self._parent = parent
        self._adding = threading.Lock()
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """The length of the audio in s so far."""
        return self._seconds

    def add(self, seconds: float) -> None:
        """Add the length of audio that was sent."""
        with self._adding:
            self._seconds += seconds
        if self._parent is not None:
            self._parent.add(seconds)
