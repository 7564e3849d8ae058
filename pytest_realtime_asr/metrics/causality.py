"""Rules that find latencies which are not measurements: effects before their causes.

A text answers speech, a final answers a commit or the end of a turn, an endpoint
answers the end of speech. An event that precedes what it answers was made up, or cut
the speaker off; its latency, however small, says nothing about the speed of the server.
Such an event is called premature. It is premature only beyond the uncertainty of the
reference instant (`Emissions.speech_uncertainty`), which is zero for a commit and for
the first audio frame.

Latencies of single words have no such rule beyond the start of speech: a word may be
recognised correctly before it ends. Each rule takes the emissions of one item and the
signed value of the metric in ms.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pytest_realtime_asr.metrics.emission import Emissions

_NS_PER_MS = 1_000_000


class Premature(enum.StrEnum):
    """Which event preceded what it answers; the value is its name in report files."""

    TEXT_BEFORE_AUDIO = "text-before-audio"
    TEXT_BEFORE_SPEECH = "text-before-speech"
    FINAL_BEFORE_COMMIT = "final-before-commit"
    FINAL_BEFORE_SPEECH_END = "final-before-speech-end"
    ENDPOINT_BEFORE_SPEECH_END = "endpoint-before-speech-end"


PREMATURE: Mapping[Premature, str] = {
    Premature.TEXT_BEFORE_AUDIO: "text from before the audio",
    Premature.TEXT_BEFORE_SPEECH: "text from before the speech",
    Premature.FINAL_BEFORE_COMMIT: "final from before its commit",
    Premature.FINAL_BEFORE_SPEECH_END: "final from before the end of speech",
    Premature.ENDPOINT_BEFORE_SPEECH_END: "endpoint from before the end of speech",
}
"""The names of the premature events in messages."""


def text_after_audio(item: Emissions, value: float) -> Premature | None:
    """Check a text against the first audio frame, from which ``value`` is counted.

    A text after the first frame must also come after the start of speech.
    """
    heard = item.timeline.heard
    at = heard[0].due + value * _NS_PER_MS
    if at < heard[0].woke:  # no server has audio that the client has not yet sent
        return Premature.TEXT_BEFORE_AUDIO
    return _text(item, at)


def text_after_speech(item: Emissions, value: float) -> Premature | None:
    """Check a text against the start of speech, from which ``value`` is counted."""
    start = item.speech_start
    return None if start is None else _text(item, _at(start, value))


def text_of_first_word(item: Emissions, value: float) -> Premature | None:
    """Check a text against the start of speech.

    ``value`` is counted from the end of the first word.
    """
    end = item.ends[0] if item.ends else None
    start = None if end is None else item.timeline.due(end)
    return None if start is None else _text(item, _at(start, value))


def whole_text(item: Emissions, value: float) -> Premature | None:
    """Check the complete text against the start of speech, and the final as `final`.

    The text may be complete before the speech ends, since the last word may be
    recognised before it ends. A text that a premature final cut off is not complete.
    """
    early = None
    if item.speech_end is not None:
        early = _text(item, _at(item.speech_end, value))
    return early or final(item, value)


def final(item: Emissions, value: float) -> Premature | None:
    """Check the final against the commit, or against the end of speech.

    A final after the commit answers it. A final before the commit is allowed only where
    the server ended the turn by itself, and then only after the end of speech.
    """
    timeline = item.timeline
    found, commit = timeline.final, timeline.commit
    if found is None or (commit is not None and found.at >= commit.woke):
        return None
    ended = any(endpoint.at <= found.at for endpoint in timeline.endpoints)
    if commit is not None and not ended:
        return Premature.FINAL_BEFORE_COMMIT
    end = item.speech_end
    if end is not None and found.at < end - item.speech_uncertainty:
        return Premature.FINAL_BEFORE_SPEECH_END
    return None


def endpoint(item: Emissions, value: float) -> Premature | None:
    """Check an endpoint against the end of speech, from which ``value`` is counted."""
    if value * _NS_PER_MS < -item.speech_uncertainty:
        return Premature.ENDPOINT_BEFORE_SPEECH_END
    return None


def _at(start: int, value: float) -> float:
    return start + value * _NS_PER_MS


def _text(item: Emissions, at: float) -> Premature | None:
    start = item.speech_start
    if start is not None and at < start - item.speech_uncertainty:
        return Premature.TEXT_BEFORE_SPEECH
    return None
