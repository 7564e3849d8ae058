"""The capacity of a server: how many live streams it holds, and what limits it."""

from __future__ import annotations

import enum
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_realtime_asr.load.behaviour import Beyond
from pytest_realtime_asr.load.curve import Point
from pytest_realtime_asr.load.decision import Decision, LimitDecision
from pytest_realtime_asr.load.error_budget import FIRST_CONFIDENCE
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import (
    SEARCHING,
    Step,
    Trial,
    bounds,
    bracket,
    confirmed,
    of,
    reversals,
    rising,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

_CLIFF = 0.05, 0.5  # shares over the limit at the two sides of a cliff


class LimitedBy(enum.StrEnum):
    """The cause that keeps a capacity from being higher, or from being known.

    `SERVER`: with more streams, a limit of the test is missed. `LOSSES`: with more
    streams, a limit is missed only because sessions are lost; the other sessions are
    not too slow. `CLIENT`: with more streams, the client itself is too slow to measure.
    `RANGE`: the server held even the largest number of streams that the search may try.
    `TIME`: the search had no time left to prove a level. `ENDED`: the search was ended
    early, for example because the server did not accept sessions any more.
    """

    SERVER = "server"
    LOSSES = "lost sessions"
    CLIENT = "client"
    RANGE = "range"
    TIME = "time"
    ENDED = "ended"


class Edge(enum.StrEnum):
    """The way in which a server exceeds its limits when the number of streams grows.

    `CLIFF`: from one level to the next, the share of sessions over a limit rises from
    below 5 % to above 50 %. `SLOPE`: this share rises more slowly.
    """

    CLIFF = "cliff"
    SLOPE = "slope"


@dataclass(frozen=True, slots=True)
class Setting:
    """The load with which a capacity was measured; the capacity depends on it.

    ``talk`` is the share of the time in which a stream speaks. ``witnesses`` is the
    number of witnesses. The other fields are lengths in s:

    - ``clip`` is the mean length of the clips.
    - ``longest`` is the length of the longest clip.
    - ``chunk`` is the length of an audio frame.
    - ``ramp`` is the length of the ramp of a level.
    - ``hold`` is the length of the steady part of a level.
    - ``confirm`` is the length of the steady part of the confirmation.
    """

    talk: float
    clip: float
    longest: float
    chunk: float
    ramp: float
    hold: float
    confirm: float
    witnesses: int = 1


@dataclass(frozen=True, slots=True)
class Tried:
    """A level of the search, with its results and the decision on it.

    ``level`` is ``None`` in a simulation.
    """

    trial: Trial
    level: Level | None = field(default=None, repr=False)

    @property
    def streams(self) -> int:
        """The number of streams of the level."""
        return self.trial.streams

    @property
    def step(self) -> Step:
        """Why the level was run."""
        return self.trial.task.step

    @property
    def decision(self) -> Decision:
        """The decision on the level."""
        return self.trial.decision


@dataclass(frozen=True, slots=True)
class Capacity:
    """The number of live streams that a server holds within the limits of a test.

    ``confirmed`` says whether a confirmation has proven that the server holds a number
    of streams. If so, ``streams`` is the largest number that a confirmation has proven.
    If not, ``streams`` is the largest number that another level proves, or 0.
    ``interval`` has two numbers: ``streams``, and the smallest number that the server
    is proven not to hold (``None`` if there is none). With a confidence of 95 %, the
    capacity is at least the first number and below the second.

    ``binding`` is the limit that is missed first when the number of streams grows. If
    no limit is missed, it is the limit that is nearest to being missed. ``beyond`` says
    what the server did at a level beyond its capacity; ``None`` without such a level.
    ``edge`` says how the server exceeds its limits. ``levels`` are in the order in
    which they were run. ``seconds`` is the time of the whole search. ``ended`` says why
    the search was ended early; "" if it was not. ``needed`` has two numbers: the
    largest number of streams that the server was observed to hold, and the length in s
    of the shortest steady part that can prove this number.
    """

    streams: int
    interval: tuple[int, int | None]
    confirmed: bool
    binding: LimitDecision | None
    limited_by: LimitedBy
    setting: Setting
    levels: tuple[Tried, ...] = field(default=(), repr=False)
    beyond: Beyond | None = None
    edge: Edge | None = None
    seconds: float = 0.0
    ended: str = ""
    needed: tuple[int, float] | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict, which is ``PASS`` if a number of streams is confirmed.

        Without a confirmation, it is ``FAIL`` if the smallest number of streams that
        was tried is proven not to hold. Otherwise, it is ``INVALID`` if the client was
        too slow to measure, or ``INCONCLUSIVE`` if it was not.
        """
        if self.confirmed:
            return Verdict.PASS
        if self.interval[0] == 0 and self.interval[1] is not None and self.lowest_fails:
            return Verdict.FAIL
        if self.limited_by is LimitedBy.CLIENT:
            return Verdict.INVALID
        return Verdict.INCONCLUSIVE

    @property
    def lowest_fails(self) -> bool:
        """Whether the smallest number of streams tried is proven not to hold."""
        tried = [each.streams for each in self.levels]
        return bool(tried) and self.interval[1] == min(tried)

    @property
    def undecided(self) -> tuple[int, ...]:
        """The numbers of streams that were tried, but for which nothing was proven."""
        low, high = self.interval
        return tuple(
            sorted(
                {
                    each.streams
                    for each in self.levels
                    if each.streams > low and (high is None or each.streams < high)
                }
            )
        )

    @property
    def curve(self) -> tuple[Point, ...]:
        """The share of sessions over the binding limit, by the number of streams.

        The curve is isotonic: it never falls. It proves nothing.
        """
        return rising(self._trials)

    @property
    def reversals(self) -> tuple[tuple[int, int], ...]:
        """The pairs in which a number of streams failed, but a larger number held."""
        return reversals(self._trials)

    @property
    def lost(self) -> tuple[tuple[str, int], ...]:
        """The numbers of lost sessions by the kind of loss, the most frequent first.

        The sessions of the steady parts of all levels are counted.
        """
        found: Counter[str] = Counter()
        for each in self.levels:
            if each.level is not None:
                found.update(row.lost.value for row in each.level.steady if row.lost)
        return tuple(found.most_common())

    def reaches(self, streams: int) -> Verdict:
        """Return whether the server holds at least ``streams`` streams.

        The result is ``PASS`` if this is proven, and ``FAIL`` if the opposite is
        proven. Without a proof, it is ``INVALID`` if the client was the limit, and
        otherwise ``INCONCLUSIVE``.
        """
        low, high = self.interval
        if self.confirmed and low >= streams:
            return Verdict.PASS
        if high is not None and high <= streams:
            return Verdict.FAIL
        if self.limited_by is LimitedBy.CLIENT:
            return Verdict.INVALID
        return Verdict.INCONCLUSIVE

    @property
    def _trials(self) -> tuple[Trial, ...]:
        return tuple(each.trial for each in self.levels)


def capacity(
    levels: Sequence[Tried],
    plan: SearchPlan,
    setting: Setting,
    *,
    beyond: Beyond | None = None,
    seconds: float = 0.0,
    ended: str = "",
) -> Capacity:
    """Return the capacity that the levels of a search show."""
    trials = tuple(each.trial for each in levels)
    proven = bounds(trials)
    held = confirmed(trials)
    streams = held or proven.low
    return Capacity(
        streams=streams,
        interval=(streams, proven.high),
        confirmed=bool(held),
        binding=_binding(trials),
        limited_by=_limited_by(trials, plan, confirmed=bool(held), ended=bool(ended)),
        setting=setting,
        levels=tuple(levels),
        beyond=beyond,
        edge=_edge(trials),
        seconds=seconds,
        ended=ended,
        needed=_needed(trials, plan),
    )


def _needed(trials: Sequence[Trial], plan: SearchPlan) -> tuple[int, float] | None:
    """Return the largest number of streams that held, and how long its proof takes.

    The proof takes a steady part of at least this length in s. Return ``None`` if no
    level held.
    """
    streams = bracket(trials).low
    if streams is None:
        return None
    return streams, plan.needed(streams, FIRST_CONFIDENCE)


def _failing(trials: Sequence[Trial]) -> tuple[Trial, ...]:
    """Return the levels with the smallest number of streams that does not hold.

    This number is the smallest that is proven not to hold. If nothing is proven, it is
    the smallest with which a limit was missed.
    """
    proven = bounds(trials).high
    streams = bracket(trials).high if proven is None else proven
    return tuple(each for each in trials if each.streams == streams)


def _binding(trials: Sequence[Trial]) -> LimitDecision | None:
    """Return the limit that is missed first when the number of streams grows.

    If no limit is missed, return the limit that is nearest to being missed.
    """
    found = _failing(trials) or tuple(each for each in trials if each.decision.limits)
    limits = [each.decision.binding for each in found]
    known = [each for each in limits if each is not None]
    return max(known, key=lambda each: each.excess, default=None)


def _limited_by(
    trials: Sequence[Trial], plan: SearchPlan, *, confirmed: bool, ended: bool
) -> LimitedBy:
    failing = _failing(trials)
    if any(each.decision.by_client for each in failing):
        return LimitedBy.CLIENT
    limits = [each.decision.binding for each in failing if not each.decision.within]
    known = [each for each in limits if each is not None and each.n]
    if known and all(each.by_loss for each in known):
        return LimitedBy.LOSSES
    if ended:
        return LimitedBy.ENDED
    proven = bounds(trials)
    if confirmed or proven.high == plan.low:
        held = max((each.streams for each in of(trials, *SEARCHING)), default=0)
        in_range = not failing and held == plan.high
        return LimitedBy.RANGE if in_range else LimitedBy.SERVER
    return LimitedBy.TIME


def _edge(trials: Sequence[Trial]) -> Edge | None:
    """Return how the server exceeds its limits; ``None`` if this was not observed.

    Levels with the same number of streams are pooled, and each is compared with the
    next larger one. The first level has the largest number of streams that is proven to
    hold. The last level has the smallest number that is proven not to hold. If no
    number is proven not to hold, it has the smallest with which a limit was missed.
    """
    proven = bounds(trials)
    high = bracket(trials).high if proven.high is None else proven.high
    if high is None:
        return None
    final = [each for each in rising(trials) if proven.low <= each.streams <= high]
    below, above = _CLIFF
    for one, other in itertools.pairwise(final):
        if one.share < below and other.share > above:
            return Edge.CLIFF
    return Edge.SLOPE if len(final) > 1 else None
