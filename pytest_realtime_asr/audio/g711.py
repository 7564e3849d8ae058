"""ITU-T G.711: 8-bit companded audio, mu-law (PCMU) and A-law (PCMA).

libsndfile implements both laws, but needs a file object for each chunk. To create this
object takes four times as long as a table look-up, and sometimes several ms; this would
delay the next audio. So libsndfile is used only once for each law, to make two tables.
"""

from __future__ import annotations

import io
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

RATE = 8_000  # Hz


class Law:
    """A companding law; ``subtype`` is its name in libsndfile."""

    def __init__(self, subtype: str) -> None:
        self._format: dict[str, Any] = {
            "samplerate": RATE,
            "channels": 1,
            "format": "RAW",
            "subtype": subtype,
        }

    def encode(self, pcm: bytes) -> bytes:
        """Return PCM16 as companded audio, one byte for each sample."""
        return bytes(self._codes[np.frombuffer(pcm, "<u2")])

    def decode(self, data: bytes) -> bytes:
        """Return companded audio as PCM16, one sample for each byte."""
        return bytes(self._levels[np.frombuffer(data, np.uint8)])

    @cached_property
    def _codes(self) -> npt.NDArray[np.uint8]:
        """The codes of all PCM16 samples; the index is the sample, read as unsigned."""
        data = io.BytesIO()
        with soundfile.SoundFile(data, "w", **self._format) as file:
            file.write(np.arange(2**16, dtype=np.uint16).view(np.int16))
        return np.frombuffer(data.getvalue(), np.uint8)

    @cached_property
    def _levels(self) -> npt.NDArray[np.int16]:
        """The PCM16 samples of all codes; the index is the code."""
        data = io.BytesIO(bytes(range(256)))
        with soundfile.SoundFile(data, "r", **self._format) as file:
            return np.asarray(file.read(dtype="int16"), "<i2")


MU = Law("ULAW")
A = Law("ALAW")
