"""One row for each level of load, the same for every report.

A number that is infinite or unknown is ``None`` in a row, since JSON has no infinity.
So a quantile is ``None`` if too many sessions were lost.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.load.decision import Decision
from pytest_realtime_asr.load.level import Sampled, Witness
from pytest_realtime_asr.load.level_record import LevelRecord
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.stats import quantile

FINAL = "final_from_commit"
_OF_TURNS = "final_from_speech_end"  # in a session whose turns the server detects


class Figures(msgspec.Struct, frozen=True):
    """The p50, the p95 and the maximum of ``n`` values, in the unit of the values."""

    p50: float | None
    p95: float | None
    max: float | None
    n: int


class ClientRow(msgspec.Struct, frozen=True):
    """The client's own delays during a level.

    ``late_ms`` is the p99 delay of the audio frames, and ``lag_ms`` is the p99 delay of
    the clock ticks. ``cpu`` is the share of a core that a worker used. Each of the
    three is the largest value of all workers. ``workers`` is the number of workers.
    """

    late_ms: float
    lag_ms: float
    cpu: float
    workers: int


class WitnessRow(msgspec.Struct, frozen=True):
    """The latency in ms of the witness's finals before, through and after a level."""

    before: Figures | None
    through: Figures | None
    after: Figures | None


class GaugeRow(msgspec.Struct, frozen=True):
    """A metric of the server: its value before a level, and its values during it.

    ``source`` is the name that the server gives to the metric.
    """

    source: str
    before: float | None
    mean: float | None
    max: float | None
    last: float | None


class LimitRow(msgspec.Struct, frozen=True):
    """The decision on one limit at a level.

    ``name`` is the metric with its statistic. ``n`` is the number of sessions. ``over``
    is the number of sessions over the limit, including the ``lost`` sessions, which
    have no final. ``effective`` is the number of independent sessions that would prove
    as much as the ``n`` sessions. ``counted`` names the unit that was taken as
    independent.
    """

    name: str
    value: float | None
    limit: float
    n: int
    over: int
    lost: int
    effective: float
    counted: str
    verdict: str


class LevelRow(msgspec.Struct, frozen=True, kw_only=True):
    """A level of load: what was asked for, and what was measured.

    ``counted`` says whether the limits of the test apply to the level's steady part.
    ``finals`` has the latencies of the finals in the steady part, measured by
    ``metric``. ``sessions`` counts the sessions in each part of the level. In the
    steady part, ``outcomes`` counts the sessions by their outcome, and ``lost`` counts
    the sessions without a final. ``not_begun`` counts, by reason, the sessions that
    were due and could not begin.

    ``decision`` is the verdict on the level. ``binding`` is the limit that was exceeded
    the most or, if no limit was exceeded, the limit to which the level came nearest.
    ``decision`` and ``binding`` are ``None`` if the test has no limit that a level can
    decide. ``undecided`` says why the level proves nothing. ``step`` is the step of the
    search for the capacity. ``lost_workers`` has a sentence for each worker that was
    lost. Times are in s unless their name says otherwise.
    """

    number: int
    step: str | None
    counted: bool
    streams: int
    started: datetime
    seconds: float
    hold: float
    ramp: float
    talk: float
    arrivals: str | None
    rate: float | None
    jitter: float
    varied: bool
    seed: int
    witnesses: int
    decision: str | None
    binding: LimitRow | None
    undecided: str
    sessions: Mapping[str, int]
    outcomes: Mapping[str, int]
    lost: int
    not_begun: Mapping[str, int]
    metric: str
    finals: Figures | None
    client: ClientRow
    witness: WitnessRow
    server: Mapping[str, GaugeRow]
    server_failed: str
    lost_workers: Sequence[str]
    aborted: str


def row(record: LevelRecord) -> LevelRow:
    """Return the row of a level."""
    level, decision = record.level, record.decision
    load, steady = level.load, level.steady
    metric = _metric((*level.rows, *level.alone))
    phases = Counter(each.phase for each in level.rows)
    ends = level.workers
    sampled = level.server or Sampled()
    return LevelRow(
        number=level.number,
        step=None if record.step is None else record.step.value,
        counted=level.purpose is Purpose.TEST,
        # In a search, the streams of a decision include the witnesses.
        streams=level.streams if decision is None else decision.streams,
        started=level.started,
        seconds=round(level.seconds, 3),
        hold=load.hold,
        ramp=load.ramp,
        talk=load.talk,
        arrivals=None if load.arrivals is None else load.arrivals.value,
        rate=None if load.arrivals is None else load.rate,
        jitter=load.jitter,
        varied=load.varied,
        seed=load.seed,
        witnesses=load.witnesses,
        decision=None if decision is None else decision.verdict.value,
        binding=_binding(decision),
        undecided="" if decision is None else decision.reason,
        sessions={each.value: phases[each] for each in Phase},
        outcomes={each.value: count for each, count in record.outcomes.items()},
        lost=sum(bool(each.lost) for each in steady),
        not_begun=dict(level.not_begun),
        metric=metric,
        finals=_finals(steady, metric),
        client=ClientRow(
            late_ms=level.client_late,
            lag_ms=max((each.lag for each in ends), default=0.0),
            cpu=level.client_cpu,
            workers=len(ends) + len(level.lost_workers),
        ),
        witness=_witness(level.witness, metric),
        server={name: _gauge(sampled, name) for name in sampled.values},
        server_failed=sampled.failed,
        lost_workers=[
            f"worker {each.worker}: {each.reason}" for each in level.lost_workers
        ],
        aborted=level.aborted,
    )


def _binding(decision: Decision | None) -> LimitRow | None:
    if decision is None or (found := decision.binding) is None:
        return None
    return LimitRow(
        name=found.name,
        value=_finite(found.observed),
        limit=found.limit,
        n=found.n,
        over=found.over,
        lost=found.lost,
        effective=round(found.effective, 1),
        counted=found.unit.value,
        verdict=found.verdict.value,
    )


def _metric(rows: Iterable[Row]) -> str:
    """Return the name of the metric that measures the latency of the finals.

    This is ``final_from_speech_end`` if any session has a value of this metric and no
    value of ``final_from_commit``. Otherwise, it is ``final_from_commit``.
    """
    known = (each.measured.metrics for each in rows)
    if any(
        each.get(_OF_TURNS) is not None and each.get(FINAL) is None for each in known
    ):
        return _OF_TURNS
    return FINAL


def _witness(found: Witness, metric: str) -> WitnessRow:
    return WitnessRow(
        _finals(found.before, metric),
        _finals(found.through, metric),
        _finals(found.after, metric),
    )


def _finals(rows: Sequence[Row], metric: str) -> Figures | None:
    """Return the figures of the finals; a lost session is infinitely late."""
    values = [_value(each, metric) for each in rows]
    known = [each for each in values if each is not None]
    if not known:
        return None
    return Figures(
        _finite(quantile(known, 0.5)),
        _finite(quantile(known, 0.95)),
        _finite(max(known)),
        len(known),
    )


def _value(row: Row, metric: str) -> float | None:
    early = metric in row.measured.premature
    return math.inf if row.lost or early else row.measured.metrics.get(metric)


def _gauge(sampled: Sampled, name: str) -> GaugeRow:
    values = sampled.values[name]
    before = [value for at, value in values if at < 0]
    during = [value for at, value in values if at >= 0]
    return GaugeRow(
        sampled.source.get(name, ""),
        before[-1] if before else None,
        math.fsum(during) / len(during) if during else None,
        max(during, default=None),
        during[-1] if during else None,
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
