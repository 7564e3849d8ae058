"""A recogniser for tests of a server's own request handler: PCM in, words out.

It is the recogniser of the fake server without that server's delays. It needs no event
loop, so any handler can call it in the place of its engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from pytest_realtime_asr.audio import Resampler
from pytest_realtime_asr.corpus import BUNDLED, Utterance, load_all
from pytest_realtime_asr.fake.recognisers.fingerprint import RATE
from pytest_realtime_asr.fake.recognisers.scripted import Hearing, Known

_SAMPLE = 2  # bytes


class StubRecogniser:
    """Recognises the audio of the utterances of a corpus, so that tests need no engine.

    ``corpus`` is a corpus, its name, its path or an iterable of utterances; the default
    is all bundled corpora. Any other sound gives made-up words, and silence
    gives no words. Equal audio gives equal text. One object serves any number of
    streams. Raises `CorpusError` for a corpus that cannot be loaded.
    """

    def __init__(
        self, corpus: str | os.PathLike[str] | Iterable[Utterance] | None = None
    ) -> None:
        if corpus is None:
            corpus = load_all(f"bundled:{name}" for name in BUNDLED)
        elif isinstance(corpus, str | os.PathLike):
            corpus = load_all([os.fspath(corpus)])
        self._known = Known(tuple(corpus))

    def listen(self, *, rate: int = RATE) -> StubStream:
        """Return a stream for the audio of one utterance, PCM16 at ``rate`` Hz."""
        return StubStream(self._known, rate)


class StubStream:
    """The audio of one utterance and its text so far.

    ``text`` is the sum of all texts that `feed` and `finish` have returned.
    """

    def __init__(self, known: Known, rate: int) -> None:
        self._hearing = Hearing(known)
        self._resampler = Resampler(rate, RATE)
        self._half = b""  # the first byte of a sample whose second has not come
        self._finished = False
        self.text = ""

    def feed(self, pcm: bytes) -> str:
        """Take PCM16 little-endian mono audio of any length.

        Returns the text that the audio adds, in whole words, or "" if it adds none. The
        text begins with a space unless it is the first. Raises ValueError after
        `finish`.
        """
        self._refuse_finished()
        pcm = self._half + pcm
        whole = len(pcm) - len(pcm) % _SAMPLE
        self._half = pcm[whole:]
        return self._hear(self._resampler.feed(pcm[:whole]))

    def finish(self) -> str:
        """End the audio; return the remaining text in the same form as `feed`.

        Raises ValueError if the stream has ended before.
        """
        self._refuse_finished()
        self._finished = True
        rest = self._hear(self._resampler.flush())
        return rest + self._add(word.text for word in self._hearing.finish())

    def _refuse_finished(self) -> None:
        if self._finished:
            raise ValueError(
                "the stream has ended; call StubRecogniser.listen() for each utterance"
            )

    def _hear(self, pcm: bytes) -> str:
        words = self._hearing.hear(np.frombuffer(pcm, "<i2"))
        return self._add(word.text for word in words)

    def _add(self, words: Iterable[str]) -> str:
        added = " ".join(words)
        if added and self.text:
            added = f" {added}"
        self.text += added
        return added
