"""Measures the level of audio over time, and the level of channels before mixing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

_FULL_SCALE = 2**15
_CANCELLED = 0.1  # of the power that the average of independent channels has


def envelope(
    samples: npt.NDArray[np.int16], rate: int, *, step: float, quietest: float
) -> bytes:
    """Return the loudness of PCM16 samples, one byte for each ``step`` seconds.

    A byte is the root mean square of the samples in its step, in whole dB above
    ``quietest``. The unit of ``quietest`` is dB of full scale. The byte 0 means
    ``quietest`` or less.
    The last step may be shorter.
    """
    size = max(1, round(step * rate))
    starts = np.arange(0, len(samples), size)
    if not len(starts):
        return b""
    energy = np.add.reduceat(np.square(samples.astype(np.float64)), starts)
    lengths = np.minimum(starts + size, len(samples)) - starts
    power = energy / lengths / _FULL_SCALE**2
    level = 10 * np.log10(np.maximum(power, 10 ** (quietest / 10))) - quietest
    return np.rint(level).astype(np.uint8).tobytes()


class Levels:
    """Measures float samples, in blocks of shape (samples,) or (samples, channels).

    ``peak`` is the largest magnitude so far; full scale is 1.
    """

    def __init__(self) -> None:
        self.peak = 0.0
        self._apart = 0.0  # mean energy of a channel
        self._mixed = 0.0  # energy of the average of the channels
        self._channels = 1

    def add(self, samples: npt.NDArray[np.floating[Any]]) -> None:
        """Measure a block of samples."""
        if not samples.size:
            return
        self.peak = max(self.peak, float(np.abs(samples).max()))
        if samples.ndim == 2 and samples.shape[1] > 1:
            self._channels = samples.shape[1]
            mixed = samples.mean(axis=1)
            self._apart += float(np.vdot(samples, samples)) / self._channels
            self._mixed += float(np.vdot(mixed, mixed))

    @property
    def loss(self) -> float | None:
        """The number of dB by which the channels' average is quieter than one channel.

        It is ``None`` if the channels do not cancel each other. They cancel each other
        if the power of their average is less than a tenth of what it is for independent
        channels. For two equally loud channels, this means a correlation below -0.9.
        """
        if self._mixed >= _CANCELLED * self._apart / self._channels:
            return None
        if not self._mixed:
            return math.inf
        return 10 * math.log10(self._apart / self._mixed)
