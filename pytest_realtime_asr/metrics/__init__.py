"""The metrics by name: `CATALOGUE` for one utterance, `LEVELS` for a level of load.

A metric of an utterance is a pure function of the timeline and the reference of the
utterance. A metric of a level is a pure function of the values of the level. Each
metric declares its unit, its direction and what it needs
(`pytest_realtime_asr.metrics.declaration`). Accuracy is in neither catalogue, since it
is computed from texts and is pooled over many utterances
(`pytest_realtime_asr.metrics.accuracy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_realtime_asr.metrics import (
    endpoint,
    lag_drift,
    latency,
    levels,
    pacing,
    stability,
    word_times,
    words,
)
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.declaration import (
    Better,
    Group,
    LevelMetric,
    Metric,
    Unit,
)
from pytest_realtime_asr.metrics.emission import Script, emissions
from pytest_realtime_asr.trace.timeline import Timeline

__all__ = [
    "CATALOGUE",
    "DECLARED",
    "LEVELS",
    "ONCE",
    "SILENT",
    "Better",
    "Group",
    "LevelMetric",
    "Measures",
    "Metric",
    "Unit",
    "measure",
    "measures",
]

# Reports list the metrics in this order.
CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            latency.connect,
            latency.session_ready,
            latency.first_partial_from_audio,
            latency.first_partial_from_speech,
            words.first_correct_word,
            words.early_text,
            words.word_first_emission,
            words.word_settled,
            words.word_coverage,
            word_times.word_time_coverage,
            word_times.word_time_error,
            word_times.word_time_bias,
            words.lag_laal,
            words.lag_yaal,
            lag_drift.lag_drift,
            words.partial_wer,
            words.unspoken_rate,
            words.partial_interval,
            latency.longest_stall,
            latency.final_from_commit,
            latency.final_from_speech_end,
            words.text_complete_from_speech_end,
            endpoint.endpoint_delay,
            endpoint.false_endpoints,
            words.drain,
            stability.normalized_erasure,
            stability.revision_rate,
            stability.final_retractions,
            pacing.send_blocked,
            pacing.sender_lateness,
            pacing.sender_lateness_max,
            pacing.loop_lag,
            pacing.gc_pause,
            pacing.own_cpu,
            pacing.pacing_error,
            pacing.path_round_trip,
        )
    }
)

LEVELS: Mapping[str, LevelMetric] = MappingProxyType(
    {metric.name: metric for metric in levels.LEVEL_METRICS}
)

DECLARED: Mapping[str, Metric | LevelMetric] = MappingProxyType({**CATALOGUE, **LEVELS})
"""All metrics; each can have a budget, or its declaration says why it cannot."""

SILENT = frozenset({"unspoken_rate"})
"""The metrics that have a value only for utterances without words."""

ONCE = frozenset({"connect", "session_ready"})
"""The metrics of the connection; only the first utterance of a session has them."""


@dataclass(frozen=True, slots=True)
class Measures:
    """The measured values of one utterance.

    ``values`` holds the value of every metric. A value is ``None`` if the utterance
    lacks what the metric needs. For each metric whose event came before its cause,
    ``premature`` has the reason. The value of such a metric is shown, but counts as
    over every limit.
    """

    values: Mapping[str, float | None]
    premature: Mapping[str, Premature]


def measures(timeline: Timeline, script: Script | None) -> Measures:
    """Return the value of every metric for the timeline of one utterance.

    ``script`` is the reference of the utterance; ``None`` if it is not known.
    """
    item = emissions(timeline, script)
    values = {name: metric(item) for name, metric in CATALOGUE.items()}
    known = ((name, value) for name, value in values.items() if value is not None)
    why = {name: CATALOGUE[name].premature(item, value) for name, value in known}
    return Measures(
        values, {name: each for name, each in why.items() if each is not None}
    )


def measure(timeline: Timeline, script: Script | None) -> Mapping[str, float | None]:
    """Return the ``values`` of `measures`; premature events are not marked."""
    return measures(timeline, script).values
