"""The wording of cross-talk between sessions."""

from __future__ import annotations

from pytest_realtime_asr.load.cross_talk_finding import CrossTalkFinding
from pytest_realtime_asr.text.number_format import several

_SHOWN = 10  # sessions with cross-talk that are named


def summary(found: CrossTalkFinding) -> str:
    """Return one line: how many sessions have cross-talk, and the first of these."""
    of = several(found.n, "session")
    return f"cross-talk in {len(found.sessions)} of {of}: {found.sessions[0]}"


def details(found: CrossTalkFinding) -> str:
    """Return the summary, and below it other sessions with cross-talk."""
    more = [f"  {each}" for each in found.sessions[1:_SHOWN]]
    if (left := len(found.sessions) - _SHOWN) > 0:
        more.append(f"  and {left} more")
    return "\n".join([summary(found), *more])
