"""The search for the capacity: which level comes next.

The search is a function of the levels that have ended (`following`); it keeps no state
and reads no clock. Its steps:

1. *Double* the streams from the lowest level until a level is over a limit, with short
   levels. Each level warms the server by its ramp, which is not judged.
2. *Bisect*. Both look at the observed statistics only; they steer, and need no proof.
3. *Retest* the two levels between which the search has ended, with other seeds: where
   one of them turns, the search goes on from there.
4. *Confirm* a level with sessions that the search has not seen. It is the largest level
   that the curve of the search lets expect to be proven. If it is not proven, a lower
   one is confirmed.
5. *Above*: a level is sought that is proven not to hold.
6. *Beyond*: half as many streams again, to see what the server does.

What the interval claims. ``N_low`` is the largest level that is proven to hold and
``N_high`` the smallest that is proven not to hold. With a probability of at least 95 %
both proofs are right, so that the capacity is at least ``N_low`` and below ``N_high``.
Many levels are tested, so each may only spend a part of the 5 %:

- 1 % is shared equally by all levels (`MOST_LEVELS`), for a proof that is not the aim
  of the level: a level of the search, or a confirmation that proves the opposite.
- 4 % belong to the confirmations and to the levels above. Each of these spends three
  quarters of what is left. A confirmation that has proven its level gets back what it
  spent: if that proof is wrong, the capacity is below the level, and no proof above it
  can be wrong; if it is right, it spent nothing.

The choice of a level depends only on levels that have ended, and each level has
sessions of its own. So the probabilities of a wrong proof add up, however the levels
were chosen. That a level between two tested ones behaves between them (monotony) is
assumed for the interval only; where levels contradict it, this is reported.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.curve import Point, isotonic, logistic
from pytest_realtime_asr.load.decision import Decision, Proof, Risk
from pytest_realtime_asr.stats import (
    proven_at_most,
    proven_over,
    quantile,
    samples_needed,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

MOST_LEVELS = 25
_MOST_SEARCHED = 18  # levels of the search; the rest is kept for proofs
_MOST_PROOFS = 6
_ANY_ERROR = 0.01
_MAIN_ERROR = 0.04
_NEAR = 1.0  # excess of levels that are near the capacity
_FACTOR = 2.0
_CAUTIOUS = 2.0  # standard errors that the first confirmation allows for
_BOLD = 1.0  # the same, for a proof that narrows the interval
_SURE = 4.0  # the same, for a proof by a level that is shorter than possible
_BELOW = 0.95  # of the level that was observed to hold, for the first confirmation
_SPENT = 0.6  # share of the remaining error that one proof may spend
_ANY = _ANY_ERROR / MOST_LEVELS
_ANY_RISK = Risk(_ANY, _ANY)
_RESOLUTION = 50  # the bisection ends at 1/50 of the level
_BEYOND = 1.5
_SCOUT = 1 / 3  # of the hold, for levels that only double
_LEAST_CLIPS = 2  # the hold of a level, in longest clips
_MARGIN = 1.6  # sessions of a confirmation, in those that a proof needs at least
_NEAR = 3.0  # excess of levels that are near the capacity
_INFL = 0.75
_FACTOR = 1.0
_WIDE = 0.25  # share of a level
_NARROW = 0.1  # share of a level
_RULE_OF_THREE = 3.0  # of n outcomes without a hit: the upper bound of the share is 3/n
_SPREAD = 1.0  # standard errors that a confirmation allows for
_LEAST_SESSIONS = 50  # fewer estimate no correlation
_USUAL_Q = 0.95  # for limits that are not of a quantile


class Step(enum.StrEnum):
    """Why a level is run."""

    DOUBLE = "double"
    BISECT = "bisect"
    RETEST = "retest"
    CONFIRM = "confirm"
    ABOVE = "above"
    BEYOND = "beyond"


_SEARCHING = (Step.DOUBLE, Step.BISECT, Step.RETEST)


@dataclass(frozen=True, slots=True)
class Task:
    """A level to run: its streams, its hold in s, and the risk that it may spend."""

    step: Step
    streams: int
    hold: float
    risk: Risk = _ANY_RISK


@dataclass(frozen=True, slots=True)
class Trial:
    """A level that has ended: its task, and the decision at the risk of the task."""

    task: Task
    decision: Decision

    @property
    def streams(self) -> int:
        """The number of streams of the level."""
        return self.task.streams


@dataclass(frozen=True, slots=True)
class Schedule:
    """The bounds of a search; all times are in seconds.

    The streams are sought from ``low`` to ``high``. ``hold`` is the steady part of a
    level of the search, ``confirm`` that of a confirmation. A level takes ``ramp`` and
    ``drain`` more, and ``pause`` after it. ``clip`` is the mean and ``longest`` the
    largest length of a clip, ``talk`` the share of the time in which a stream speaks.
    ``q`` is the largest quantile that is limited; ``None`` if none is. ``beyond`` says
    whether a level beyond the capacity may be run.
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
    q: float | None = _USUAL_Q
    beyond: bool = True

    def check(self) -> None:
        """Raise ValueError, which says what to write, if no search is possible."""
        if not 1 <= self.low <= self.high:
            raise ValueError(
                f"between=({self.low}, {self.high}) is no range of streams: write the "
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
        needed = self.seconds(self.scout) + self.seconds(self.confirm)
        if needed > self.max_time:
            raise ValueError(
                f"max_time={self.max_time:g}s is too short: one level of the search "
                f"and the confirmation take {needed:.0f} s; give a longer max_time, or "
                "a shorter hold and confirm"
            )

    @property
    def scout(self) -> float:
        """The hold of a level that only doubles the streams."""
        return min(self.hold, max(_LEAST_CLIPS * self.longest, self.hold * _SCOUT))

    @property
    def quantile(self) -> float:
        """The quantile by which sessions are planned."""
        return _USUAL_Q if self.q is None else self.q

    @property
    def most_streams(self) -> int:
        """The largest number of streams that a level can have."""
        return math.ceil(_BEYOND * self.high) if self.beyond else self.high

    def seconds(self, hold: float) -> float:
        """Return how long a level takes, with its pause."""
        return self.ramp + hold + self.drain + self.pause

    def sessions(self, streams: int, hold: float) -> float:
        """Return about how many sessions end in the steady part of a level."""
        return streams * max(0.0, hold - self.clip) * self.talk / self.clip

    def needed(self, streams: int) -> float:
        """Return the hold that a confirmation of a level needs at least for a proof."""
        sessions = samples_needed(self.quantile, 1 - _MAIN_ERROR * _SPENT)
        return self.clip + sessions * self.clip / self.talk / streams


def following(schedule: Schedule, trials: Sequence[Trial], spent: float) -> Task | None:
    """Return the next level, or ``None`` if the search is over.

    ``spent`` is the time since the start of the search. No level is returned that would
    end after ``max_time``.
    """
    state = _State(schedule, tuple(trials), schedule.max_time - spent)
    steps: tuple[Callable[[], Task | None], ...] = (
        state.searching,
        state.proving,
        state.beyond,
    )
    return next((task for each in steps if (task := each()) is not None), None)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the levels prove: the capacity is at least ``low`` and below ``high``.

    ``low`` is 0 if no level is proven to hold, and ``high`` is ``None`` if none is
    proven not to hold.
    """

    low: int
    high: int | None


def bounds(trials: Sequence[Trial]) -> Bounds:
    """Return the bounds of the capacity that the levels prove."""
    missed = [each.streams for each in trials if each.decision.proof is Proof.MISSES]
    high = min(missed, default=None)
    held = [
        each.streams
        for each in trials
        if each.decision.proof is Proof.HOLDS and (high is None or each.streams < high)
    ]
    return Bounds(max(held, default=0), high)


@dataclass(frozen=True, slots=True)
class Bracket:
    """Where the observed statistics cross a limit.

    ``low`` is the largest level that was within all limits, below ``high``, the
    smallest that was not. ``None`` if there is none.
    """

    low: int | None
    high: int | None


def bracket(trials: Sequence[Trial]) -> Bracket:
    """Return where the levels of the search cross a limit, those of a level pooled."""
    within = {streams: excess <= 1 for streams, excess in _excesses(trials).items()}
    high = min((each for each, holds in within.items() if not holds), default=None)
    low = max(
        (
            each
            for each, holds in within.items()
            if holds and (high is None or each < high)
        ),
        default=None,
    )
    return Bracket(low, high)


def rising(trials: Sequence[Trial]) -> tuple[Point, ...]:
    """Return the isotonic curve of the share over the limit of all levels."""
    return isotonic(_points(trials))


def reversals(trials: Sequence[Trial]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of levels that contradict monotony.

    The first level of a pair is smaller and proven, at a confidence of 95 %, not to
    hold; the second was within all limits.
    """
    failed = {each.streams for each in trials if each.decision.verdict is Verdict.FAIL}
    held = {each.streams for each in trials if each.decision.within} - failed
    return tuple((a, b) for a in sorted(failed) for b in sorted(held) if a < b)


@dataclass(frozen=True, slots=True)
class _State:
    """The levels that have ended, and the time that is left in s."""

    schedule: Schedule
    trials: tuple[Trial, ...]
    left: float

    def of(self, step: Step) -> tuple[Trial, ...]:
        return tuple(each for each in self.trials if each.task.step is step)

    def fits(self, hold: float, *, reserved: float = 0.0) -> bool:
        return self.schedule.seconds(hold) + reserved <= self.left

    @property
    def last(self) -> float:
        """The time that is kept for the level beyond."""
        plan = self.schedule
        return plan.seconds(plan.hold) if plan.beyond else 0.0

    # 1 to 3: the search

    def searching(self) -> Task | None:
        """Return the next level of the search."""
        if self.of(Step.CONFIRM) or self.of(Step.ABOVE) or self.of(Step.BEYOND):
            return None
        searched = [each for each in self.trials if each.task.step in _SEARCHING]
        if len(searched) >= _MOST_SEARCHED:
            return None
        plan, found = self.schedule, bracket(self.trials)
        task = self._bracketing(found) or self._retesting(found)
        if task is None:
            return None
        # A confirmation and the level beyond; a level above as well, if the bracket is
        # so narrow that it tells more than one more level of the search.
        reserved = plan.seconds(plan.confirm) + self.last
        if found.low and found.high and found.high - found.low <= found.low * _NARROW:
            reserved += plan.seconds(plan.confirm)
        return task if self.fits(task.hold, reserved=reserved) else None

    def _retesting(self, found: Bracket) -> Task | None:
        """Return the next end of the bracket to test again."""
        tested = {each.streams for each in self.of(Step.RETEST)}
        for streams in (found.low, found.high):
            if streams is not None and streams not in tested:
                return Task(Step.RETEST, streams, self.schedule.hold)
        return None

    def _bracketing(self, found: Bracket) -> Task | None:
        """Return the next level that doubles or bisects; ``None`` if there is none."""
        plan = self.schedule
        if found.high is None:
            if found.low is None:
                return Task(Step.DOUBLE, plan.low, plan.scout)
            if found.low == plan.high:
                return None
            return Task(Step.DOUBLE, min(2 * found.low, plan.high), plan.scout)
        if found.low is None:
            lower = plan.low
            return None if found.high == lower else Task(Step.BISECT, lower, plan.hold)
        if found.high - found.low <= max(1, found.low // _RESOLUTION):
            return None
        wide = found.high - found.low > found.low * _WIDE
        hold = plan.scout if wide else plan.hold
        return Task(Step.BISECT, (found.low + found.high) // 2, hold)

    # 4 and 5: the proofs

    def proving(self) -> Task | None:
        """Return the next level to confirm, or to prove that it does not hold."""
        if self.of(Step.BEYOND) or len(self.proofs) >= _MOST_PROOFS:
            return None
        if any(each.decision.proof is Proof.HOLDS for each in self.of(Step.CONFIRM)):
            return self._narrowing()
        return self._confirming()

    @property
    def proofs(self) -> tuple[Trial, ...]:
        return (*self.of(Step.CONFIRM), *self.of(Step.ABOVE))

    def _confirming(self) -> Task | None:
        """Return the next level to confirm, while none is confirmed."""
        plan, found = self.schedule, bracket(self.trials)
        if found.low is None:
            return self._above(plan.low) if not self.proofs else None
        most = max(plan.low, math.floor(found.low * _BELOW))
        most = min([most, *(each.streams - 1 for each in self.proofs)])
        high = bounds(self.trials).high
        if high is not None:
            most = min(most, high - 1)
        if most < plan.low:
            return None
        streams = self._provable(range(plan.low, most + 1), _CAUTIOUS)
        if streams is None:
            streams = self._nearest(range(plan.low, most + 1))
        return self._confirmation(streams)

    def _confirmation(self, streams: int) -> Task | None:
        plan = self.schedule
        wanted = max(plan.confirm, _MARGIN * plan.needed(streams))
        hold = min(wanted, max(plan.confirm, self.left - plan.seconds(0) - self.last))
        risk = Risk(self.error, _ANY)
        if self.fits(hold, reserved=self.last) or self.fits(plan.confirm):
            return Task(Step.CONFIRM, streams, hold, risk)
        return None

    def _above(self, streams: int, *, hold: float | None = None) -> Task | None:
        hold = self.schedule.confirm if hold is None else hold
        if hold < self.schedule.hold or not self.fits(hold, reserved=self.last):
            return None
        return Task(Step.ABOVE, streams, hold, Risk(_ANY, self.error))

    def _narrowing(self) -> Task | None:
        """Return the level whose proof would narrow the interval most."""
        plan, proven = self.schedule, bounds(self.trials)
        observed = bracket(self.trials).high
        clients = [each.streams for each in self.trials if each.decision.by_client]
        high = plan.high + 1 if proven.high is None else proven.high
        high = min([high, *clients])
        tried = {each.streams for each in self.proofs}
        between = [each for each in range(proven.low + 1, high) if each not in tried]
        if observed is None or not between:
            return None
        low = self._provable(between, _BOLD) if self.fits(plan.confirm) else None
        longest = min(plan.confirm, self.left - self.last - plan.seconds(0))
        missed = self._missing(between, longest, _BOLD)
        if missed is None and proven.high is None and not self.of(Step.ABOVE):
            missed = min((n for n in between if n >= observed), default=between[-1])
        if missed is not None and (low is None or high - missed >= low - proven.low):
            sure = self._missing(between, plan.hold, _SURE) == missed
            return self._above(missed, hold=plan.hold if sure else longest)
        return None if low is None else self._confirmation(low)

    @property
    def error(self) -> float:
        """The probability of a wrong proof that the next proof may spend."""
        return _SPENT * _remaining(self.trials)

    def _provable(self, levels: Sequence[int], caution: float) -> int | None:
        """Return the largest level whose proof can be expected.

        The share over the limit may come out ``caution`` standard errors higher than
        expected.
        """
        plan, expected = self.schedule, self._expected(self.schedule.confirm)
        for streams in reversed(levels):
            n, share = expected(streams)
            share = min(1.0, share + caution * _error(share, n))
            if proven_at_most(share * n, n, plan.quantile, 1 - self.error):
                return streams
        return None

    def _nearest(self, levels: Sequence[int]) -> int:
        """Return the level that is nearest to a proof."""
        expected = self._expected(self.schedule.confirm)

        def upper(streams: int) -> float:
            n, share = expected(streams)
            return share + 2 * _error(share, n) + _RULE_OF_THREE / n

        return min(levels, key=upper)

    def _missing(
        self, levels: Sequence[int], hold: float, caution: float
    ) -> int | None:
        """Return the smallest level that can be expected to be proven not to hold."""
        if hold < self.schedule.hold:
            return None
        q, expected = self.schedule.quantile, self._expected(hold)
        for streams in levels:
            n, share = expected(streams)
            share = max(0.0, share - caution * _error(share, n))
            if proven_over(share * n, n, q, 1 - self.error):
                return streams
        return None

    def _expected(self, hold: float) -> Callable[[int], tuple[float, float]]:
        """Return what to expect at a level, by its streams.

        It is the number of independent sessions, and their share over the limit.
        """
        found = bracket(self.trials)
        points = list(_points(self.trials))
        curve = logistic(points, found.high or found.low or self.schedule.high)
        effects = [
            limit.inflation
            for each in self.trials
            if (limit := each.decision.binding) is not None
            and limit.n >= _LEAST_SESSIONS
            and limit.excess <= _NEAR
        ]
        inflation = max(1.0, _FACTOR * quantile(effects, 0.5)) if effects else 1.0

        def expected(streams: int) -> tuple[float, float]:
            n = self.schedule.sessions(streams, hold) / inflation
            return max(1.0, n), curve.share(streams)

        return expected

    # 6: what is beyond

    def beyond(self) -> Task | None:
        """Return the level beyond the capacity."""
        plan = self.schedule
        if not plan.beyond or self.of(Step.BEYOND) or not self.fits(plan.hold):
            return None
        found = bracket(self.trials)
        low = max(bounds(self.trials).low, found.low or 0)
        if found.high is None or not low:
            return None
        return Task(Step.BEYOND, max(low + 1, math.ceil(_BEYOND * low)), plan.hold)


def _error(share: float, n: float) -> float:
    """Return the standard error of a share."""
    return math.sqrt(share * (1 - share) / n)


def _remaining(trials: Sequence[Trial]) -> float:
    """Return the error that the confirmations and the levels above have not spent."""
    left = _MAIN_ERROR
    for each in trials:
        proof, risk = each.decision.proof, each.task.risk
        if each.task.step is Step.CONFIRM and proof is not Proof.HOLDS:
            left -= risk.holds
        elif each.task.step is Step.ABOVE and proof is not Proof.MISSES:
            left -= risk.misses
    return left


def _excesses(trials: Sequence[Trial]) -> dict[int, float]:
    """Return the mean excess of each level of the search, by its streams.

    A level that was aborted, or that has no session, is over its limits.
    """
    found: dict[int, list[tuple[float, int]]] = {}
    for each in trials:
        if each.task.step not in _SEARCHING:
            continue
        limit = each.decision.binding
        over = limit is None or each.decision.aborted or each.decision.by_client
        pair = (math.inf, 1) if limit is None or over else (limit.excess, limit.n)
        found.setdefault(each.streams, []).append(pair)
    return {
        streams: sum(excess * n for excess, n in pairs) / sum(n for _, n in pairs)
        for streams, pairs in found.items()
    }


def _points(trials: Sequence[Trial]) -> Iterator[Point]:
    """Return the share over the binding limit of each level."""
    for each in trials:
        limit = each.decision.binding
        if each.decision.by_client:
            continue
        if limit is None or each.decision.aborted:
            yield Point(each.streams, 1.0, 1.0)
            continue
        allowed = 1 - _USUAL_Q if limit.allowed is None else limit.allowed
        share = min(1.0, limit.excess * allowed)
        yield Point(each.streams, share, limit.n / limit.inflation)
