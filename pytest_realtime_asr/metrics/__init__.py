"""What is measured of a session: pure functions of the timeline of one item.

`CATALOGUE` holds every metric by name. What is said of a metric there is read from
its docstring, so that the two cannot differ. Accuracy is not in it: it is a property
of texts, and is pooled over many of them (`pytest_realtime_asr.metrics.accuracy`).
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_realtime_asr.metrics import endpoint, latency, pacing
from pytest_realtime_asr.metrics.latency import Spoken
from pytest_realtime_asr.timeline import Timeline


class Unit(enum.StrEnum):
    """What a metric counts in; the value is the suffix of a property or a file."""

    MS = "ms"
    RATIO = "ratio"
    COUNT = "count"


class Better(enum.StrEnum):
    """The direction in which a metric gets better."""

    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue.

    ``gated`` says that a budget of time may be set on it, which a count is not; a
    metric of the instrument alone says nothing about a server. ``needs`` is what must
    be there for a value.
    """

    name: str
    function: Callable[[Timeline, Spoken | None], float | None]
    unit: Unit
    gated: bool
    better: Better
    doc: str
    needs: str


def _metric(
    function: Callable[[Timeline, Spoken | None], float | None], *, gated: bool = True
) -> Metric:
    doc = inspect.getdoc(function) or ""
    heads = [line.partition(": ") for line in doc.splitlines()]
    fields = {name: text.rstrip(".") for name, colon, text in heads if colon}
    return Metric(
        name=function.__name__,
        function=function,
        unit=Unit(fields.get("Unit", Unit.MS)),
        gated=gated,
        better=Better(fields.get("Better", Better.DOWN)),
        doc=doc.partition("\n")[0],
        needs=fields.get("Needs", ""),
    )


CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            _metric(latency.connect),
            _metric(latency.session_ready),
            _metric(latency.first_partial_from_audio),
            _metric(latency.first_partial_from_speech),
            _metric(latency.final_from_commit),
            _metric(latency.final_from_speech_end),
            _metric(latency.longest_stall),
            _metric(endpoint.endpoint_delay),
            _metric(endpoint.false_endpoints, gated=False),
            _metric(pacing.send_blocked),
            _metric(pacing.sender_lateness, gated=False),
            _metric(pacing.sender_lateness_max, gated=False),
            _metric(pacing.loop_lag, gated=False),
            _metric(pacing.pacing_error, gated=False),
        )
    }
)


ONCE = frozenset({"connect", "session_ready"})
"""Metrics of the connection: of several utterances in a session, the first has them."""


def measure(timeline: Timeline, spoken: Spoken | None) -> dict[str, float | None]:
    """Every metric of the timeline of one item, ``None`` where its needs are not met.

    ``spoken`` is the utterance of this item, ``None`` where it is not known.
    """
    return {
        name: metric.function(timeline, spoken) for name, metric in CATALOGUE.items()
    }
