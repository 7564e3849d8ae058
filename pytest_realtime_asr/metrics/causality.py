"""Which latencies are not measurements, since their event came before its cause.

A text answers the speech, a final answers the commit or the end of the turn, an
endpoint answers the end of speech. An event that came before what it answers was made
up or cut the speaker off, and its latency, however small, says nothing of the server's
speed. It is premature only beyond the uncertainty of the reference time
(`latency.uncertainty`): nothing for a commit and for the first audio.

Latencies of words have no rule here, but for the start of speech: a word may lawfully
be known before it ends. Each rule takes the words of an item and the signed value of
the metric, in ms.
"""

from __future__ import annotations

import enum

from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.metrics.latency import uncertainty

_NS_PER_MS = 1_000_000


class Premature(enum.StrEnum):
    """Which event came before what it answers; the value is its name in a file."""

    TEXT_BEFORE_AUDIO = "text-before-audio"
    TEXT_BEFORE_SPEECH = "text-before-speech"
    FINAL_BEFORE_COMMIT = "final-before-commit"
    FINAL_BEFORE_SPEECH_END = "final-before-speech-end"
    ENDPOINT_BEFORE_SPEECH_END = "endpoint-before-speech-end"


def text_after_audio(it: Emissions, value: float) -> Premature | None:
    """Judge a text by the first audio and the start of speech; its zero is the audio.

    A text from after the first audio answers it only if it came after the speech, too.
    """
    heard = it.timeline.heard
    at = heard[0].due + value * _NS_PER_MS
    if at < heard[0].woke:  # no server has audio before we began to send it
        return Premature.TEXT_BEFORE_AUDIO
    return _text(it, at)


def text_after_speech(it: Emissions, value: float) -> Premature | None:
    """Judge a text by the start of speech, which is the zero of its latency."""
    return None if it.speech_start is None else _text(it, _at(it.speech_start, value))


def text_of_first_word(it: Emissions, value: float) -> Premature | None:
    """Judge a text by the start of speech; its zero is the end of the first word."""
    end = it.ends[0] if it.ends else None
    zero = None if end is None else it.timeline.due(end)
    return None if zero is None else _text(it, _at(zero, value))


def whole_text(it: Emissions, value: float) -> Premature | None:
    """Judge the whole text by the start of speech, and the final that completes it.

    It may lawfully be complete before the speech ends, since the last word may be known
    before it ends. But what a premature final cut off is not complete.
    """
    early = None
    if it.speech_end is not None:
        early = _text(it, _at(it.speech_end, value))
    return early or final(it, value)


def final(it: Emissions, value: float) -> Premature | None:
    """Judge the final by the commit, or by the speech where the server ended the turn.

    A final from after the commit answers it. Before the commit it is lawful only where
    the server ended the turn by itself, and then only after the end of speech.
    """
    timeline = it.timeline
    found, commit = timeline.final, timeline.commit
    if found is None or (commit is not None and found.at >= commit.woke):
        return None
    ended = any(endpoint.at <= found.at for endpoint in timeline.endpoints)
    if commit is not None and not ended:
        return Premature.FINAL_BEFORE_COMMIT
    end = it.speech_end
    if end is not None and found.at < end - uncertainty(it.script):
        return Premature.FINAL_BEFORE_SPEECH_END
    return None


def endpoint(it: Emissions, value: float) -> Premature | None:
    """Judge an endpoint by the end of speech, which is the zero of its latency."""
    if value * _NS_PER_MS < -uncertainty(it.script):
        return Premature.ENDPOINT_BEFORE_SPEECH_END
    return None


def _at(zero: int, value: float) -> float:
    return zero + value * _NS_PER_MS


def _text(it: Emissions, at: float) -> Premature | None:
    start = it.speech_start
    if start is not None and at < start - uncertainty(it.script):
        return Premature.TEXT_BEFORE_SPEECH
    return None
