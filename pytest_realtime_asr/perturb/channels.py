"""Perturbations that imitate a wrong level, a telephone line, packet loss or a room."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import soxr

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.perturb.perturbation import (
    FULL_SCALE,
    LIMIT,
    Perturbation,
    PerturbationError,
    Sound,
    amplitude,
    parameter,
    perturbation,
)
from pytest_realtime_asr.text.quantities import decibels, milliseconds, percent

_TELEPHONE = (300, 3400)  # Hz, the band of a telephone line
_TAPS = 255  # of the filter: 50 dB down at 240 and 3460 Hz
_DECAY = 60  # dB by which a room's response has decayed after RT60


def gain(level: str) -> Perturbation:
    """Change the level of the utterance by ``level``, such as ``"-20dB"``.

    Raises `PerturbationError` for an utterance that would exceed full scale.
    """
    change = parameter("gain", level, decibels, "-90dB", "60dB")

    def amplified(sound: Sound, _: np.random.Generator) -> Sound:
        found = replace(sound, samples=sound.samples * amplitude(change))
        if over := found.fitted().attenuated:
            most = math.floor(change - over)
            raise PerturbationError(
                f"{sound.id}: a gain of {change:g} dB would exceed full scale; give at "
                f"most {most}dB, or use the perturbation clipping"
            )
        return found

    return perturbation("gain", amplified, f"{change:g}dB")


def clipping(share: str) -> Perturbation:
    """Amplify the utterance until ``share`` of the samples of its speech are clipped.

    The result is like a recording at too high a level: clipped samples are at full
    scale.
    """
    clipped = parameter("clipping", share, percent, "0.01%", "90%")

    def overdriven(sound: Sound, _: np.random.Generator) -> Sound:
        level = np.quantile(np.abs(sound.samples[sound.spoken]), 1 - clipped)
        if not level:
            raise PerturbationError(
                f"{sound.id}: at least {1 - clipped:.0%} of the samples of its speech "
                f"are 0, so a share of {share} cannot be clipped; give a smaller share"
            )
        samples = np.clip(sound.samples * (LIMIT / level), -LIMIT, LIMIT)
        return replace(sound, samples=samples)

    return perturbation("clipping", overdriven, f"{100 * clipped:g}%")


def telephone() -> Perturbation:
    """Send the utterance over a telephone line with 300 to 3400 Hz, mu-law and 8 kHz.

    The filter has linear phase, so that it does not shift the speech in time. At 300
    and 3400 Hz, the filter attenuates by 6 dB. The result has a rate of 8 kHz.
    """

    def narrowed(sound: Sound, _: np.random.Generator) -> Sound:
        from scipy import signal

        samples = soxr.resample(sound.samples, sound.rate, g711.RATE, quality="HQ")
        taps = signal.firwin(_TAPS, _TELEPHONE, fs=g711.RATE, pass_zero=False)
        samples = np.convolve(np.pad(samples, _TAPS // 2), taps, "valid")
        heard = replace(sound, samples=samples, rate=g711.RATE).fitted()
        pcm = np.rint(heard.samples * FULL_SCALE).astype("<i2").tobytes()
        line = np.frombuffer(g711.MU.decode(g711.MU.encode(pcm)), "<i2")
        return replace(heard, samples=line / FULL_SCALE)

    return perturbation("telephone", narrowed)


def packet_loss(share: str, *, packet: str = "20ms", seed: int = 1) -> Perturbation:
    """Lose each packet with the probability ``share``; replace lost packets by silence.

    Losses are independent, and nothing conceals them. In a short utterance, the share
    of lost packets may differ from ``share``; in a large corpus, it is about the same.
    """
    lost = parameter("packet-loss", share, percent, "0%", "100%")
    length = parameter("packet-loss: packet", packet, milliseconds, "1ms", "1s")

    def torn(sound: Sound, generator: np.random.Generator) -> Sound:
        size = max(1, round(length / 1000 * sound.rate))
        packets = generator.random(math.ceil(len(sound.samples) / size)) >= lost
        kept = np.repeat(packets, size)[: len(sound.samples)]
        return replace(sound, samples=sound.samples * kept)

    return perturbation(
        "packet-loss", torn, f"{100 * lost:g}%", packet=f"{length:g}ms", seed=seed
    )


def reverberation(rt60: str, *, seed: int = 1) -> Perturbation:
    """Play the utterance in a room where sound decays by 60 dB within ``rt60``.

    The response is the direct sound and an exponentially decaying Gaussian noise of the
    same energy (Polack's model of late reverberation). The speech keeps its times and
    its power; the utterance becomes longer by ``rt60``.
    """
    decay = parameter("reverberation", rt60, milliseconds, "10ms", "10s") / 1000

    def echoed(sound: Sound, generator: np.random.Generator) -> Sound:
        from scipy import signal

        times = np.arange(1, math.ceil(decay * sound.rate) + 1) / sound.rate
        late = generator.standard_normal(len(times))
        late *= 10 ** (-_DECAY / 20 * times / decay)
        response = np.concatenate([[1.0], late / np.linalg.norm(late)])
        heard = replace(sound, samples=signal.fftconvolve(sound.samples, response))
        same = math.sqrt(sound.power / heard.power)
        return replace(heard, samples=heard.samples * same)

    return perturbation("reverberation", echoed, f"{1000 * decay:g}ms", seed=seed)
