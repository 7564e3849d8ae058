"""The levels of a search for the capacity, and what they show together."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.curve import Point, isotonic
from pytest_realtime_asr.load.decision import Decision, Proof, Risk
from pytest_realtime_asr.load.search_plan import USUAL_Q
from pytest_realtime_asr.verdicts.verdict import Verdict


class Step(enum.StrEnum):
    """The step of a search that runs a level; `load.search` explains the steps."""

    DOUBLE = "double"
    BISECT = "bisect"
    RETEST = "retest"
    CONFIRM = "confirm"
    ABOVE = "above"
    BEYOND = "beyond"


SEARCHING = frozenset({Step.DOUBLE, Step.BISECT, Step.RETEST})
"""The steps in which the observed statistics of a level steer the search."""
PROVING = frozenset({Step.CONFIRM, Step.ABOVE})
"""The steps whose levels are run for a proof and do not steer the search."""


@dataclass(frozen=True, slots=True)
class Task:
    """A level to run, with the error probabilities of its proofs (``risk``).

    ``hold`` is the length of the steady part in s.
    """

    step: Step
    streams: int
    hold: float
    risk: Risk


@dataclass(frozen=True, slots=True)
class Trial:
    """A level that has ended: its task, and the decision on the level."""

    task: Task
    decision: Decision

    @property
    def streams(self) -> int:
        """The number of streams of the level."""
        return self.task.streams

    @property
    def proof(self) -> Proof:
        """What the level proves."""
        return self.decision.proof


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the levels prove: the capacity is at least ``low`` and below ``high``.

    ``low`` is 0 if no level is proven to hold. ``high`` is ``None`` if no level is
    proven not to hold.
    """

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Bracket:
    """The numbers of streams between which the observed statistics cross a limit.

    ``high`` is the smallest level that was over a limit. ``low`` is the largest level
    below ``high`` that was within all limits. Each is ``None`` if there is no such
    level.
    """

    low: int | None
    high: int | None


def of(trials: Sequence[Trial], *steps: Step) -> tuple[Trial, ...]:
    """Return the levels of the given steps, in the order in which they were run."""
    return tuple(each for each in trials if each.task.step in steps)


def bounds(trials: Sequence[Trial]) -> Bounds:
    """Return the bounds of the capacity that the levels prove.

    If a level is proven not to hold, all larger levels are ignored.
    """
    missed = [each.streams for each in trials if each.proof is Proof.MISSES]
    high = min(missed, default=None)
    held = [
        each.streams
        for each in trials
        if each.proof is Proof.HOLDS and (high is None or each.streams < high)
    ]
    return Bounds(max(held, default=0), high)


def confirmed(trials: Sequence[Trial]) -> int:
    """Return the number of streams of the largest level that is proven to hold.

    Only levels of the steps `PROVING` count. The result is 0 if there is no such level.
    If a level of any step is proven not to hold, larger levels are ignored.
    """
    high = bounds(trials).high
    held = [
        each.streams
        for each in of(trials, *PROVING)
        if each.proof is Proof.HOLDS and (high is None or each.streams < high)
    ]
    return max(held, default=0)


def bracket(trials: Sequence[Trial]) -> Bracket:
    """Return the two numbers of streams between which the levels cross a limit.

    Levels with the same number of streams are pooled.
    """
    within = {streams: excess <= 1 for streams, excess in _excesses(trials).items()}
    high = min((each for each, holds in within.items() if not holds), default=None)
    held = [
        each
        for each, holds in within.items()
        if holds and (high is None or each < high)
    ]
    return Bracket(max(held, default=None), high)


def reversals(trials: Sequence[Trial]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of levels that contradict monotonicity.

    The first level of a pair has fewer streams than the second. The first is proven not
    to hold, with a confidence of 95 %, but the second was within all limits.
    """
    failed = {each.streams for each in trials if each.decision.verdict is Verdict.FAIL}
    held = {each.streams for each in trials if each.decision.within} - failed
    return tuple((a, b) for a in sorted(failed) for b in sorted(held) if a < b)


def rising(trials: Sequence[Trial]) -> tuple[Point, ...]:
    """Return the never-falling curve that is nearest to the `points` of the levels."""
    return isotonic(points(trials))


def points(trials: Sequence[Trial]) -> Iterator[Point]:
    """Yield, for each level, which share of its sessions is over the binding limit.

    The weight of a point is its number of sessions, divided by the design effect.
    Levels whose result is due to the client itself are left out.
    """
    for each in trials:
        limit = each.decision.binding
        if each.decision.by_client:
            continue
        if limit is None or not limit.n or each.decision.aborted:
            yield Point(each.streams, 1.0, 1.0)
            continue
        allowed = 1 - USUAL_Q if limit.allowed is None else limit.allowed
        share = min(1.0, limit.excess * allowed)
        yield Point(each.streams, share, limit.n / limit.inflation)


def _excesses(trials: Sequence[Trial]) -> dict[int, float]:
    """Return, for each number of streams, the mean excess of the binding limit.

    Only levels of the steps `SEARCHING` count. The excess of a level is infinite if it
    was aborted, if it has no session, or if its result is due to the client itself. The
    search cannot go beyond such a level.
    """
    found: dict[int, list[tuple[float, int]]] = {}
    for each in of(trials, *SEARCHING):
        limit, decision = each.decision.binding, each.decision
        if limit is None or not limit.n or decision.aborted or decision.by_client:
            pair = math.inf, 1
        else:
            pair = limit.excess, limit.n
        found.setdefault(each.streams, []).append(pair)
    return {
        streams: sum(excess * n for excess, n in pairs) / sum(n for _, n in pairs)
        for streams, pairs in found.items()
    }
