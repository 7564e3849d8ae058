"""The scripted recogniser, which recognises the clips of a corpus by their audio.

A listener takes a window of the stream (a *look*) every 20 ms from the start of the
stream. So the recognised words do not depend on the length of the chunks. The search of
`fingerprint` proposes *alignments*; each is a known clip and its position in the
stream. The listener compares all proposed alignments with every further look. An
alignment is dropped if its clip is unlike the stream for 100 ms, or if it fits the
stream clearly less than the best alignment does.

A word is returned when the audio has passed the end of the word and all remaining
alignments agree on the word. So if several sentences begin with the same words, these
words are returned at once. The next words are returned when only one sentence remains.
If the last alignment is dropped, the clip was cut or other sound began. Then the words
whose middle was heard are returned, and the search starts again. Sound that belongs to
no known clip gives one made-up word for each *burst*, a stretch of sound between two
silences.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.recognisers.fingerprint import (
    ENOUGH,
    HOP,
    LOOKS,
    RATE,
    SILENT,
    STEP,
    STRIDE,
    WINDOW,
    Floats,
    Index,
    Looks,
    Rows,
    Search,
    look,
)
from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord, TimedWord

_SPAN = 5  # looks whose mean likeness is judged
_FEWEST = 3  # looks of a span that must have a likeness
_UNLIKE = 0.85  # an alignment with a lower recent likeness is dropped
_LESS_LIKE = 0.1  # an alignment this far below the best is dropped
_LIKE = 0.92  # the lowest mean likeness of a new alignment
_LIKE_SHORT = 0.95  # as _LIKE, for a short word or the end of a clip
# Looks at the end of a clip that are enough if nothing follows. As many looks of the
# burst may come before them, because a clip that was cut may start softly.
_PART = 8
_TOGETHER = 3  # looks by which the starts of alignments may differ
_SAME_END = RATE // 50  # samples by which the ends of a word may differ
_PASSED = RATE // 100  # samples after a word's end; an alignment is exact to 5 ms
_TAIL = 6  # rows after the last loud row at which a clip is over
_FORGET = 15  # silent looks after which the search forgets its sums
_PADDING = 16 * HOP  # samples of silence after the end, so that all words settle

_BLOCK = 50  # windows whose spectra are computed at once
_AUDIBLE = 32768 * 10 ** (-48 / 20)  # the lowest RMS of audible unknown sound
_BURST_GAP = 10  # silent looks that end a burst
_BURST_LEAST = 2  # looks of a burst that gives a word
_BURST_MOST = 5 * RATE // HOP  # looks after which a burst ends in any case
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class _Clip:
    """A known clip: its rows in the `Index`, its words and its length in samples."""

    rows: Rows
    words: tuple[TimedWord, ...]
    samples: int


class Known:
    """The known clips, without silent clips, and the index in which they are found."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        arrays = [utterance.audio.resample(RATE).array for utterance in utterances]
        self.index = Index(arrays)
        self._clips = tuple(
            _Clip(rows, _script(utterance, rows), len(array))
            for utterance, array, rows in zip(
                utterances, arrays, self.index.rows, strict=True
            )
            if rows is not None
        )
        self._starts = np.array([clip.rows.start for clip in self._clips], np.intp)

    def clip(self, row: int) -> _Clip:
        """Return the clip to which a row of the index belongs."""
        return self._clips[int(np.searchsorted(self._starts, row, side="right")) - 1]


class ScriptedRecogniser:
    """Recognises the audio of ``utterances``.

    The words of an utterance are ``text.split()``; their times come from its ``words``.
    If ``words`` is empty or does not match the text, the words are spread evenly over
    the sound. Sound that belongs to no utterance gives made-up words. Silence gives no
    words.
    """

    rate = RATE

    def __init__(self, utterances: Iterable[Utterance]) -> None:
        self._known = Known(tuple(utterances))

    async def listen(self) -> ScriptedListener:
        """Return a listener for one utterance."""
        return ScriptedListener(self._known)

    async def close(self) -> None:
        """Do nothing; there are no resources to free."""


