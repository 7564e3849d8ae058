"""The verdict about a capacity: does a server hold the streams that a test needs?"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.load.capacity import Capacity
from pytest_realtime_asr.verdicts.budgets import Budget, WerThreshold
from pytest_realtime_asr.verdicts.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CapacityFinding:
    """A capacity, and the number of streams that the test asks for.

    ``capacity`` is ``None`` if the test has not searched for one. ``at_least`` is the
    number of streams that the test asks for; it is ``None`` if any capacity is enough.
    A stream is held if its sessions are within the ``budgets`` and ``thresholds``.
    """

    capacity: Capacity | None
    at_least: int | None = None
    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The verdict; ``FAIL`` if no capacity was searched for."""
        if self.capacity is None:
            return Verdict.FAIL
        if self.at_least is None:
            return self.capacity.verdict
        return self.capacity.reaches(self.at_least)
