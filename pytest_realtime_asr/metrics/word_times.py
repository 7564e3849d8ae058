"""Metrics of word times: the errors of the times that a server states for words.

A word time is a position in the audio, so these metrics do not depend on when a text
arrives, nor on the pace. Only words that match the reference are counted, since a wrong
word has no known time in the audio, and only words for which the server states a time.
A server that states few times may therefore look exact, so `word_time_error` must be
read together with `word_time_coverage`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from pytest_realtime_asr.metrics.alignment import TextUnit, align
from pytest_realtime_asr.metrics.declaration import Better, Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions, Timed, rules, split
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.stats import quantile

_MS_PER_S = 1_000
_HALF = 0.5
_NEEDS = "word times in the reference and in the final, and a word that matches"


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs=_NEEDS,
    beside="word_time_coverage",
    in_audio=True,
    stated_times=True,
)
def word_time_error(item: Emissions) -> float | None:
    """Measure the median error of the times that the server states for the words.

    The error has no sign. `word_time_bias` shows whether the times are too early or too
    late as a whole.

    Formula: the shift of a word is the mean of |stated start - start| and
        |stated end - end|. The value is the median (nearest rank) of the shifts of the
        matched words. If the normal form of a word is several words, only the start of
        the first and the end of the last are compared
    Unit: ms
    Start: a boundary (the start or the end) of the word in the reference
    End: the same boundary of the word as the final states it
    Better: lower
    Source: the accumulated averaging shift (AAS) of Shi et al. (arXiv 2301.12343), as
        CAIMAN-ASR measures it, but with the median of the shifts instead of their mean.
        A word may be aligned with another word of the same spelling. Its shift may then
        be several seconds, which would determine the mean
    """
    shifts = [fmean(map(abs, each)) for each in _shifts(item)]
    return quantile(shifts, _HALF) * _MS_PER_S if shifts else None


@metric(
    group=Group.WORDS,
    unit=Unit.RATIO,
    needs="word times in the reference and in the final",
    better=Better.HIGHER,
    stated_times=True,
)
def word_time_coverage(item: Emissions) -> float | None:
    """Measure the share of the reference words for which the server states a time.

    A word counts only if it matches the reference. There is no value if no word of the
    final has a time.

    Formula: matched words with a stated start or end / words of the reference that have
        times
    Unit: ratio
    Better: higher
    Source: as for word_coverage; an error of times over few words says little
    """
    final, script = item.timeline.final, item.script
    if final is None or not final.words or script is None:
        return None
    known = sum(
        start is not None or end is not None
        for _, (start, end) in _words(script.words, *rules(script))
    )
    return sum(1 for _ in _shifts(item)) / known if known else None


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs=_NEEDS,
    beside="word_time_error",
    no_budget="it has a sign, so a server whose times are far too early would keep "
    "every limit",
    in_audio=True,
    stated_times=True,
)
def word_time_bias(item: Emissions) -> float | None:
    """Measure by how much the word times that the server states are too late.

    The value is negative if the times are too early. If the bias is as large as
    `word_time_error`, most times are shifted in the same direction.

    Formula: median (nearest rank), over the matched words, of the mean of
        (stated start - start) and (stated end - end)
    Unit: ms
    Start: a boundary (the start or the end) of the word in the reference
    End: the same boundary of the word as the final states it
    Better: lower
    Source: the medians of the signed differences, which CAIMAN-ASR subtracts as offsets
        before it measures the error
    """
    shifts = [fmean(each) for each in _shifts(item)]
    return quantile(shifts, _HALF) * _MS_PER_S if shifts else None


def _shifts(item: Emissions) -> Iterator[Sequence[float]]:
    """Yield, for each matched word, how late (s) its stated start and end are."""
    final, script = item.timeline.final, item.script
    if final is None or not final.words or script is None:
        return
    normalizer, unit = rules(script)
    said = _words(script.words, normalizer, unit)
    heard = _words(final.words, normalizer, unit)
    pairs = align([word for word, _ in said], [word for word, _ in heard])
    place = number = 0
    for pair in pairs:
        if pair.reference is not None and pair.reference == pair.hypothesis:
            times = zip(said[place][1], heard[number][1], strict=True)
            found = [b - a for a, b in times if a is not None and b is not None]
            if found:
                yield found
        place += pair.reference is not None
        number += pair.hypothesis is not None


_Times = tuple[float | None, float | None]


def _words(
    words: Sequence[Timed], normalizer: Normalizer, unit: TextUnit
) -> list[tuple[str, _Times]]:
    """Return the normalised words, each with its start and its end (s) if known.

    If the normal form of a word is several words, only the first of them has a start,
    and only the last has an end.
    """
    found: list[tuple[str, _Times]] = []
    for word in words:
        texts = split(word.text, normalizer, unit)
        last = len(texts) - 1
        for place, text in enumerate(texts):
            start = None if place else word.start
            found.append((text, (start, word.end if place == last else None)))
    return found
