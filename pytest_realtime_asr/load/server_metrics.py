"""The server's own metrics during a level of load, in the text format of Prometheus.

A `Sampler` reads the metrics once a second, in a thread of the main process. The
sessions of the load run in other processes, so that a reading does not delay them. A
failed request never ends a level; instead, the result says what could not be read.
"""

from __future__ import annotations

import enum
import importlib
import importlib.util
import math
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.load.level import Level, Sampled
from pytest_realtime_asr.text.messages import printable, shortened

INTERVAL = 1.0  # s between two readings
READING = 3.0  # s that one reading may take
SETTLING = 5.0  # s in which the server should notice that sessions have ended
MISSING = (
    "the package prometheus-client is not installed; install it with "
    'pip install "pytest-realtime-asr[load]"'
)
_PAUSE = 0.2  # s between two readings while the server settles
_LIBRARY = "prometheus_client"
_NAME = re.compile(rb"[a-z_:][a-z0-9_:]*", re.IGNORECASE)
# The library takes up to 0.1 s for lines of this length, in which no other thread of
# the process makes much progress.
_LONGEST = 2**16  # bytes of the lines that are parsed
_LONGEST_LINE = 2**12  # bytes
_SHOWN = 200  # characters of a message that quotes the server


class Gauge(enum.StrEnum):
    """A metric of a server.

    `RUNNING` and `WAITING` are numbers of requests. `KV_CACHE` is the used share of the
    KV cache. `SESSIONS` is the number of open sessions, and `ALL_SESSIONS` is the
    number of all sessions so far. `MEMORY` is the resident memory in bytes.
    """

    RUNNING = "running"
    WAITING = "waiting"
    KV_CACHE = "kv_cache"
    SESSIONS = "sessions"
    ALL_SESSIONS = "all_sessions"
    MEMORY = "memory"


# If a metric is a share, its largest sample is used; other samples are added up.
_SHARES = frozenset({Gauge.KV_CACHE})
# The client libraries of Prometheus give this name to the memory of their own process.
_USUAL = {Gauge.MEMORY: "process_resident_memory_bytes"}


