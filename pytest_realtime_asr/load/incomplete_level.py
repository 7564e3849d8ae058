"""The verdict about a level of load that did not run as the test asked."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.load.decision import unopened_sessions
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class IncompleteLevel:
    """A level whose load was smaller or shorter than planned.

    The sessions of the level say nothing about the load that the test asked for.
    ``number`` is the number of the level in the test, from 1. ``why`` is the cause in
    words. ``by_client`` says that the cause is this machine or a worker. Otherwise the
    level was aborted because too many sessions were lost.
    """

    number: int
    streams: int
    why: str
    by_client: bool

    @property
    def verdict(self) -> Verdict:
        """Return ``INVALID`` if the client is the cause, otherwise ``INCONCLUSIVE``."""
        return Verdict.INVALID if self.by_client else Verdict.INCONCLUSIVE


def incomplete(level: Level) -> IncompleteLevel | None:
    """Return why a level is incomplete; ``None`` if it ran as planned."""
    unopened = [row for row in level.rows if row.unopened]
    if unopened:
        why, by_client = f"{unopened_sessions(level)}: {unopened[0].reason}", True
    elif level.lost_workers:
        first = level.lost_workers[0]
        why, by_client = f"worker {first.worker} was lost: {first.reason}", True
    elif level.aborted:
        why, by_client = f"the level was aborted: {level.aborted}", False
    else:
        return None
    return IncompleteLevel(level.number, level.streams, why, by_client)