class ScriptedListener:
    """Recognises one utterance of PCM16 at 16 kHz; equal audio gives equal words."""

    def __init__(self, known: Known) -> None:
        self._hearing = Hearing(known)

    async def hear(self, pcm: bytes) -> Sequence[RecognisedWord]:
        """Take audio, and return the words that are now certain, in order."""
        return self._hearing.hear(np.frombuffer(pcm, "<i2"))

    async def finish(self) -> Sequence[RecognisedWord]:
        """End the audio and return the remaining words, in order."""
        return self._hearing.finish()

    async def close(self) -> None:
        """Do nothing; there are no resources to free."""


class _Alignment:
    """A clip that the stream may be playing, and its position in the stream.

    A look is a window of the stream. ``shift`` is the row of the clip at look 0.
    ``gain`` says how much louder the stream is than the clip, in dB. ``begin`` is the
    look at which clip and stream begin to be alike. ``whole`` says whether
    they are alike from the first loud row of the clip. ``likes`` has the likeness of
    each look from ``begin`` on.
    """

    def __init__(
        self,
        clip: _Clip,
        shift: int,
        *,
        gain: float,
        begin: int,
        whole: bool,
        likes: Floats,
    ) -> None:
        self.clip = clip
        self.shift = shift
        self.zero = (clip.rows.zero - shift) * STEP  # the clip's start in the stream
        self.gain = gain
        self.begin = begin
        self.whole = whole
        self.likes = deque((float(like) for like in likes[-_SPAN:]), _SPAN)
        known = likes[~np.isnan(likes)]
        self._sum, self.count = float(known.sum()), len(known)
        self._at = 0

    @property
    def begun(self) -> float:
        """The sample of the stream at which the heard part of the clip starts.

        It is ``-inf`` if the clip was heard from its start.
        """
        return -math.inf if self.whole else self.begin * HOP + WINDOW / 2

    def certain(self, short: bool) -> bool:
        """Return whether enough of the clip was heard to be sure that it is playing.

        After a ``short`` word, fewer looks are enough if the clip was heard from its
        start with a high mean likeness.
        """
        if self.count >= ENOUGH:
            return True
        return short and self.whole and self.mean >= _LIKE_SHORT

    def add(self, like: float) -> None:
        """Add the likeness of clip and stream at the next look."""
        self.likes.append(like)
        if not math.isnan(like):
            self._sum += like
            self.count += 1

    @property
    def mean(self) -> float:
        """The mean likeness (see `fingerprint`) of all looks; 0 if there is none."""
        return self._sum / self.count if self.count else 0.0

    @property
    def recent(self) -> float:
        """The mean likeness of the latest looks; NaN if too few have a likeness."""
        known = [like for like in self.likes if not math.isnan(like)]
        return sum(known) / len(known) if len(known) >= _FEWEST else math.nan

    def row(self, at: int) -> int:
        """Return the row of the clip at look ``at``; it may be after the clip's end."""
        return self.shift + STRIDE * at

    def skip(self, until: float) -> None:
        """Skip the words whose middle is before sample ``until`` of the stream."""
        words = self.clip.words
        while self._at < len(words) and self.zero + words[self._at].middle < until:
            self._at += 1

    def passed(self) -> None:
        """Go on to the next word, since the present `word` was emitted."""
        self._at += 1

    @property
    def word(self) -> TimedWord | None:
        """The next word with its time in samples of the stream.

        It is ``None`` after the last word.
        """
        if self._at == len(self.clip.words):
            return None
        word = self.clip.words[self._at]
        return TimedWord(word.text, self.zero + word.start, self.zero + word.end)


