"""What holds for one test: how its sessions run, and by which limits it is judged."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.verdicts.budgets import Budget, WerThreshold
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy


@dataclass(frozen=True, slots=True)
class Terms:
    """The session settings and the limits of one test.

    ``dialect`` is a name, or ``auto`` for the one that is detected. ``chunk`` is in
    seconds. A budget has either limits that a sample can prove, or limits that none
    can, never both. ``rules`` is the weakest level of a violated requirement that fails
    the test, ``None`` for no level. ``parallel`` says that other xdist workers may
    measure at the same time. With ``private``, no message quotes a text.
    """

    dialect: str
    model: str
    pace: float
    chunk: float
    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()
    rules: Level | None = Level.MUST
    parallel: bool = False
    undecided: UndecidedPolicy = UndecidedPolicy.FAIL
    private: bool = False
