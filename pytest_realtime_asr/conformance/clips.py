"""The clips that scenarios send: whole, cut and joined utterances of the corpus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pytest_realtime_asr.audio import Audio, from_float, join, silence
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.corpus.joined import Joined, cut_to_speech, joined
from pytest_realtime_asr.corpus.utterance import Word
from pytest_realtime_asr.perturb.perturbation import amplitude

CANDIDATES = 6  # clips that are tried at most, to find two that are recognised
MOST = 20  # clips at most, for comparisons over many clips
FEW = 12  # clips for comparisons that cost more audio
_ENOUGH = 100.0  # s of audio, beyond which no more than `FEW` clips are used
_FOR_LONG = 30  # clips at most, of which long speech is made
_LONG = 10.0  # s; utterances of this length are made of whole clips
_RATE = 16000
_GAP = 0.3  # s of silence between two joined clips
_QUIETER = 0.5  # the factor of the samples
_NOISE = -60.0  # dBFS of the quiet noise, the mean of its square
_SEED = 1  # of the quiet noise


@dataclass(frozen=True)
class Clips:
    """The shortest clips of a corpus, each with a different reference transcript.

    Most scenarios send the first of the ``candidates``. ``shortest`` contains the
    candidates and further clips, the shortest clip first.
    """

    candidates: tuple[Utterance, ...]
    shortest: tuple[Utterance, ...]

    @property
    def first(self) -> Utterance:
        """The first candidate, the clip that scenarios send most often."""
        return self.candidates[0]

    @property
    def second(self) -> Utterance:
        """The second candidate, or the only candidate if there is just one."""
        return self.candidates[min(1, len(self.candidates) - 1)]

    @property
    def seconds(self) -> float:
        """The length in s of the first or the second clip, whichever is longer."""
        return max(self.first.duration, self.second.duration)

    def prefer(self, ids: Iterable[str]) -> Clips:
        """Return these clips with the candidates in the order of their ids in ``ids``.

        Candidates whose id is not in ``ids`` come last.
        """
        order = {id: place for place, id in enumerate(ids)}
        late = len(order)
        candidates = sorted(self.candidates, key=lambda each: order.get(each.id, late))
        return replace(self, candidates=tuple(candidates))

    @property
    def few(self) -> tuple[Utterance, ...]:
        """Some of the clips, for comparisons that send each clip many times."""
        return self.shortest[:FEW]

    @property
    def many(self) -> tuple[Utterance, ...]:
        """The clips of `few` and further clips.

        Comparisons with these clips send each clip less often than those with `few`.
        """
        found = list(self.few)
        total = sum(each.duration for each in found)
        for each in self.shortest[FEW:MOST]:
            total += each.duration
            if total > _ENOUGH:
                break
            found.append(each)
        return tuple(found)

    @cached_property
    def _joined(self) -> Audio:
        """The audio of all candidates, joined with gaps between them.

        The silence before the first word is left out.
        """
        gap = silence(_GAP, rate=_RATE)
        parts: list[Audio] = []
        for each in self.candidates:
            parts += [each.audio.resample(_RATE), gap]
        whole = join(*parts)
        start = self.candidates[0].speech_start or 0.0
        return whole.cut(start, whole.seconds)

    @cached_property
    def _joined_words(self) -> tuple[Word, ...]:
        """The words of all candidates, with their times in the joined audio."""
        found: list[Word] = []
        at = -(self.candidates[0].speech_start or 0.0)
        for each in self.candidates:
            found += _later(_timed(each), at)
            at += each.duration + _GAP
        return tuple(found)

    def lasting(self, seconds: float) -> Utterance:
        """Return exactly ``seconds`` seconds of speech.

        Speech of 10 s or more consists of whole clips; a clip is repeated only after
        all clips were used. Shorter speech consists of the joined candidates, repeated
        and then cut after ``seconds`` seconds; its text has only the words that end
        before the cut. If a clip has no word times, its words are spread evenly over
        its speech.
        """
        if seconds >= _LONG:
            return self._of_whole_clips(seconds)
        joined = self._joined
        times = int(seconds // joined.seconds) + 1
        audio = join(*[joined] * times).cut(0.0, seconds)
        words = tuple(
            word
            for number in range(times)
            for word in _later(self._joined_words, number * joined.seconds)
            if word.end <= seconds
        )
        return Utterance(
            f"{seconds:g} s of speech",
            " ".join(word.text for word in words),
            audio,
            words=words,
            language=self.candidates[0].language,
        )

    def _of_whole_clips(self, seconds: float) -> Joined:
        """Return whole clips, joined with equal pauses to ``seconds`` s of audio."""
        first = {each.id: each for each in (*self.candidates, *self.shortest)}
        cut = [
            replace(each, words=tuple(_timed(each)))
            for each in map(cut_to_speech, first.values())
        ]
        name = f"{seconds:g} s of speech"
        chosen: list[Utterance] = []
        left = seconds
        while fitting := [each for each in cut if each.duration + _GAP <= left]:
            for each in fitting:
                if each.duration + _GAP <= left:
                    chosen.append(each)
                    left -= each.duration + _GAP
        if not chosen:  # no clip leaves room for a gap
            kept = [word for word in cut[0].words if word.end <= seconds]
            text = " ".join(word.text for word in kept)
            audio = cut[0].audio.cut(0.0, min(seconds, cut[0].duration))
            chosen = [replace(cut[0], text=text, source=audio, words=tuple(kept))]
        pause = _GAP + left / len(chosen)
        whole = joined(chosen, pause)
        rest = silence(seconds - whole.duration, rate=_RATE)
        return replace(whole, id=name, source=join(whole.audio, rest))

    def both(self) -> Utterance:
        """Return the first and the second clip as one utterance, without a gap."""
        pair = [self.first, self.second]
        audio = join(*(each.audio.resample(_RATE) for each in pair))
        text = " ".join(each.text for each in pair)
        return Utterance(
            " + ".join(each.id for each in pair),
            text,
            audio,
            language=self.first.language,
        )


def choose(corpus: Corpus) -> Clips:
    """Return the shortest clips of a corpus, each with a different transcript.

    Only clips without perturbation are chosen, since a server may lawfully misrecognise
    perturbed speech. Raises ValueError if no utterance of the corpus has a reference
    transcript.
    """
    by_text = {each.text: each for each in corpus.originals() if each.text.strip()}
    if not by_text:
        raise ValueError(
            f"the corpus {corpus.name} has no utterance with a reference transcript; "
            "choose another corpus with --realtime-corpus=PATH"
        )
    shortest = sorted(by_text.values(), key=lambda each: (each.duration, each.id))
    return Clips(tuple(shortest[:CANDIDATES]), tuple(shortest[:_FOR_LONG]))


def after_silence(utterance: Utterance, seconds: float) -> Utterance:
    """Return a copy of the clip with ``seconds`` seconds of silence before its audio.

    The copy has no word times.
    """
    audio = utterance.audio.resample(_RATE)
    return replace(
        utterance, source=join(silence(seconds, rate=_RATE), audio), words=()
    )


def quieter(utterance: Utterance) -> Utterance:
    """Return the clip with half its amplitude (-6 dB)."""
    audio = utterance.audio.resample(_RATE)
    samples = audio.array / 32768 * _QUIETER
    return replace(utterance, source=from_float(samples, _RATE))


def nothing(seconds: float) -> Utterance:
    """Return an utterance of ``seconds`` seconds of silence.

    If ``seconds`` is 0, the utterance has no audio.
    """
    return Utterance("silence" if seconds else "no audio", "", silence(seconds))


def quiet_noise(seconds: float) -> Utterance:
    """Return an utterance of ``seconds`` seconds of white noise at -60 dBFS.

    Each call returns the same noise, which is about as loud as the recording of a quiet
    room.
    """
    random = np.random.default_rng(_SEED)
    samples = random.normal(0.0, amplitude(_NOISE), round(seconds * _RATE))
    return Utterance("quiet noise", "", from_float(samples, _RATE))


def _timed(utterance: Utterance) -> Sequence[Word]:
    """Return the words of a clip with their times.

    If the clip has no word times, its words are spread evenly over its speech.
    """
    if utterance.words:
        return utterance.words
    start, end = utterance.speech_start, utterance.speech_end
    texts = utterance.text.split()
    if start is None or end is None or not texts:
        return ()
    step = (end - start) / len(texts)
    return [
        Word(text, start + number * step, start + (number + 1) * step)
        for number, text in enumerate(texts)
    ]


def _later(words: Iterable[Word], seconds: float) -> list[Word]:
    """Return the words with ``seconds`` seconds added to their times.

    Times before 0 s become 0 s.
    """
    return [
        Word(word.text, max(0.0, word.start + seconds), max(0.0, word.end + seconds))
        for word in words
    ]


def halves(utterance: Utterance) -> Sequence[Audio]:
    """Return the first and the second half of the audio of a clip."""
    audio = utterance.audio.resample(_RATE)
    return audio.cut(0, audio.seconds / 2), audio.cut(audio.seconds / 2, audio.seconds)
