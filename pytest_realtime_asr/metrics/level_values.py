"""The values of a level of load, from which the metrics of the level are computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.metrics.alignment import Errors


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a metric at a level, in the unit of the metric.

    ``n`` is the number of ``units``, such as sessions, from which the value is
    computed. ``interval`` is the confidence interval of the value at 95 %; ``None`` if
    there is none.
    """

    value: float
    n: int
    units: str = "session"
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The latency of the final of a session.

    ``final`` is the latency in ms from the commit; infinite if the session was lost or
    if the final is premature. ``prompt`` is this latency without the delay that the
    client itself has caused. ``at`` is the planned end of the audio, in s since the
    start of the level.
    """

    clip: str
    at: float
    final: float
    prompt: float

    @property
    def without_delay(self) -> Answer:
        """The answer as if the client had caused no delay."""
        return replace(self, final=self.prompt)


@dataclass(frozen=True, slots=True)
class LoadedSession:
    """A session of the steady part of a level.

    ``seconds`` is the planned length of its audio in s. ``lasted`` is the time in s
    from the planned start of the audio to the end of the session. ``within`` says
    whether the session is within every latency budget of the test; ``None`` if the test
    has no such budget. ``prompt_within`` says the same without the delay that the
    client itself has caused. ``errors`` are the errors of the text; ``None`` if there
    is no reference transcript. In a lost session, every word of the reference counts as
    missing.
    """

    answer: Answer
    stream: int
    seconds: float
    lasted: float
    within: bool | None = None
    prompt_within: bool | None = None
    errors: Errors | None = None

    @property
    def took(self) -> float:
        """The time in s from the start of the audio to the final.

        In a lost session, it is the time to the end of the session. The result is never
        shorter than the audio.
        """
        final = self.answer.final
        spent = self.lasted if math.isinf(final) else self.seconds + final / 1000
        return max(self.seconds, spent)

    @property
    def without_delay(self) -> LoadedSession:
        """The session as if the client had caused no delay."""
        return replace(
            self, answer=self.answer.without_delay, within=self.prompt_within
        )


@dataclass(frozen=True, slots=True)
class WitnessAnswers:
    """The answers to the witness streams of a level, in the order in which they ended.

    ``before`` are the answers before the load, ``through`` are the answers in its
    steady part, and ``after`` are the answers after the load.
    """

    before: tuple[Answer, ...] = ()
    through: tuple[Answer, ...] = ()
    after: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class LevelValues:
    """The values of a level of load.

    ``sessions`` are the sessions of the steady part. ``alone`` are the answers to the
    same clips without load; ``alone_errors`` has the errors of the texts of these
    answers, by clip. ``witness`` has the answers to the witness streams. ``end`` is the
    planned end of the last audio of the load, in s since the start of the level.
    """

    sessions: tuple[LoadedSession, ...]
    alone: tuple[Answer, ...] = ()
    alone_errors: Mapping[str, Sequence[Errors]] = field(default_factory=dict)
    witness: WitnessAnswers = WitnessAnswers()
    end: float = 0.0

    @property
    def best(self) -> LevelValues:
        """The values in which the load seems to do the least harm.

        The client's own delay is subtracted from the latencies during and after the
        load. It is kept in the latencies with which these are compared.
        """
        return replace(
            self,
            sessions=tuple(each.without_delay for each in self.sessions),
            witness=replace(
                self.witness,
                through=_prompt(self.witness.through),
                after=_prompt(self.witness.after),
            ),
        )

    @property
    def worst(self) -> LevelValues:
        """The values in which the load seems to do the most harm.

        The client's own delay is kept in the latencies during and after the load. It is
        subtracted from the latencies with which these are compared.
        """
        before = _prompt(self.witness.before)
        return replace(
            self,
            alone=_prompt(self.alone),
            witness=replace(self.witness, before=before),
        )


def _prompt(answers: Iterable[Answer]) -> tuple[Answer, ...]:
    return tuple(answer.without_delay for answer in answers)
