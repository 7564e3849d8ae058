"""The events for which the sessions of a scenario waited, and whether they arrived."""

from __future__ import annotations

import enum
from collections.abc import Iterator

from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.trace.records import Ending


class AwaitedEvent(enum.Enum):
    """An event for which a session waits; the value is the name of the event."""

    GREETING = "the first event of the server"
    FINAL = "a final"


def missing_events(evidence: Evidence) -> dict[AwaitedEvent, float]:
    """Return the events that did not come, each with the start of the wait.

    The start of the wait is the time of the last frame of the session that waited, in
    Unix seconds.
    """
    found: dict[AwaitedEvent, float] = {}
    for part in evidence.parts:
        silent = any(part.text(item) is None for item in part.spoken or [0])
        if part.trace.end.how is Ending.DEADLINE and silent:
            greeted = part.timeline.ready is not None
            event = AwaitedEvent.FINAL if greeted else AwaitedEvent.GREETING
            sent = [each.at for each in part.trace.records]
            found.setdefault(event, _clock(part, max(sent, default=0)))
    return found


def arrived(part: Part) -> Iterator[tuple[AwaitedEvent, float]]:
    """Yield the times of the greeting and the finals of a session, in Unix seconds."""
    if part.timeline.ready is not None:
        yield AwaitedEvent.GREETING, _clock(part, part.timeline.ready)
    for item in part.spoken:
        final = part.timeline.item(item).final
        if final is not None:
            yield AwaitedEvent.FINAL, _clock(part, final.at)


def _clock(part: Part, at: int) -> float:
    """Return a time in a session as Unix seconds.

    ``at`` is the time in ns from the start of the session.
    """
    return part.trace.started.timestamp() + at / 1e9
