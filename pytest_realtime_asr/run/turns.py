"""Decides who may measure: one xdist worker at a time, and the suite or the tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


class Turn:
    """The turn of one test, which it takes once and keeps until its end."""

    def __init__(self) -> None:
        self.taken = False
        self.ended = False


class Turns:
    """The turns of this process among the workers that share a folder.

    ``shared`` is a folder that all workers see, ``None`` for a single process. Workers
    that measure in ``parallel`` take no turns.
    """

    def __init__(self, shared: Path | None, *, parallel: bool) -> None:
        self._asking = None if shared is None else FileLock(shared / "host.lock")
        self._measuring: FileLock | None = None
        if shared is not None and not parallel:
            self._measuring = FileLock(shared / "turn.lock", thread_local=False)
        self._taking = threading.Lock()
        self._occupied = threading.Lock()

    def take(self, turn: Turn) -> None:
        """Wait until no other worker measures; `end` gives the turn back.

        It is called before a session is opened, and not on the event loop, which it
        would block.
        """
        with self._occupied:
            pass  # the packaged suite runs sessions beside the tests
        if self._measuring is None:
            return
        with self._taking:
            if turn.taken:
                return
            self._measuring.acquire()
            turn.taken = True
            if turn.ended:  # while it waited
                self._measuring.release()
                turn.taken = False

    def end(self, turn: Turn) -> None:
        """Let another worker measure."""
        if turn.taken and self._measuring is not None:
            self._measuring.release()

    def occupy(self) -> None:
        """Let no test measure until `vacate`; waits for whoever occupies now."""
        self._occupied.acquire()

    def vacate(self) -> None:
        """Let tests measure again; may be called from any thread."""
        self._occupied.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other workers from asking a server, and from measuring."""
        if self._asking is None:
            yield
            return
        with self._asking:
            if self._measuring is None:
                yield
                return
            with self._measuring:
                yield
