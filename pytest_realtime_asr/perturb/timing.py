"""Perturbations that move the sound in time: its speed, and silence before it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import soxr

from pytest_realtime_asr.perturb.perturbation import (
    Perturbation,
    Sound,
    parameter,
    perturbation,
)
from pytest_realtime_asr.text.quantities import milliseconds, percent


def speed(factor: str) -> Perturbation:
    """Play the utterance at a percentage of its speed.

    ``factor`` is the percentage, such as ``"110%"``. The pitch changes with the speed,
    as on a tape that runs too fast, because the utterance is resampled.
    """
    wanted = parameter("speed", factor, percent, "50%", "200%")

    def played(sound: Sound, _: np.random.Generator) -> Sound:
        rate = round(sound.rate * wanted)
        samples = soxr.resample(sound.samples, rate, sound.rate, quality="HQ")
        end = len(samples) / sound.rate
        moved = sound.moved(lambda at: min(at * sound.rate / rate, end))
        return replace(moved, samples=samples)

    return perturbation("speed", played, f"{100 * wanted:g}%")


def lead_silence(length: str) -> Perturbation:
    """Put digital silence of this ``length`` before the utterance."""
    seconds = parameter("lead-silence", length, milliseconds, "0ms", "10min") / 1000

    def later(sound: Sound, _: np.random.Generator) -> Sound:
        count = round(seconds * sound.rate)
        moved = sound.moved(lambda at: at + count / sound.rate)
        return replace(moved, samples=np.pad(sound.samples, (count, 0)))

    return perturbation("lead-silence", later, f"{1000 * seconds:g}ms")
