"""Rules that find premature events: events that came before their cause.

The cause of a text is speech; the cause of a final is a commit or the end of a turn;
the cause of an endpoint is the end of speech. If the event came before its cause, the
server made up the text or cut off the speaker, and the latency of the event says
nothing about the speed of the server. The start and the end of speech are uncertain
(`Emissions.speech_uncertainty`): an event is premature only if it came before its cause
by more than this uncertainty. The instants of a commit and of the first audio frame are
exact.

Latencies of single words are checked only against the start of speech, since a word may
be recognised correctly before its end. Each rule takes the emissions of one item and
the signed value of the metric in ms. It returns which event is premature, or ``None``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from pytest_realtime_asr.metrics.emission import Emissions

_NS_PER_MS = 1_000_000


class Premature(enum.StrEnum):
    """An event and the cause that it preceded; each value is a name in reports."""

    TEXT_BEFORE_AUDIO = "text-before-audio"
    TEXT_BEFORE_SPEECH = "text-before-speech"
    FINAL_BEFORE_COMMIT = "final-before-commit"
    FINAL_BEFORE_SPEECH_END = "final-before-speech-end"
    ENDPOINT_BEFORE_SPEECH_END = "endpoint-before-speech-end"


PREMATURE: Mapping[Premature, str] = {
    Premature.TEXT_BEFORE_AUDIO: "text before the audio",
    Premature.TEXT_BEFORE_SPEECH: "text before the speech",
    Premature.FINAL_BEFORE_COMMIT: "final before its commit",
    Premature.FINAL_BEFORE_SPEECH_END: "final before the end of speech",
    Premature.ENDPOINT_BEFORE_SPEECH_END: "endpoint before the end of speech",
}
"""The names of the premature events in messages."""


def text_after_audio(item: Emissions, value: float) -> Premature | None:
    """Check that the text came after the first audio frame and the start of speech.

    ``value`` is the time (ms) from the due time of the first audio frame to the text.
    """
    heard = item.timeline.heard
    at = heard[0].due + value * _NS_PER_MS
    if at < heard[0].woke:  # the client had not yet sent any audio
        return Premature.TEXT_BEFORE_AUDIO
    return _text(item, at)


def text_after_speech(item: Emissions, value: float) -> Premature | None:
    """Check that the text came after the start of speech.

    ``value`` is counted from the start of speech.
    """
    start = item.speech_start
    return None if start is None else _text(item, _at(start, value))


def text_of_first_word(item: Emissions, value: float) -> Premature | None:
    """Check that the text came after the start of speech.

    ``value`` is counted from the end of the first word.
    """
    end = item.ends[0] if item.ends else None
    start = None if end is None else item.timeline.due(end)
    return None if start is None else _text(item, _at(start, value))


def whole_text(item: Emissions, value: float) -> Premature | None:
    """Check that the complete text came after the start of speech; also check `final`.

    ``value`` is counted from the end of speech. The text may be complete before the
    speech ends, since the last word may be recognised before its end. The text of a
    premature final is not complete, so the check `final` must pass too.
    """
    early = None
    if item.speech_end is not None:
        early = _text(item, _at(item.speech_end, value))
    return early or final(item, value)


def final(item: Emissions, value: float) -> Premature | None:
    """Check that the final came after the commit, or after the end of speech.

    A final after the commit is always allowed. A final before the commit is allowed
    only if the server ended the turn by itself and the final came after the end of
    speech. If there is no commit, the final must come after the end of speech.
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
    """Check that the endpoint came after the end of speech.

    ``value`` is counted from the end of speech.
    """
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
