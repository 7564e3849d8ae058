"""Level, clipping, line and room: the measured effect equals the parameter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import from_float, g711
from pytest_realtime_asr.corpus import Utterance, Word, load
from pytest_realtime_asr.perturb import (
    PerturbationError,
    clipping,
    gain,
    packet_loss,
    reverberation,
    telephone,
)

steady = settings(deadline=None, derandomize=True, max_examples=40)
ENGLISH = load("bundled:english")
CLIP = ENGLISH["go-forward"]
Floats = npt.NDArray[np.float64]


def sounding(samples: Floats, rate: int = 16000) -> Utterance:
    """An utterance of these samples, all of them speech."""
    words = (Word("one", 0.0, len(samples) / rate),)
    return Utterance("made", "one", from_float(samples, rate), words=words)


def decibels(found: Utterance, before: Utterance) -> float:
    powers = [np.mean(each.audio.array.astype(float) ** 2) for each in (found, before)]
    return float(10 * np.log10(powers[0] / powers[1]))


# Level


@pytest.mark.parametrize("change", [-30, -6, 0, 3])
def test_a_gain_changes_the_level(change: int) -> None:
    assert decibels(gain(f"{change}dB")(CLIP), CLIP) == pytest.approx(change, abs=0.05)


def test_a_gain_over_full_scale_is_refused_with_the_most_that_fits() -> None:
    with pytest.raises(PerturbationError, match="give at most 3dB") as caught:
        gain("20dB")(CLIP)
    assert str(caught.value).startswith("go-forward: a gain of 20 dB would exceed")
    with pytest.raises(PerturbationError):
        gain("5dB")(CLIP)


@given(share=st.integers(1, 50), clip=st.sampled_from(ENGLISH.utterances))
@steady
def test_the_share_of_the_speech_that_is_clipped(share: int, clip: Utterance) -> None:
    found = clipping(f"{share}%")(clip)
    assert clip.speech_start is not None
    assert clip.speech_end is not None
    first, last = (
        round(s * clip.audio.rate) for s in (clip.speech_start, clip.speech_end)
    )
    full = np.abs(found.audio.array.astype(int)) == 32767
    assert np.mean(full[first:last]) == pytest.approx(share / 100, abs=0.002)
    quiet = ~full
    ratio = found.audio.array[quiet].astype(float) @ clip.audio.array[quiet]
    ratio /= np.sum(clip.audio.array[quiet].astype(float) ** 2)
    off = found.audio.array[quiet] - ratio * clip.audio.array[quiet]
    assert np.abs(off).max() < 1  # what is not clipped is only louder


def test_a_share_of_silence_cannot_be_clipped() -> None:
    rare = np.zeros(16000)
    rare[::100] = 0.5
    with pytest.raises(PerturbationError, match=r"95% of the samples .* smaller share"):
        clipping("5%")(sounding(rare))
    assert clipping("0.5%")(sounding(rare)).audio.array.max() == 32767


# The line


def test_the_band_of_a_telephone() -> None:
    """The response at each frequency, from an impulse."""
    impulse = np.zeros(16000)
    impulse[8000] = 0.9
    found = telephone()(sounding(impulse))
    assert found.audio.rate == 8000
    response = np.abs(np.fft.rfft(found.audio.array / 32768)) / 0.45  # at half the rate
    level = 20 * np.log10(response + 1e-9)
    hertz = np.fft.rfftfreq(8000, 1 / 8000)
    assert np.abs(level[(hertz >= 380) & (hertz <= 3320)]).max() < 1
    for edge in (300, 3400):
        assert level[hertz == edge].item() == pytest.approx(-6, abs=1)
    assert level[(hertz <= 200) | (hertz >= 3500)].max() < -30  # G.711 adds noise
    peak = int(np.argmax(np.abs(found.audio.array)))
    assert peak == 4000  # the sound does not move


def test_the_line_has_the_levels_of_mu_law() -> None:
    found = telephone()(CLIP)
    levels = np.frombuffer(g711.MU.decode(bytes(range(256))), "<i2")
    assert set(found.audio.array.tolist()) <= set(levels.tolist())
    assert found.words == CLIP.words
    assert found.duration == pytest.approx(CLIP.duration, abs=1e-3)


@pytest.mark.parametrize("share", [0, 1, 5, 30, 100])
def test_the_share_of_packets_that_is_lost(share: int) -> None:
    long = sounding(np.full(16000 * 40, 0.5))  # 2,000 packets
    found = packet_loss(f"{share}%")(long)
    packets = found.audio.array.reshape(-1, 320)
    lost = (packets == 0).all(axis=1)
    assert (lost | (packets == long.audio.array[0]).all(axis=1)).all()  # whole packets
    sigma = np.sqrt(share * (100 - share) / len(packets)) / 100
    assert np.mean(lost) == pytest.approx(share / 100, abs=4 * sigma)


def test_the_length_of_a_packet() -> None:
    long = sounding(np.full(8000, 0.5), rate=8000)
    found = packet_loss("50%", packet="30ms")(long)
    changes = np.flatnonzero(np.diff(found.audio.array))
    assert changes.size
    assert ((changes + 1) % 240 == 0).all()
    assert found.audio.samples == 8000


# The room


def measured_rt60(response: Floats, rate: int) -> float:
    """RT60 in s by Schroeder's integration: the slope from -5 to -35 dB (ISO 3382)."""
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0] + 1e-12)
    part = (level <= -5) & (level >= -35)
    slope = np.polyfit(np.flatnonzero(part) / rate, level[part], 1)[0]
    return float(-60 / slope)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("ms", [200, 500, 1200])
def test_the_decay_of_a_room(ms: int, rate: int) -> None:
    impulse = np.zeros(rate // 10)
    impulse[rate // 20] = 0.9
    found = reverberation(f"{ms}ms")(sounding(impulse, rate))
    response = found.audio.array[rate // 20 :] / 32768
    assert measured_rt60(response, rate) == pytest.approx(ms / 1000, rel=0.1)
    assert found.duration == pytest.approx(0.1 + ms / 1000, abs=1e-3)
    assert int(np.argmax(np.abs(found.audio.array))) == rate // 20  # direct sound


def test_half_of_the_energy_is_direct() -> None:
    impulse = np.zeros(1600)
    impulse[0] = 0.5
    found = reverberation("500ms")(sounding(impulse)).audio.array / 32768
    assert found[0] ** 2 == pytest.approx(np.sum(found[1:] ** 2), rel=0.02)


def test_the_speech_in_a_room_keeps_its_times_and_its_power() -> None:
    found = reverberation("400ms")(CLIP)
    assert found.words == CLIP.words
    assert found.speech_end == CLIP.speech_end
    part = slice(*(round(s * 16000) for s in (CLIP.words[0].start, CLIP.words[-1].end)))
    powers = [
        np.mean(each.audio.array[part].astype(float) ** 2) for each in (found, CLIP)
    ]
    assert powers[0] == pytest.approx(powers[1], rel=0.01)
