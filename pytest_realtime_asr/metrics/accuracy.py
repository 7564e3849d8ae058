"""Accuracy: the errors of a text against its reference, and their position.

Error rates are pooled: the sum of all errors is divided by the sum of all reference
words, so that each word has the same weight. Words recognised in an utterance with an
empty reference are counted separately, since there is no number of reference words to
divide by. In a session without a text, every word of the reference counts as a
deletion.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr.corpus.language import Basis, language_of
from pytest_realtime_asr.metrics.alignment import (
    Alignment,
    Errors,
    Pair,
    TextUnit,
    align,
    split,
)
from pytest_realtime_asr.metrics.digits import regrouped
from pytest_realtime_asr.metrics.folding import without_notes
from pytest_realtime_asr.metrics.normalizers import (
    Normalizer,
    normalised,
    normalizer_for,
    unspaced,
)

EDGE = 3  # number of words that count as the start or the end of a reference
SYNTHETIC = "synthetic speech: a smoke test, not a measure of accuracy"


def words(
    reference: str,
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Alignment:
    """Align two texts by words; the error rate is the WER.

    In writing systems without spaces between words, characters are aligned, and the
    rate is the character error rate (CER). The writing system follows from
    ``language``, or from the letters of the reference if no language is given.
    ``hypothesis`` is ``None`` for a session without a final.

    Formula: (substitutions + deletions + insertions) / words of the reference
    Unit: ratio
    Needs: a reference
    Better: lower
    Source: jiwer's alignment (least edits); pooled as in sclite and the Open ASR
        Leaderboard, since a mean over utterances gives short utterances too much weight
    """
    unit = TextUnit.CHARACTER if unspaced(reference, language) else TextUnit.WORD
    return _align(reference, hypothesis, unit, normalizer, language)


def characters(
    reference: str,
    hypothesis: str | None,
    *,
    normalizer: Normalizer | None = None,
    language: str = "",
) -> Alignment:
    """Align two texts by characters without blanks; the error rate is the CER.

    Formula: (substitutions + deletions + insertions) / characters of the reference
    Unit: ratio
    Needs: a reference
    Better: lower
    Source: as for `words`; blanks are removed because their use is a matter of style in
        the writing systems for which the rate is meant
    """
    return _align(reference, hypothesis, TextUnit.CHARACTER, normalizer, language)


def pooled(errors: Iterable[Errors]) -> Errors:
    """Return the sum of error counts."""
    return sum(errors, Errors())


@dataclass(frozen=True, slots=True)
class Languages:
    """A summary of how the languages of several references were determined.

    The language of a reference chooses its normaliser. ``of`` is the number of
    references. ``unknown`` is the number of references of unknown language, and
    ``neutral`` has the ids of the normalisers that were used for them. ``by_script``
    has the tags of the languages that were not stated, but guessed from the letters of
    a reference.
    """

    of: int = 0
    unknown: int = 0
    neutral: tuple[str, ...] = ()
    by_script: tuple[str, ...] = ()


def languages(alignments: Iterable[Alignment]) -> Languages:
    """Return how the languages of the references were determined.

    References without words are left out, and also references for which the user has
    named a normaliser.
    """
    chosen = [
        (each.language, each.normalizer)
        for each in alignments
        if each.language is not None and each.errors.reference
    ]
    unknown = [name for each, name in chosen if each.basis is Basis.UNKNOWN]
    by_script = {each.tag for each, _ in chosen if each.basis is Basis.SCRIPT}
    return Languages(
        len(chosen), len(unknown), tuple(sorted(set(unknown))), tuple(sorted(by_script))
    )


def head_deletions(alignment: Alignment) -> int:
    """Count the deletions among the first three words of the reference.

    Formula: deletions among the first `EDGE` words (or characters) of the reference
    Unit: count
    Needs: a reference
    Better: lower
    Source: a lost first chunk costs the first words and changes the WER little
    """
    return _deleted(_spoken(alignment)[:EDGE])


def tail_deletions(alignment: Alignment) -> int:
    """Count the deletions among the last three words of the reference.

    Formula: deletions among the last `EDGE` words (or characters) of the reference
    Unit: count
    Needs: a reference
    Better: lower
    Source: a lost last chunk or an early endpoint costs the last words and changes the
        WER little
    """
    return _deleted(_spoken(alignment)[-EDGE:])


def unspoken_rate(takes: Iterable[tuple[Alignment, float]]) -> float | None:
    """Return the words per minute that were recognised in audio without words.

    Each take is an alignment and the length of its audio in seconds. Takes whose
    reference has a word are ignored. Returns ``None`` if no take is left. In writing
    systems without spaces between words, characters are counted.

    Formula: words recognised / minutes of audio, over utterances with an empty
        reference
    Unit: words per minute
    Needs: utterances with an empty reference, such as silence, noise or music
    Better: lower; 0 for silence
    Source: the hallucination rate on clips without speech, as in audiobench
    """
    heard, minutes = 0, 0.0
    for alignment, seconds in takes:
        errors = alignment.errors
        if not errors.reference:
            heard += errors.unspoken
            minutes += seconds / 60
    return heard / minutes if minutes else None


def _align(
    reference: str,
    hypothesis: str | None,
    unit: TextUnit,
    normalizer: Normalizer | None,
    language: str,
) -> Alignment:
    chosen = normalizer or normalizer_for(reference, language)
    spoken = without_notes(reference) if chosen.by_sound else reference
    used, texts, reason = normalised(chosen, (spoken, hypothesis or ""))
    said, heard = (split(text, unit) for text in texts)
    if used.by_sound and unit is TextUnit.WORD:
        heard = regrouped(said, heard)
    decided_by = language_of(reference, language) if normalizer is None else None
    return Alignment(unit, used.id, align(said, heard), reason, decided_by)


def _spoken(alignment: Alignment) -> list[Pair]:
    return [pair for pair in alignment.pairs if pair.reference is not None]


def _deleted(pairs: Iterable[Pair]) -> int:
    return sum(pair.hypothesis is None for pair in pairs)
