"""What a metric declares: unit, direction, needs, and whether it can have a budget.

A metric of an utterance is a function of the `Emissions` of one item; the decorator
`metric` declares it. A metric of a level of load is a function of the `LevelValues` of
the level; the decorator `level_metric` declares it. All properties that influence
a verdict are arguments of these decorators. The docstring of the function (formula,
start and end instant, source) is only for readers, and may be stripped
(``python -OO``).
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass

from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.metrics.level_values import Estimate, LevelValues


class Unit(enum.StrEnum):
    """The units of metrics; each value is the suffix of a metric's JUnit property."""

    MS = "ms"
    RATIO = "ratio"
    COUNT = "count"
    PER_MINUTE = "per_minute"
    MS_PER_MINUTE = "ms_per_minute"


class Better(enum.StrEnum):
    """The direction in which a metric improves."""

    LOWER = "lower"
    HIGHER = "higher"


class Group(enum.StrEnum):
    """The subjects of metrics; each value is the heading of a section in the docs."""

    START = "connection and first text"
    WORDS = "words"
    END = "end of the utterance"
    STABILITY = "stability"
    CLIENT = "client and network path"
    LOAD = "a level of load"


class Instant(enum.StrEnum):
    """The instants from which a metric can count; each value is the name in reports."""

    SPEECH_START = "start of speech"
    SPEECH_END = "end of speech"
    COMMIT = "commit"


Function = Callable[[Emissions], float | None]
LevelFunction = Callable[[LevelValues], Estimate | None]
CausalityRule = Callable[[Emissions, float], Premature | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What every metric declares.

    ``needs`` names what must be there for the metric to have a value. ``no_budget``
    says why the metric cannot have a budget; ``None`` if it can have one. ``beside``
    names another metric that must be read together with this metric; ``None`` if there
    is no such metric.
    """

    name: str
    function: Callable[..., object]
    group: Group
    unit: Unit
    better: Better
    needs: str
    no_budget: str | None = None
    beside: str | None = None

    @property
    def gated(self) -> bool:
        """Return whether the metric can have a budget."""
        return self.no_budget is None

    @property
    def timed(self) -> bool:
        """Return whether the metric is a duration."""
        return self.unit is Unit.MS

    @property
    def summary(self) -> str | None:
        """The first line of the docstring; ``None`` if docstrings are stripped."""
        doc = inspect.getdoc(self.function)
        return None if doc is None else doc.partition("\n")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Declaration):
    """The declaration of a metric of one utterance.

    ``causality`` is the rule that finds values whose event came before its cause.
    ``in_audio`` says whether the value is a difference of two positions in the audio;
    such a value does not depend on when a text arrives. ``stated_times`` says whether
    the value needs word times that the server states, so that there is none in a
    protocol without word times. ``start`` is the instant from which the value counts;
    ``None`` if there is no single start, or if `Instant` does not have it.
    """

    function: Function
    causality: CausalityRule | None = None
    in_audio: bool = False
    stated_times: bool = False
    start: Instant | None = None

    def __call__(self, item: Emissions) -> float | None:
        """Return the value for one item; ``None`` if it cannot be measured."""
        return self.function(item)

    @property
    def paced(self) -> bool:
        """Return whether the value can be judged only if audio is sent in real time."""
        return self.timed and not self.in_audio

    def premature(self, item: Emissions, value: float) -> Premature | None:
        """Return why the event of ``item`` is premature; ``None`` if it is not."""
        return None if self.causality is None else self.causality(item, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelMetric(Declaration):
    """The declaration of a metric of a level of load.

    ``paced`` says whether the value can be judged only if audio is sent in real time.
    ``counts_lost`` says whether a lost session makes the value worse.
    """

    function: LevelFunction
    paced: bool = True
    counts_lost: bool = True

    def __call__(self, values: LevelValues) -> Estimate | None:
        """Return the value of a level; ``None`` if it cannot be measured."""
        return self.function(values)


def metric(
    *,
    group: Group,
    unit: Unit,
    needs: str,
    better: Better = Better.LOWER,
    no_budget: str | None = None,
    beside: str | None = None,
    causality: CausalityRule | None = None,
    in_audio: bool = False,
    stated_times: bool = False,
    start: Instant | None = None,
) -> Callable[[Function], Metric]:
    """Return a decorator that turns a function into a metric of the same name."""

    def declare(function: Function) -> Metric:
        return Metric(
            name=function.__name__,
            function=function,
            group=group,
            unit=unit,
            better=better,
            needs=needs,
            no_budget=no_budget,
            beside=beside,
            causality=causality,
            in_audio=in_audio,
            stated_times=stated_times,
            start=start,
        )

    return declare


def level_metric(
    *,
    unit: Unit,
    needs: str,
    better: Better = Better.LOWER,
    paced: bool = True,
    counts_lost: bool = True,
) -> Callable[[LevelFunction], LevelMetric]:
    """Return a decorator that turns a function into a level metric of the same name."""

    def declare(function: LevelFunction) -> LevelMetric:
        return LevelMetric(
            name=function.__name__,
            function=function,
            group=Group.LOAD,
            unit=unit,
            better=better,
            needs=needs,
            paced=paced,
            counts_lost=counts_lost,
        )

    return declare
