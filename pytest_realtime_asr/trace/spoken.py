"""The speech in the audio of a session: reference text, word times, loudness.

A trace stores audio as a span of a named asset. This description of the asset is stored
with the trace, so that the session can be shown and judged without the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_realtime_asr.trace.word_times import WordTime

STEP = 0.05  # s, the time between two levels of an envelope
QUIETEST = -60  # dB of full scale; a level of 0 means this or less


@dataclass(frozen=True, slots=True)
class Spoken:
    """The description of an asset; ``asset`` is the name that `Span` uses.

    ``text`` is the reference transcript, ``language`` is its language, and ``words``
    has the times of its words in s; each is empty if it is not known. ``seconds`` is
    the length of the audio, and ``digest`` is the hash of its samples. ``envelope`` has
    a byte for each `STEP` of the audio: the level in dB above `QUIETEST`. ``speech`` is
    the start and the end of the speech in s, found from the energy of the audio;
    ``None`` if ``words`` has times, or if it is not known.
    """

    asset: str
    seconds: float
    digest: str = ""
    text: str = ""
    language: str = ""
    words: tuple[WordTime, ...] = ()
    envelope: bytes = field(default=b"", repr=False)
    speech: tuple[float, float] | None = None

    @property
    def without_texts(self) -> Spoken:
        """The same description without the words that were said, for private runs."""
        return Spoken(self.asset, self.seconds)
