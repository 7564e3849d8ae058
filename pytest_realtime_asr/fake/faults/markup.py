"""Faults of the characters and the markup in texts."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_realtime_asr.fake.faults.registry import fault
from pytest_realtime_asr.fake.server_wrappers import WordChanger


@fault("vocabulary-shown", "leaves the word marks of its tokeniser in its text")
class VocabularyShown(WordChanger):
    """Puts the mark U+2581 of sentencepiece before each word."""

    def words_for(self, word: str) -> Iterable[str]:
        return (f"\u2581{word}",)


@fault("unknown-words", "sends the token for an unknown word in place of some words")
class UnknownWords(WordChanger):
    """Sends ``<unk>`` in place of the second word of each text."""

    def words_for(self, word: str) -> Iterable[str]:
        return ("<unk>" if len(self.sent.split()) == 1 else word,)


@fault(
    "labels-sounds",
    "appends the label of a sound, such as [Music], to the text of speech",
)
class LabelsSounds(WordChanger):
    """Sends ``[Music]`` after the last word of each text that is not empty."""

    def last_words(self) -> Iterable[str]:
        return ("[Music]",) if self.sent else ()


@fault("control-characters", "sends a NUL character in its text")
class ControlCharacters(WordChanger):
    """Appends U+0000 to the first word of each text."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self.sent else f"{word}\0",)


@fault(
    "unpaired-directions",
    "changes the writing direction of a text and never restores it",
)
class UnpairedDirections(WordChanger):
    """Puts a right-to-left override before each text and never ends the override."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self.sent else f"\u202e{word}",)
