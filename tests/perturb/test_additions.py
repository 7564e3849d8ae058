"""Noise, babble and dither have the requested level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import from_float
from pytest_realtime_asr.corpus import Corpus, Utterance, Word, load
from pytest_realtime_asr.perturb import PerturbationError, babble, dither, noise

steady = settings(deadline=None, derandomize=True, max_examples=60)
ENGLISH = load("bundled:english")


def added(found: Utterance) -> npt.NDArray[np.float64]:
    """What was added to the original, whatever the attenuation."""
    assert found.original is not None
    before = found.original.audio.array.astype(float)
    factor = 1.0
    if "attenuated" in found.perturbation:
        decibels = found.perturbation.rpartition("=")[2].removesuffix("dB")
        factor = 10 ** (-float(decibels) / 20)
    return np.asarray(found.audio.array / factor - before)


def measured(found: Utterance) -> float:
    """The SNR in dB over the speech, from the audio before and after."""
    assert found.original is not None
    start, end = found.original.speech_start, found.original.speech_end
    assert start is not None
    assert end is not None
    rate = found.audio.rate
    part = slice(round(start * rate), round(end * rate))
    speech = found.original.audio.array.astype(float)[part]
    return float(10 * np.log10(np.mean(speech**2) / np.mean(added(found)[part] ** 2)))


@given(
    snr=st.floats(-20, 40).map(lambda x: round(x, 1)),
    seed=st.integers(0, 2**32 - 1),
    clip=st.sampled_from(ENGLISH.utterances),
)
@steady
def test_the_noise_has_the_requested_snr(
    snr: float, seed: int, clip: Utterance
) -> None:
    assert measured(noise(f"{snr}dB", seed=seed)(clip)) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize("snr", [-5, 0, 10, 30])
@pytest.mark.parametrize("talkers", [1, 6])
def test_the_babble_has_the_requested_snr(snr: int, talkers: int) -> None:
    found = ENGLISH.sample(3, seed=1).map(babble(ENGLISH, f"{snr}dB", talkers=talkers))
    for each in found:
        assert measured(each) == pytest.approx(snr, abs=0.1)


def test_silence_around_the_speech_does_not_count() -> None:
    """Nine parts of silence would give ten times less noise if they counted."""
    tone = np.sin(np.arange(16000) / 5) / 4
    sound = from_float(np.concatenate([np.zeros(144000), tone]), 16000)
    words = (Word("one", 9.0, 10.0),)
    found = noise("0dB")(Utterance("late", "one", sound, words=words))
    silent = added(found)[:144000] / 32768
    ratio = np.mean(silent**2) / np.mean(tone**2)
    assert 10 * np.log10(ratio) == pytest.approx(0, abs=0.3)  # 16,000 random samples


def test_the_noise_is_white_up_to_8_khz_at_any_rate() -> None:
    for rate in (8000, 16000, 24000, 48000):
        tone = from_float(np.sin(np.arange(4 * rate) / 5) / 4, rate)
        found = noise("0dB")(Utterance("tone", "", tone))
        power = np.abs(np.fft.rfft(added(found))) ** 2
        hertz = np.fft.rfftfreq(4 * rate, 1 / rate)
        bands = [
            power[(hertz >= low) & (hertz < low + 1000)].mean()
            for low in range(0, min(8000, rate // 2), 1000)
        ]
        assert 10 * np.log10(max(bands) / min(bands)) < 0.6
        above = power[hertz > 8000]
        assert not above.size or 10 * np.log10(above.mean() / bands[0]) < -50


def test_what_a_server_hears_does_not_depend_on_the_rate_of_the_file() -> None:
    """White noise up to 24 kHz would lose 4.8 dB on the way to 16 kHz."""
    speech = ENGLISH["go-forward"].audio
    words = ENGLISH["go-forward"].words
    for rate in (16000, 48000):
        clip = Utterance("a", "b", speech.resample(rate), words=words)
        heard = noise("10dB")(clip).audio.resample(16000).array.astype(float)
        before = clip.audio.resample(16000).array.astype(float)
        part = slice(round(words[0].start * 16000), round(words[-1].end * 16000))
        power = np.mean(before[part] ** 2) / np.mean((heard - before)[part] ** 2)
        assert 10 * np.log10(power) == pytest.approx(10, abs=0.3)


def test_the_voices_are_those_of_other_clips() -> None:
    """Each clip is a tone of its own, and is never heard twice in itself."""
    hertz = {f"{tone}": tone for tone in (500, 1000, 1500, 2000)}
    times = np.arange(16000) / 16000
    tones = Corpus(
        "tones",
        tuple(
            Utterance(id, id, from_float(np.sin(2 * np.pi * hz * times) / 8, 16000))
            for id, hz in hertz.items()
        ),
    )
    for clip in tones.map(babble(tones, "0dB", talkers=3)):
        spectrum = np.abs(np.fft.rfft(added(clip)))
        loud = {round(at) for at in np.argsort(spectrum)[-3:]}
        assert loud == set(hertz.values()) - {hertz[clip.clip]}
        assert max(spectrum[list(loud)]) < 1.1 * min(spectrum[list(loud)])  # equal
    with pytest.raises(
        PerturbationError, match=r"needs .* corpus has 3; give talkers=3"
    ):
        tones.map(babble(tones, "0dB", talkers=4))


def test_a_voice_of_a_perturbed_corpus_is_not_the_clip_itself() -> None:
    two = Corpus("two", ENGLISH.utterances[:2])
    (first, _) = two.map(noise("20dB")).map(babble(two, "0dB", talkers=1))
    assert measured(first) < 0.1
    with pytest.raises(PerturbationError, match="talkers=1"):
        two.map(babble(two, "0dB", talkers=2))


def test_dither_is_a_step_at_most() -> None:
    found = dither()(ENGLISH["go-forward"])
    steps = added(found)
    assert set(np.unique(steps)) == {-1, 0, 1}
    assert np.mean(steps == 0) == pytest.approx(0.75, abs=0.02)  # of a triangle
