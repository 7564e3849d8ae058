"""How well a server tells by itself that the speech is over.

The two trade with each other: a server that waits longer cuts fewer speakers off. Each
is only to be read beside the other.
"""

from __future__ import annotations

from pytest_realtime_asr.metrics.latency import Spoken, uncertainty
from pytest_realtime_asr.trace.timeline import Timeline

_NS_PER_MS = 1_000_000


def endpoint_delay(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How long after the end of speech the server took it for over.

    An endpoint from before the end of speech, beyond its uncertainty, cut the speaker
    off; it is counted by `false_endpoints`, and the first endpoint after it gives the
    delay. Where there is none after it, the delay of the last one is negative: it is
    not a measurement, and is over every limit.

    Formula: first endpoint that is not false, else the last one - due(end of speech)
    Unit: ms
    Zero: the instant at which the audio of the end of speech was due
    Needs: the end of speech (word times) and a server that detects turns
    Better: down
    Source: LiveKit's transcription delay is dominated by it, and moves when silence
        thresholds are tuned though the recogniser did not get faster
    """
    zero = _end(timeline, spoken)
    if zero is None:
        return None
    delays = [it.at - zero for it in timeline.endpoints]
    least = -uncertainty(spoken)
    return next((it for it in delays if it >= least), delays[-1]) / _NS_PER_MS


def false_endpoints(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How often the server took the speech for over while it went on.

    Formula: number of endpoints before due(end of speech), by more than its uncertainty
    Unit: count
    Zero: none
    Needs: the end of speech (word times) and a server that detects turns
    Better: down
    Source: LiveKit's benchmark of turn detection counts the cut-offs of a speaker
        beside the latency that avoids them
    """
    zero = _end(timeline, spoken)
    if zero is None:
        return None
    least = zero - uncertainty(spoken)
    return float(sum(it.at < least for it in timeline.endpoints))


def _end(timeline: Timeline, spoken: Spoken | None) -> int | None:
    """When the end of speech was due, of an utterance whose turns were detected."""
    if spoken is None or spoken.speech_end is None or not timeline.endpoints:
        return None
    return timeline.due(spoken.speech_end)
