"""The wording of a level of load that did not run as planned."""

from __future__ import annotations

from pytest_realtime_asr.load.incomplete_level import IncompleteLevel
from pytest_realtime_asr.text.number_format import several


def summary(found: IncompleteLevel) -> str:
    """Return one line that says which load was not complete, and why."""
    of = several(found.streams, "stream")
    return f"the load of {of} (level {found.number}) was not complete: {found.why}"
