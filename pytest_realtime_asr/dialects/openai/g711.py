"""ITU-T G.711: 8-bit companded sound, by mu-law (PCMU) and A-law (PCMA).

Both laws cut the size of a sample into eight chords of sixteen steps each. A code is
a sign, a chord and a step, of which some bits are sent inverted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 8_000  # Hz
_EVERY = np.arange(-32_768, 32_768)  # what a sample of PCM16 can be
_SIGN = 0x80
_CHORDS, _STEPS = np.divmod(np.arange(128), 16)


class Law:
    """One of the two laws; ``sizes`` are the 128 that it knows, in their order.

    Each stands in the middle of what is given its code, ``halves`` to either side.
    The bits of ``inverted`` are sent so, where a negative sign is a set bit.
    """

    def __init__(
        self,
        sizes: npt.NDArray[np.integer[Any]],
        halves: npt.NDArray[np.integer[Any]],
        inverted: int,
    ) -> None:
        codes = np.arange(256) ^ inverted
        known = sizes[codes & ~_SIGN]
        self._levels = np.where(codes & _SIGN, -known, known).astype("<i2")
        place = np.searchsorted(sizes - halves, np.abs(_EVERY), side="right") - 1
        signs = np.where(_EVERY < 0, _SIGN, 0)
        self._codes = ((place | signs) ^ inverted).astype(np.uint8)

    def encode(self, pcm: bytes) -> bytes:
        """One byte for each sample of PCM16."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        return bytes(self._codes[samples - _EVERY[0]])

    def decode(self, data: bytes) -> bytes:
        """PCM16, one sample for each byte."""
        return bytes(self._levels[np.frombuffer(data, np.uint8)])


def _mu() -> Law:
    halves = 1 << _CHORDS
    sizes = (2 * _STEPS + 33) * halves - 33
    return Law(4 * sizes, 4 * halves, 0xFF)  # of 14 bits, in 16


def _a() -> Law:
    halves = 1 << np.maximum(_CHORDS - 1, 0)
    sizes = (2 * _STEPS + 1 + 32 * (_CHORDS > 0)) * halves
    return Law(8 * sizes, 8 * halves, 0x55 ^ _SIGN)  # of 13 bits, in 16


MU = _mu()
A = _a()
