"""ITU-T G.711: 8-bit companded sound, by mu-law (PCMU) and A-law (PCMA)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 8_000  # Hz
_EVERY = np.arange(-32_768, 32_768)  # what a sample of PCM16 can be


class Law:
    """One of the two laws; ``levels`` are the samples that the 256 codes stand for.

    A sample is given the code whose level is nearest to it.
    """

    def __init__(self, levels: npt.NDArray[np.integer[Any]]) -> None:
        self._levels = levels.astype("<i2")
        order = np.argsort(levels, kind="stable")
        ascending = levels[order]
        middles = (ascending[1:] + ascending[:-1]) / 2
        self._codes = order[np.searchsorted(middles, _EVERY)].astype(np.uint8)

    def encode(self, pcm: bytes) -> bytes:
        """One byte for each sample of PCM16."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        return bytes(self._codes[samples - _EVERY[0]])

    def decode(self, data: bytes) -> bytes:
        """PCM16, one sample for each byte."""
        return bytes(self._levels[np.frombuffer(data, np.uint8)])


def _mu_levels() -> npt.NDArray[np.integer[Any]]:
    codes = ~np.arange(256, dtype=np.int32) & 0xFF  # as sent, all bits are inverted
    sizes = ((2 * (codes & 0x0F) + 33) << ((codes >> 4) & 7)) - 33
    levels: npt.NDArray[np.integer[Any]] = np.where(codes & 0x80, -sizes, sizes) * 4
    return levels  # of 14 bits, in 16


def _a_levels() -> npt.NDArray[np.integer[Any]]:
    codes = np.arange(256, dtype=np.int32) ^ 0x55  # as sent, every other bit is
    chord, step = (codes >> 4) & 7, codes & 0x0F
    sizes = (2 * step + 1 + 32 * (chord > 0)) << np.maximum(chord - 1, 0)
    levels: npt.NDArray[np.integer[Any]] = np.where(codes & 0x80, sizes, -sizes) * 8
    return levels  # of 13 bits, in 16


MU = Law(_mu_levels())
A = Law(_a_levels())
