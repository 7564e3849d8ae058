"""Describes an utterance, for the trace of its session."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.audio import AudioError
from pytest_realtime_asr.audio.levels import envelope
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.trace.spoken import QUIETEST, STEP, Spoken
from pytest_realtime_asr.trace.word_times import WordTime


def described(utterance: Utterance) -> Spoken:
    """Return the description of an utterance.

    If the audio cannot be decoded, the description has no digest and no envelope.
    """
    found = Spoken(
        asset=utterance.id,
        seconds=0.0,
        text=utterance.text,
        language=utterance.language,
        words=tuple(WordTime(w.text, w.start, w.end) for w in utterance.words),
    )
    try:
        audio = utterance.audio
    except AudioError:
        return found
    start, end = utterance.speech_start, utterance.speech_end
    if not utterance.words and start is not None and end is not None:
        found = replace(found, speech=(start, end))
    return replace(
        found,
        seconds=audio.seconds,
        digest=audio.digest,
        envelope=envelope(audio.array, audio.rate, step=STEP, quietest=QUIETEST),
    )
