"""The sequential probability ratio test of a share.

The test reads outcomes in their order and stops as soon as they decide. scipy.stats has
no such test. Every function raises ValueError for arguments that are not valid.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from dataclasses import dataclass

from pytest_realtime_asr.stats import checked_share

GOOD_SHARE = 1 / 5
"""The fraction of the allowed share that a good server has.

The share is that of values over the limit. `sequential` decides between a good server
and one that has the whole allowed share.
"""


class SequentialDecision(enum.Enum):
    """The decision of a sequential test."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class SequentialResult:
    """The result of a sequential test: ``over`` of ``n`` values are over the limit."""

    decision: SequentialDecision
    n: int
    over: int


def sequential(
    outcomes: Iterable[bool], q: float, confidence: float
) -> SequentialResult:
    """Apply Wald's sequential test of a share to outcomes in their order.

    An outcome is true if a value is over the limit. The test stops reading outcomes at
    its decision. The bad share is the share that the claim allows, b = 1 - q; the good
    share is a fifth of it, g = b / 5. The test statistic is the logarithm of the
    likelihood ratio of the bad share to the good share. An outcome over the limit adds
    ln(b / g) to the statistic, and any other outcome adds ln((1 - b) / (1 - g)). The
    decision is ``PASS`` if the statistic falls to ln(1 - confidence), and ``FAIL`` if
    it rises to -ln(1 - confidence).

    This holds for any number of outcomes: if the true share is b or more, ``PASS`` has
    a probability of at most 1 - confidence. The reason is that the likelihood ratio of
    the good share to the bad share is then a supermartingale that starts at 1. So
    Ville's inequality bounds the probability that this ratio ever reaches
    1 / (1 - confidence). In the same way, if the true share is g or less, ``FAIL`` has
    a probability of at most 1 - confidence.

    Wald's own bounds, such as ln(beta / (1 - alpha)), are slightly narrower, but
    guarantee these probabilities only approximately. For a p95 at 95 % confidence, they
    would save one outcome: ``PASS`` after 72 outcomes within the limit, not after 73.
    But the probability of a wrong ``PASS`` would be too large in other cases: 5.10 %
    for a p99 at 95 %, and 21.6 % for a p95 at 80 %.

    If the true share is between g and b, both decisions are possible. So ``FAIL`` says
    that a server is not a good one; it does not say that the server breaks the claim.

    Source: Wald, Sequential Analysis (1947); Ville (1939).
    """
    steps = _steps(q, confidence)
    n = over = 0
    decision = SequentialDecision.UNDECIDED
    for outcome in outcomes:
        n += 1
        over += bool(outcome)
        decision = _decision(over, n, steps)
        if decision is not SequentialDecision.UNDECIDED:
            break
    return SequentialResult(decision, n, over)


def least_clean(q: float, confidence: float) -> int:
    """Return the number of outcomes after which `sequential` passes at the earliest.

    The test passes after this number if no outcome is over the limit. With fewer
    outcomes, a sequential test can never prove the claim. `samples_needed` returns the
    number for a sample of fixed size.
    """
    steps = _, down, bound = _steps(q, confidence)
    # The quotient may have a rounding error, so the decision itself is tested.
    n = max(1, math.ceil(bound / down) - 1)
    while _decision(0, n, steps) is not SequentialDecision.PASS:
        n += 1
    return n


def _steps(q: float, confidence: float) -> tuple[float, float, float]:
    """Return the two steps of a sequential test and its bound.

    An outcome over the limit adds the first step to the test statistic; any other
    outcome subtracts the second step. The test decides when the statistic reaches the
    bound or its negative.
    """
    bad = 1 - checked_share("q", q)
    good = bad * GOOD_SHARE
    bound = -math.log(1 - checked_share("confidence", confidence))
    return math.log(bad / good), math.log((1 - good) / (1 - bad)), bound


def _decision(
    over: int, n: int, steps: tuple[float, float, float]
) -> SequentialDecision:
    up, down, bound = steps
    ratio = over * up - (n - over) * down
    if ratio <= -bound:
        return SequentialDecision.PASS
    return SequentialDecision.FAIL if ratio >= bound else SequentialDecision.UNDECIDED
