"""Executors: where the shards of a level run.

A level is cut into shards, one for each worker. Each shard has an event loop of its own
and sends back what its sessions measured. The interface has only three calls and a
property, so that it can be implemented for processes of this machine and for a cluster.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Load

NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Connection:
    """How the sessions of a shard reach the server; it can be pickled.

    ``dialect`` is the name of the dialect. ``target`` is the WebSocket URL of a
    session, and ``http`` is the URL of the HTTP routes. ``target`` and ``headers`` may
    contain secrets. ``ca``, ``certificate`` and ``key`` are the contents of files in
    PEM. ``insecure`` turns off the check of the server's certificate. The other fields
    have the meaning that they have in `Access` and `Plan`.
    """

    dialect: str
    target: str = field(repr=False)
    http: str
    model: str
    options: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    private: bool = False
    ca: str = field(default="", repr=False)
    certificate: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    insecure: bool = False
    server_name: str | None = None
    proxy: str | Literal[True] | None = field(default=None, repr=False)
    max_message: int = 2**20
    chunk: float = 0.1
    limits: Limits = NO_LIMITS
    rules: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Clip:
    """An utterance with its decoded audio, at the sample rate of the session."""

    utterance: Utterance
    audio: Audio


@dataclass(frozen=True, slots=True)
class Shard:
    """The streams of a level that one worker runs.

    ``streams`` are the indices of these streams in the level. ``start`` is the start of
    the level, in s on the system clock; it is the same for all shards. A worker that is
    not ready ``deadline`` seconds after the start does not begin. ``worker`` is the
    number of the worker, from 0. ``every_trace`` says that the traces of all sessions
    are kept.
    """

    worker: int
    load: Load
    streams: tuple[int, ...]
    connection: Connection
    clips: tuple[Clip, ...]
    start: float
    deadline: float = 10.0
    every_trace: bool = False


@dataclass(frozen=True, slots=True)
class ShardEnd:
    """The report of a worker when its last session has ended.

    ``late`` is the p99 in ms of the delay that the client itself added to the audio
    frames. ``lag`` is the p99 in ms of the delay of the clock ticks of the event loop,
    and ``cpu`` is the share of a core that this loop used. ``not_begun`` counts, by
    reason, the sessions that were due and could not begin. ``worst`` has the rows and
    the traces of the sessions whose finals had the largest latency. ``seconds`` is the
    length in s of the audio that was sent.
    """

    worker: int
    late: float = 0.0
    lag: float = 0.0
    cpu: float = 0.0
    not_begun: Mapping[str, int] = field(default_factory=dict)
    worst: tuple[Row, ...] = field(default=(), repr=False)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ShardLost:
    """A worker that ended without its report; ``streams`` are the streams it had."""

    worker: int
    reason: str
    streams: tuple[int, ...] = ()
    when: datetime | None = None


class NotBegun(enum.StrEnum):
    """Why a session that was due did not begin."""

    FULL = "too many sessions were open"
    LATE = "the worker was late"
    ENDED = "the level ended"


Message = Row | ShardEnd | ShardLost


class Executor(Protocol):
    """Runs shards; its methods may be called from any thread.

    ``slots`` is the number of shards that can run at a time; a load with more shards is
    refused.
    """

    @property
    def slots(self) -> int: ...

    def start(self, shard: Shard) -> None:
        """Start a shard; the level begins at ``shard.start``."""

    def next(self, timeout: float) -> Message | None:
        """Return the next message of any shard; ``None`` after ``timeout`` seconds."""

    def stop(self) -> None:
        """End all shards; the sessions that are open are cut off."""
