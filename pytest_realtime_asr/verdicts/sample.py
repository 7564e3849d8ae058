"""Samples: the value that each session contributes to a budget.

A lost session (refused, hung, broken, no final) is over every limit: it counts as
``+inf`` and is never left out. So is a session whose event came before its cause: its
latency is not a measurement. A missing number is neither a zero nor a pass.

For a limit from below (`Side.AT_LEAST`), values and limit change their sign, so that a
larger value is always the worse one (`Oriented`).
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

    ``label`` is the id of the session, ``clip`` that of its utterance if known.
    ``value`` is in the unit of the metric, ``None`` where it was not measured. ``lost``
    says in a word why the session gave no final; ``premature`` says why the value is
    not a measurement; in both cases the session is over every limit. ``late_ms`` is the
    client's scheduling delay in that session, and ``own`` the client's state.
    ``blocked_ms`` is for how long the socket did not accept a frame, ``path_ms`` the
    round trip of a ping, ``None`` where none was answered. ``again``
    marks the retry of a disturbed session. ``beside`` is the value of
    the metric that must be read together with this one, if any.
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
        """The value, or ``None`` where it counts as over every limit."""
        return None if self.lost or self.premature is not None else self.value

    @property
    def missing(self) -> bool:
        """Whether a session with a final has no value."""
        return self.value is None and not self.lost


@dataclass(frozen=True, slots=True)
class Oriented:
    """Samples and their limit with larger values worse; lost ones are infinite.

    ``prompt`` are the values less the client's delay, where that is over ``bound`` ms,
    and no latency at all where the client was overloaded.
    """

    samples: Sequence[Sample]
    values: list[float]
    prompt: list[float]
    limit: float
    bound: float

    @property
    def over(self) -> list[bool]:
        """For each sample, whether it is over the limit."""
        return [value > self.limit for value in self.values]

    @property
    def attributed(self) -> list[bool]:
        """For each sample, whether it is over the limit without the client's delay."""
        return [value > self.limit for value in self.prompt]

    @property
    def repeats(self) -> bool:
        """Whether a clip was sent more than once."""
        clips = [sample.clip for sample in self.samples if sample.clip]
        return len(set(clips)) < len(clips)


def orient(limit: Limit, samples: Sequence[Sample], bound: float) -> Oriented:
    """Return samples and a limit with larger values worse.

    ``bound`` is the client's delay that is tolerated, in ms.
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
    """Return a value of `Oriented` with its own sign."""
    # Subtracted from zero, since a negative zero would be displayed as one.
    return value if limit.side is Side.AT_MOST else 0.0 - value


def statistic(values: Sequence[float], stat: Stat) -> float:
    """Return a statistic of values."""
    return (
        math.fsum(values) / len(values) if stat.q is None else quantile(values, stat.q)
    )


def tally(reasons: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Return how often each reason occurs, the most frequent first."""
    return tuple(Counter(" ".join(reason.split()) for reason in reasons).most_common())
