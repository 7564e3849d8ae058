"""Perturbations that add another sound: noise, other voices, or dither."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.perturb.perturbation import (
    FULL_SCALE,
    Floats,
    Perturbation,
    PerturbationError,
    Sound,
    amplitude,
    parameter,
    perturbation,
    whole,
)
from pytest_realtime_asr.text.quantities import decibels

_BAND = 8000  # Hz; noise above it would be removed on the way to a 16 kHz server


def noise(snr: str, *, seed: int = 1) -> Perturbation:
    """Add white Gaussian noise; ``snr`` is the ratio of speech power to noise power.

    Both powers are measured from the start to the end of the speech. Pauses between
    words count; silence before and after the speech does not count. At sample rates
    over 16 kHz, the noise is limited to 8 kHz, so that a server at 16 kHz receives the
    same ratio.
    """
    ratio = _ratio("noise", snr)

    def add(sound: Sound, generator: np.random.Generator) -> Sound:
        white = generator.standard_normal(len(sound.samples))
        return _mixed(sound, _limited(white, sound.rate), ratio)

    return perturbation("noise", add, f"{ratio:g}dB", seed=seed)


def babble(
    voices: Corpus, snr: str, *, talkers: int = 6, seed: int = 1
) -> Perturbation:
    """Add other utterances, taken from ``voices``, as if spoken at the same time.

    ``snr`` is the ratio of the power of the speech to the power of all ``talkers``
    together, from the start to the end of the speech. For each utterance, the seed
    chooses the talkers among the utterances of other clips with other texts. All
    talkers are equally loud; each starts at a random point of its speech and repeats
    the speech without a pause.
    """
    return babble_of(snr, talkers=talkers, seed=seed)(voices)


def babble_of(
    snr: str, *, talkers: int = 6, seed: int = 1
) -> Callable[[Corpus], Perturbation]:
    """Return a function that makes a `babble` perturbation from a corpus of voices."""
    ratio = _ratio("babble", snr)
    whole("babble: talkers", talkers, 1, 100)
    whole("babble: seed", seed, 0, 2**32 - 1)

    def of(voices: Corpus) -> Perturbation:
        def add(sound: Sound, generator: np.random.Generator) -> Sound:
            total = np.zeros(len(sound.samples))
            for voice in _drawn(voices, sound, talkers, seed):
                total += _endless(voice, sound, generator)
            return _mixed(sound, total, ratio)

        return perturbation(
            "babble",
            add,
            f"{ratio:g}dB",
            talkers=talkers,
            voices=voices.digest[:8],
            seed=seed,
        )

    return of


def dither(*, seed: int = 1) -> Perturbation:
    """Add inaudible triangular noise of at most one step of PCM16.

    Each seed gives different audio, so that a server cannot answer from a cache.
    """

    def add(sound: Sound, generator: np.random.Generator) -> Sound:
        one, other = generator.random((2, len(sound.samples)))
        return replace(sound, samples=sound.samples + (one - other) / FULL_SCALE)

    return perturbation("dither", add, seed=seed)


def _ratio(name: str, snr: str) -> float:
    return parameter(f"{name}: snr", snr, decibels, "-40dB", "80dB")


def _limited(white: Floats, rate: int) -> Floats:
    """Return the noise without its frequencies above 8 kHz."""
    if rate <= 2 * _BAND:
        return white
    spectrum = np.fft.rfft(white)
    spectrum[np.fft.rfftfreq(len(white), 1 / rate) > _BAND] = 0
    return np.fft.irfft(spectrum, len(white))


def _mixed(sound: Sound, added: Floats, ratio: float) -> Sound:
    """Return the sound plus ``added``, whose level is ``ratio`` dB below the speech."""
    loud = replace(sound, samples=added).power
    factor = np.sqrt(sound.power / loud) * amplitude(-ratio)
    return replace(sound, samples=sound.samples + factor * added)


def _drawn(voices: Corpus, sound: Sound, talkers: int, seed: int) -> list[Utterance]:
    """Return the utterances that are added to a sound; ``talkers`` is their number.

    The seed chooses the utterances; the order of the corpus has no influence. Raises
    `PerturbationError` if the corpus has too few voices for this sound.
    """

    def lot(voice: Utterance) -> bytes:
        return hashlib.sha256(f"babble {seed} {sound.id} {voice.id}".encode()).digest()

    others = [voice for voice in voices if _is_other(voice, sound.utterance)]
    if len(others) < talkers:
        fewer = f"give talkers={len(others)} or " if others else "give "
        raise PerturbationError(
            f"{sound.id}: babble of {talkers} talkers needs {talkers} utterances of "
            f"other clips with other texts, but the corpus has {len(others)}; {fewer}a "
            "larger corpus"
        )
    return sorted(others, key=lot)[:talkers]


def _is_other(voice: Utterance, utterance: Utterance) -> bool:
    """Return whether a voice can be added to an utterance.

    The voice must have speech. Its clip and its text must differ from those of the
    utterance.
    """
    other = voice.clip != utterance.clip and voice.text != utterance.text
    return other and voice.speech_start is not None


def _endless(voice: Utterance, sound: Sound, generator: np.random.Generator) -> Floats:
    """Return the speech of a voice, repeated to the length of a sound.

    The power of the result is 1. The result begins at a random sample of the speech.
    """
    audio = voice.audio.resample(sound.rate)
    heard = Sound(voice, audio.array / FULL_SCALE, audio.rate, voice.sound)
    samples = heard.samples[heard.spoken] / np.sqrt(heard.power)
    start = int(generator.integers(len(samples)))
    return np.resize(np.roll(samples, -start), len(sound.samples))
