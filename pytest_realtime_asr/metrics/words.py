"""Metrics of words: the time from the end of a word until it is shown and settled.

Only words that match the reference are counted, since a wrong word has no known time in
the audio. A server that recognises the difficult words wrongly may therefore look fast,
so each latency of words must be read together with `word_coverage`. The instant of a
position in the audio is the time at which its frame was due, as for every latency.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from pytest_realtime_asr.metrics import causality
from pytest_realtime_asr.metrics.declaration import (
    Better,
    Group,
    Instant,
    Unit,
    metric,
)
from pytest_realtime_asr.metrics.emission import Emission, Emissions
from pytest_realtime_asr.metrics.growing_text import GrowingText
from pytest_realtime_asr.stats import quantile

_NS_PER_MS = 1_000_000
_HALF = 0.5
_WITHIN = 3  # first words of a hypothesis among which the first word is searched


@metric(
    group=Group.START,
    unit=Unit.MS,
    needs="word times and a hypothesis with the first word of the reference",
    causality=causality.text_of_first_word,
)
def first_correct_word(item: Emissions) -> float | None:
    """Measure the time from the end of the first word to its correct recognition.

    A text that came before the start of speech counts as over every limit.

    Formula: first hypothesis whose first three words include the first word of the
        reference - due(end of that word)
    Unit: ms
    Start: the instant at which the audio at the end of the first word was due
    End: the arrival of that hypothesis
    Better: lower
    Source: AssemblyAI's notes on servers that improve their first-token latency by
        sending tokens before any speech
    """
    if not item.reference or item.ends[0] is None:
        return None
    end = item.timeline.due(item.ends[0])
    wanted = item.reference[0]
    head: tuple[str, ...] = ()
    for each in item.shown:
        head = (head[: each.kept] + each.added[:_WITHIN])[:_WITHIN]
        if wanted in head:
            return None if end is None else (each.at - end) / _NS_PER_MS
    return None


@metric(
    group=Group.START,
    unit=Unit.COUNT,
    needs="the start of speech, known from word times",
)
def early_text(item: Emissions) -> float | None:
    """Count the hypotheses with text that came before the speech.

    Formula: number of hypotheses that are not blank and came before
        due(start of speech)
    Unit: count
    Better: lower
    Source: AssemblyAI's notes, as for first_correct_word; a server that has received no
        speech cannot know any text
    """
    start = item.speech_start
    if start is None:
        return None
    return float(sum(bool(each.count) and each.at < start for each in item.shown))


@metric(
    group=Group.WORDS,
    unit=Unit.PER_MINUTE,
    needs="audio with an empty reference, such as silence, noise or music",
)
def unspoken_rate(item: Emissions) -> float | None:
    """Measure how many words per minute were recognised in audio without words.

    Only utterances with an empty reference have a value. The word error rate does not
    include such utterances.

    Formula: words of the last hypothesis / minutes of audio
    Unit: per_minute
    Better: lower
    Source: the hallucination rate on clips without speech, as in audiobench
    """
    heard = item.timeline.heard
    if item.script is None or item.reference or not heard:
        return None
    minutes = heard[-1].samples / item.timeline.rate / 60
    return len(item.words) / minutes if minutes else None


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="word times and a word that matches",
    beside="word_coverage",
)
def word_first_emission(item: Emissions) -> float | None:
    """Measure the median time from the end of a word until it was first shown.

    Formula: median (nearest rank) of (first shown - due(end of word)) over the matched
        words
    Unit: ms
    Start: the instant at which the audio at the end of the word was due
    End: the arrival of the first hypothesis that has the word at the same index as in
        the last hypothesis
    Better: lower
    Source: Picovoice's word emission latency, with the median of the matched words
        instead of the mean; word_coverage is the share of words that matched
    """
    return _median(item, lambda word: word.first)


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="word times and a word that matches",
    beside="word_coverage",
)
def word_settled(item: Emissions) -> float | None:
    """Measure the median time from the end of a word until it no longer changed.

    Formula: median (nearest rank) of (settled - due(end of word)) over the matched
        words
    Unit: ms
    Start: the instant at which the audio at the end of the word was due
    End: the arrival of the hypothesis after which the word and all words before it
        stayed the same
    Better: lower
    Source: the "final decision" of Baumann et al. (NAACL-HLT 2009); their "first
        occurrence" is word_first_emission
    """
    return _median(item, lambda word: word.settled)


@metric(
    group=Group.WORDS,
    unit=Unit.RATIO,
    needs="a reference and a hypothesis",
    better=Better.HIGHER,
)
def word_coverage(item: Emissions) -> float | None:
    """Measure the share of the reference words that match a word of the text.

    Formula: matched words / words of the reference
    Unit: ratio
    Better: higher
    Source: CAIMAN-ASR's token usage rate; a latency over few words says little
    """
    if not item.reference or not item.shown:
        return None
    return sum(word.said is not None for word in item.words) / len(item.reference)


@metric(group=Group.WORDS, unit=Unit.MS, needs="a reference, audio and a word")
def lag_laal(item: Emissions) -> float | None:
    """Measure the mean lag of the words behind an evenly paced speaker (LAAL).

    This metric needs no word times: the words of the reference are spread evenly over
    the speech, or over the audio if the position of the speech is not known.

    Formula: X is the length of the speech. Y is the number of words of the reference. H
        is the number of words of the last hypothesis. d(i) is the time from the start
        of the speech until the i-th word was first shown. T is the first i with
        d(i) >= X, or H if there is none. LAAL is (1 / T) * sum of
        (d(i) - (i - 1) * X / max(Y, H)) for i from 1 to T
    Unit: ms
    Start: the instant at which the start of the speech (or of the audio) was due
    End: for each word, the arrival of the first hypothesis that has the word
    Better: lower
    Source: LAAL of SimulEval (Papi et al. 2022); the larger of Y and H is the divisor,
        so that a server gains nothing from too many words
    """
    spread = _spread(item)
    if spread is None:
        return None
    delays, length, step = spread
    lags = []
    for number, delay in enumerate(delays):
        lags.append(delay - number * step)
        if delay >= length:
            break
    return sum(lags) / len(lags)


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="a reference, audio and a word shown before the end of the speech",
)
def lag_yaal(item: Emissions) -> float | None:
    """Measure the mean lag of the words shown before the end of the speech (YAAL).

    Words that are first shown after the end of the speech are not counted, since a
    server may send all of them at once after the commit.

    Formula: X is the length of the speech. Y is the number of words of the reference. H
        is the number of words of the last hypothesis. d(i) is the time from the start
        of the speech until the i-th word was first shown. YAAL is the mean of
        d(i) - (i - 1) * X / max(Y, H) over the words with d(i) < X
    Unit: ms
    Start: the instant at which the start of the speech (or of the audio) was due
    End: for each word, the arrival of the first hypothesis that has the word
    Better: lower
    Source: YAAL (arXiv 2509.17349), as OmniSTEval computes it for short speech
    """
    spread = _spread(item)
    if spread is None:
        return None
    delays, length, step = spread
    lags = [
        delay - number * step for number, delay in enumerate(delays) if delay < length
    ]
    return sum(lags) / len(lags) if lags else None


@metric(
    group=Group.WORDS,
    unit=Unit.RATIO,
    needs="word times and a partial after the end of the first word",
)
def partial_wer(item: Emissions) -> float | None:
    """Measure the word error rate of the partials against the words said so far.

    A word counts as said as soon as the audio at its end was due. So a word that the
    server shows late counts as a deletion. A word that it shows early counts as an
    insertion.

    Formula: (edits in all partials) / (words that had been said at each partial, summed
        over all partials)
    Unit: ratio
    Better: lower
    Source: partial word error rate (Bruguier et al. 2023): the quality of partials can
        change while the finals stay the same
    """
    dues = (item.timeline.due(end) for end in item.ends if end is not None)
    said = sorted(due for due in dues if due is not None)
    growing = GrowingText(item.reference)
    wrong = words = 0
    for each in item.shown:
        growing.change(each)
        count = 0 if each.final else bisect_right(said, each.at)
        if count:
            wrong += growing.wrong(count)
            words += count
    return wrong / words if words else None


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="two hypotheses with different words",
    no_budget="it is the update interval of the server, not a delay",
)
def partial_interval(item: Emissions) -> float | None:
    """Measure the median time between two updates of the text.

    Formula: median (nearest rank) of the gaps between successive hypotheses with new
        words
    Unit: ms
    Start: the arrival of a hypothesis with new words
    End: the arrival of the next hypothesis with new words
    Better: lower
    Source: the first text cannot come faster than the update interval of the server
    """
    marks = [each.at for each in item.shown if each.changed]
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    return quantile(gaps, _HALF) / _NS_PER_MS if gaps else None


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs="the end of speech, known from word times, and a final",
    causality=causality.whole_text,
    start=Instant.SPEECH_END,
)
def text_complete_from_speech_end(item: Emissions) -> float | None:
    """Measure the time from the end of speech until the text was complete.

    The text may be complete in a partial. The value may be negative, since the last
    word may be recognised before its end. The value counts as over every limit if the
    text was complete before the start of speech, or if the final is premature.

    Formula: first hypothesis after which no word changes - due(end of speech)
    Unit: ms
    Start: the instant at which the audio at the end of speech was due
    End: the arrival of that hypothesis
    Better: lower
    Source: AssemblyAI's time to complete transcript; if this time is short and
        final_from_speech_end is long, the recogniser is fast, but the server decides
        late that the speech is over
    """
    end = item.speech_end
    if end is None or item.timeline.final is None or not item.words:
        return None
    return (max(word.settled for word in item.words) - end) / _NS_PER_MS


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs="audio and a hypothesis",
    causality=causality.final,
)
def drain(item: Emissions) -> float | None:
    """Measure the time from the last audio frame to the last text.

    The value may be negative if the audio ends with silence. A premature final (see
    `final_from_commit`) counts as over every limit.

    Formula: last hypothesis - due time of the last audio frame
    Unit: ms
    Start: the instant at which the last audio frame was due
    End: the arrival of the last hypothesis
    Better: lower
    Source: the time that a client must wait before it can close without losing words
    """
    heard = item.timeline.heard
    if not heard or not item.shown:
        return None
    return (item.shown[-1].at - heard[-1].due) / _NS_PER_MS


def _median(item: Emissions, when: Callable[[Emission], int]) -> float | None:
    lags = []
    for word in item.words:
        end = None if word.said is None else item.ends[word.said]
        start = None if end is None else item.timeline.due(end)
        if start is not None:
            lags.append(when(word) - start)
    return quantile(lags, _HALF) / _NS_PER_MS if lags else None


def _spread(item: Emissions) -> tuple[Sequence[float], float, float] | None:
    """Return the delays of the words, the length of the speech, and a step, in ms.

    Delays count from the start of the speech. The step is the time between two words of
    an evenly paced speaker. Returns ``None`` without audio, a word or a reference.
    """
    heard = item.timeline.heard
    if not heard or not item.words or not item.reference:
        return None
    zero, length = heard[0].due, heard[-1].samples / item.timeline.rate * 1000
    start, end = item.speech_start, item.speech_end
    if start is not None and end is not None:
        zero, length = start, (end - start) / _NS_PER_MS
    if length <= 0:
        return None
    delays = [(word.first - zero) / _NS_PER_MS for word in item.words]
    return delays, length, length / max(len(item.reference), len(item.words))
