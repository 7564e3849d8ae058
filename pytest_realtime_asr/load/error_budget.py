"""How the levels of a search share the probability of a wrong proof.

The interval of a capacity has two bounds, and each bound is proven by a level. With a
probability of at least 95 %, all these proofs must be right. So the levels share an
error probability of 5 %: each proof gets a part as its own error probability. The
results of earlier levels decide which level is run next, but each level has new
sessions. So the error probability of a proof does not depend on the earlier results.
The 5 % are divided in two:

- `ANY`: 1 % is shared equally by at most `MOST_LEVELS` levels. It is for proofs that
  are not the aim of their level. A level that only steers the search has no aim.
- 4 % are for proofs that are the aim of their level. The aim of a confirmation is to
  prove that the level holds. The aim of a level above the capacity is to prove that the
  level does not hold. Each of these levels may spend a part of the probability that is
  left (`next_error`). If the proof succeeds, the level gives its part back.

A part may be given back, because the probability of an error stays at most 4 %. Let E
be the probability that is left before a level, and let a be the part of this level.
There are two cases:

- The proof would be wrong. It succeeds with a probability of at most a, and then the
  interval is wrong. If it fails, E - a is left for the later levels. So the probability
  of an error is at most a + (E - a) = E.
- The proof would be right. Then this level causes no error, and at most E is left.

So the probability of an error is at most E at each level, by induction from the last
level to the first.

Source: the graphical tests of Bretz, Maurer, Brannath and Posch, A graphical approach
to sequentially rejective multiple test procedures (2009); this module is modelled on
these tests
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.load.decision import Proof, Risk
from pytest_realtime_asr.load.trials import Step, Trial

MOST_LEVELS = 25
_AIMED = 0.04
ANY = (0.05 - _AIMED) / MOST_LEVELS
ANY_RISK = Risk(ANY, ANY)
_PART = 0.625  # of what is left: 2.5 % at first; 50 to 75 % make little difference


def next_error(trials: Sequence[Trial]) -> float:
    """Return the largest error probability that the next proof may have."""
    left = _AIMED
    for each in trials:
        if each.task.step is Step.CONFIRM and each.proof is not Proof.HOLDS:
            left -= each.task.risk.holds
        elif each.task.step is Step.ABOVE and each.proof is not Proof.MISSES:
            left -= each.task.risk.misses
    return _PART * left


FIRST_CONFIDENCE = 1 - next_error(())
"""The confidence of the first confirmation."""
