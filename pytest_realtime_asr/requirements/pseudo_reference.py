"""Solo transcripts: a server's own text of a clip sent alone, used as a reference.

On a correct server, batching may change numerals and some words, and the model may
recognise some voices badly. So other texts are compared with the server's own text of
the clip. The clip is sent alone several times. The text that is nearest to all texts of
these sessions is the *pseudo-reference*. The *own variation* (``noise``) is the largest
distance, in words, from the pseudo-reference to any of these texts.

A text that came under another condition counts as different only if its distance from
the pseudo-reference exceeds the own variation by more than 5 % of the words, and by
more than one word. A single text may be different by chance. So a check that sends a
clip several times under another condition is violated only if at least two thirds of
the texts are different.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import (
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment

MARGIN = 0.05  # share of the words that may differ beyond the own variation


@dataclass(frozen=True, slots=True)
class SoloTranscript:
    """The server's own text of a clip sent alone, and how much this text varies.

    ``repeats`` are the texts of all sessions in which the clip was sent alone.
    ``noise`` is the own variation. Both ``noise`` and ``words`` are numbers of words,
    or of characters in writing systems without spaces.
    """

    utterance: Utterance
    text: str
    repeats: tuple[str, ...]
    noise: int

    @property
    def words(self) -> int:
        """The number of words of the text."""
        return len(self.words_of(self.text))

    def distance(self, text: str) -> int:
        """Return how many words of a text differ from the solo transcript."""
        return _distance(self.text, text, self.utterance.language)

    def differs(self, text: str) -> bool:
        """Return whether a text differs significantly from the solo transcript.

        See `is_beyond_noise`.
        """
        return self.is_beyond_noise(self.distance(text))

    def is_beyond_noise(self, count: int) -> bool:
        """Return whether a text with ``count`` different words differs significantly.

        ``count`` must exceed the own variation by more than the margin. The margin is
        5 % of the words of the solo transcript, and at least one word.
        """
        return count - self.noise > max(1.0, MARGIN * self.words)

    def aligned(self, text: str) -> Alignment:
        """Return the alignment of a text with the solo transcript as its reference."""
        return words(self.text, text, language=self.utterance.language)

    def words_of(self, text: str) -> list[str]:
        """Return the words of a text, normalised like the solo transcript."""
        pairs = self.aligned(text).pairs
        return [pair.hypothesis for pair in pairs if pair.hypothesis is not None]

    def kept_words(self, text: str) -> list[bool]:
        """Return, for each word of the solo transcript, whether a text has it.

        A word that the text has in another form (a substitution) counts too.
        """
        pairs = self.aligned(text).pairs
        return [p.hypothesis is not None for p in pairs if p.reference is not None]


def solo_transcript(utterance: Utterance, texts: Sequence[str]) -> SoloTranscript:
    """Return the solo transcript of a clip that got these texts when it was sent alone.

    The solo transcript is the text whose distances to all texts have the least sum.
    There must be at least one text.
    """
    distances = {
        text: [_distance(text, other, utterance.language) for other in texts]
        for text in texts
    }
    text = min(texts, key=lambda text: sum(distances[text]))
    return SoloTranscript(utterance, text, tuple(texts), max(distances[text]))


def at_equal_noise(found: Mapping[str, SoloTranscript]) -> dict[str, SoloTranscript]:
    """Return the usable solo transcripts, all with the same own variation.

    The largest own variation in ``found`` is used for all. A solo transcript is too
    short to be usable if even a text with none of its words would count as equal.
    """
    most = max((each.noise for each in found.values()), default=0)
    noisy = {name: replace(each, noise=most) for name, each in found.items()}
    return {
        name: each for name, each in noisy.items() if each.is_beyond_noise(each.words)
    }


def not_random(wrong: int, repeats: int) -> bool:
    """Return whether more texts are wrong than chance explains.

    Of ``repeats`` texts, ``wrong`` are wrong. Chance does not explain this if at least
    two thirds of the texts, and at least two texts, are wrong.
    """
    return wrong >= 2 and 3 * wrong >= 2 * repeats


def _distance(text: str, other: str, language: str) -> int:
    errors = words(text, other, language=language).errors
    return errors.wrong + errors.unspoken
