"""Turns, by the energy of the sound: what a fake needs to end them by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_FRAME = 0.01  # s
_ONSET = 3  # loud frames in a row by which speech begins
_LOUD = 300.0  # RMS of 32768 that is speech at the threshold of 1


@dataclass(frozen=True, slots=True)
class Turn:
    """What was found in a piece of sound; positions in samples of the whole of it.

    ``start`` is where speech began, its padding included; ``end`` where it was over,
    the silence after it included; ``None`` where it did not. ``pcm`` is what belongs
    to the turn.
    """

    start: int | None
    end: int | None
    pcm: bytes


class Detector:
    """Speech is what is loud; it is over when nothing was loud for a while.

    ``threshold`` is from 0 to 1, ``padding`` and ``silence`` are in s. Positions are
    counted on from ``begin``. Sound is looked at in frames of 10 ms, so that up to
    that much of the latest waits for more.
    """

    def __init__(
        self,
        rate: int,
        *,
        threshold: float,
        padding: float,
        silence: float,
        begin: int = 0,
    ) -> None:
        self._size = max(1, round(_FRAME * rate))
        self._loud = _LOUD * threshold
        self._padding = round(padding / _FRAME)
        self._silence = max(1, round(silence / _FRAME))
        self._place = begin  # of the next frame
        self._rest = b""  # what is not looked at yet
        self._before: list[bytes] = []  # frames that may belong to what comes
        self._onset = 0
        self._quiet = 0
        self._speaking = False

    def hear(self, pcm: bytes) -> Turn:
        """Look at more sound, up to the end of a turn; what comes after it waits."""
        sound = self._rest + pcm
        size = 2 * self._size
        said: list[bytes] = []
        start = end = None
        looked = 0
        while end is None and looked + size <= len(sound):
            frame = sound[looked : looked + size]
            looked += size
            self._place += self._size
            loud = _rms(frame) > self._loud
            if not self._speaking:
                self._before.append(frame)
                del self._before[: -(self._padding + _ONSET)]
                self._onset = self._onset + 1 if loud else 0
                if self._onset == _ONSET:
                    start = self._place - len(self._before) * self._size
                    said, self._before = self._before, []
                    self._speaking, self._onset, self._quiet = True, 0, 0
                continue
            said.append(frame)
            self._quiet = 0 if loud else self._quiet + 1
            if self._quiet == self._silence:
                end = self._place
                self._speaking = False
        self._rest = sound[looked:]
        return Turn(start, end, b"".join(said))


def _rms(frame: bytes) -> float:
    samples = np.frombuffer(frame, "<i2").astype(np.float64)
    return float(np.sqrt(np.mean(samples * samples)))
