"""Joined utterances: several clips, one after the other, with pauses between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.audio import Audio, join, silence
from pytest_realtime_asr.corpus.utterance import Utterance, Word

RATE = 16000  # Hz, of the joined audio
_BY_ENERGY = 0.15  # s; speech that is located by energy may last longer by this time


@dataclass(frozen=True, slots=True)
class Placed:
    """A clip and its start, in s from the start of the joined utterance."""

    utterance: Utterance
    start: float


@dataclass(frozen=True, slots=True)
class Joined(Utterance):
    """An utterance that consists of ``clips``."""

    clips: tuple[Placed, ...] = ()


def cut_to_speech(utterance: Utterance) -> Utterance:
    """Return the part of the utterance from its first word to its last word.

    Without word times, the speech is detected by its energy. This misses soft sounds,
    so 150 ms are kept before and after the speech. An utterance without speech is
    returned unchanged.
    """
    start, end = utterance.speech_start, utterance.speech_end
    if start is None or end is None:
        return utterance
    kept = 0.0 if utterance.words else _BY_ENERGY
    start, end = max(0.0, start - kept), min(utterance.duration, end + kept)
    moved = tuple(
        Word(each.text, each.start - start, each.end - start)
        for each in utterance.words
    )
    audio = utterance.audio.cut(start, end).resample(RATE)
    return replace(utterance, source=audio, words=moved)


def between_silence(utterance: Utterance, seconds: float) -> Utterance:
    """Return the utterance with ``seconds`` seconds of silence before and after it."""
    quiet = silence(seconds, rate=RATE)
    audio = join(quiet, utterance.audio.resample(RATE), quiet)
    return replace(utterance, source=audio, words=_later(utterance, seconds))


def joined(clips: Sequence[Utterance], pause: float) -> Joined:
    """Return the clips as one utterance, with pauses of ``pause`` seconds.

    There must be at least one clip.
    """
    parts: list[Audio] = []
    placed: list[Placed] = []
    words: list[Word] = []
    at = 0.0
    for each in clips:
        if parts:
            parts.append(silence(pause, rate=RATE))
            at += parts[-1].seconds
        placed.append(Placed(each, at))
        words += _later(each, at)
        parts.append(each.audio.resample(RATE))
        at += parts[-1].seconds
    timed = all(each.words for each in clips)
    return Joined(
        id=" + ".join(each.id for each in clips),
        text=" ".join(each.text for each in clips),
        source=join(*parts),
        words=tuple(words) if timed else (),
        language=clips[0].language,
        clips=tuple(placed),
    )


def _later(utterance: Utterance, seconds: float) -> tuple[Word, ...]:
    return tuple(
        Word(each.text, each.start + seconds, each.end + seconds)
        for each in utterance.words
    )
