"""How much of what was shown was taken back.

A server that only appends scores exactly 0 in all of these, and that is all that they
say: a stable text may be stably wrong, so that they are only to be read beside an
error rate. Words are compared as they are, without a normaliser: a change of case is a
change that the reader sees.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.metrics.latency import Spoken
from pytest_realtime_asr.metrics.tokens import updates
from pytest_realtime_asr.trace.timeline import Timeline


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
    erased = words = 0
    for lost, added in _changes(timeline):
        erased += lost
        words += added - lost
    return erased / words if words else None


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
    changes = [lost for lost, added in _changes(timeline) if lost or added]
    return sum(map(bool, changes)) / len(changes) if changes else None


def final_retractions(timeline: Timeline, spoken: Spoken | None = None) -> float | None:
    """How often a text was changed that had been said to be final.

    Formula: number of hypotheses after the first final that differ from the one before
    Unit: count
    Zero: none
    Needs: a final
    Better: down
    Source: the only churn that harms whoever acts on a final
    """
    changed, final = 0, False
    for edit in timeline.edits:
        changed += final and bool(edit.removed or edit.added)
        final |= edit.final
    return float(changed) if final else None


def _changes(timeline: Timeline) -> Iterator[tuple[int, int]]:
    """How many words each hypothesis takes back, and how many it adds.

    Words count as the same from the begin on, up to the first that differs.
    """
    for update in updates(timeline.edits):
        yield (
            sum(token.closed for token in update.lost),
            sum(token.closed for token in update.added),
        )
