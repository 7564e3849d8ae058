"""How the levels of a search share the probability of a wrong proof.

The interval of a capacity claims that, with a probability of at least 95 %, every proof
that bounds it is right. A level has sessions of its own, and it is chosen only by the
results of the levels before it. So whatever the choice, the proof of a level is wrong
with at most the probability that the level was given. If the level holds, the only
wrong proof is that it does not hold; if it does not hold, the only wrong proof is that
it holds. The levels share the 5 %:

- `ANY`: 1 % is shared equally by at most `MOST_LEVELS` levels. It is for proofs that a
  level does not aim at, such as every proof of a level that only steers the search.
- 4 % belong to the proofs that levels aim at. A confirmation aims at the proof that it
  holds, and a level above the capacity at the proof that it does not hold. Each of
  these levels may spend a part of the probability that is left (`next_error`). If its
  proof succeeds, the part is not used up.

A proof that succeeds costs nothing, for the following reason. Let E be the probability
that is left before a level, and a the part that this level may spend. If the proof that
the level aims at would be wrong, the proof succeeds with at most the probability a.
Then the interval is wrong, whatever follows; otherwise E - a is left. So the
probability of an error is at most a + (E - a) = E. If the proof would be right, at most
E is left afterwards. So the probability never exceeds E, by induction from the last
level to the first.

Source: the graphical tests of Bretz, Maurer, Brannath and Posch, A graphical approach
to sequentially rejective multiple test procedures (2009), on which this is modelled
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
    """Return the probability of an error that the next level may spend on its proof."""
    left = _AIMED
    for each in trials:
        if each.task.step is Step.CONFIRM and each.proof is not Proof.HOLDS:
            left -= each.task.risk.holds
        elif each.task.step is Step.ABOVE and each.proof is not Proof.MISSES:
            left -= each.task.risk.misses
    return _PART * left


FIRST_CONFIDENCE = 1 - next_error(())
"""The confidence of the first confirmation."""
