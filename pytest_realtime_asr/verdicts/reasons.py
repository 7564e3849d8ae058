"""Reasons for a verdict, as values; the package `report` puts them into words."""

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
    NO_KEYWORD = enum.auto()  # no reference contains a keyword
    NO_LEVEL = enum.auto()  # the test ran no level of load


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """A metric could not be measured in some sessions.

    ``of`` is the number of all sessions. ``missing`` is the number of sessions without
    a value.
    """

    missing: int
    of: int
    needs: str


@dataclass(frozen=True, slots=True)
class NotMeasuredOfLevel:
    """A metric of a level has no value, since the level lacks what the metric needs."""

    needs: str


@dataclass(frozen=True, slots=True)
class MoreSessions:
    """``count`` more sessions within the limit would prove that the limit is met."""

    count: int


@dataclass(frozen=True, slots=True)
class MoreKeywords:
    """``count`` more keywords, all recognised, would prove that the limit is met."""

    count: int


@dataclass(frozen=True, slots=True)
class NotRealTime:
    """A latency was measured at a pace other than real time."""

    pace: float


@dataclass(frozen=True, slots=True)
class ClientDelayed:
    """The client was delayed or overloaded in some sessions.

    ``of`` is the number of all sessions. In ``late`` sessions, the client's delay was
    above ``tolerated_ms``; the largest delay was ``max_ms``. In ``overloaded``
    sessions, the client used too much CPU time. ``worst`` is the label of the worst
    session, and ``state`` is the client's state in this session.
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
    """A sequential test is not decided.

    ``n`` is the number of sessions so far. ``most`` is the largest allowed number.
    """

    n: int
    most: int


@dataclass(frozen=True, slots=True)
class NotGood:
    """A sequential test found more sessions beyond the limit than a good server has.

    A good server has at most ``share`` of its sessions beyond the limit.
    ``side`` is the side of the limit on which a value is allowed.
    """

    share: float
    side: Side


@dataclass(frozen=True, slots=True)
class TooFew:
    """There are fewer than ``least`` utterances, so no error rate can be proven.

    If ``speakers`` is true, there are fewer than ``least`` speakers instead.
    """

    least: int
    speakers: bool


Reason = (
    Simple
    | NotMeasured
    | NotMeasuredOfLevel
    | MoreSessions
    | MoreKeywords
    | NotRealTime
    | ClientDelayed
    | NotDecided
    | NotGood
    | TooFew
)
