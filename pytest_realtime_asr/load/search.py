"""The search for the capacity: which level comes next.

The search is a function of the levels that have ended (`following`); it keeps no state
and reads no clock. Its steps:

1. *Double* the streams of the lowest level again and again, in short levels, until a
   level is over a limit. Each level warms the server by its ramp, which is not judged.
2. *Bisect* between the largest level within all limits and the smallest level over a
   limit. The first two steps look only at the observed statistics. They steer the
   search and need no proof.
3. *Retest* the two levels between which the bisection has ended, with other seeds. If
   the result of one of them changes, the search continues from that level.
4. *Confirm* a level with sessions that the search has not seen. A level just below the
   point at which a limit is crossed cannot be proven, since its share of sessions over
   the limit is too close to the allowed share. So the search takes the largest level
   whose proof can be expected. If the proof fails, the search tries a lower level.
5. *Above*: find a level that is proven not to hold. While there is time, narrow the
   interval between this level and the confirmed level: confirm a higher level, or prove
   that a lower level does not hold, whichever can gain more.
6. *Beyond*: run a level with 1.5 times as many streams, to see what the server does.

`bounds` returns the interval; `pytest_realtime_asr.load.error_budget` proves its
confidence. The interval assumes monotonicity: a server that does not hold a number of
streams does not hold more of them. `reversals` names the levels that contradict this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.decision import Risk
from pytest_realtime_asr.load.error_budget import (
    ANY,
    ANY_RISK,
    FIRST_CONFIDENCE,
    next_error,
)
from pytest_realtime_asr.load.expectation import Expectation, expectation
from pytest_realtime_asr.load.search_plan import BEYOND, SearchPlan
from pytest_realtime_asr.load.trials import (
    PROVING,
    SEARCHING,
    Bracket,
    Step,
    Task,
    Trial,
    bounds,
    bracket,
    confirmed,
    of,
)

_MOST_SEARCHED = 18  # levels; with the proofs and the level beyond, at most MOST_LEVELS
_MOST_PROOFS = 6
_RESOLUTION = 50  # the bisection ends at 1/50 of the level
_WIDE = 0.25  # of a level: a wider bracket is bisected with short levels
_NARROW = 0.1  # of a level: a narrower bracket must leave time for a level above
_BELOW = 0.95  # of the level that was observed to hold, for the first confirmation
_LOWER = 0.9  # of a level that was not proven, for the next one
# Standard errors by which a share may differ from what is expected:
_CAUTIOUS = 2.0  # for the first confirmation, on which the result depends
_BOLD = 1.0  # for a level that narrows the interval
_SURE = 4.0  # for a level that is shorter than it could be


def following(plan: SearchPlan, trials: Sequence[Trial], spent: float) -> Task | None:
    """Return the next level, or ``None`` if the search is over.

    ``spent`` is the time in s since the start of the search. A level that would end
    after the ``max_time`` of the plan is not returned.
    """
    state = _State(plan, tuple(trials), plan.max_time - spent)
    steps: tuple[Callable[[], Task | None], ...] = (
        state.searching,
        state.proving,
        state.beyond,
    )
    return next((task for each in steps if (task := each()) is not None), None)


@dataclass(frozen=True, slots=True)
class _State:
    """The levels that have ended, and the time that is left in s."""

    plan: SearchPlan
    trials: tuple[Trial, ...]
    left: float

    def fits(self, hold: float, *, reserved: float = 0.0) -> bool:
        return self.plan.seconds(hold) + reserved <= self.left

    @property
    def proofs(self) -> tuple[Trial, ...]:
        return of(self.trials, *PROVING)

    @property
    def ended(self) -> bool:
        """Whether the last level, which is beyond the capacity, has been run."""
        return bool(of(self.trials, Step.BEYOND))

    def expect(self, hold: float) -> Expectation:
        return expectation(self.plan, self.trials, hold)

    # Steps 1 to 3

    def searching(self) -> Task | None:
        """Return the next level of the search."""
        if self.proofs or self.ended:
            return None
        if len(of(self.trials, *SEARCHING)) >= _MOST_SEARCHED:
            return None
        found = bracket(self.trials)
        task = self._bracketing(found) or self._retesting(found)
        if task is None:
            return None
        proof = self.plan.seconds(self.plan.confirm)
        if not self.trials:  # one level must steer, whatever is left for the last ones
            return task if self.fits(task.hold, reserved=proof) else None
        narrow = found.low and found.high and found.high <= found.low * (1 + _NARROW)
        reserved = self.plan.last + (2 * proof if narrow else proof)
        return task if self.fits(task.hold, reserved=reserved) else None

    def _bracketing(self, found: Bracket) -> Task | None:
        """Return the next level of *Double* or *Bisect*; ``None`` if there is none."""
        plan = self.plan
        if found.high is None:
            if found.low == plan.high:
                return None
            streams = plan.low if found.low is None else min(2 * found.low, plan.high)
            return Task(Step.DOUBLE, streams, plan.scout, ANY_RISK)
        if found.low is None:
            if found.high == plan.low:
                return None
            return Task(Step.BISECT, plan.low, plan.hold, ANY_RISK)
        gap = found.high - found.low
        if gap <= max(1, found.low // _RESOLUTION):
            return None
        hold = plan.scout if gap > found.low * _WIDE else plan.hold
        return Task(Step.BISECT, found.low + gap // 2, hold, ANY_RISK)

    def _retesting(self, found: Bracket) -> Task | None:
        """Return the next retest; ``None`` if both levels have been retested."""
        tested = {each.streams for each in of(self.trials, Step.RETEST)}
        for streams in (found.low, found.high):
            if streams is not None and streams not in tested:
                return Task(Step.RETEST, streams, self.plan.hold, ANY_RISK)
        return None

    # Steps 4 and 5

    def proving(self) -> Task | None:
        """Return the next level that is run for a proof; ``None`` if there is none."""
        if self.ended or len(self.proofs) >= _MOST_PROOFS:
            return None
        if confirmed(self.trials):
            return self._narrowing()
        found = bracket(self.trials)
        if found.low is not None:
            return self._confirming(found.low)
        if not self.trials or self.proofs:
            return None
        return self._above(self.plan.low, self.plan.confirm)

    def _confirming(self, low: int) -> Task | None:
        """Return the next level to confirm, if no level has been confirmed yet.

        ``low`` is the largest level that was observed to hold.
        """
        plan, proven = self.plan, bounds(self.trials)
        high = proven.high
        most = max(plan.low, math.floor(low * _BELOW))
        tried = min((each.streams for each in self.proofs), default=most + 1)
        most = min(most, tried - 1)
        if high is not None:
            most = min(most, high - 1)
        if most < plan.low:
            return None
        expected, levels = self.expect(plan.confirm), range(plan.low, most + 1)
        streams = expected.holding(levels, next_error(self.trials), _CAUTIOUS)
        if streams is None:
            # No proof can be expected, so a clearly lower level must do.
            lower = max(plan.low, math.floor(tried * _LOWER))
            streams = expected.nearest(range(plan.low, min(most, lower) + 1))
        if not self.proofs:
            # What the search itself has proven took less risk than a confirmation.
            streams = max(streams, proven.low)
        return self._confirm(streams)

    def _confirm(self, streams: int) -> Task | None:
        """Return the confirmation of a level, long enough for a proof if possible."""
        plan = self.plan
        wanted = plan.confirmation(streams, FIRST_CONFIDENCE)
        # What is longer than `confirm` must leave time for a level above.
        rest = self.left - plan.last - plan.seconds(plan.hold) - plan.seconds(0)
        hold = min(wanted, max(plan.confirm, rest))
        if not self.fits(hold):
            return None
        return Task(Step.CONFIRM, streams, hold, Risk(next_error(self.trials), ANY))

    def _above(self, streams: int, hold: float) -> Task | None:
        if hold < self.plan.hold or not self.fits(hold, reserved=self.plan.last):
            return None
        return Task(Step.ABOVE, streams, hold, Risk(ANY, next_error(self.trials)))

    def _narrowing(self) -> Task | None:
        """Return the level whose proof would narrow the capacity's interval most."""
        plan, proven = self.plan, bounds(self.trials)
        held, observed = confirmed(self.trials), bracket(self.trials).high
        high = plan.high + 1 if proven.high is None else proven.high
        high = min([high, *(n.streams for n in self.trials if n.decision.by_client)])
        tried = {each.streams for each in self.proofs}
        levels = [each for each in range(held + 1, high) if each not in tried]
        if not levels:
            return None
        error, low = next_error(self.trials), None
        if self.fits(plan.confirm, reserved=self.plan.last):
            low = self.expect(plan.confirm).holding(levels, error, _BOLD)
        missed = None
        longest = min(plan.confirm, self.left - plan.last - plan.seconds(0))
        if observed is not None and longest >= plan.hold:
            missed = self.expect(longest).missing(levels, error, _BOLD)
            if missed is None and not of(self.trials, Step.ABOVE):
                # Nothing can be expected, but the interval has no end yet.
                above = [each for each in levels if each >= observed]
                missed = min(above) if proven.high is None and above else None
        if missed is not None and (low is None or high - missed >= low - held):
            short = self.expect(plan.hold).missing(levels, error, _SURE)
            return self._above(missed, plan.hold if short == missed else longest)
        return None if low is None else self._confirm(low)

    # Step 6

    def beyond(self) -> Task | None:
        """Return the level beyond the capacity."""
        plan = self.plan
        if not plan.beyond or self.ended or plan.last > self.left:
            return None
        found = bracket(self.trials)
        low = max(bounds(self.trials).low, found.low or 0)
        if found.high is None or not low:
            return None
        streams = max(low + 1, math.ceil(BEYOND * low))
        return Task(Step.BEYOND, streams, plan.hold, ANY_RISK)
