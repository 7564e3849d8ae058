"""The same speech at every rate, mono and stereo, gives the same text."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pytest_realtime_asr import FakeServer, Utterance
from pytest_realtime_asr.audio import read
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.corpus import load
from pytest_realtime_asr.fake.recognisers.pocketsphinx import PocketsphinxRecogniser
from pytest_realtime_asr.metrics.accuracy import (
    pooled,
    words,
)
from pytest_realtime_asr.metrics.alignment import Errors
from tests.support.servers import plan

CLIPS = ("turn-right", "go-forward", "digits-five")
RATES = (8_000, 16_000, 24_000, 44_100, 48_000)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return a scripted server that knows the bundled clips at their own rate."""
    with FakeServer(["--word-delay", "0s", "--final-delay", "20ms"]) as server:
        yield server.url


def copy(clip: Utterance, rate: int, channels: int, folder: Path) -> Utterance:
    """Write a file of the clip at another rate, the same in each channel."""
    path = folder / f"{clip.id}-{rate}-{channels}.wav"
    mono = clip.audio.resample(rate).array
    soundfile.write(path, np.stack([mono] * channels, axis=1), rate)
    return Utterance(path.stem, clip.text, path, language=clip.language)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2])
def test_the_scripted_recogniser_hears_the_same(
    url: str, tmp_path: Path, channels: int
) -> None:
    english = load("bundled:english")
    pairs = [(english[id], rate) for id, rate in product(CLIPS, RATES)]
    copies = [copy(clip, rate, channels, tmp_path) for clip, rate in pairs]
    loop = Loop()
    held = plan(url, model="scripted", pace=32.0)

    async def heard() -> list[str]:
        sessions = [run_utterance(Live(loop, held), each) for each in copies]
        return [take.text for take in await asyncio.gather(*sessions)]

    texts = loop.run(heard())
    loop.stop()
    assert texts == [clip.text for clip, _ in pairs]


@pytest.mark.slow
def test_pocketsphinx_has_a_similar_wer_at_every_rate(tmp_path: Path) -> None:
    half = list(load("bundled:english"))[::2]

    async def rate_of(rate: int, channels: int) -> float:
        recogniser = await PocketsphinxRecogniser.start(limit=2)

        async def wrong(clip: Utterance) -> Errors:
            path = Path(str(copy(clip, rate, channels, tmp_path).source))
            listener = await recogniser.listen()
            heard = [*await listener.hear(read(path).resample(16_000).pcm)]
            heard += await listener.finish()
            await listener.close()
            return words(clip.text, " ".join(word.text for word in heard)).errors

        try:
            errors = await asyncio.gather(*map(wrong, half))
        finally:
            await recogniser.close()
        found = pooled(errors).rate
        assert found is not None
        return found

    plain = asyncio.run(rate_of(16_000, 1))
    for rate, channels in ((24_000, 1), (44_100, 2), (48_000, 1)):
        assert asyncio.run(rate_of(rate, channels)) <= plain + 0.05, rate
