"""Metrics of turn detection: how well the server recognises that speech has ended.

The two metrics trade off: a server that waits longer interrupts fewer speakers. Read
each beside the other.
"""

from __future__ import annotations

from pytest_realtime_asr.metrics import causality
from pytest_realtime_asr.metrics.declaration import Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions

_NS_PER_MS = 1_000_000
_NEEDS = "the end of speech (word times) and a server that detects turns"


@metric(group=Group.END, unit=Unit.MS, needs=_NEEDS, causality=causality.endpoint)
def endpoint_delay(item: Emissions) -> float | None:
    """Measure the time from the end of speech to the endpoint that the server detected.

    An endpoint before the end of speech, beyond its uncertainty, interrupted the
    speaker: `false_endpoints` counts it, and the first endpoint after it gives the
    delay. If none follows, the value is the negative delay of the last one, which is
    not a measurement and counts as over every limit.

    Formula: first endpoint that is not false, else the last one - due(end of speech)
    Unit: ms
    Start: the instant at which the audio of the end of speech was due
    End: the arrival of that endpoint event
    Better: lower
    Source: LiveKit's transcription delay is dominated by it, and changes when silence
        thresholds are tuned although the recogniser did not get faster
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
    """Count the endpoints that the server detected while the speech went on.

    Formula: number of endpoints before due(end of speech) - its uncertainty
    Unit: count
    Better: lower
    Source: LiveKit's turn-detection benchmark counts interrupted speakers beside the
        latency that avoids them
    """
    end = _speech_end(item)
    if end is None:
        return None
    least = end - item.speech_uncertainty
    return float(sum(event.at < least for event in item.timeline.endpoints))


def _speech_end(item: Emissions) -> int | None:
    """Return when the end of speech was due (ns), for an item with endpoints."""
    return item.speech_end if item.timeline.endpoints else None
