"""Sound in memory and in files: nothing is lost, wrapped round or guessed."""

from __future__ import annotations

import math
import statistics
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import (
    Audio,
    from_float,
    join,
    read,
    silence,
    speech,
    write,
)
from pytest_realtime_asr.corpus import load
from tests.support.paths import FIXTURES

ODD = FIXTURES / "audio"
EVERY_STEP = np.arange(-32768, 32768).astype("<i2")

steady = settings(deadline=None, derandomize=True)
rates = st.sampled_from([8000, 11025, 16000, 44100, 48000])
pcm = st.binary(max_size=4000).map(lambda data: data[: len(data) // 2 * 2])
audios = st.builds(Audio, pcm, rates)


def sine(hertz: float, seconds: float, rate: int, peak: float = 0.5) -> Audio:
    times = np.arange(round(seconds * rate)) / rate
    return from_float(peak * np.sin(2 * math.pi * hertz * times), rate)


# The value


def test_audio_has_its_samples_duration_and_rate() -> None:
    audio = Audio(b"\x01\x00\xff\xff\x00\x80", 6)
    assert (audio.samples, audio.seconds) == (3, 0.5)
    assert audio.array.tolist() == [1, -1, -32768]
    assert audio == Audio(b"\x01\x00\xff\xff\x00\x80", 6)
    assert audio != Audio(b"\x01\x00\xff\xff\x00\x80", 7)


def test_array_is_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        Audio(bytes(4), 8000).array[0] = 1


def test_repr_leaves_the_samples_out() -> None:
    assert repr(Audio(bytes(4), 8000)) == "Audio(rate=8000)"


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"3 bytes .* half a sample"):
        Audio(bytes(3), 8000)


@pytest.mark.parametrize("rate", [0, -1])
@pytest.mark.parametrize(
    "make",
    [
        lambda rate: Audio(b"", rate),
        lambda rate: silence(0, rate=rate),
        lambda rate: silence(1).resample(rate),
        lambda rate: from_float(np.zeros(1), rate),
    ],
)
def test_rate_is_positive(make: Callable[[int], Audio], rate: int) -> None:
    with pytest.raises(ValueError, match=f"the rate is {rate} Hz"):
        make(rate)


def test_digest_is_stable() -> None:
    # The name of an asset in recorded traces: it must never change.
    assert Audio(b"\x01\x00", 16000).digest == "1405c548794c219b"


@steady
@given(audios, audios)
def test_digests_of_different_sounds_differ(one: Audio, other: Audio) -> None:
    assert len(one.digest) == 16
    assert (one.digest == other.digest) == (one == other)


# Floats


def test_floats_are_scaled_rounded_and_clipped_to_16_bit() -> None:
    floats = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, -2.0, 0.6 / 32768, 1e300])
    steps = [-32768, 0, 16384, 32767, 32767, -32768, 1, 32767]
    assert from_float(floats, 8000).array.tolist() == steps


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_every_16_bit_value_is_kept_by_a_conversion_to_floats(
    kind: type[np.floating[npt.NBitBase]],
) -> None:
    floats = EVERY_STEP.astype(kind) / 32768
    assert (from_float(floats, 8000).array == EVERY_STEP).all()


def test_channels_are_averaged() -> None:
    floats = np.array([[0.5, 0.0], [-0.5, 0.5], [1.5, 1.0]])
    assert from_float(floats, 8000).array.tolist() == [8192, 0, 32767]


def test_channels_over_the_range_of_floats() -> None:
    floats = np.full((1, 2), np.finfo(np.float32).max)
    assert from_float(floats, 8000).array.tolist() == [32767]


def test_an_empty_array_gives_audio_without_samples() -> None:
    assert from_float(np.zeros(0), 8000) == Audio(b"", 8000)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_floats_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        from_float(np.array([0.0, value]), 8000)


@pytest.mark.parametrize("shape", [(), (1, 1, 1), (3, 0)])
def test_floats_have_one_or_two_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="samples of shape"):
        from_float(np.zeros(shape), 8000)


@pytest.mark.parametrize("kind", ["int16", "float16", "complex64"])
def test_an_array_of_another_type_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"samples of type {kind}"):
        from_float(np.zeros(3, dtype=kind), 8000)


# Pieces


@steady
@given(audios, st.floats(0.001, 0.5))
def test_chunks_join_back(audio: Audio, seconds: float) -> None:
    chunks = list(audio.chunks(seconds))
    size = 2 * round(seconds * audio.rate)
    assert b"".join(chunks) == audio.pcm
    assert {len(chunk) for chunk in chunks[:-1]} <= {size}
    assert all(0 < len(chunk) <= size for chunk in chunks[-1:])


def test_last_chunk_may_be_shorter() -> None:
    chunks = silence(0.25, rate=8000).chunks(0.1)
    assert [len(chunk) for chunk in chunks] == [1600, 1600, 800]


def test_chunk_of_one_sample() -> None:
    assert len(list(silence(1, rate=44100).chunks(1 / 44100))) == 44100