class Unreadable(Exception):
    """The metrics of a server could not be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """The place where a server shows its metrics, and its name for each metric.

    The URL of the metrics is the HTTP URL of the target of ``access``.
    """

    access: Access
    names: Mapping[Gauge, str]


def is_installed() -> bool:
    """Return whether the library that parses metrics is installed."""
    return importlib.util.find_spec(_LIBRARY) is not None


def known_names(dialect: Dialect) -> dict[Gauge, str]:
    """Return the names that the servers of a dialect give to their metrics."""
    shown = dialect.traits.operations
    names = {
        **_USUAL,
        Gauge.RUNNING: shown.running,
        Gauge.WAITING: shown.waiting,
        Gauge.KV_CACHE: shown.kv_cache,
        Gauge.SESSIONS: shown.gauge,
        Gauge.ALL_SESSIONS: shown.counter,
    }
    return {gauge: name for gauge, name in names.items() if name}


def source(
    dialect: Dialect,
    server: Access,
    *,
    url: str | None = None,
    names: Mapping[Gauge, str] | None = None,
) -> Source:
    """Return the source of the metrics of a server.

    ``server`` is the access to the sessions of the server. ``url`` is the URL of the
    metrics; if it is ``None``, the metrics are at ``/metrics`` of the server. ``names``
    are used instead of the names that are known for the dialect. The headers of
    ``server``, which contain the API key, are sent only if the metrics have the same
    scheme, host and port as ``server``.
    """
    where = f"{server.target.http}/metrics" if url is None else url
    target = Target(websocket=where, http=where)
    if target.origin == server.target.origin:
        access = replace(server, target=target)
    else:
        access = Access(
            target,
            tls=server.tls,
            proxy=None if target.loopback else server.proxy or True,
            max_message=server.max_message,
        )
    return Source(access, {**known_names(dialect), **(names or {})})


def read(source: Source) -> dict[Gauge, float]:
    """Read the metrics that a server shows now.

    This takes at most `READING` s. Raises `Unreadable` if no metric could be read.
    """
    access = source.access
    url, most = access.target.http, access.max_message
    try:
        status, page = probe.get(access, "", within=READING)
    except Unreachable as error:
        raise Unreadable(str(error)) from error
    if status >= 300:
        raise Unreadable(
            f"{url}: HTTP {status}; give the URL of the metrics with "
            "--realtime-metrics-url"
        )
    is_cut = len(page) == most
    if is_cut:
        page = page[: page.rfind(b"\n") + 1]  # the last number may be cut
    try:
        found = parse(page, source.names)
    except ValueError as error:
        raise Unreadable(f"{url}: {error}") from error
    if not found:
        where = f"the first {most} bytes of the response" if is_cut else "the response"
        wanted = ", ".join(dict.fromkeys(source.names.values())) or "a known metric"
        raise Unreadable(
            f"{url}: {where} does not contain {wanted}; name the metrics of the server "
            "with --realtime-metrics-name"
        )
    return found


def parse(page: bytes, names: Mapping[Gauge, str]) -> dict[Gauge, float]:
    """Return the metrics in a page of Prometheus's text format.

    Only the lines of these ``names`` are parsed, since a page may have thousands of
    lines. Samples that differ only in their labels are added up; if the metric is a
    share, the largest sample is used. Samples that are not finite are ignored. Raises
    ValueError if a line cannot be parsed, if the lines are too long, or if the library
    is not installed.
    """
    wanted = {name.encode() for name in names.values()}
    lines = [
        line
        for each in page.split(b"\n")
        if (start := _NAME.match(line := each.strip())) and start[0] in wanted
    ]
    if any(len(line) > _LONGEST_LINE for line in lines) or (
        sum(map(len, lines)) > _LONGEST
    ):
        raise ValueError(
            f"the samples are too long: a line may have at most {_LONGEST_LINE} bytes, "
            f"and all lines of the wanted metrics together may have at most {_LONGEST}"
        )
    samples: dict[str, list[float]] = {}
    for name, value in _samples(b"\n".join(lines).decode(errors="replace")):
        if math.isfinite(value):
            samples.setdefault(name, []).append(value)
    return {
        gauge: max(found) if gauge in _SHARES else math.fsum(found)
        for gauge, name in names.items()
        if (found := samples.get(name))
    }


def _samples(text: str) -> list[tuple[str, float]]:
    """Return the name and the value of each sample.

    Raises ValueError if the text is not in Prometheus's format, or if the library is
    not installed.
    """
    try:
        library: Any = importlib.import_module(f"{_LIBRARY}.parser")
    except ImportError:
        raise ValueError(MISSING) from None
    try:
        return [
            (sample.name, float(sample.value))
            for family in library.text_string_to_metric_families(text)
            for sample in family.samples
        ]
    except (ValueError, OverflowError, IndexError) as error:
        why = shortened(printable(str(error)), _SHOWN)
        raise ValueError(
            f"the response is not in Prometheus's text format: {why}"
        ) from None


class Sampler:
    """Reads the metrics of a server once per ``interval`` seconds, in a thread.

    Start it before the first session of a level, and stop it after the last session.
    Then the first and the last reading show how many sessions the server has not freed.
    """

    def __init__(self, source: Source, *, interval: float = INTERVAL) -> None:
        self._source = source
        self._interval = interval
        self._over = threading.Event()
        self._began = threading.Event()
        self._readings: list[tuple[float, Mapping[Gauge, float]]] = []
        self._errors: list[str] = []
        self._thread = threading.Thread(
            target=self._run, name="server metrics", daemon=True
        )

    def start(self) -> None:
        """Start the thread; wait for its first reading, but at most `READING` s."""
        self._thread.start()
        self._began.wait(READING)

    def cancel(self) -> None:
        """Stop without a result, and without waiting for a reading that has begun."""
        self._over.set()

    def stop(self, start: float) -> Sampled:
        """Stop; return the metrics, each value with its time since ``start``.

        ``start`` is the time at which the level started, in s by `time.monotonic`. A
        value that was read before ``start`` has a negative time. At the end, the
        metrics are read again until the number of open sessions is at most the number
        at the first reading. These readings stop after `SETTLING` s.
        """
        self._over.set()
        self._thread.join()
        deadline = time.monotonic() + SETTLING
        while self._read() and self._has_more_sessions():
            if time.monotonic() >= deadline:
                break
            time.sleep(_PAUSE)
        return Sampled(
            values=_by_name(self._readings, start),
            source={str(gauge): name for gauge, name in self._source.names.items()},
            failed=self._failure(),
        )

    def _run(self) -> None:
        due = time.monotonic()
        while True:
            self._read()
            self._began.set()
            now = time.monotonic()
            due = max(due + self._interval, now)
            if self._over.wait(due - now):
                return

    def _read(self) -> bool:
        """Read the metrics once; return whether this succeeded."""
        try:
            found = read(self._source)
        except Unreadable as error:
            self._errors.append(str(error))
            return False
        self._readings.append((time.monotonic(), found))
        return True

    def _has_more_sessions(self) -> bool:
        """Return whether more sessions are open than at the first reading."""
        first, last = self._readings[0][1], self._readings[-1][1]
        if Gauge.SESSIONS not in first:
            return False
        return last.get(Gauge.SESSIONS, 0.0) > first[Gauge.SESSIONS]

    def _failure(self) -> str:
        """Return what could not be read, and why; "" if every reading succeeded."""
        if not self._errors:
            return ""
        first, failed = self._errors[0], len(self._errors)
        if not self._readings:
            return first
        return f"{failed} of {failed + len(self._readings)} readings failed: {first}"


def _by_name(
    readings: Sequence[tuple[float, Mapping[Gauge, float]]], start: float
) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the values of each metric with their times since ``start``."""
    found: dict[str, list[tuple[float, float]]] = {}
    for at, values in readings:
        for gauge, value in values.items():
            found.setdefault(str(gauge), []).append((at - start, value))
    return {name: tuple(values) for name, values in found.items()}


def left_open(level: Level) -> float | None:
    """Return how many more sessions were open after a level than before it.

    The number is 0 or negative if the server has freed all sessions, including the
    abandoned ones. The result is ``None`` if the number before or after the level
    is unknown.
    """
    values = () if level.server is None else level.server.values.get(Gauge.SESSIONS, ())
    if not values or values[0][0] >= 0 or values[-1][0] < level.seconds:
        return None
    return values[-1][1] - values[0][1]
