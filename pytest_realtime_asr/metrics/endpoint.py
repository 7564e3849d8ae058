"""Metrics of turn detection: how well the server recognises that speech has ended.

A server that waits longer for more speech interrupts fewer speakers, but detects the
end of speech later. So read the two metrics of this module together.
"""

from __future__ import annotations

from pytest_realtime_asr.metrics import causality
from pytest_realtime_asr.metrics.declaration import Group, Instant, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions

_NS_PER_MS = 1_000_000
_NEEDS = "the end of speech, known from word times, and a server that detects turns"


@metric(
    group=Group.END,
    unit=Unit.MS,
    needs=_NEEDS,
    causality=causality.endpoint,
    start=Instant.SPEECH_END,
)
def endpoint_delay(item: Emissions) -> float | None:
    """Measure the time from the end of speech to the endpoint that the server detected.

    An endpoint is false if it came before the end of speech by more than the
    uncertainty of that instant. A false endpoint interrupts the speaker;
    `false_endpoints` counts them. The value is the delay of the first endpoint that is
    not false. If every endpoint is false, the value is the delay of the last endpoint.
    This value is negative, and counts as over every limit.

    Formula: endpoint - due(end of speech), with the first endpoint that is not false,
        or the last endpoint if all are false
    Unit: ms
    Start: the instant at which the audio at the end of speech was due
    End: the arrival of the event that announces that endpoint
    Better: lower
    Source: LiveKit's transcription delay consists mostly of this delay, which depends
        on the thresholds of silence, not only on the speed of the recogniser
    """
    end = _speech_end(item)
    if end is None:
        return None
    delays = [event.at - end for event in item.timeline.endpoints]
    least = -item.speech_uncertainty
    found = next((delay for delay in delays if delay >= least), delays[-1])
    return found / _NS_PER_MS


@metric(group=Group.END, unit=Unit.COUNT, needs=_NEEDS)
def false_endpoints(item: Emissions) -> float | None:
    """Count the endpoints that the server detected before the end of speech.

    Formula: number of endpoints that came before due(end of speech) by more than the
        uncertainty of that instant
    Unit: count
    Better: lower
    Source: LiveKit's turn-detection benchmark reports how many speakers were
        interrupted, together with the latency
    """
    end = _speech_end(item)
    if end is None:
        return None
    least = end - item.speech_uncertainty
    return float(sum(event.at < least for event in item.timeline.endpoints))


def _speech_end(item: Emissions) -> int | None:
    """Return when the audio at the end of speech was due, in ns.

    Returns ``None`` if the end of speech is not known, or if there is no endpoint.
    """
    return item.speech_end if item.timeline.endpoints else None
