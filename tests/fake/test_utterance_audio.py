"""The measures of an utterance's audio: chunks, times and levels."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest

from pytest_realtime_asr.fake.utterance_audio import UtteranceAudio

RATE = 16_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def test_the_times_of_chunks_and_pauses(clock: Callable[[float], None]) -> None:
    audio = UtteranceAudio(RATE)
    clock(9)
    audio.add(bytes(2 * RATE))
    clock(5)
    audio.begin()
    assert audio.pause == 0
    clock(1)
    audio.add(bytes(2 * RATE * 2))
    assert audio.speed == pytest.approx(2 / 6)  # since the first chunk
    clock(3)
    audio.finish()
    assert (audio.pause, audio.seconds, audio.complete) == (3, 3, True)
    assert audio.chunks == [1, 2]


def test_silence_zeros_and_peak() -> None:
    audio = UtteranceAudio(RATE)
    samples = np.array([0, 90, -100, 0, 0, 101, 0, 0, 0, -32768], "<i2")
    for cut in (samples[:2], samples[2:4], samples[4:8], samples[8:]):
        audio.add(cut.tobytes())
    assert audio.lead == 5 / RATE
    assert audio.zeros == 3 / RATE
    assert audio.peak == 32768
    assert audio.size == 20
