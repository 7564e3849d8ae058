"""The plan of a search for the capacity: its bounds, and how long each level takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_realtime_asr.stats import samples_needed

USUAL_Q = 0.95  # the number of sessions is planned from it if no quantile is limited
BEYOND = 1.5  # the level beyond the capacity, as a multiple of it
_SCOUT = 1 / 3  # of the hold, for levels that only steer roughly
_MARGIN = 3.0  # sessions of a confirmation, in those that a proof needs at least
_LEAST_CLIPS = 2  # the hold of a level, in longest clips


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """The bounds of a search; all times are in seconds.

    The capacity is sought from ``low`` to ``high`` streams, in at most ``max_time``.
    ``hold`` is the length of the steady part of a level, and ``confirm`` is the length
    of the steady part of a confirmation. A level also takes the times ``ramp`` and
    ``drain``, and is followed by a pause of the length ``pause``. ``clip`` is the mean
    length of the clips, and ``longest`` is the length of the longest clip. ``talk`` is
    the share of the time in which a stream speaks. ``q`` is the largest quantile that a
    budget limits; ``None`` if no budget limits a quantile. ``beyond`` says whether a
    level beyond the capacity may be run. After such a level, the server may need the
    time ``recovery`` to recover.
    """

    low: int
    high: int
    hold: float
    confirm: float
    max_time: float
    ramp: float
    drain: float
    pause: float
    clip: float
    longest: float
    talk: float = 1.0
    q: float | None = USUAL_Q
    beyond: bool = True
    recovery: float = 0.0

    def check(self) -> None:
        """Raise ValueError if no search is possible; its message says what to write."""
        if not 1 <= self.low <= self.high:
            raise ValueError(
                f"between=({self.low}, {self.high}) is no range of streams: give the "
                "lowest and the highest number, such as between=(1, 500)"
            )
        least = _LEAST_CLIPS * self.longest
        for name, value in (("hold", self.hold), ("confirm", self.confirm)):
            if value < least:
                raise ValueError(
                    f"{name}={value:g}s is too short for clips of up to "
                    f"{self.longest:.1f} s: give at least {math.ceil(least)}s, or "
                    "shorter clips"
                )
        if self.least_time > self.max_time:
            raise ValueError(
                f"max_time={self.max_time:g}s is too short: one level of the search "
                f"and the confirmation take {math.ceil(self.least_time)} s; give a "
                "longer max_time, or a shorter hold and confirm"
            )

    @property
    def least_time(self) -> float:
        """The time that one level of the search and a confirmation take."""
        return self.seconds(self.scout) + self.seconds(self.confirm)

    @property
    def scout(self) -> float:
        """The length of the steady part of a level that is far from the capacity."""
        return min(self.hold, max(_LEAST_CLIPS * self.longest, self.hold * _SCOUT))

    @property
    def quantile(self) -> float:
        """The quantile that determines how many sessions are needed for a proof."""
        return USUAL_Q if self.q is None else self.q

    @property
    def most_streams(self) -> int:
        """The largest number of streams that a level can have."""
        return math.ceil(BEYOND * self.high) if self.beyond else self.high

    @property
    def last(self) -> float:
        """The time that a level beyond the capacity takes; 0 if none may be run."""
        return self.seconds(self.hold) + self.recovery if self.beyond else 0.0

    def seconds(self, hold: float) -> float:
        """Return how long a level with a steady part of ``hold`` takes.

        The time includes the pause after the level.
        """
        return self.ramp + hold + self.drain + self.pause

    def sessions(self, streams: int, hold: float) -> float:
        """Return the approximate number of sessions of the steady part of a level."""
        return streams * max(0.0, hold - self.clip) * self.talk / self.clip

    def needed(self, streams: int, confidence: float) -> float:
        """Return the shortest steady part, in s, that can prove that the budgets hold.

        This time is enough only if the sessions are independent and none is over the
        limit.
        """
        sessions = samples_needed(self.quantile, confidence)
        return self.clip + sessions * self.clip / self.talk / streams

    def confirmation(self, streams: int, confidence: float) -> float:
        """Return how long, in s, the steady part of a confirmation should be."""
        return max(self.confirm, _MARGIN * self.needed(streams, confidence))
