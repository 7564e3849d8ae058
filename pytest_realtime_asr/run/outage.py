"""Finds out whether the utterances of a test were lost because no server was there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pytest_realtime_asr.client.absence import absent, is_cut_off
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.text.number_format import several


@dataclass(frozen=True, slots=True)
class Outage:
    """The time in which no server was there, and what was lost in it.

    ``until`` is the start of the first later session with a final, or ``None`` if there
    is none. ``first`` is the id of the first lost utterance. ``lost`` is the
    number of lost utterances, and ``of`` is the number of all utterances.
    """

    since: datetime
    until: datetime | None
    why: str
    first: str
    lost: int
    of: int

    def __str__(self) -> str:
        when = f"since {self.since:%H:%M:%S} UTC"
        if self.until is not None:
            when = f"from {self.since:%H:%M:%S} to {self.until:%H:%M:%S} UTC"
        return (
            f"no server {when}: {self.why}, first lost utterance {self.first}; "
            f"{self.lost} of {several(self.of, 'utterance')} lost"
        )


def outage(takes: Sequence[Transcription]) -> Outage | None:
    """Return the time in which no server was there for these utterances, or ``None``.

    The outage begins with the first session that found no server. If the sessions
    directly before this session were cut off, the outage begins with the earliest of
    them.
    """
    ordered = sorted(takes, key=lambda take: take.trace.started)
    gone = next((i for i, take in enumerate(ordered) if absent(take.trace)), None)
    if gone is None:
        return None
    first = gone
    while first and is_cut_off(ordered[first - 1].trace):
        first -= 1
    served = (take.trace.started for take in ordered[gone:] if not take.lost)
    begun = ordered[first].trace
    return Outage(
        since=begun.started + timedelta(microseconds=begun.end.at / 1000),
        until=next(served, None),
        why=absent(ordered[gone].trace),
        first=ordered[first].utterance.id,
        lost=sum(bool(take.lost) for take in takes),
        of=len(takes),
    )


def unserved(takes: Iterable[Transcription]) -> int:
    """Return the number of utterances for which no server was there."""
    return sum(bool(absent(take.trace)) for take in takes)