@pytest.mark.parametrize("seconds", [0, 0.00001])
def test_chunk_below_one_sample_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="has no sample at 8000 Hz"):
        silence(1, rate=8000).chunks(seconds)


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf])
def test_an_invalid_duration_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        silence(1).chunks(seconds)
    with pytest.raises(ValueError, match="is not a duration"):
        silence(seconds)


@steady
@given(audios, st.floats(0, 1))
def test_neighbouring_cuts_join_back(audio: Audio, share: float) -> None:
    at = share * audio.seconds
    assert join(audio.cut(0, at), audio.cut(at, audio.seconds)) == audio


def test_cut_is_in_seconds() -> None:
    audio = Audio(EVERY_STEP.tobytes(), 8000)
    assert audio.cut(0.5, 0.501).array.tolist() == EVERY_STEP[4000:4008].tolist()


@pytest.mark.parametrize(
    ("start", "stop"),
    [(-0.1, 0.5), (0.6, 0.5), (0.5, 1.001), (math.nan, 0.5), (0.5, math.inf)],
)
def test_a_cut_outside_the_audio_is_refused(start: float, stop: float) -> None:
    with pytest.raises(ValueError, match=r"is not inside the 1 s of audio"):
        silence(1, rate=8000).cut(start, stop)


def test_silence() -> None:
    assert silence(0.5) == Audio(bytes(16000), 16000)
    assert silence(0.5, rate=8000) == Audio(bytes(8000), 8000)


def test_join_refuses_audio_of_different_rates() -> None:
    with pytest.raises(ValueError, match="cannot join 8000 Hz, 16000 Hz"):
        join(silence(1), silence(1, rate=8000))


def test_join_without_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot join no part"):
        join()


# Another rate


def test_resampling_to_the_same_rate_returns_the_same_object() -> None:
    audio = silence(1)
    assert audio.resample(16000) is audio


@steady
@given(audios, rates)
def test_resampling_keeps_the_length(audio: Audio, rate: int) -> None:
    resampled = audio.resample(rate)
    assert resampled.rate == rate
    assert abs(resampled.samples - audio.samples * rate / audio.rate) <= 1


def test_resampling_keeps_the_sound() -> None:
    there = sine(440, 0.5, 16000).resample(48000)
    expected = sine(440, 0.5, 48000)
    middle = slice(2400, -2400)  # the filter has no sound before and after the ends
    difference = there.array[middle].astype(int) - expected.array[middle]
    assert abs(difference).max() <= 4


def test_resampling_does_not_alias() -> None:
    # 12 kHz is above what 16 kHz can hold; it must not come back as 4 kHz.
    assert abs(sine(12000, 0.5, 48000).resample(16000).array[800:-800]).max() <= 1


def test_processing_a_long_sound_needs_little_more_memory_than_its_size(
    tmp_path: Path,
) -> None:
    """Intermediate results in floats would take 4 or 8 times as much memory."""
    noise = np.random.default_rng(0).integers(-3000, 3000, 3_000_000).astype("<i2")
    sound, path = Audio(noise.tobytes(), 16000), tmp_path / "long.wav"
    write(path, sound)
    work: list[tuple[Callable[[], object], float]] = [
        (lambda: read(path), 3),
        (lambda: speech(sound), 1.5),
        (lambda: sound.digest, 1),
        (lambda: sound.resample(24000), 10),
    ]
    for call, most in work:
        tracemalloc.start()
        call()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < most * len(sound.pcm), (call, peak / len(sound.pcm))
    assert read(path) == sound


def test_resampling_clips_and_never_wraps() -> None:
    square = from_float(np.sign(np.sin(np.arange(4000) / 20)), 16000)
    resampled = square.resample(44100).array.astype(int)
    assert resampled.max() == 32767
    assert resampled.min() == -32768
    # The filter overshoots a full-scale square wave at each edge. Wrapped round, a
    # sample would jump by the full range; the steepest sound step is far below it.
    assert abs(np.diff(resampled)).max() < 40000


# Where speech is


def test_the_located_speech_agrees_with_the_word_times() -> None:
    """The accuracy that the docstring states, on the clips whose words are timed."""
    timed = [u for name in ("english", "languages") for u in load(f"bundled:{name}")]
    found = [(speech(u.audio), u.words) for u in timed if u.words]
    onsets = [1000 * (it[0] - words[0].start) for it, words in found if it]
    ends = [1000 * (it[1] - words[-1].end) for it, words in found if it]
    assert len(onsets) == len(found) == 26
    assert round(statistics.mean(onsets)) == 17
    assert round(max(map(abs, onsets))) == 80
    assert round(statistics.mean(ends)) == -6
    assert round(max(map(abs, ends))) == 111


def test_the_speech_is_located_exactly_where_a_tone_is() -> None:
    tone = from_float(np.sin(np.arange(8000) / 8) / 2, 16000)
    sound = join(silence(0.3), tone, silence(0.2))
    assert speech(sound) == (0.3, 0.8)
    assert speech(tone) == (0.0, 0.5)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(16000),
        np.zeros(0),
        np.full(16000, 2 / 32768),  # under the floor
        np.eye(1, 16000).ravel() / 2,  # a click is no speech
    ],
)
def test_no_speech_is_found_in_quiet_or_empty_audio(samples: Any) -> None:
    assert speech(from_float(samples, 16000)) is None
