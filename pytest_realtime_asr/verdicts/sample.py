"""Samples: the value that each session contributes to a budget.

A lost session (refused, hung, broken, no final) is over every limit: it counts as
``+inf`` and is never left out. A session with a premature value is also over every
limit, since this value is not a measurement. A missing value counts neither as zero nor
as within the limit.

For a lower limit (`Side.AT_LEAST`), the signs of the values and of the limit are
reversed, so that a larger value is always worse (`Oriented`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.stats import quantile
from pytest_realtime_asr.verdicts.budgets import Limit, Side, Stat
from pytest_realtime_asr.verdicts.client_delay import without_delay

PUNCTUAL = ClientState()


@dataclass(frozen=True, slots=True)
class Sample:
    """One session under a budget.

    ``label`` is the id of the session. ``clip`` is the id of its utterance, if known.
    ``value`` is in the unit of the metric; ``None`` if it was not measured. ``lost``
    says in a word why the session gave no final. ``premature`` says why the value is
    premature. A session with ``lost`` or ``premature`` is over every limit. ``late_ms``
    is the client's scheduling delay in the session. ``own`` is the client's state.
    ``blocked_ms`` is the time for which the socket did not accept a frame. ``path_ms``
    is the round trip of a ping; ``None`` if no ping was answered. ``again`` is true for
    the retry of a disturbed session. ``beside`` is the value of another metric that
    must be read together with ``value``, if there is one.
    """

    label: str
    value: float | None
    lost: str = ""
    late_ms: float = 0.0
    clip: str = ""
    own: ClientState = PUNCTUAL
    blocked_ms: float = 0.0
    path_ms: float | None = None
    again: bool = False
    beside: float | None = None
    premature: Premature | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not self.value > -math.inf:
            raise ValueError(f"{self.label}: {self.value} is not a measured value")
        if not self.late_ms >= 0:
            raise ValueError(f"{self.label}: {self.late_ms} is not a delay")

    @property
    def measured(self) -> float | None:
        """The value; ``None`` if missing or premature, or if the session was lost."""
        return None if self.lost or self.premature is not None else self.value

    @property
    def missing(self) -> bool:
        """Return whether the session has a final but no value."""
        return self.value is None and not self.lost


@dataclass(frozen=True, slots=True)
class Oriented:
    """Samples and their limit, with signs such that larger values are worse.

    ``values`` are infinite for lost and premature samples. ``prompt`` are the values
    without the client's delay, which is subtracted if it is over ``bound`` ms. If the
    client was overloaded, a positive value becomes 0.
    """

    samples: Sequence[Sample]
    values: list[float]
    prompt: list[float]
    limit: float
    bound: float

    @property
    def over(self) -> list[bool]:
        """Return, for each sample, whether it is over the limit."""
        return [value > self.limit for value in self.values]

    @property
    def attributed(self) -> list[bool]:
        """Return whether each sample is over the limit without the client's delay."""
        return [value > self.limit for value in self.prompt]

    @property
    def repeats(self) -> bool:
        """Return whether a clip was sent more than once."""
        clips = [sample.clip for sample in self.samples if sample.clip]
        return len(set(clips)) < len(clips)


def orient(limit: Limit, samples: Sequence[Sample], bound: float) -> Oriented:
    """Return samples and a limit, with signs such that larger values are worse.

    ``bound`` is the tolerated delay of the client in ms.
    """
    sign = 1 if limit.side is Side.AT_MOST else -1
    values = [
        math.inf if (value := sample.measured) is None else sign * value
        for sample in samples
    ]
    prompt = [
        without_delay(value, sample.late_ms, sample.own, bound)
        for sample, value in zip(samples, values, strict=True)
    ]
    return Oriented(samples, values, prompt, sign * limit.value, bound)


def restored(limit: Limit, value: float) -> float:
    """Return a value of `Oriented` with its original sign."""
    # Subtracted from zero, since -0.0 would be displayed with its sign.
    return value if limit.side is Side.AT_MOST else 0.0 - value


def statistic(values: Sequence[float], stat: Stat) -> float:
    """Return the statistic ``stat`` of the values."""
    return (
        math.fsum(values) / len(values) if stat.q is None else quantile(values, stat.q)
    )


def tally(reasons: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return how often each reason occurs, the most frequent first."""
    return tuple(Counter(" ".join(reason.split()) for reason in reasons).most_common())
