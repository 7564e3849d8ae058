"""Metrics of words: how long after a word was spoken it was shown, and became stable.

Only words that match the reference are counted: a wrong word has no time of its own. So
a server that is slow with the words it gets wrong looks fast, and each latency here
must be read beside `word_coverage`. A position in the audio becomes an instant through
the time at which its frame was due, as for every latency.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from pytest_realtime_asr.metrics import causality
from pytest_realtime_asr.metrics.declaration import Better, Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emission, Emissions
from pytest_realtime_asr.metrics.growing_text import GrowingText
from pytest_realtime_asr.stats import quantile

_NS_PER_MS = 1_000_000
_HALF = 0.5
_WITHIN = 3  # words among which the first correct one is searched


@metric(
    group=Group.START,
    unit=Unit.MS,
    needs="word times and a hypothesis with the first word",
    causality=causality.text_of_first_word,
)
def first_correct_word(item: Emissions) -> float | None:
    """Measure the time from the end of the first word to its correct recognition.

    A text from before the speech is not a measurement and counts as over every limit.

    Formula: first hypothesis with the first word of the reference among its first
        three words - due(end of that word)
    Unit: ms
    Start: the instant at which the audio of the end of the first word was due
    End: the arrival of that hypothesis
    Better: lower
    Source: AssemblyAI's notes on how first-token latencies are gamed by tokens from
        before any speech
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


@metric(group=Group.START, unit=Unit.COUNT, needs="the start of speech (word times)")
def early_text(item: Emissions) -> float | None:
    """Count the hypotheses with text that came before the speech.

    Formula: number of hypotheses that are not blank from before due(start of speech)
    Unit: count
    Better: lower
    Source: as first_correct_word; a server that has received no speech has no text
    """
    start = item.speech_start
    if start is None:
        return None
    return float(sum(bool(each.count) and each.at < start for each in item.shown))


@metric(
    group=Group.WORDS,
    unit=Unit.PER_MINUTE,
    needs="an utterance with an empty reference (silence, noise, music) and audio",
)
def unspoken_rate(item: Emissions) -> float | None:
    """Measure how many words per minute were recognised where nothing was said.

    Only utterances without words have a value; they take no part in the word error
    rate.

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
    """Measure the time from the end of a word to its first showing, by the median.

    Formula: median (nearest rank) over matched words of first shown - due(its end)
    Unit: ms
    Start: the instant at which the audio of the end of the word was due
    End: the arrival of the first hypothesis with the word in its place
    Better: lower
    Source: Picovoice's word emission latency, with the median instead of the mean of
        the matched words, and beside its coverage
    """
    return _median(item, lambda word: word.first)


@metric(
    group=Group.WORDS,
    unit=Unit.MS,
    needs="word times and a word that matches",
    beside="word_coverage",
)
def word_settled(item: Emissions) -> float | None:
    """Measure the time from the end of a word until it changed no more, by the median.

    Formula: median (nearest rank) over matched words of settled - due(its end)
    Unit: ms
    Start: the instant at which the audio of the end of the word was due
    End: the first hypothesis from which on the word and all before it stay the same
    Better: lower
    Source: the final decision of Baumann et al. (NAACL-HLT 2009), beside their first
        occurrence
    """
    return _median(item, lambda word: word.settled)


@metric(
    group=Group.WORDS,
    unit=Unit.RATIO,
    needs="a reference and a hypothesis",
    better=Better.HIGHER,
)
def word_coverage(item: Emissions) -> float | None:
    """Measure the share of the reference words that the word latencies are based on.

    Formula: matched words / words of the reference
    Unit: ratio
    Better: higher
    Source: CAIMAN-ASR's token usage rate; a latency of few words says little
    """
    if not item.reference or not item.shown:
        return None
    return sum(word.said is not None for word in item.words) / len(item.reference)


@metric(group=Group.WORDS, unit=Unit.MS, needs="a reference, audio and a word")
def lag_laal(item: Emissions) -> float | None:
    """Measure the mean lag of the words behind an evenly paced speaker (LAAL).

    It needs no word times: the words of the reference are spread evenly over the
    speech, or over the audio where the position of the speech is not known.

    Formula: 1/T sum over i = 1..T of d(i) - (i - 1) X / max(Y, H), where d(i) is when
        the i-th word was first shown, X the length of the speech, Y and H the words of
        the reference and of the hypothesis, and T the first i with d(i) >= X, or H
    Unit: ms
    Start: the instant at which the start of the speech (or of the audio) was due
    End: the arrival of the first hypothesis with the word, for each word
    Better: lower
    Source: LAAL of SimulEval (Papi et al. 2022); dividing by the larger of Y and H
        removes the advantage of emitting too many words
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
    needs="a reference, audio and a word from before the end of the speech",
)
def lag_yaal(item: Emissions) -> float | None:
    """Measure the mean lag of the words that appear while the speech goes on (YAAL).

    Words that appear after the end of the speech, which a commit may bring all at once,
    take no part in it.

    Formula: as lag_laal, over the words with d(i) < X only
    Unit: ms
    Start: the instant at which the start of the speech (or of the audio) was due
    End: the arrival of the first hypothesis with the word, for each word
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
    needs="word times and a partial from after the first word",
)
def partial_wer(item: Emissions) -> float | None:
    """Measure the word error rate of the partials against what was said by then.

    A word counts as said once the audio of its end was due. So a server that shows
    words late has deletions, and one that shows them early has insertions.

    Formula: sum over partials of edits / sum over partials of words that were said
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
    """Measure the time between two updates of the text, by the median.

    Formula: median (nearest rank) of the gaps between hypotheses of which the later
        one shows other words than the earlier one
    Unit: ms
    Start: the arrival of a hypothesis with new words
    End: the arrival of the next hypothesis with new words
    Better: lower
    Source: a first text can be no faster than the update interval of the server
    """
    marks = [each.at for each in item.shown if each.changed]
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    return quantile(gaps, _HALF) / _NS_PER_MS if gaps else None


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs="the end of speech (word times) and a final",
    causality=causality.whole_text,
)
def text_complete_from_speech_end(item: Emissions) -> float | None:
    """Measure the time from the end of speech until the text was complete.

    The text may be complete in a partial. The value may be negative, since the last
    word may be recognised before it ends. A text from before the speech, and one that a
    premature final completed, counts as over every limit.

    Formula: first hypothesis from which on the words are those of the last one -
        due(end of speech)
    Unit: ms
    Start: the instant at which the audio of the end of speech was due
    End: the arrival of that hypothesis
    Better: lower
    Source: AssemblyAI's time to complete transcript; beside final_from_speech_end it
        separates a slow recogniser from a slow decision that the speech is over
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

    The value may be negative where silence was sent last. A premature final (as for
    `final_from_commit`) counts as over every limit.

    Formula: last hypothesis - due time of the last audio frame
    Unit: ms
    Start: the instant at which the last audio frame was due
    End: the arrival of the last hypothesis
    Better: lower
    Source: how long a client must wait before it may close without losing words
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
    """Return the delays of the words, the length of the speech and the even step.

    All are in ms; delays count from the start of the speech, and the step is the time
    between two words of an evenly paced speaker.
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
