"""The result of a level of load, before it is judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load, Phase


@dataclass(frozen=True, slots=True)
class Witness:
    """The sessions of the witnesses of a level.

    The witnesses send the same clips before the level (``before``), in its steady part
    (``through``) and after it (``after``).
    """

    before: tuple[Row, ...] = ()
    through: tuple[Row, ...] = ()
    after: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Sampled:
    """The metrics that the server itself showed during a level.

    ``values`` maps the name of each metric to pairs of a time and a value. The names
    are the values of `Gauge`, such as ``running``, ``sessions`` and ``memory``. The
    times are in seconds since the start of the level; times before the start are
    negative. ``source`` has the server's own name for each metric, including metrics
    without a reading. ``failed`` says how many readings failed, and why; it is empty if
    no reading failed.
    """

    values: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A level that has ended.

    ``rows`` are the sessions in the order in which they ended. ``alone`` are sessions
    that sent the same clips without load. ``number`` is the number of the level in its
    test, from 1. ``aborted`` says why the level ended early; "" if it did not.
    ``seconds`` is the time from the start of the level to the end of its last session.
    ``not_begun`` counts, by reason, the sessions that were due and could not begin. The
    limits of the test apply to the level only if its ``purpose`` is `Purpose.TEST`.
    """

    load: Load
    number: int
    started: datetime
    seconds: float
    rows: tuple[Row, ...] = field(repr=False)
    alone: tuple[Row, ...] = field(default=(), repr=False)
    witness: Witness = field(default=Witness(), repr=False)
    workers: tuple[ShardEnd, ...] = field(default=(), repr=False)
    lost_workers: tuple[ShardLost, ...] = ()
    not_begun: Mapping[str, int] = field(default_factory=dict)
    aborted: str = ""
    server: Sampled | None = field(default=None, repr=False)
    purpose: Purpose = Purpose.TEST

    @property
    def streams(self) -> int:
        """The number of streams of the level."""
        return self.load.streams

    def of(self, phase: Phase) -> tuple[Row, ...]:
        """Return the sessions of one part of the level."""
        return tuple(row for row in self.rows if row.phase is phase)

    @property
    def steady(self) -> tuple[Row, ...]:
        """The sessions of the steady part, which are judged."""
        return self.of(Phase.STEADY)

    @property
    def client_late(self) -> float:
        """The p99 of the client scheduling delay of the slowest worker, in ms."""
        return max((each.late for each in self.workers), default=0.0)

    @property
    def client_cpu(self) -> float:
        """The share of a core that the event loop of the busiest worker used."""
        return max((each.cpu for each in self.workers), default=0.0)
