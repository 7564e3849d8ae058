"""What the fake server asks of whatever turns its audio into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RecognisedWord:
    """One recognised word and the sample of its utterance's audio at which it ends."""

    text: str
    end: int


class Listener(Protocol):
    """One utterance: audio in, words out, none of which is ever taken back."""

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        """The words that have settled with this audio, in order."""

    async def finish(self) -> Sequence[RecognisedWord]:
        """The words that were still open when the audio ended, in order."""

    async def close(self) -> None:
        """Give the utterance up; may be called at any time, and twice."""


class Recogniser(Protocol):
    """A source of listeners for PCM16 little-endian mono audio at ``rate`` Hz."""

    @property
    def rate(self) -> int:
        """The rate in Hz that ``hear`` expects."""

    async def listen(self) -> Listener:
        """A listener for one utterance."""

    async def close(self) -> None:
        """Free what the recogniser holds."""
