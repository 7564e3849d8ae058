"""Measures of the audio of one utterance, as the fake server received it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

_AUDIBLE = 100  # of 32768; samples up to this value count as silence


class UtteranceAudio:
    """The chunks, the timing and the loudness of the audio of one utterance.

    Times are in seconds. ``chunks`` are the lengths of the chunks. ``pause`` is the
    longest time without audio since the start. ``speed`` is the pace of the audio after
    the first chunk. ``lead`` is the length of the silence before the first sound.
    ``zeros`` is the length of the longest run of samples that are 0. ``peak`` is the
    largest absolute value of a sample; it is at most 32768.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._since = self._last = time.monotonic()
        self._begun = False
        self._samples = 0
        self._silent = 0  # samples before the first sound
        self._sounded = False
        self._run = self._longest = 0  # numbers of samples that are 0
        self.chunks: list[float] = []
        self.pause = 0.0
        self.peak = 0
        self.complete = False

    @property
    def seconds(self) -> float:
        return self._samples / self._rate

    @property
    def size(self) -> int:
        """The size of the PCM in bytes."""
        return 2 * self._samples

    @property
    def lead(self) -> float:
        return self._silent / self._rate

    @property
    def zeros(self) -> float:
        return self._longest / self._rate

    @property
    def speed(self) -> float:
        later = self.seconds - sum(self.chunks[:1])
        return later / max(self._last - self._since, 1e-3)

    def begin(self) -> None:
        """Start the utterance; some of its audio may have come already."""
        self._elapse()
        self._begun = True
        self.pause = 0.0
        if not self.chunks:
            self._since = self._last

    def add(self, pcm: bytes) -> None:
        """Update the times, sizes and loudness with the next chunk of audio."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        self._elapse()
        if not self.chunks and not self._begun:
            self._since = self._last
        self.chunks.append(len(samples) / self._rate)
        self._samples += len(samples)
        self.peak = max(self.peak, int(np.abs(samples).max(initial=0)))
        loud = np.flatnonzero(np.abs(samples) > _AUDIBLE)
        if not self._sounded:
            self._silent += int(loud[0]) if loud.size else len(samples)
            self._sounded = bool(loud.size)
        self._count_zeros(samples == 0)

    def finish(self) -> None:
        """Mark the audio as complete."""
        self._elapse()
        self.complete = True

    def _elapse(self) -> None:
        now = time.monotonic()
        self.pause = max(self.pause, now - self._last)
        self._last = now

    def _count_zeros(self, zero: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
        others = np.flatnonzero(~zero)
        if not others.size:
            self._run += len(zero)
            self._longest = max(self._longest, self._run)
            return
        inner = int(np.diff(others).max(initial=1)) - 1
        self._longest = max(self._longest, self._run + int(others[0]), inner)
        self._run = len(zero) - 1 - int(others[-1])
        self._longest = max(self._longest, self._run)
