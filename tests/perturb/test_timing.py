"""Speed and silence move the words with the sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import from_float
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.perturb import lead_silence, speed

steady = settings(deadline=None, derandomize=True, max_examples=40)
RATES = (8000, 16000, 22050, 44100)


def beeps(rate: int, hertz: int = 500) -> Utterance:
    """Two beeps of 200 ms, each a word."""
    times = np.arange(rate) / rate
    words = (Word("one", 0.2, 0.4), Word("two", 0.6, 0.8))
    on = np.zeros(rate)
    for word in words:
        on[round(word.start * rate) : round(word.end * rate)] = 0.5
    sound = from_float(on * np.sin(2 * np.pi * hertz * times), rate)
    return Utterance("beeps", "one two", sound, words=words)


def sounding(found: Utterance) -> list[tuple[float, float]]:
    """The start and the end of each beep, from the audio."""
    size = found.audio.rate // 100
    samples = np.abs(
        found.audio.array[: found.audio.samples // size * size].astype(float)
    )
    loud = samples.reshape(-1, size).max(axis=1) > 3000
    edges = np.flatnonzero(np.diff(loud.astype(int), prepend=0, append=0))
    return [(a / 100, b / 100) for a, b in edges.reshape(-1, 2).tolist()]


def is_where_it_says(found: Utterance) -> None:
    for word, (start, end) in zip(found.words, sounding(found), strict=True):
        assert word.start == pytest.approx(start, abs=0.015)
        assert word.end == pytest.approx(end, abs=0.015)
        assert word.end <= found.duration


@given(percent=st.integers(50, 200), rate=st.sampled_from(RATES))
@steady
def test_speed_moves_the_words(percent: int, rate: int) -> None:
    found = speed(f"{percent}%")(beeps(rate))
    assert found.duration == pytest.approx(100 / percent, abs=1e-3)
    is_where_it_says(found)


@pytest.mark.parametrize("percent", [80, 110])
def test_the_pitch_changes_with_the_speed(percent: int) -> None:
    found = speed(f"{percent}%")(beeps(16000))
    spectrum = np.abs(np.fft.rfft(found.audio.array, 16000))
    assert np.argmax(spectrum) == pytest.approx(500 * percent / 100, abs=3)


@given(ms=st.integers(0, 3000), rate=st.sampled_from(RATES))
@steady
def test_silence_before_moves_the_words(ms: int, rate: int) -> None:
    before = beeps(rate)
    found = lead_silence(f"{ms}ms")(before)
    count = found.audio.samples - before.audio.samples
    assert count == round(ms / 1000 * rate)
    assert not found.audio.array[:count].any()
    assert (found.audio.array[count:] == before.audio.array).all()
    is_where_it_says(found)
    assert found.speech_start == found.words[0].start


def test_a_word_that_ends_with_the_audio_stays_inside() -> None:
    sound = from_float(np.full(1001, 0.5), 16000)
    clip = Utterance("a", "one", sound, words=(Word("one", 0.0, sound.seconds),))
    for percent in range(50, 201, 7):
        found = speed(f"{percent}%")(clip)
        assert found.words[-1].end <= found.duration
