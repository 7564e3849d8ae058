"""A check that settled text does not change."""

from __future__ import annotations

from pytest_realtime_asr.requirements.checks.combinators import any_session, first_at
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import Outcome, Satisfied, Violated
from pytest_realtime_asr.trace.settled_text import retractions
from pytest_realtime_asr.trace.timeline import Settled


def _stays(part: Part) -> Outcome | None:
    """Check the settled text of each utterance of a session.

    A session without settled text shows nothing (``None``). Text that is only added to
    a final is not judged here, since it changes no settled text.
    """
    settled = [e.item for e in part.timeline.events if isinstance(e, Settled)]
    for item in dict.fromkeys(settled):
        for change in retractions(part.timeline.item(item)):
            if change.removed:
                other = repr(change.added) if change.added else "nothing"
                return Violated(
                    f"the text {change.removed!r} was settled, and {other} came in its "
                    "place",
                    first_at(part, change.at),
                )
    return Satisfied() if settled else None


settled_text_stays = any_session(_stays, nothing="no text was settled")
"""A check that no settled text is changed or removed."""
