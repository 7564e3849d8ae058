"""The largest cost of a load test: streams, audio and time."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from pytest_realtime_asr.load.workload import Arrivals, Load
from pytest_realtime_asr.text.number_format import about, length, several

LEAD = 0.2  # s of silence before a varied clip, at most
WITNESSED = 3  # clips, the shortest, that a witness sends before and after a level
RECOVERY = 30.0  # s for which a witness waits until a server has recovered, at most
# A Poisson number exceeds its mean by so many standard deviations once in 3 million.
_DEVIATIONS = 5.0


@dataclass(frozen=True, slots=True)
class LoadCost:
    """The largest cost that a load test can have.

    ``streams`` is the number of sessions at a time. ``audio`` is the length in s of all
    audio that is sent. ``seconds`` is the duration if the server is not slow.
    """

    streams: int
    audio: float
    seconds: float

    def __add__(self, other: LoadCost) -> LoadCost:
        """Return the cost of two tests, one after the other."""
        return LoadCost(
            max(self.streams, other.streams),
            self.audio + other.audio,
            self.seconds + other.seconds,
        )

    @property
    def text(self) -> str:
        """The cost in one line."""
        return (
            f"at most {several(self.streams, 'stream')} at a time and "
            f"{length(self.audio)} of audio, {about(self.seconds)}"
        )


def level_cost(load: Load, clips: Collection[float]) -> LoadCost:
    """Return the cost of one level, with its witnesses.

    ``clips`` are the lengths of the clips in s; there is one at least.
    """
    longest = max(clips) + (LEAD if load.varied else 0.0)
    through = load.planned + longest
    side = sum(sorted(clips)[:WITNESSED]) if load.witnesses else 0.0
    recovering = max(side, RECOVERY + longest)
    return LoadCost(
        streams=load.streams + load.witnesses,
        audio=_audio(load, longest) + load.witnesses * (side + through + recovering),
        seconds=side + through + side,
    )


def alone_cost(clips: Collection[float]) -> LoadCost:
    """Return the cost of sending each clip once without load."""
    seconds = sum(clips)
    return LoadCost(1 if clips else 0, seconds, seconds)


def bounded_cost(streams: int, seconds: float) -> LoadCost:
    """Return the cost of a test with at most so many streams and so much time.

    This is for a search, whose levels are not known in advance.
    """
    return LoadCost(streams, streams * seconds, seconds)


def _audio(load: Load, longest: float) -> float:
    """Return the most audio in s that the streams of a level send."""
    # A stream speaks in real time, and may finish a session that it has begun.
    most = load.streams * (load.talk * load.planned + longest)
    if load.arrivals is None:
        return most
    sessions = load.rate * load.planned
    if load.arrivals is Arrivals.POISSON:
        sessions += _DEVIATIONS * math.sqrt(sessions)
    return min(most, (math.floor(sessions) + 1) * longest)
