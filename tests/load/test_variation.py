"""Variations of a clip: the same bytes everywhere, inaudible, and named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.load.executor import Clip
from pytest_realtime_asr.load.variation import Variation
from pytest_realtime_asr.perturb import gain
from tests.support.servers import CLIP

SPOKEN = Clip(CLIP, CLIP.audio)
PINNED = (  # 1 ms of silence before 1 ms of silence, with seed 5
    "0000ffffffff0000000001000000000001000000ffff000001000100ffff0100"
    "ffffffff0100ffff00000000ffff00000000000000000000000001000100ffff"
)


def test_the_bytes_of_a_seed_never_change() -> None:
    quiet = silence(0.001, rate=16_000)
    varied = Variation(1, 5)(Clip(replace(CLIP, source=quiet, words=()), quiet))
    assert varied.audio.pcm.hex() == PINNED


def test_another_seed_gives_other_bytes_and_the_same_seed_the_same() -> None:
    assert Variation(0, 1)(SPOKEN).audio == Variation(0, 1)(SPOKEN).audio
    assert Variation(0, 1)(SPOKEN).audio != Variation(0, 2)(SPOKEN).audio


@pytest.mark.parametrize("lead", [0, 120])
def test_the_noise_is_one_step_at_most(lead: int) -> None:
    varied = Variation(lead, 5)(SPOKEN).audio
    before = lead * 16
    assert varied.samples == before + CLIP.audio.samples
    plain = np.concatenate([np.zeros(before, int), CLIP.audio.array.astype(int)])
    noise = varied.array - plain
    assert set(noise.tolist()) == {-1, 0, 1}
    assert abs(float(noise.mean())) < 0.02
    assert 0.45 < float((noise == 0).mean()) < 0.55


def test_full_scale_does_not_wrap_around() -> None:
    loud = Audio(np.array([32767, -32768] * 50, dtype="<i2").tobytes(), 16_000)
    varied = Variation(0, 3)(Clip(replace(CLIP, source=loud, words=()), loud)).audio
    assert np.abs(varied.array - loud.array.astype(int)).max() <= 2


def test_the_word_times_move_with_the_audio() -> None:
    varied = Variation(120, 5)(SPOKEN).utterance
    for moved, word in zip(varied.words, CLIP.words, strict=True):
        assert moved.text == word.text
        assert moved.start == pytest.approx(word.start + 0.12)
        assert moved.end == pytest.approx(word.end + 0.12)
    assert varied.sound == (varied.words[0].start, varied.words[-1].end)


def test_the_name_states_the_variation() -> None:
    varied = Variation(120, 5)(SPOKEN).utterance
    assert varied.id == f"varied/1:lead=120ms:seed=5+{CLIP.id}"
    assert (varied.clip, varied.original) == (CLIP.id, CLIP)
    quieter = gain("-6dB")(CLIP)
    both = Variation(0, 1)(Clip(quieter, quieter.audio)).utterance
    assert both.perturbation == "gain/1:-6dB+varied/1:lead=0ms:seed=1"
    assert both.clip == CLIP.id
