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

from pytest_realtime_asr.metrics import (
    causality,
    endpoint,
    latency,
    pacing,
    stability,
    words,
)
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.emission import Emissions, Script, emissions
from pytest_realtime_asr.trace.timeline import Timeline


class Unit(enum.StrEnum):
    """What a metric counts in; the value is the suffix of a property or a file."""

    MS = "ms"
    RATIO = "ratio"
    COUNT = "count"
    PER_MINUTE = "per_minute"


class Better(enum.StrEnum):
    """The direction in which a metric gets better."""

    DOWN = "down"
    UP = "up"


class Group(enum.StrEnum):
    """What a metric is about."""

    HEAD = "connection and first text"
    WORDS = "words"
    TAIL = "the end"
    STABILITY = "stability"
    INSTRUMENT = "the instrument"


_Rule = Callable[[Emissions, float], Premature | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue.

    ``gated`` says that a budget may be set on it: it is the server's, and a number by
    which a server can be judged; where it is not, ``why`` says why. ``needs`` is what
    must be there for a value. ``beside`` is the metric without which it says little.
    ``causality`` is the rule that finds events which came before what they answer.
    """

    name: str
    function: Callable[..., float | None]
    group: Group
    unit: Unit
    gated: bool
    better: Better
    doc: str
    needs: str
    why: str = ""
    beside: str = ""
    causality: _Rule | None = None

    def of(self, it: Emissions) -> float | None:
        """The value for one item; ``None`` where what it needs is not there."""
        if self.function.__module__ == words.__name__:
            return self.function(it)
        return self.function(it.timeline, it.script)

    def premature(self, it: Emissions, value: float) -> Premature | None:
        """Why this value of one item is not a measurement; ``None`` where it is one."""
        return None if self.causality is None else self.causality(it, value)


def _metric(
    function: Callable[..., float | None],
    group: Group,
    *,
    ungated: str = "",
    beside: str = "",
    causality: _Rule | None = None,
) -> Metric:
    doc = inspect.getdoc(function) or ""
    heads = [line.partition(": ") for line in doc.splitlines()]
    fields = {name: text.rstrip(".") for name, colon, text in heads if colon}
    return Metric(
        name=function.__name__,
        function=function,
        group=group,
        unit=Unit(fields.get("Unit", Unit.MS)),
        gated=not ungated,
        better=Better(fields.get("Better", Better.DOWN)),
        doc=doc.partition("\n")[0],
        needs=fields.get("Needs", ""),
        why=ungated,
        beside=beside,
        causality=causality,
    )


_OURS = "it measures the instrument, not the server"
_WAY = "it measures the way to the server, not the server"
_EARLY = "it holds the silence before the speech, and early made-up text wins it"
_PAUSES = "without word times the speaker's own pauses count, and so do finals only"
_CADENCE = "it is the cadence of the server's deltas, not their lateness"

CATALOGUE: Mapping[str, Metric] = MappingProxyType(
    {
        metric.name: metric
        for metric in (
            _metric(latency.connect, Group.HEAD),
            _metric(latency.session_ready, Group.HEAD),
            _metric(
                latency.first_partial_from_audio,
                Group.HEAD,
                ungated=_EARLY,
                causality=causality.text_after_audio,
            ),
            _metric(
                latency.first_partial_from_speech,
                Group.HEAD,
                causality=causality.text_after_speech,
            ),
            _metric(
                words.first_correct_word,
                Group.HEAD,
                causality=causality.text_of_first_word,
            ),
            _metric(words.early_text, Group.HEAD),
            _metric(words.word_first_emission, Group.WORDS, beside="word_coverage"),
            _metric(words.word_settled, Group.WORDS, beside="word_coverage"),
            _metric(words.word_coverage, Group.WORDS),
            _metric(words.lag_laal, Group.WORDS),
            _metric(words.lag_yaal, Group.WORDS),
            _metric(words.partial_wer, Group.WORDS),
            _metric(words.unspoken_rate, Group.WORDS),
            _metric(words.partial_interval, Group.WORDS, ungated=_CADENCE),
            _metric(latency.longest_stall, Group.WORDS, ungated=_PAUSES),
            _metric(latency.final_from_commit, Group.TAIL, causality=causality.final),
            _metric(
                latency.final_from_speech_end, Group.TAIL, causality=causality.final
            ),
            _metric(
                words.text_complete_from_speech_end,
                Group.TAIL,
                causality=causality.whole_text,
            ),
            _metric(endpoint.endpoint_delay, Group.TAIL, causality=causality.endpoint),
            _metric(endpoint.false_endpoints, Group.TAIL),
            _metric(words.drain, Group.TAIL, causality=causality.final),
            _metric(stability.normalized_erasure, Group.STABILITY),
            _metric(stability.revision_rate, Group.STABILITY),
            _metric(stability.final_retractions, Group.STABILITY),
            _metric(pacing.send_blocked, Group.TAIL),
            _metric(pacing.sender_lateness, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.sender_lateness_max, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.loop_lag, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.gc_pause, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.own_cpu, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.pacing_error, Group.INSTRUMENT, ungated=_OURS),
            _metric(pacing.path_round_trip, Group.INSTRUMENT, ungated=_WAY),
        )
    }
)


SILENT = frozenset({"unspoken_rate"})
"""Metrics of utterances without words: the others have no part in them."""

ONCE = frozenset({"connect", "session_ready"})
"""Metrics of the connection: of several utterances in a session, the first has them."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What was measured of one item.

    ``values`` holds every metric, ``None`` where its needs are not met. ``premature``
    names the metrics whose value is not a measurement, and why: the value is kept to be
    shown, and counts as over every limit.
    """

    values: Mapping[str, float | None]
    premature: Mapping[str, Premature]


def measures(timeline: Timeline, script: Script | None) -> Measures:
    """Measure the timeline of one item.

    ``script`` is the utterance of this item, ``None`` where it is not known.
    """
    it = emissions(timeline, script)
    values = {name: metric.of(it) for name, metric in CATALOGUE.items()}
    known = ((name, value) for name, value in values.items() if value is not None)
    why = {name: CATALOGUE[name].premature(it, value) for name, value in known}
    return Measures(
        values, {name: each for name, each in why.items() if each is not None}
    )


def measure(timeline: Timeline, script: Script | None) -> Mapping[str, float | None]:
    """Return the values of `measures` alone."""
    return measures(timeline, script).values
