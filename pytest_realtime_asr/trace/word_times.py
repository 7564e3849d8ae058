"""The times of words in the audio of an utterance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WordTime:
    """A word, with the times at which it starts and ends in the audio.

    The times are in seconds from the start of the item's audio.
    """

    text: str
    start: float
    end: float
