"""The verdict on cross-talk under load."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.load.texts import CrossTalk
from pytest_realtime_asr.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CrossTalkFinding:
    """The finding that a load test had sessions with cross-talk.

    ``sessions`` are these sessions, at least one. ``n`` is the number of all sessions
    in the steady parts. No load excuses cross-talk, since what one user says reaches
    another user.
    """

    sessions: tuple[CrossTalk, ...]
    n: int

    @property
    def verdict(self) -> Verdict:
        """The verdict, ``FAIL``."""
        return Verdict.FAIL
