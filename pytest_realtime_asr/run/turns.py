"""Lets only one xdist worker run measured sessions at a time.

Within a process, no test starts a session while the packaged suite runs sessions.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


class Turn:
    """The right of one test to run sessions while no test of another worker runs any.

    The test takes this right once and keeps it until the test ends.
    """

    def __init__(self) -> None:
        self.taken = False
        self.ended = False


class Turns:
    """Lets the workers of a run take turns: only one of them runs sessions at a time.

    Each worker has one such object. ``shared`` is a folder that all workers can access,
    or ``None`` for a single process. If ``parallel`` is true, no worker waits for
    another.
    """

    def __init__(self, shared: Path | None, *, parallel: bool) -> None:
        self._asking = None if shared is None else FileLock(shared / "host.lock")
        self._measuring: FileLock | None = None
        if shared is not None and not parallel:
            self._measuring = FileLock(shared / "turn.lock", thread_local=False)
        self._taking = threading.Lock()
        self._occupied = threading.Lock()

    def take(self, turn: Turn) -> None:
        """Wait until no other worker runs a session, then take the turn.

        The turn lasts until `end` is called. Call this method before a session is
        opened. Never call it on the event loop, since it blocks.
        """
        with self._occupied:
            pass  # wait while the packaged suite runs its own sessions
        if self._measuring is None:
            return
        with self._taking:
            if turn.taken:
                return
            self._measuring.acquire()
            turn.taken = True
            if turn.ended:  # the test ended while this method waited
                self._measuring.release()
                turn.taken = False

    def end(self, turn: Turn) -> None:
        """End a turn, so that another worker may run sessions."""
        if turn.taken and self._measuring is not None:
            self._measuring.release()

    def occupy(self) -> None:
        """Let no test start a session until `vacate` is called.

        If another caller has called `occupy`, wait until it has called `vacate`.
        """
        self._occupied.acquire()

    def vacate(self) -> None:
        """Let tests start sessions again; any thread may call this method."""
        self._occupied.release()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other worker probe a server or run sessions while the block runs."""
        if self._asking is None:
            yield
            return
        with self._asking:
            if self._measuring is None:
                yield
                return
            with self._measuring:
                yield
