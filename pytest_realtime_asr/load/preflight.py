"""Finds, before a load, problems that could be mistaken for a saturated server.

A client can run out of descriptors, ports or memory, or clips can be too long or too
short for the load. Then sessions are lost or late, although the server is not at fault.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_realtime_asr.load.machine import Machine
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.text.number_format import length, several

DESCRIPTORS = 64  # of a worker in addition to one for each session
SHORTEST = 1.0  # s of a clip; the handshake takes a large part of a shorter session
TIME_WAIT = 60.0  # s for which Linux keeps a port after its connection was closed
ROW = 16 * 2**10  # bytes of a session that has ended, with its share of kept traces
OPEN = 2**20  # bytes of an open session, which records its frames
# Of a worker without sessions, and of the process that judges its sessions.
WORKER = 150 * 2**20  # bytes
_MIB = 2**20


class Subject(enum.StrEnum):
    """The subject of a finding."""

    DESCRIPTORS = "file descriptors"
    PORTS = "local ports"
    MEMORY = "memory"
    WORKERS = "workers"
    CLIPS = "clips"
    SESSIONS = "other sessions"
    ADMISSION = "admission"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a load that could be mistaken for a saturated server.

    ``found`` says what was found, ``needed`` says what the load needs, and ``advice``
    says what the user can do. If the problem is ``hard``, the load would prove nothing.
    """

    subject: Subject
    found: str
    needed: str
    advice: str
    hard: bool = False

    @property
    def text(self) -> str:
        """The finding in one line."""
        return f"{self.subject}: {self.found}; {self.needed}; {self.advice}"


def preflight(
    load: Load,
    *,
    machine: Machine,
    clips: Sequence[float],
    workers: int,
    slots: int,
    sessions: float | None = None,
) -> tuple[Finding, ...]:
    """Return the problems of a load, the hard problems first.

    ``clips`` are the lengths of the clips in s; there is at least one. ``workers`` is
    the number of workers that the load should have, and ``slots`` is the number of
    workers that it can have. ``sessions`` is the number of sessions that are open at
    the server before the load; ``None`` if this number is not known.
    """
    used = max(1, min(workers, slots))
    found = [
        _workers(load, workers, slots),
        _long_clips(load, clips),
        _short_clips(clips),
        _descriptors(load, machine, used),
        _ports(load, machine, clips),
        _memory(load, machine, clips, used),
        _sessions(sessions),
    ]
    lacks = [each for each in found if each is not None]
    return tuple(sorted(lacks, key=lambda each: not each.hard))


def descriptors(streams: int) -> int:
    """Return the number of descriptors that a worker with ``streams`` streams needs."""
    return streams + DESCRIPTORS


def _workers(load: Load, workers: int, slots: int) -> Finding | None:
    if slots >= workers:
        return None
    advice = "start at least one worker"
    if slots > 0:
        each = math.ceil(load.streams / slots)
        advice = (
            f"a worker with {several(each, 'stream')} may be the limit, not the "
            "server; start more workers"
        )
    return Finding(
        Subject.WORKERS,
        f"{several(slots, 'worker')} can run the load",
        f"{several(load.streams, 'stream')} should have {workers}",
        advice,
        hard=slots < 1,
    )


def _long_clips(load: Load, clips: Sequence[float]) -> Finding | None:
    long = [each for each in clips if each > load.hold]
    if not long:
        return None
    return Finding(
        Subject.CLIPS,
        f"{len(long)} of {several(len(clips), 'clip')} last longer than the steady "
        f"part ({length(load.hold)}); the longest lasts {length(max(long))}",
        "only sessions that start and end in the steady part are judged",
        "hold the load for longer, or leave these clips out",
        hard=len(long) == len(clips),
    )


def _short_clips(clips: Sequence[float]) -> Finding | None:
    short = [each for each in clips if each < SHORTEST]
    if not short:
        return None
    return Finding(
        Subject.CLIPS,
        f"{len(short)} of {several(len(clips), 'clip')} last less than {SHORTEST:g} s; "
        f"the shortest lasts {min(short):.2f} s",
        f"a session should have at least {SHORTEST:g} s of audio",
        "the handshake takes a large part of these sessions; join the clips, or leave "
        "them out",
    )


def _descriptors(load: Load, machine: Machine, workers: int) -> Finding | None:
    most, streams = machine.descriptors, math.ceil(load.streams / workers)
    needed = descriptors(streams)
    if most is None or needed <= most:
        return None
    return Finding(
        Subject.DESCRIPTORS,
        f"a process may open {most}",
        f"a worker with {several(streams, 'stream')} needs {needed} descriptors",
        f"raise the hard limit (ulimit -Hn {needed}), or start more workers",
        hard=True,
    )


def _ports(load: Load, machine: Machine, clips: Sequence[float]) -> Finding | None:
    most, streams = machine.ports, load.streams + load.witnesses
    closed = _sessions_in(TIME_WAIT, load, clips)
    if most is None or streams + closed <= most:
        return None
    return Finding(
        Subject.PORTS,
        f"this machine has {most}",
        f"{several(streams, 'open session')} and up to {closed} that were closed "
        f"within {TIME_WAIT:g} s need {streams + closed} ports",
        "widen net.ipv4.ip_local_port_range, or send longer clips",
        hard=streams > most,
    )


def _memory(
    load: Load, machine: Machine, clips: Sequence[float], workers: int
) -> Finding | None:
    most, rows = machine.memory, _sessions_in(load.planned, load, clips)
    needed = rows * ROW + load.streams * OPEN + workers * WORKER
    if most is None or needed <= most:
        return None
    return Finding(
        Subject.MEMORY,
        f"{most // _MIB} MiB are free",
        f"{several(load.streams, 'stream')} and the results of "
        f"{several(rows, 'session')} need about {math.ceil(needed / _MIB)} MiB",
        "free memory, or hold the load for a shorter time",
    )


def _sessions(sessions: float | None) -> Finding | None:
    if not sessions:
        return None
    return Finding(
        Subject.SESSIONS,
        f"{sessions:g} open at the server before the load",
        "the server should have none",
        "these sessions use a part of the server's capacity; end them, or test at "
        "another time",
    )


def _sessions_in(seconds: float, load: Load, clips: Sequence[float]) -> int:
    """Return the largest number of sessions that start within ``seconds`` seconds."""
    if load.arrivals is not None:
        return math.ceil(load.rate * seconds)
    return math.ceil(load.streams * load.talk * len(clips) * seconds / sum(clips))
