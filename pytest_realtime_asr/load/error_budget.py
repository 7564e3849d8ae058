"""How the levels of a search share the probability of a wrong proof.

The interval of a capacity has two bounds, and each bound is proven by a level. With a
probability of at least 95 %, all these proofs must be right. So the levels share an
error probability of 5 %: each proof gets a part as its own error probability. The
results of earlier levels decide which level is run next, but each level has new
sessions. So the error probability of a proof does not depend on the earlier results.
The 5 % are divided in two:

- 4 % are for two kinds of proof: a confirmation should prove that its level holds, and
  a level above the capacity should prove that it does not hold. Each of these levels
  may spend a part of the probability that is left (`next_error`). If the proof
  succeeds, the level gives its part back.
- 1 % is for all other proofs, such as those of a level that only steers the search. At
  most `MOST_LEVELS` levels share it equally; `ANY` is the part of each level.

A part may be given back, because the probability of an error stays at most 4 %. Let E
be the probability that is left before a level, and let a be the part of this level.
There are two cases:

- What the level should prove is false. The proof succeeds with a probability of at most
  a, and then the interval is wrong. If it fails, E - a is left for the later levels. So
  the probability of an error is at most a + (E - a) = E.
- What the level should prove is true. Then this level causes no error, and at most E is
  left.

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
