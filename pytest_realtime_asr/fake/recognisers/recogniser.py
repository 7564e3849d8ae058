"""The interface of a recogniser, which turns the audio of clients into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """A recognised word, with its ``start`` and its exclusive ``end`` in samples."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word with its ``start`` and its exclusive ``end``, in samples or in frames."""

    text: str
    start: int
    end: int

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


class Listener(Protocol):
    """Recognises one utterance; a returned word never changes."""

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        """Return the words that this audio makes final, in order."""

    async def finish(self) -> Sequence[RecognisedWord]:
        """End the audio and return the remaining words, in order."""

    async def close(self) -> None:
        """Drop the utterance; this is allowed at any time and more than once."""


class Recogniser(Protocol):
    """A recogniser of PCM16 little-endian mono audio at ``rate`` Hz."""

    @property
    def rate(self) -> int:
        """The sample rate in Hz of the audio that `Listener.hear` expects."""

    async def listen(self) -> Listener:
        """Return a listener for one utterance."""

    async def close(self) -> None:
        """Free all resources of the recogniser."""
