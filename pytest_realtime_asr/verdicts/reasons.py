"""Reasons for a verdict, as values; `pytest_realtime_asr.report` turns them to text."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.verdicts.budgets import Side


class Simple(enum.Enum):
    """A reason without numbers."""

    NOTHING_JUDGED = enum.auto()
    NO_REFERENCE = enum.auto()
    OTHER_WORKERS = enum.auto()  # sessions of other processes ran at the same time
    INTERVAL_INCLUDES_LIMIT = enum.auto()


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A metric could not be measured in ``missing`` of ``of`` sessions."""

    missing: int
    of: int
    needs: str


@dataclass(frozen=True, slots=True)
class MoreSessions:
    """So many more sessions within the limit would prove it."""

    count: int


@dataclass(frozen=True, slots=True)
class NotRealTime:
    """A latency was measured at another pace than real time."""

    pace: float


@dataclass(frozen=True, slots=True)
class ClientDelayed:
    """The client was delayed, or overloaded, in some of the ``of`` sessions.

    ``late`` sessions had a delay above ``tolerated_ms``, ``max_ms`` at most; in
    ``overloaded`` sessions the client used too much CPU time. ``worst`` is the label of
    the worst session, and ``state`` the client's state in it.
    """

    late: int
    overloaded: int
    of: int
    max_ms: float
    tolerated_ms: float
    worst: str
    state: ClientState


@dataclass(frozen=True, slots=True)
class NotDecided:
    """A sequential test was not decided by ``n`` sessions of at most ``most``."""

    n: int
    most: int


@dataclass(frozen=True, slots=True)
class NotGood:
    """A sequential test found more beyond the limit than a good server has.

    A good server has at most ``share`` beyond it, on the wrong ``side``.
    """

    share: float
    side: Side


@dataclass(frozen=True, slots=True)
class TooFew:
    """Fewer than ``least`` utterances, or ``speakers``, prove no error rate."""

    least: int
    speakers: bool


Reason = (
    Simple
    | NotMeasured
    | MoreSessions
    | NotRealTime
    | ClientDelayed
    | NotDecided
    | NotGood
    | TooFew
)
