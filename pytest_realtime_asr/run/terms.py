"""The terms of one test: its session settings, and the limits that judge it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pytest_realtime_asr.dialects import Dialect, can
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.verdicts.budgets import Budget, RecallThreshold, WerThreshold
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy


@dataclass(frozen=True, slots=True)
class Terms:
    """The session settings and the limits of one test.

    ``dialect`` is the name of a dialect, or ``auto`` to detect it. ``chunk`` is in
    seconds, and ``pace`` in seconds of audio per second. All limits of a budget are of
    one kind: on quantiles, which a sample can prove, or on maxima and means. ``rules``
    is the weakest level at which a violated requirement fails the test; if it is
    ``None``, no violated requirement fails the test. ``parallel`` says that other xdist
    workers may measure at the same time. If ``private`` is true, no message quotes a
    text. ``of_run`` contains the limits of the run that apply to the test. The same
    limits are also in ``budgets`` and ``thresholds``. ``capacity`` is the number of
    streams that a search for the capacity must prove; ``None`` means no limit.
    """

    dialect: str
    model: str
    pace: float
    chunk: float
    budgets: tuple[Budget, ...] = ()
    thresholds: tuple[WerThreshold, ...] = ()
    recalls: tuple[RecallThreshold, ...] = ()
    rules: Level | None = Level.MUST
    parallel: bool = False
    undecided: UndecidedPolicy = UndecidedPolicy.FAIL
    private: bool = False
    of_run: RunLimits = NO_LIMITS
    capacity: int | None = None

    @property
    def own(self) -> Terms:
        """The terms without the limits of the run."""
        run = self.of_run
        return replace(
            self,
            budgets=tuple(each for each in self.budgets if each not in run.budgets),
            thresholds=tuple(
                each for each in self.thresholds if each not in run.thresholds
            ),
            of_run=NO_LIMITS,
        )

    def unmeasurable(self, dialect: Dialect) -> str:
        """Return why a budget can never be measured in a dialect, and what to do.

        The text is empty if each budget can be measured.
        """
        if can(dialect, Capability.WORD_TIMES):
            return ""
        names = (each.metric for each in self.budgets)
        lacking = [
            name
            for name in dict.fromkeys(names)
            if name in CATALOGUE and CATALOGUE[name].stated_times
        ]
        if not lacking:
            return ""
        return (
            f"{' and '.join(lacking)} cannot be measured: the protocol of the dialect "
            f"{dialect.name} has no word times; remove the limit from the test, or "
            "from --realtime-budget"
        )
