"""A cache around a recogniser, so that repeated audio is recognised only once.

A load test plays the same clips in many sessions. Recognition is most of the work of a
fake server. So with the cache, the server can serve several times as many sessions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)

_MOST = 50_000  # chunks in the cache, about 10 MB
_DIGEST = 16  # bytes
_END = b"end"  # in the place of the audio, at the end of an utterance

# The words that a chunk of audio makes final, by the digest of all audio of the
# utterance up to the end of the chunk.
Words = dict[bytes, Sequence[RecognisedWord]]


class CachedRecogniser:
    """Recognises new audio with a given recogniser, and repeated audio from a cache.

    The words of the given recogniser must depend on the audio alone. Audio counts as
    repeated only if it comes in the same chunks as before.
    """

    def __init__(self, recogniser: Recogniser) -> None:
        self._recogniser = recogniser
        self._words: Words = {}

    @property
    def rate(self) -> int:
        """The sample rate in Hz of the audio."""
        return self._recogniser.rate

    async def listen(self) -> CachedListener:
        """Return a listener for one utterance."""
        return CachedListener(self._recogniser, self._words)

    async def close(self) -> None:
        """Free all resources of the recogniser."""
        await self._recogniser.close()


class CachedListener:
    """Recognises one utterance, with a cache and a recogniser.

    As soon as a chunk is not in the cache, the recogniser gets all audio of the
    utterance so far.
    """

    def __init__(self, recogniser: Recogniser, words: Words) -> None:
        self._recogniser = recogniser
        self._words = words
        self._digest = b""
        self._known: list[bytes] = []  # the audio that was in the cache so far
        self._listener: Listener | None = None

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        """Return the words that this audio makes final, in order."""
        self._add(pcm)
        if self._listener is None:
            if (cached := self._words.get(self._digest)) is not None:
                self._known.append(pcm)
                return cached
            self._listener = await self._started()
        return self._keep(await self._listener.hear(pcm))

    async def finish(self) -> Sequence[RecognisedWord]:
        """End the audio and return the remaining words, in order."""
        self._add(_END)
        if self._listener is None:
            if (cached := self._words.get(self._digest)) is not None:
                return cached
            self._listener = await self._started()
        return self._keep(await self._listener.finish())

    async def close(self) -> None:
        """Drop the utterance; this is allowed at any time and more than once."""
        if self._listener is not None:
            await self._listener.close()

    def _add(self, pcm: bytes) -> None:
        """Add a chunk to the digest, which identifies the sequence of chunks so far."""
        digest = hashlib.blake2b(pcm, digest_size=_DIGEST, key=self._digest)
        self._digest = digest.digest()

    async def _started(self) -> Listener:
        """Return a new listener that has heard the utterance so far."""
        listener = await self._recogniser.listen()
        for pcm in self._known:
            await listener.hear(pcm)
        self._known.clear()
        return listener

    def _keep(self, words: Sequence[RecognisedWord]) -> Sequence[RecognisedWord]:
        if len(self._words) >= _MOST:
            self._words.clear()  # the clips in use are soon in the cache again
        self._words[self._digest] = words = tuple(words)
        return words
