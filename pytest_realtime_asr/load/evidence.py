"""Keeps the traces of failed, slow and randomly drawn sessions of a level.

A trace is 100 times as large as the row of its session, so most traces are dropped.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Phase

WORST = 20  # traces of the sessions with the latest finals
_LOST = 100  # traces of lost sessions that a worker keeps
_BROKEN = 3  # traces that a worker keeps for each requirement that was violated
_LATENCY = "final_from_commit"
Dumps = Callable[[], bytes | None]
"""Returns the trace of a session as JSON Lines."""


@dataclass(slots=True)
class Evidence:
    """Chooses the traces that the worker of a shard keeps.

    If ``every`` is true, all traces are kept.
    """

    every: bool = False
    _slowest: list[tuple[float, int, Row, Dumps]] = field(default_factory=list)
    _seen: int = 0
    _lost: int = 0
    _broken: Counter[str] = field(default_factory=Counter)

    def add(self, row: Row, dumps: Dumps, *, drawn: bool) -> Row:
        """Return the row of a session, with its trace if the trace must be kept.

        ``dumps`` returns the trace. If ``drawn`` is true, the session was drawn at
        random, and its trace must be kept. If the session is one of the slowest so far,
        `worst` can return it with its trace.
        """
        self._seen += 1
        if self._failed(row) or drawn or self.every:
            row = replace(row, trace=dumps())
        latency = row.measured.metrics.get(_LATENCY)
        if latency is not None and row.phase is Phase.STEADY:
            keep = heapq.heappush if len(self._slowest) < WORST else heapq.heappushpop
            keep(self._slowest, (latency, self._seen, row, dumps))
        return row

    def _failed(self, row: Row) -> bool:
        """Return whether a session failed in a way that is still rare in this shard."""
        if row.lost and row.lost is not Loss.CANCELLED:
            self._lost += 1
            return self._lost <= _LOST
        ids = {each.requirement for each in row.found}
        self._broken.update(ids)
        return any(self._broken[each] <= _BROKEN for each in ids)

    @property
    def worst(self) -> tuple[Row, ...]:
        """The sessions of the steady part with the slowest finals, slowest first."""
        latest = sorted(self._slowest, reverse=True)
        return tuple(
            replace(row, trace=row.trace or dumps()) for _, _, row, dumps in latest
        )
