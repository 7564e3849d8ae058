"""Metrics of stability: how much of the shown text was taken back.

If a server only appends to its text, every metric of stability is exactly 0. A stable
text may still be wrong, so read these metrics together with an error rate. Words are
compared without a normaliser, since a reader notices a change of case.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_realtime_asr.metrics.declaration import Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.metrics.tokens import updates
from pytest_realtime_asr.trace.settled_text import retractions
from pytest_realtime_asr.trace.timeline import Timeline


@metric(group=Group.STABILITY, unit=Unit.RATIO, needs="a hypothesis with words")
def normalized_erasure(item: Emissions) -> float | None:
    """Measure how many words were erased for each word of the last hypothesis.

    Formula: words that were erased by all updates / words of the last hypothesis. An
        update erases the first word that it changes or removes, and all words after
        this word
    Unit: ratio
    Better: lower
    Source: normalized erasure (Arivazhagan et al. 2020), which needs no alignment and
        no reference. The unstable partial word ratio has several definitions; the one
        that counts the same words as erased gives the same value
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

    Formula: updates that remove words / updates that change the words
    Unit: ratio
    Better: lower
    Source: like the unstable segments of Shangguan et al. (arXiv 2006.01416), which
        have several definitions; this definition counts updates
    """
    changes = [lost for lost, added in _changes(item.timeline) if lost or added]
    return sum(map(bool, changes)) / len(changes) if changes else None


@metric(
    group=Group.STABILITY,
    unit=Unit.COUNT,
    needs="a final, or text that the server has settled before the final",
)
def final_retractions(item: Emissions) -> float | None:
    """Count the changes of a text that had been announced as final.

    A change counts once, however many words it changes: a word that is inserted near
    the start moves all words after it.

    Formula: number of hypotheses that change settled text. A final settles the whole
        text, so each later hypothesis with another text counts. In a protocol whose
        server settles one segment after the other, the text of these segments is
        settled, too
    Unit: count
    Better: lower
    Source: a client that acts on a final is harmed only by revisions after the final
    """
    timeline = item.timeline
    if timeline.final is None and not timeline.settled:
        return None
    return float(sum(1 for _ in retractions(timeline)))


def _changes(timeline: Timeline) -> Iterator[tuple[int, int]]:
    """Yield how many words each hypothesis takes back, and how many it adds.

    The words before the first difference from the previous hypothesis are kept.
    """
    for update in updates(timeline.edits):
        yield (
            sum(token.closed for token in update.lost),
            sum(token.closed for token in update.added),
        )
