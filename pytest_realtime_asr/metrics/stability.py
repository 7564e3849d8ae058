"""How much of what was shown was taken back.

A server that only appends scores exactly 0 in all of these, and that is all that they
say: a stable text may be stably wrong, so that they are only to be read beside an
error rate. Words are compared as they are, without a normaliser: a change of case is a
change that the reader sees.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from pytest_realtime_asr.metrics.emission import same
from pytest_realtime_asr.metrics.latency import Spoken
from pytest_realtime_asr.timeline import Final, Partial, Timeline


def normalized_erasure(
    timeline: Timeline, spoken: Spoken | None = None
) -> float | None:
    """How many words were erased for each word of the last hypothesis.

    Formula: sum over updates of words of the hypothesis before that lie behind the
        common begin / words of the last hypothesis
    Unit: ratio
    Zero: none
    Needs: a hypothesis with words
    Better: down
    Source: normalized erasure (Arivazhagan et al. 2020): no alignment, no reference.
        It is the unstable partial word ratio as well, where that counts the words of a
        partial that the next one does not begin with; other readings of it are in use
    """
    shown = list(_words(timeline))
    if not shown or not shown[-1]:
        return None
    erased = sum(len(a) - same(a, b) for a, b in pairwise(shown))
    return erased / len(shown[-1])


def revision_rate(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """The share of the updates that took something back.

    Formula: updates that do not merely append words / updates that change the words
    Unit: ratio
    Zero: none
    Needs: a hypothesis that was changed
    Better: down
    Source: like the unstable segments of Shangguan et al. (arXiv 2006.01416), for
        which several readings are in use; this one is of updates
    """
    changes = [(a, b) for a, b in pairwise([(), *_words(timeline)]) if a != b]
    if not changes:
        return None
    return sum(same(a, b) < len(a) for a, b in changes) / len(changes)


def final_retractions(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How often a text was changed that had been said to be final.

    Formula: number of hypotheses after the first final that differ from the one before
    Unit: count
    Zero: none
    Needs: a final
    Better: down
    Source: the only churn that harms whoever acts on a final
    """
    text, changed, final = "", 0, False
    for event in timeline.events:
        match event:
            case Partial(kept=kept, added=added):
                new = text[:kept] + added
            case Final(text=new):
                pass
            case _:
                continue
        changed += final and new != text
        text = new
        final |= isinstance(event, Final)
    return float(changed) if final else None


def _words(timeline: Timeline) -> Iterator[tuple[str, ...]]:
    return (tuple(text.split()) for _, text in timeline.hypotheses())
