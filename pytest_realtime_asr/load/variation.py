"""Makes repeated clips differ, so that no server can answer from a cache.

Digital silence is put before a clip, and inaudible noise of at most one step of PCM16
is added to it. The variation is a perturbation; the trace contains its name. The
variation computes with integers and takes its noise from a hash function. So the same
seed gives the same bytes on every machine and with every version of the libraries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.load.executor import Clip

MOST_LEAD = 200  # ms of silence before a clip

_LARGEST = 32767


@dataclass(frozen=True, slots=True)
class Variation:
    """Silence of ``lead`` ms before a clip, and noise that ``seed`` determines."""

    lead: int
    seed: int

    def __str__(self) -> str:
        return f"varied/1:lead={self.lead}ms:seed={self.seed}"

    def __call__(self, clip: Clip) -> Clip:
        """Return the varied clip; the word times are later by the added silence."""
        audio = clip.audio
        silence = self.lead * audio.rate // 1000
        noise = _triangular(self.seed, silence + audio.samples)
        samples = np.zeros(silence + audio.samples, dtype="<i2")
        np.clip(audio.array, -_LARGEST, _LARGEST - 1, out=samples[silence:])
        samples += noise
        varied = Audio(samples.tobytes(), audio.rate)
        return Clip(self._moved(clip.utterance, varied, silence / audio.rate), varied)

    def _moved(self, utterance: Utterance, audio: Audio, by: float) -> Utterance:
        done = "+".join(filter(None, [utterance.perturbation, str(self)]))
        sound = utterance.sound
        return replace(
            utterance,
            id=f"{done}+{utterance.clip}",
            source=audio,
            words=tuple(
                Word(each.text, each.start + by, each.end + by)
                for each in utterance.words
            ),
            perturbation=done,
            original=utterance.original or utterance,
            located=None if sound is None else (sound[0] + by, sound[1] + by),
        )


def _triangular(seed: int, count: int) -> np.ndarray:
    """Return ``count`` values that are -1, 0 or 1; about half of them are 0."""
    drawn = hashlib.shake_256(str(seed).encode()).digest(-(-count // 4))
    bits = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8))[: 2 * count]
    bits = bits.view(np.int8)
    return bits[0::2] - bits[1::2]
