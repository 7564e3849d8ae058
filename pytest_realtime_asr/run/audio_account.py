"""The audio that a whole run has sent, and the limit on it.

The account counts the audio of the suite, the tests and the warm-up, and the audio that
the baseline server gets. Audio is reserved before it is sent, so that nothing is sent
that would exceed the limit. xdist workers share one account through a folder.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from filelock import FileLock

from pytest_realtime_asr.client.meter import Meter
from pytest_realtime_asr.run.shared_answers import write_whole
from pytest_realtime_asr.text.number_format import length

_PREFIX = "audio-"


class NotSent(Exception):
    """Raised instead of sending audio that the options of the run do not allow."""


class AudioLimit(NotSent):
    """Raised instead of sending audio that would exceed ``--realtime-max-audio``."""


class _Entry(msgspec.Struct):
    """The audio in s that one process has sent, and the audio that it has reserved."""

    sent: float
    reserved: float


@dataclass(eq=False)
class Reservation:
    """A reservation of ``seconds`` s of audio; ``meter`` counts how much was sent."""

    seconds: float
    meter: Meter = field(repr=False)

    @property
    def left(self) -> float:
        """The reserved audio in s that was not sent yet."""
        return max(0.0, self.seconds - self.meter.seconds)


class AudioAccount:
    """Counts the audio of a run in s, up to ``limit`` seconds.

    ``limit`` is ``None`` if there is no limit. ``shared`` is a folder that all workers
    of the run can access, ``None`` for a single process.
    """

    def __init__(self, limit: float | None = None, shared: Path | None = None) -> None:
        self.limit = limit
        self.meter = Meter()
        self._shared = shared
        self._changing = threading.Lock()
        self._open: list[Reservation] = []

    def reserve(self, seconds: float, what: str) -> Reservation:
        """Reserve audio; `release` ends the reservation.

        ``what`` names the audio in the message of the error. Raises `AudioLimit` if the
        run would exceed its limit.
        """
        made = Reservation(seconds, Meter(self.meter))
        with self._alone():
            used = self._used()
            if self.limit is not None and used + seconds > self.limit:
                raise AudioLimit(
                    f"not sent: with the {length(seconds)} of audio of {what}, the run "
                    f"would exceed --realtime-max-audio={self.limit:g}s, of which "
                    f"{length(used)} are used; raise this limit to at least "
                    f"{math.ceil(used + seconds)}s, or send less"
                )
            self._open.append(made)
            self._write()
        return made

    @property
    def used(self) -> float:
        """The audio in s that was sent or is reserved, by all processes of the run."""
        with self._alone():
            return self._used()

    def release(self, reservation: Reservation) -> None:
        """End a reservation; the part that was not sent can then be reserved again."""
        with self._alone():
            self._open.remove(reservation)
            self._write()

    @contextmanager
    def reserved(self, seconds: float, what: str) -> Iterator[Meter]:
        """Reserve audio for a ``with`` block; return the meter of the sent audio.

        Raises `AudioLimit`.
        """
        made = self.reserve(seconds, what)
        try:
            yield made.meter
        finally:
            self.release(made)

    def publish(self) -> None:
        """Let the other processes of the run know what this process has sent."""
        if self._shared is not None:
            with self._alone():
                self._write()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        shared = self._shared
        lock = nullcontext() if shared is None else FileLock(shared / "audio.lock")
        with self._changing, lock:
            yield

    def _write(self) -> None:
        if self._shared is not None:
            left = sum(each.left for each in self._open)
            entry = _Entry(self.meter.seconds, left)
            write_whole(self._own, msgspec.json.encode(entry))

    @property
    def _own(self) -> Path:
        assert self._shared is not None
        return self._shared / f"{_PREFIX}{os.getpid()}.json"

    def _used(self) -> float:
        reserved = sum(each.left for each in self._open)
        return self._others() + self.meter.seconds + reserved

    def _others(self) -> float:
        """Return the audio in s that other processes have sent or reserved."""
        if self._shared is None:
            return 0.0
        found = [each for path, each in _entries(self._shared) if path != self._own]
        return sum(each.sent + each.reserved for each in found)


def total(shared: Path) -> float:
    """Return how many seconds of audio the processes that share a folder have sent."""
    return sum(each.sent for _, each in _entries(shared))


def _entries(shared: Path) -> list[tuple[Path, _Entry]]:
    return [
        (path, msgspec.json.decode(path.read_bytes(), type=_Entry))
        for path in shared.glob(f"{_PREFIX}*.json")
    ]
