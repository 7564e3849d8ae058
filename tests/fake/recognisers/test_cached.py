"""The cache around a recogniser: the same words, with less work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.fake.recognisers import cached
from pytest_realtime_asr.fake.recognisers.cached import CachedRecogniser
from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)
from tests.support.servers import script


class Counting:
    """Returns each chunk and the end as words, and counts what it had to do."""

    rate = 8000

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.closed = 0

    async def listen(self) -> Listener:
        return _Counting(self)

    async def close(self) -> None:
        self.closed += 1


class _Counting:
    def __init__(self, all: Counting) -> None:
        self._all = all
        self._audio = b""

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        self._all.heard.append(pcm)
        self._audio += pcm
        return [RecognisedWord(self._audio.decode(), 0, len(self._audio))]

    async def finish(self) -> Sequence[RecognisedWord]:
        self._all.heard.append(b".")
        return [RecognisedWord(f"{self._audio.decode()}.", 0, len(self._audio))]

    async def close(self) -> None:
        self._all.closed += 1


async def texts(recogniser: Recogniser, *chunks: bytes) -> list[str]:
    listener = await recogniser.listen()
    words: list[RecognisedWord] = []
    for chunk in chunks:
        words += await listener.hear(chunk)
    words += await listener.finish()
    await listener.close()
    await listener.close()
    return [word.text for word in words]


def test_repeated_audio_is_recognised_once() -> None:
    async def run() -> None:
        counting = Counting()
        recogniser = CachedRecogniser(counting)
        assert recogniser.rate == 8000
        for _ in range(3):
            assert await texts(recogniser, b"a", b"b") == ["a", "ab", "ab."]
        assert counting.heard == [b"a", b"b", b"."]
        await recogniser.close()
        assert counting.closed == 3  # one listener, closed twice, and the recogniser

    asyncio.run(run())


def test_new_audio_after_known_audio_is_recognised_with_it() -> None:
    async def run() -> None:
        counting = Counting()
        recogniser = CachedRecogniser(counting)
        await texts(recogniser, b"a", b"b")
        counting.heard.clear()
        assert await texts(recogniser, b"a", b"b", b"c") == ["a", "ab", "abc", "abc."]
        assert counting.heard == [b"a", b"b", b"c", b"."]
        counting.heard.clear()
        assert await texts(recogniser, b"a") == ["a", "a."]  # which ends earlier
        assert counting.heard == [b"a", b"."]

    asyncio.run(run())


@pytest.mark.parametrize("other", [(b"ab",), (b"b", b"a"), (b"", b"a", b"b"), ()])
def test_other_audio_or_other_chunks_are_new(other: tuple[bytes, ...]) -> None:
    async def run() -> None:
        recogniser = CachedRecogniser(Counting())
        await texts(recogniser, b"a", b"b")
        assert await texts(recogniser, *other) == await texts(Counting(), *other)

    asyncio.run(run())


def test_the_cache_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "_MOST", 4)

    async def run() -> None:
        recogniser = CachedRecogniser(Counting())
        for letter in (b"a", b"b", b"c", b"a"):
            assert await texts(recogniser, letter) == [
                letter.decode(),
                f"{letter.decode()}.",
            ]
            assert len(recogniser._words) <= 4

    asyncio.run(run())


def test_clips_have_the_same_words_from_the_cache() -> None:
    async def run() -> None:
        recogniser = CachedRecogniser(script())
        for name in ("turn-right", "open-door"):
            clip = corpus.load("bundled:english")[name]
            chunks = [pcm for pcm in clip.audio.resample(16000).chunks(0.1)]
            first, second = [await texts(recogniser, *chunks) for _ in range(2)]
            assert " ".join(first) == " ".join(second) == clip.text

    asyncio.run(run())
