"""Runs the levels of a search for the capacity, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from pytest_realtime_asr.load.behaviour import Beyond, compare
from pytest_realtime_asr.load.capacity import Capacity, Setting, Tried, capacity
from pytest_realtime_asr.load.decision import Decision, Held, Proof, decide
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.search import following
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import PROVING, Step, Task, Trial
from pytest_realtime_asr.load.witnesses import CLIPS, RECOVERY
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.verdict import Verdict

_STARTING = 3.0  # s to deal the shards and to start a worker
_FINAL = 5.0  # s for the last finals of a level
_SEEDS = 1000  # seeds of a search: more than it has levels
_UNWITNESSED = frozenset({Step.DOUBLE, Step.BISECT})


class Server(Protocol):
    """Runs levels of load on the server of a test."""

    def run(self, load: Load, *, number: int) -> Level:
        """Run a level and return it; the limits of the test ignore its sessions."""

    def count(self, level: Level) -> None:
        """Count the sessions of the steady part of a level as sessions of the test."""

    def ready(self) -> bool:
        """Wait until the server accepts sessions; ``False`` if it does not."""


def plan_of(
    load: Load,
    clips: Sequence[float],
    *,
    between: tuple[int, int],
    confirm: float,
    max_time: float,
    pause: float,
    q: float | None,
    beyond: bool,
) -> SearchPlan:
    """Return the plan of a search whose levels are like ``load``.

    ``clips`` are the lengths of the clips in s. ``between`` has the smallest and the
    largest number of streams to try. The other arguments are those of `SearchPlan`. The
    plan includes the time of the witnesses before and after each level. Raises
    ValueError if no search is possible.
    """
    side = sum(sorted(clips)[:CLIPS]) if load.witnesses else 0.0
    plan = SearchPlan(
        low=between[0],
        high=between[1],
        hold=load.hold,
        confirm=confirm,
        max_time=max_time,
        ramp=load.ramp,
        drain=max(clips) + _FINAL + _STARTING + 2 * side,
        pause=pause,
        clip=sum(clips) / len(clips),
        longest=max(clips),
        talk=load.talk,
        q=q,
        beyond=beyond,
        recovery=RECOVERY if load.witnesses else 0.0,
    )
    plan.check()
    return plan


@dataclass(slots=True)
class CapacityRun:
    """One search for the capacity of a server.

    The levels are like ``load``, except for the number of streams, the length of the
    steady part and the seed. ``told`` is called with each level when it has ended. The
    number of streams of a level includes its witnesses, since the server has to serve
    them too: a level of 12 streams has 11 streams of load and one witness. While the
    search doubles or bisects the number of streams, its levels have no witnesses, since
    a witness before and after each level would take longer than the level. ``chunk`` is
    the length of an audio frame in s. ``sleep`` and ``clock`` can be replaced in a
    simulation.
    """

    server: Server
    plan: SearchPlan
    held: Held
    load: Load
    chunk: float
    told: Callable[[Tried], None] = lambda tried: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    levels: list[Tried] = field(default_factory=list)

    def run(self) -> Capacity:
        """Run the search and block until it is over.

        If the caller is interrupted, `result` returns what was found so far.
        """
        began, ended = self.clock(), ""
        while True:
            trials = [each.trial for each in self.levels]
            task = following(self.plan, trials, self.clock() - began)
            if task is None:
                break
            if self.levels:
                self.sleep(self.plan.pause)
            if not self.server.ready():
                ended = "the server did not accept sessions any more"
                break
            self._run(task)
        found = self.result(seconds=self.clock() - began, ended=ended)
        counted = self._confirming(found.streams)
        if counted is not None and found.confirmed:
            self.server.count(counted)
        return found

    def result(self, *, seconds: float = 0.0, ended: str = "") -> Capacity:
        """Return the capacity according to the levels that were run so far."""
        plan, load = self.plan, self.load
        return capacity(
            self.levels,
            plan,
            Setting(
                talk=load.talk,
                clip=plan.clip,
                longest=plan.longest,
                chunk=self.chunk,
                ramp=plan.ramp,
                hold=plan.hold,
                confirm=plan.confirm,
                witnesses=load.witnesses,
            ),
            beyond=self._beyond(),
            seconds=seconds,
            ended=ended,
        )

    def _run(self, task: Task) -> None:
        number = len(self.levels) + 1
        beside = 0 if task.step in _UNWITNESSED else self.load.witnesses
        beside = min(beside, task.streams - 1)
        load = replace(
            self.load,
            streams=task.streams - beside,
            hold=task.hold,
            seed=self.load.seed * _SEEDS + number,
            witnesses=beside,
        )
        level = self.server.run(load, number=number)
        try:
            decision = decide(level, self.held, task.risk)
        except BudgetError as error:
            why = str(error)
            self._end(task, Decision(0, Verdict.INCONCLUSIVE, reason=why), level)
            raise
        self._end(task, decision, level)

    def _end(self, task: Task, decision: Decision, level: Level) -> None:
        decision = replace(decision, streams=task.streams)
        tried = Tried(Trial(task, decision), level)
        self.levels.append(tried)
        self.told(tried)

    def _confirming(self, streams: int) -> Level | None:
        """Return the last level that confirms this number of streams."""
        for each in reversed(self.levels):
            proven = each.decision.proof is Proof.HOLDS
            if proven and each.step in PROVING and each.streams == streams:
                return each.level
        return None

    def _beyond(self) -> Beyond | None:
        """Return what the server does beyond its capacity; ``None`` if unknown.

        The level of the step `BEYOND` is used. Without this step, the smallest level
        that exceeded a limit is used.
        """
        known = [each for each in self.levels if each.level is not None]
        held = [each for each in known if each.decision.within]
        if not held:
            return None
        best = max(held, key=lambda each: (each.streams, each.trial.task.hold))
        over = [
            each
            for each in known
            if each.streams > best.streams
            and not each.decision.within
            and not each.decision.by_client
        ]
        last = [each for each in known if each.step is Step.BEYOND]
        shown = last or sorted(over, key=lambda each: each.streams)
        if not shown or shown[0].level is None or best.level is None:
            return None
        return compare(shown[0].level, best.level)
