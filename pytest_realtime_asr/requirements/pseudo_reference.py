"""A server's own text of a clip, by which its other texts of it are judged fairly.

Batching changes numerics and flips words on healthy servers, and a voice may be hard
for a real model. So the yardstick is the server's own text of the clip, spoken alone;
its own noise is how far its repeats lie from their middle; and a text is another one
only if it differs by more than that noise and 5 % of the words (one word at least), in
two of three repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import words
from pytest_realtime_asr.metrics.alignment import Alignment

MARGIN = 0.05  # of the words by which a text may differ beyond the noise


@dataclass(frozen=True, slots=True)
class SoloTranscript:
    """The server's own text of a clip, spoken alone, and how far its repeats lie off.

    ``repeats`` are all texts that it had alone. ``noise`` and ``words`` count words
    (characters, in scripts without spaces).
    """

    utterance: Utterance
    text: str
    repeats: tuple[str, ...]
    noise: int

    @property
    def words(self) -> int:
        """The words of the text."""
        return len(self.heard(self.text))

    def off(self, text: str) -> int:
        """By how many words a text differs from this one."""
        return _apart(self.text, text, self.utterance.language)

    def another(self, text: str) -> bool:
        """Whether a text differs beyond the noise."""
        return self.tells(self.off(text))

    def tells(self, count: int) -> bool:
        """Whether so many words are more than the noise and the tolerance."""
        return count - self.noise > max(1.0, MARGIN * self.words)

    def aligned(self, text: str) -> Alignment:
        """Another text, word by word, with this one as the reference."""
        return words(self.text, text, language=self.utterance.language)

    def heard(self, text: str) -> list[str]:
        """The words of a text, made comparable to those of this one."""
        pairs = self.aligned(text).pairs
        return [pair.hypothesis for pair in pairs if pair.hypothesis is not None]

    def kept(self, text: str) -> list[bool]:
        """For each word of this text, whether there is one in its place in another."""
        pairs = self.aligned(text).pairs
        return [p.hypothesis is not None for p in pairs if p.reference is not None]


def measure(utterance: Utterance, said: Sequence[str]) -> SoloTranscript:
    """The yardstick of a clip that had these texts alone, one at least.

    Its text is the one in their middle, its noise the way to the farthest of them.
    """
    distances = {
        text: [_apart(text, other, utterance.language) for other in said]
        for text in said
    }
    text = min(said, key=lambda text: sum(distances[text]))
    return SoloTranscript(utterance, text, tuple(said), max(distances[text]))


def level(found: Mapping[str, SoloTranscript]) -> dict[str, SoloTranscript]:
    """Those by which text can be judged, all with the noise of the noisiest of all."""
    most = max((each.noise for each in found.values()), default=0)
    measured = {name: replace(each, noise=most) for name, each in found.items()}
    # One of which even the loss of all words would be noise is of no use.
    return {name: each for name, each in measured.items() if each.tells(each.words)}


def settled(wrong: int, repeats: int) -> bool:
    """Whether so many of these repeats are wrong that it is no chance: two of three."""
    return wrong >= 2 and 3 * wrong >= 2 * repeats


def _apart(text: str, other: str, language: str) -> int:
    errors = words(text, other, language=language).errors
    return errors.wrong + errors.unspoken