class Hearing:
    """Finds the words in the audio of one utterance."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._index = known.index
        self._search = Search(known.index)
        self._pending = np.zeros(0, np.int16)
        self._total = 0  # samples heard
        self._at = -1  # the number of the latest look
        self._looks = Looks()
        self._silent = 0  # silent looks since the last sound
        self._alive: list[_Alignment] = []
        self._ended = 0  # sample at which the last word ended
        self._explained = 0  # sample up to which known clips explain the sound
        self._burst = _Burst()
        self._out: list[RecognisedWord] = []

    def hear(self, samples: npt.NDArray[np.int16]) -> list[RecognisedWord]:
        self._total += len(samples)
        self._take(samples)
        return self._drain(self._total)

    def finish(self) -> list[RecognisedWord]:
        if not self._total:
            return []
        self._take(np.zeros(_PADDING, np.int16))
        if self._burst.looks and not self._alive:
            self._begin(ended=True)
        if self._alive:
            self._settle(self._total)
        self._end_burst()
        return self._drain(self._total)

    def _drain(self, limit: int) -> list[RecognisedWord]:
        out = [
            RecognisedWord(word.text, min(word.start, limit), min(word.end, limit))
            for word in self._out
        ]
        self._out = []
        return out

    def _take(self, samples: npt.NDArray[np.int16]) -> None:
        pending = np.concatenate([self._pending, samples])
        self._pending = pending
        if len(pending) < WINDOW:
            return
        windows = np.lib.stride_tricks.sliding_window_view(pending, WINDOW)[::HOP]
        for start in range(0, len(windows), _BLOCK):
            block = windows[start : start + _BLOCK]
            shapes, levels = look(block)
            for window, shape, level in zip(block, shapes, levels, strict=True):
                self._look(window, shape, float(level))
        self._pending = pending[len(windows) * HOP :]

    def _look(self, window: npt.NDArray[np.int16], shape: Floats, level: float) -> None:
        self._at += 1
        looks = self._looks
        looks.add(shape, level)
        loud = bool(looks.loud[-1])
        self._silent = 0 if looks.levels[-1] > SILENT else self._silent + 1
        if self._silent <= _FORGET:
            self._search.hear(shape, loud)
            if self._silent == _FORGET:
                self._search.reset()
        if self._alive:
            self._follow()
        else:
            self._begin()
        self._unknown(window[:HOP], shape)

    def _now(self) -> int:
        return self._at * HOP + WINDOW

    # Sound of known clips

    def _begin(self, *, ended: bool = False) -> None:
        """Start to follow the proposed alignments whose clips are like the stream.

        If the sound has ``ended``, the likeness of a shorter part of a clip is enough.
        """
        rows = self._search.remains() if ended else self._search.proposals()
        found = self._compared(rows) if rows else []
        if not found:
            return
        earliest = min(one.begin for one in found)
        found = [one for one in found if one.begin <= earliest + _TOGETHER]
        best = max(found, key=lambda one: one.mean)
        if ended:
            enough = best.count >= _PART and best.mean >= _LIKE_SHORT
            if not enough or best.begin > self._burst.begin + _PART:
                return
        elif not best.certain(self._index.short[best.row(self._at)]):
            return
        self._alive = [one for one in found if one.mean >= best.mean - _LESS_LIKE]
        for one in self._alive:
            one.skip(max(one.begun, self._ended))
        self._burst = _Burst()
        self._release()

    def _compared(self, rows: list[int]) -> list[_Alignment]:
        """Return the proposed alignments whose mean likeness is high enough.

        ``rows`` has, for each proposed alignment, its row at the latest look.
        """
        clips = [self._known.clip(row) for row in rows]
        back = STRIDE * np.arange(1 - LOOKS, 1)
        diagonals = np.array(rows)[:, None] + back
        inside = _inside(clips, diagonals)
        diagonals[~inside] = 0  # any row; its likeness is set to NaN below
        gains = np.array(
            [
                self._index.gain(diagonal, self._looks, kept)
                for diagonal, kept in zip(diagonals, inside, strict=True)
            ],
            np.float32,
        )
        likes = self._index.likeness(diagonals, self._looks, gains)
        likes[~inside] = np.nan
        recent = _spans(likes)
        best = np.fmax.reduce(recent, axis=0)
        unlike = (recent < _UNLIKE) | (recent < best - _LESS_LIKE)
        found = []
        for clip, row, gain, like, bad in zip(
            clips, rows, gains, likes, unlike, strict=True
        ):
            begin = _first_alike(like, bad)
            one = _Alignment(
                clip,
                row - STRIDE * self._at,
                gain=gain,
                begin=self._at + 1 - LOOKS + begin,
                whole=not bad.any(),
                likes=like[begin:],
            )
            if one.mean >= _LIKE:
                found.append(one)
        return found

    def _follow(self) -> None:
        """Compare the alignments with the latest look; emit the words that are certain.

        A look is a window of the stream.
        """
        rows = np.array([[one.row(self._at)] for one in self._alive])
        inside = _inside([one.clip for one in self._alive], rows)
        rows[~inside] = 0  # any row; its likeness is set to NaN below
        gains = np.array([one.gain for one in self._alive], np.float32)
        likes = self._index.likeness(rows, self._looks.last(1), gains)
        likes[~inside] = np.nan
        for one, like in zip(self._alive, likes[:, 0].tolist(), strict=True):
            one.add(like)
        recent = [one.recent for one in self._alive]
        best = max((like for like in recent if not math.isnan(like)), default=0.0)
        limit = max(_UNLIKE, best - _LESS_LIKE)
        left = [
            one
            for one, like in zip(self._alive, recent, strict=True)
            if not like < limit
        ]
        if left:
            self._alive = left
            self._release()
        else:
            self._settle(self._now())

    def _release(self) -> None:
        """Emit the words that have ended and on which all alignments agree."""
        while self._alive:
            over = [one for one in self._alive if self._over(one)]
            if over:
                self._alive = [one for one in self._alive if one not in over]
                if not self._alive:
                    last = over[0]
                    self._explained = last.zero + last.clip.samples
                    self._search.reset()
                    return
            words = [one.word for one in self._alive]
            word = max(self._alive, key=lambda one: one.mean).word
            if word is None or not all(_agree(word, other) for other in words):
                break
            ends = [other.end for other in words if other is not None]
            if max(ends) + _PASSED > self._now():
                break
            for one in self._alive:
                one.passed()
            self._add_word(word)
        behind = all(one.row(self._at) >= one.clip.rows.stop for one in self._alive)
        if self._alive and behind:
            self._settle(self._now())

    def _over(self, one: _Alignment) -> bool:
        return one.word is None and one.row(self._at) > one.clip.rows.last + _TAIL

    def _settle(self, now: int) -> None:
        """Emit the heard words of the likeliest clip, and drop all alignments."""
        one = max(self._alive, key=lambda one: one.mean)
        unlike = 0
        for like in reversed(one.likes):
            if not like < _UNLIKE:
                break
            unlike += 1
        heard = min(self._at * HOP + WINDOW // 2 - unlike * HOP, self._total)
        while (word := one.word) is not None and word.middle <= heard:
            one.passed()
            self._add_word(replace(word, end=min(word.end, now)))
        self._alive = []
        self._explained = heard + HOP

    def _add_word(self, word: TimedWord) -> None:
        start = max(self._ended, word.start)
        self._ended = max(self._ended, word.end)
        start = min(start, self._ended)
        self._out.append(RecognisedWord(word.text, start, self._ended))

    # Unknown sound

    def _unknown(self, samples: npt.NDArray[np.int16], shape: Floats) -> None:
        """Add the latest look to the burst, unless the look is from a known clip.

        A look is a window of the stream.
        """
        at = self._at * HOP
        if self._alive or at < self._explained:
            return
        heard = samples.astype(np.float32)
        if np.sqrt(np.mean(heard * heard)) >= _AUDIBLE:
            self._burst.add(shape, at + HOP)
        elif self._burst.looks:
            self._burst.gap += 1
        over = self._burst.gap >= _BURST_GAP and not self._search.suspects
        if over:
            self._begin(ended=True)
        if over or self._burst.looks >= _BURST_MOST:
            self._end_burst()

    def _end_burst(self) -> None:
        if self._burst.looks >= _BURST_LEAST:
            begin, end = self._burst.begin * HOP, min(self._burst.end, self._total)
            self._add_word(TimedWord(self._burst.word(), begin, end))
        self._burst = _Burst()


class _Burst:
    """A burst: unknown sound between two silences."""

    def __init__(self) -> None:
        self.looks = 0
        self.begin = 0  # the number of the first look
        self.gap = 0
        self.end = 0
        self._sum: npt.NDArray[np.float64] = np.zeros(1)

    def add(self, shape: Floats, end: int) -> None:
        """Add an audible look; its first 20 ms end at sample ``end`` of the stream."""
        if not self.looks:
            self.begin = end // HOP - 1
        self.looks += 1
        self.gap = 0
        self.end = end
        self._sum = self._sum + shape

    def word(self) -> str:
        """Return a made-up word of two or three syllables for the burst."""
        mean = np.rint(8 * self._sum / self.looks).astype(np.int8)
        number = zlib.crc32(mean.tobytes() + self.looks.to_bytes(4, "little"))
        number, more = divmod(number, 2)
        word = ""
        for _ in range(2 + more):
            number, consonant = divmod(number, len(_CONSONANTS))
            number, vowel = divmod(number, len(_VOWELS))
            word += _CONSONANTS[consonant] + _VOWELS[vowel]
        return word


def _agree(one: TimedWord, other: TimedWord | None) -> bool:
    return (
        other is not None
        and one.text == other.text
        and abs(one.end - other.end) <= _SAME_END
    )


def _inside(clips: list[_Clip], rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """Return which of ``rows`` lie within the sound of their clip.

    The first axis of ``rows`` is the clip, and the second is the look.
    """
    first = np.array([[clip.rows.first] for clip in clips])
    stop = np.array([[clip.rows.stop] for clip in clips])
    return (rows >= first) & (rows < stop)


def _spans(likes: Floats) -> Floats:
    """Return, for each look, the mean likeness of the last ``_SPAN`` looks up to it.

    The mean is NaN if too few of these looks have a likeness.
    """
    known = ~np.isnan(likes)
    sums = np.cumsum(np.where(known, likes, 0), axis=1)
    counts = np.cumsum(known, axis=1)
    sums[:, _SPAN:] -= sums[:, :-_SPAN].copy()
    counts[:, _SPAN:] -= counts[:, :-_SPAN].copy()
    spans = np.full(likes.shape, np.nan, np.float32)
    np.divide(sums, counts, out=spans, where=counts >= _FEWEST)
    return spans


def _first_alike(likes: Floats, unlike: npt.NDArray[np.bool_]) -> int:
    """Return the index of the look at which clip and stream begin to be alike.

    ``unlike`` is true for each look that ends a span with too low a mean likeness. The
    search starts at the second look of the last such span. It finds the first look that
    is like its row. If there is none, the number of looks is returned.
    """
    bad = np.flatnonzero(unlike)
    first = max(0, int(bad[-1]) - _SPAN + 2) if bad.size else 0
    like = np.flatnonzero(likes[first:] >= _UNLIKE)
    return first + int(like[0]) if like.size else len(likes)


def _script(utterance: Utterance, rows: Rows) -> tuple[TimedWord, ...]:
    """Return the words of the utterance's text, each with its time in samples."""
    texts = utterance.text.split()
    timed = [
        TimedWord(word.text, round(word.start * RATE), round(word.end * RATE))
        for word in utterance.words
    ]
    if len(timed) == len(texts):
        times = [(word.start, word.end) for word in timed]
    elif [c for word in timed for c in "".join(word.text.split())] == list(
        "".join(texts)
    ):
        times = _by_characters(texts, timed)
    else:
        start, end = _sound(rows)
        if timed:
            start, end = timed[0].start, timed[-1].end
        edges = [round(edge) for edge in np.linspace(start, end, len(texts) + 1)]
        times = list(pairwise(edges))
    return tuple(
        TimedWord(text, *time) for text, time in zip(texts, times, strict=True)
    )


def _sound(rows: Rows) -> tuple[int, int]:
    """Return the samples at which the sound of a clip starts and ends."""
    half = (WINDOW - STEP) // 2
    start = (rows.first - rows.zero) * STEP + half
    return max(0, start), (rows.last - rows.zero) * STEP + half + STEP


def _by_characters(texts: list[str], timed: list[TimedWord]) -> list[tuple[int, int]]:
    """Return the start and the end, in samples, of each of ``texts``.

    ``timed`` has the characters of ``texts``, divided into other words. A text starts
    at the start of the timed word that has its first character. It ends at the end of
    the timed word that has its last character.
    """
    spans = [
        (word.start, word.end) for word in timed for _ in "".join(word.text.split())
    ]
    times = []
    at = 0
    for text in texts:
        times.append((spans[at][0], spans[at + len(text) - 1][1]))
        at += len(text)
    return times
