"""How long after a word was spoken it was shown, and when it stayed.

Only words that match the reference are counted: a wrong word has no time of its own.
So a server that is slow with the words that it gets wrong looks fast, and each of these
is only to be read beside `word_coverage`. A position in the audio becomes an instant
through the time at which its frame was due, as for every latency.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from pytest_realtime_asr.metrics.emission import Emission, Emissions, Shown
from pytest_realtime_asr.stats import quantile

_NS_PER_MS = 1_000_000
_HALF = 0.5
MOST = 2_000  # words of a partial that are aligned anew
_WITHIN = 3  # words among which the first correct one is looked for


def first_correct_word(it: Emissions) -> float | None:
    """How long after its end the first word that was said was shown, and right.

    A text from before the speech cannot win it: it is over every limit.

    Formula: first hypothesis with the first word of the reference among its first
        three words - due(end of that word)
    Unit: ms
    Zero: the instant at which the audio of the end of the first word was due
    Needs: word times and a hypothesis with the first word
    Better: down
    Source: AssemblyAI's notes on how first-token latencies are gamed by tokens from
        before any speech
    """
    if not it.reference or it.ends[0] is None:
        return None
    zero = it.timeline.due(it.ends[0])
    wanted = it.reference[0]
    head: tuple[str, ...] = ()
    for each in it.shown:
        head = (head[: each.kept] + each.added[:_WITHIN])[:_WITHIN]
        if wanted in head:
            return None if zero is None else (each.at - zero) / _NS_PER_MS
    return None


def early_text(it: Emissions) -> float | None:
    """How many hypotheses with text came before the speech.

    Formula: number of hypotheses that are not blank from before due(start of speech)
    Unit: count
    Zero: none
    Needs: the start of speech (word times)
    Better: down
    Source: as first_correct_word; a server that hears nothing says nothing
    """
    zero = it.speech_start
    if zero is None:
        return None
    return float(sum(bool(each.count) and each.at < zero for each in it.shown))


def unspoken_rate(it: Emissions) -> float | None:
    """How many words a minute were heard where nothing was said.

    It is a number of utterances without words alone, and they have no part in the word
    error rate.

    Formula: words of the last hypothesis / minutes of audio
    Unit: per_minute
    Zero: none
    Needs: an utterance with an empty reference (silence, noise, music) and audio
    Better: down
    Source: the hallucination rate on clips without speech, as audiobench has it
    """
    if it.script is None or it.reference or not it.timeline.heard:
        return None
    minutes = it.timeline.heard[-1].samples / it.timeline.rate / 60
    return len(it.words) / minutes if minutes else None


def word_first_emission(it: Emissions) -> float | None:
    """How long after its end a word was first shown, by the median of the words.

    Formula: median (nearest rank) over matched words of first shown - due(its end)
    Unit: ms
    Zero: the instant at which the audio of the end of the word was due
    Needs: word times and a word that matches
    Better: down
    Source: Picovoice's word emission latency, with the median and not the mean of the
        survivors, and beside its coverage
    """
    return _median(it, lambda word: word.first)


def word_settled(it: Emissions) -> float | None:
    """How long after its end a word stayed as it was, by the median of the words.

    Formula: median (nearest rank) over matched words of settled - due(its end)
    Unit: ms
    Zero: the instant at which the audio of the end of the word was due
    Needs: word times and a word that matches
    Better: down
    Source: the final decision of Baumann et al. (NAACL-HLT 2009), beside their first
        occurrence
    """
    return _median(it, lambda word: word.settled)


def word_coverage(it: Emissions) -> float | None:
    """The share of the words that were said which a word-level latency speaks of.

    Formula: matched words / words of the reference
    Unit: ratio
    Zero: none
    Needs: a reference and a hypothesis
    Better: up
    Source: CAIMAN-ASR's token usage rate; a latency of few words says little
    """
    if not it.reference or not it.shown:
        return None
    return sum(word.said is not None for word in it.words) / len(it.reference)


def lag_laal(it: Emissions) -> float | None:
    """How far the words lag behind an even speaker, the ones after the end included.

    It needs no word times: the words of the reference are laid out evenly over the
    speech, or over the audio where it is not known where the speech is.

    Formula: 1/T sum over i = 1..T of d(i) - (i - 1) X / max(Y, H), where d(i) is when
        the i-th word was first shown, X the length of the speech, Y and H the words of
        the reference and of the hypothesis, and T the first i with d(i) >= X, or H
    Unit: ms
    Zero: the instant at which the start of the speech (or of the audio) was due
    Needs: a reference, audio and a word
    Better: down
    Source: LAAL of SimulEval (Papi et al. 2022), whose longer side takes away what
        too many words would win
    """
    spread = _spread(it)
    if spread is None:
        return None
    delays, length, step = spread
    lags = []
    for number, delay in enumerate(delays):
        lags.append(delay - number * step)
        if delay >= length:
            break
    return sum(lags) / len(lags)


def lag_yaal(it: Emissions) -> float | None:
    """How far the words lag behind an even speaker, while he speaks.

    Words from after the end of the speech, which a commit may bring all at once, have
    no part in it; where there are no others, there is no number.

    Formula: as lag_laal, over the words with d(i) < X alone
    Unit: ms
    Zero: the instant at which the start of the speech (or of the audio) was due
    Needs: a reference, audio and a word from before the end of the speech
    Better: down
    Source: YAAL (arXiv 2509.17349), as OmniSTEval computes it for short speech
    """
    spread = _spread(it)
    if spread is None:
        return None
    delays, length, step = spread
    lags = [
        delay - number * step for number, delay in enumerate(delays) if delay < length
    ]
    return sum(lags) / len(lags) if lags else None


def partial_wer(it: Emissions) -> float | None:
    """How wrong the text was while it grew: each partial against what was said by then.

    A word counts as said once the audio of its end was due, so that a server which
    shows words late has them deleted, and one that shows them early inserted.

    Formula: sum over partials of edits / sum over partials of words that were said
    Unit: ratio
    Zero: none
    Needs: word times and a partial from after the first word
    Better: down
    Source: partial word error rate (Bruguier et al. 2023): the quality of partials can
        move without that of the finals
    """
    dues = (it.timeline.due(end) for end in it.ends if end is not None)
    said = sorted(due for due in dues if due is not None)
    growing = _Growing(it.reference)
    wrong = words = 0
    for each in it.shown:
        growing.change(each)
        count = 0 if each.final else bisect_right(said, each.at)
        if count:
            wrong += growing.wrong(count)
            words += count
    return wrong / words if words else None


class _Growing:
    """The edits between a text that grows and what was said of a reference by then.

    What is aligned anew for each partial is its end alone: a text of more than `MOST`
    words is cut at words that both sides have, and before the cut the alignment stays.
    """

    def __init__(self, reference: Sequence[str]) -> None:
        self._codes: dict[str, str] = {}  # a sign for each word, as jiwer does it
        self._reference = "".join(map(self._code, reference))
        self._words: list[str] = []
        self._near = 0
        self._cuts = [(0, 0, 0)]  # words of the reference, of the text, and edits

    def change(self, shown: Shown) -> None:
        """Change the text."""
        self._words[shown.kept :] = map(self._code, shown.added)
        while self._cuts[-1][1] > shown.kept:
            self._cuts.pop()

    def wrong(self, count: int) -> int:
        """The edits against the first ``count`` words of the reference."""
        while self._cuts[-1][0] > count:
            self._cuts.pop()
        while True:
            said, heard, edits = self._cuts[-1]
            left = self._reference[said:count]
            right = "".join(self._words[heard:])
            if len(right) <= MOST:
                hint = self._near + 8  # near the last one, which makes it fast
                self._near = Levenshtein.distance(left, right, score_hint=hint)
                return edits + self._near
            one, other = _cut(left[:MOST], right[:MOST])
            edits += Levenshtein.distance(left[:one], right[:other])
            self._cuts.append((said + one, heard + other, edits))

    def _code(self, word: str) -> str:
        return self._codes.setdefault(word, chr(min(len(self._codes), sys.maxunicode)))


def _cut(left: str, right: str) -> tuple[int, int]:
    """Where to cut two texts: behind a word of both, before the middle of ``right``.

    Without such a word, it is the middle itself.
    """
    half = len(right) // 2
    found = (min(half, len(left)), half)
    for op in Levenshtein.opcodes(left, right):
        if op.tag == "equal" and op.dest_start < half:
            size = min(op.dest_end, half) - op.dest_start
            if op.dest_start + size >= half // 2:
                found = (op.src_start + size, op.dest_start + size)
    return found


def partial_interval(it: Emissions) -> float | None:
    """How long it takes from one new text to the next, by the median.

    Formula: median (nearest rank) of the gaps between hypotheses of which the later
        one shows other words than the earlier one
    Unit: ms
    Zero: the hypothesis before
    Needs: two hypotheses with different words
    Better: down
    Source: the cadence of a server: a first text can be no faster than its tick
    """
    marks = [each.at for each in it.shown if each.changed]
    gaps = [later - earlier for earlier, later in pairwise(marks)]
    return quantile(gaps, _HALF) / _NS_PER_MS if gaps else None


def text_complete_from_speech_end(it: Emissions) -> float | None:
    """How long after the end of speech the text was all there, final or not.

    It may be negative, since the last word may be known before it ends. A text from
    before the speech, and one that a premature final completed, is over every limit.

    Formula: first hypothesis from which on the words are those of the last one -
        due(end of speech)
    Unit: ms
    Zero: the instant at which the audio of the end of speech was due
    Needs: the end of speech (word times) and a final
    Better: down
    Source: AssemblyAI's time to complete transcript; beside final_from_speech_end it
        tells a slow recogniser from a slow decision that it is done
    """
    zero = it.speech_end
    if zero is None or it.timeline.final is None or not it.words:
        return None
    return (max(word.settled for word in it.words) - zero) / _NS_PER_MS


def drain(it: Emissions) -> float | None:
    """How long after the last audio the last text came.

    It may be negative where silence was sent last. A premature final, as for
    `final_from_commit`, is over every limit.

    Formula: last hypothesis - due time of the last audio frame
    Unit: ms
    Zero: the instant at which the last audio frame was due
    Needs: audio and a hypothesis
    Better: down
    Source: what a client must wait before it may close without losing words
    """
    heard = it.timeline.heard
    if not heard or not it.shown:
        return None
    return (it.shown[-1].at - heard[-1].due) / _NS_PER_MS


def _median(it: Emissions, when: Callable[[Emission], int]) -> float | None:
    lags = []
    for word in it.words:
        end = None if word.said is None else it.ends[word.said]
        zero = None if end is None else it.timeline.due(end)
        if zero is not None:
            lags.append(when(word) - zero)
    return quantile(lags, _HALF) / _NS_PER_MS if lags else None


def _spread(it: Emissions) -> tuple[Sequence[float], float, float] | None:
    """The delays of the words, the length of the speech and the step of an even
    speaker, all in ms from the start of the speech."""
    heard = it.timeline.heard
    if not heard or not it.words or not it.reference:
        return None
    zero, length = heard[0].due, heard[-1].samples / it.timeline.rate * 1000
    start, end = it.speech_start, it.speech_end
    if start is not None and end is not None:
        zero, length = start, (end - start) / _NS_PER_MS
    if length <= 0:
        return None
    delays = [(word.first - zero) / _NS_PER_MS for word in it.words]
    return delays, length, length / max(len(it.reference), len(it.words))
