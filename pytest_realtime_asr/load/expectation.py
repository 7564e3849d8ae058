"""Predicts the result of a level that a search has not run yet.

From this expectation, the search chooses levels whose proof is likely to succeed. The
expectation itself proves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.curve import Logistic, logistic
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import Trial, bracket, points
from pytest_realtime_asr.stats import proven_at_most, proven_over, quantile

_LEAST_SESSIONS = 50  # fewer estimate no design effect
_FAR = 1.1  # of the smallest level that was over a limit
_LONGER = 2.0  # a longer level shows about twice the design effect of a short one
_RULE_OF_THREE = 3.0  # the upper bound of a share of which no hit was seen: 3 / n


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected result of levels whose steady part lasts ``hold`` seconds.

    ``curve`` is the expected share of sessions over the limit. ``inflation`` is the
    expected design effect: this number of sessions proves as much as one independent
    session.
    """

    plan: SearchPlan
    curve: Logistic
    inflation: float
    hold: float

    def independent(self, streams: int, hold: float) -> float:
        """Return how many independent sessions would prove as much as a level does.

        ``hold`` is the length in s of the steady part of this level.
        """
        return max(1.0, self.plan.sessions(streams, hold) / self.inflation)

    def holding(
        self, levels: Sequence[int], error: float, caution: float
    ) -> int | None:
        """Return the largest of ``levels`` that will probably be proven to hold.

        Return ``None`` if there is no such level. ``error`` is the allowed probability
        of a wrong proof. ``caution`` standard errors are added to the expected share of
        sessions over the limit. A level with few streams may be held longer than
        ``hold``.
        """
        for streams in reversed(levels):
            hold = max(self.hold, self.plan.confirmation(streams, 1 - error))
            n, share = self.independent(streams, hold), self.curve.share(streams)
            share = min(1.0, share + caution * _deviation(share, n))
            if proven_at_most(share * n, n, self.plan.quantile, 1 - error):
                return streams
        return None

    def missing(
        self, levels: Sequence[int], error: float, caution: float
    ) -> int | None:
        """Return the smallest of ``levels`` that will probably be proven not to hold.

        Return ``None`` if there is no such level. ``error`` is the allowed probability
        of a wrong proof. ``caution`` standard errors are subtracted from the expected
        share of sessions over the limit.
        """
        for streams in levels:
            n = self.independent(streams, self.hold)
            share = self.curve.share(streams)
            share = max(0.0, share - caution * _deviation(share, n))
            if proven_over(share * n, n, self.plan.quantile, 1 - error):
                return streams
        return None

    def nearest(self, levels: Sequence[int]) -> int:
        """Return the level that is most likely to be proven to hold.

        This is the level with the lowest upper bound of the share over the limit.
        """

        def upper(streams: int) -> float:
            n = self.independent(streams, self.hold)
            share = self.curve.share(streams)
            return share + 2 * _deviation(share, n) + _RULE_OF_THREE / n

        return min(levels, key=upper)


def expectation(plan: SearchPlan, trials: Sequence[Trial], hold: float) -> Expectation:
    """Compute the expectation for the next levels from the levels that have ended.

    ``hold`` is the length in s of the steady part of the next levels. Levels far above
    the capacity are not used: some of their sessions may still be within the limit,
    which does not fit the logistic curve.
    """
    found = bracket(trials)
    middle = found.high or found.low or plan.high
    near = [each for each in points(trials) if each.streams <= _FAR * middle]
    curve = logistic(near, middle)
    effects = [
        limit.inflation
        for each in trials
        if each.decision.within
        and (limit := each.decision.binding) is not None
        and limit.n >= _LEAST_SESSIONS
    ]
    inflation = _LONGER * quantile(effects, 0.5) if effects else 1.0
    return Expectation(plan, curve, max(1.0, inflation), hold)


def _deviation(share: float, n: float) -> float:
    """Return the standard error of a share."""
    return math.sqrt(share * (1 - share) / n)
