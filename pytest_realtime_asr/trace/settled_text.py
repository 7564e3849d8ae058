"""Retractions: changes of text that the server had settled or sent as the final."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pytest_realtime_asr.trace.timeline import Final, Partial, Settled, Timeline


@dataclass(frozen=True, slots=True)
class Retraction:
    """A change of settled text; ``at`` is the time in ns.

    ``removed`` is the settled text that was removed, and ``added`` is the text in its
    place. ``removed`` is empty if text was only added after the final.
    """

    at: int
    removed: str
    added: str


def retractions(timeline: Timeline) -> Iterator[Retraction]:
    """Yield the changes of settled text in the timeline of one item, in order.

    A `Settled` event settles the start of the text. A final settles the whole text, so
    any later change, even an addition at the end, is a retraction. After a retraction,
    the new text is not settled until the server settles it.
    """
    edits = iter(timeline.edits)
    length = settled = 0
    final = False
    for event in timeline.events:
        if isinstance(event, Settled):
            settled = max(settled, min(event.length, length))
        elif isinstance(event, Partial | Final):
            edit = next(edits)
            lost = max(0, settled - edit.kept)
            if lost or (final and (edit.removed or edit.added)):
                removed = edit.removed if final else edit.removed[:lost]
                yield Retraction(edit.at, removed, edit.added)
            length = edit.kept + len(edit.added)
            settled = min(settled, edit.kept)
            final |= edit.final
