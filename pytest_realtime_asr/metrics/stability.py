"""Metrics of stability: how much of the text that was shown was taken back.

A server that only appends scores exactly 0 in all of them, and they say no more than
that: a stable text may be wrong throughout, so read them beside an error rate. Words
are compared without a normaliser: a change of case is a change that the reader sees.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.metrics.declaration import Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.metrics.tokens import updates
from pytest_realtime_asr.trace.timeline import Timeline


@metric(group=Group.STABILITY, unit=Unit.RATIO, needs="a hypothesis with words")
def normalized_erasure(item: Emissions) -> float | None:
    """Measure how many words were erased for each word of the last hypothesis.

    Formula: sum over updates of the words of the previous hypothesis after the common
        prefix / words of the last hypothesis
    Unit: ratio
    Better: lower
    Source: normalized erasure (Arivazhagan et al. 2020): no alignment, no reference.
        It equals the unstable partial word ratio where that counts the words of a
        partial that the next one does not begin with; other definitions are in use
    """
    erased = words = 0
    for lost, added in _changes(item.timeline):
        erased += lost
        words += added - lost
    return erased / words if words else None


@metric(
    group=Group.STABILITY, unit=Unit.RATIO, needs="a hypothesis that changes the words"
)
def revision_rate(item: Emissions) -> float | None:
    """Measure the share of updates that took words back.

    Formula: updates that do not merely append words / updates that change the words
    Unit: ratio
    Better: lower
    Source: like the unstable segments of Shangguan et al. (arXiv 2006.01416), for
        which several definitions are in use; this one counts updates
    """
    changes = [lost for lost, added in _changes(item.timeline) if lost or added]
    return sum(map(bool, changes)) / len(changes) if changes else None


@metric(group=Group.STABILITY, unit=Unit.COUNT, needs="a final")
def final_retractions(item: Emissions) -> float | None:
    """Count the changes of a text that had been announced as final.

    Formula: number of hypotheses after the first final that differ from the one before
    Unit: count
    Better: lower
    Source: the only revision that harms a client which acts on a final
    """
    changed, final = 0, False
    for edit in item.timeline.edits:
        changed += final and bool(edit.removed or edit.added)
        final |= edit.final
    return float(changed) if final else None


def _changes(timeline: Timeline) -> Iterator[tuple[int, int]]:
    """Yield how many words each hypothesis takes back, and how many it adds.

    Words are equal from the start on, up to the first that differs.
    """
    for update in updates(timeline.edits):
        yield (
            sum(token.closed for token in update.lost),
            sum(token.closed for token in update.added),
        )
