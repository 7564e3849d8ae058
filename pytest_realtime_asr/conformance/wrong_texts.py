"""Searches for the cause if most words of a corpus are wrong.

Some causes are visible in the texts. But a server that misreads the sample rate of the
audio, or the order of its bytes, returns texts that tell nothing about the cause. So
some clips are sent again in the form that such a server would understand. If at least
half of the errors are then gone, the server misreads the audio in this way.
"""

from __future__ import annotations

import enum
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.accuracy import characters, pooled, words
from pytest_realtime_asr.metrics.alignment import Alignment, kind

FAILS = 0.5  # WER over which the spoken corpus fails, unless a budget says otherwise
WARNS = 0.3  # WER over which it warns
EXAMPLES = 3  # clips that are shown, and that are sent again

_GONE = 0.5  # the share of the errors that may be left if the cause is found
_JOINED = 0.5  # the highest CER of texts whose words are only joined


class Misreading(enum.Enum):
    """How a server may misread audio; each value completes "the server ..."."""

    FASTER = "treats the audio as if its rate were 24/16 of the true rate"
    SLOWER = "treats the audio as if its rate were 16/24 of the true rate"
    SWAPPED = "swaps the two bytes of each sample"


Texts = Sequence[tuple[Utterance, str]]
"""Utterances with their texts."""


def as_misread(utterance: Utterance, how: Misreading, rate: int) -> Utterance:
    """Return the utterance with its audio changed to undo a misreading.

    ``how`` is the misreading; a server that misreads audio in this way hears the right
    speech. ``rate`` is the sample rate in Hz of the audio that is sent.
    """
    match how:
        case Misreading.FASTER:
            pcm = utterance.audio.resample(rate * 24 // 16).pcm
        case Misreading.SLOWER:
            pcm = utterance.audio.resample(rate * 16 // 24).pcm
        case Misreading.SWAPPED:
            pcm = utterance.audio.resample(rate).array.byteswap().tobytes()
    return replace(utterance, source=Audio(pcm, rate), words=())


def error_rate(texts: Texts) -> float | None:
    """Return the WER of all texts together; ``None`` if no reference has a word."""
    return pooled(_aligned(*each).errors for each in texts).rate


def causes(
    texts: Texts, rate: int, send: Callable[[Iterable[Utterance]], Texts]
) -> list[str]:
    """Return the causes that were found, each as a sentence.

    ``send`` sends utterances and returns their texts; ``rate`` is the rate in Hz at
    which it sends them.
    """
    found = shown(texts)
    tried = texts[:EXAMPLES]
    before = error_rate(tried) or 0.0
    for how in Misreading:
        again = send([as_misread(utterance, how, rate) for utterance, _ in tried])
        after = error_rate(again)
        if after is not None and after <= _GONE * before:
            found.append(
                f"the server {how.value}: with audio changed to undo this, "
                f"{len(again)} clips have a WER of {after:.0%} instead of {before:.0%}"
            )
    return found


def shown(texts: Texts) -> list[str]:
    """Return the causes that the texts themselves show, each as a sentence."""
    found = []
    apart = pooled(
        characters(u.text, text, language=u.language).errors for u, text in texts
    )
    if apart.rate is not None and apart.rate < _JOINED * (error_rate(texts) or 0.0):
        found.append(
            f"words are joined or divided: without blanks, only {apart.rate:.0%} of "
            "the characters are wrong"
        )
    control = {
        f"U+{ord(character):04X}"
        for _, text in texts
        for character in text
        if unicodedata.category(character) == "Cc" and not character.isspace()
    }
    if control:
        found.append(f"texts have control characters: {', '.join(sorted(control))}")
    spoken = _script(utterance.text for utterance, _ in texts)
    heard = _script(text for _, text in texts)
    if spoken and heard and spoken != heard:
        found.append(
            f"the texts are in another language: they are written in {heard} letters, "
            f"the reference transcripts in {spoken} letters"
        )
    return found


def examples(texts: Texts) -> str:
    """Return some texts, aligned word by word with their reference transcripts."""
    return "\n".join(_shown(_aligned(*each)) for each in texts[:EXAMPLES])


def _aligned(utterance: Utterance, text: str) -> Alignment:
    return words(utterance.text, text, language=utterance.language)


def _script(texts: Iterable[str]) -> str | None:
    """Return the writing system of most letters, such as ``LATIN``.

    Returns ``None`` if the texts have no letters.
    """
    found = Counter(
        unicodedata.name(letter, "unknown").partition(" ")[0]
        for text in texts
        for letter in text
        if letter.isalpha()
    )
    return found.most_common(1)[0][0] if found else None


def _shown(alignment: Alignment) -> str:
    rows: tuple[list[str], ...] = ([], [], [])
    for pair in alignment.pairs:
        cells = (pair.reference or "*", pair.hypothesis or "*", kind(pair))
        width = max(map(len, cells))
        for row, cell in zip(rows, cells, strict=True):
            row.append(cell.ljust(width))
    names = ("ref: ", "hyp: ", "     ")
    return "\n".join(
        (name + " ".join(row)).rstrip() for name, row in zip(names, rows, strict=True)
    )
