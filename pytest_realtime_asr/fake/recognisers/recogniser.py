"""The interface of a recogniser, which turns a fake server's audio into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """A recognised word, and the sample of its utterance's audio at which it ends."""

    text: str
    end: int


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word from its ``start`` to before its ``end``, in samples or in frames."""

    text: str
    start: int
    end: int

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class Listener(Protocol):
    """Recognises one utterance; a word that was returned is never taken back."""

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        """Return the words that have settled with this audio, in order."""

    async def finish(self) -> Sequence[RecognisedWord]:
        """Return the words that were still open when the audio ended, in order."""

    async def close(self) -> None:
        """Drop the utterance; may be called at any time, and twice."""


class Recogniser(Protocol):
    """A source of listeners for PCM16 little-endian mono audio at ``rate`` Hz."""

    @property
    def rate(self) -> int:
        """The sample rate in Hz that ``hear`` expects."""

    async def listen(self) -> Listener:
        """Return a listener for one utterance."""

    async def close(self) -> None:
        """Free all resources."""
