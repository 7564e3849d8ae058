"""A scenario: one scripted exchange with a server, and its cost.

A scenario only provokes the server; requirements judge the evidence. Each scenario runs
once in a process, for all requirements that need its evidence. A scenario ends when it
loses a session; the trace of the lost session is part of the evidence.

Two sessions have names of their own. A *bystander* transcribes beside a harmful
scenario, to show whether other users would notice. A *fresh* session opens after the
scenario, to show whether the server still works.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Harm


class Concurrency(enum.Enum):
    """What may run at the same time as a scenario.

    - A GATE scenario runs alone, before all others; it may stop the run.
    - A FIRST scenario runs alone, after the GATE and before all other scenarios.
    - PARALLEL scenarios run at the same time.
    - LONG_RUNNING scenarios start together with the PARALLEL scenarios, and may still
      run while EXCLUSIVE scenarios run.
    - An EXCLUSIVE scenario shares the server only with its own bystander session and
      with LONG_RUNNING scenarios.
    - A CONFIRMATION scenario runs alone, after all scenarios except LAST, and only if
      the evidence of these scenarios shows a fault. It shows whether the fault also
      occurs when no other session is open.
    - A LAST scenario runs alone, after all others.
    """

    GATE = "gate"
    FIRST = "first"
    PARALLEL = "parallel"
    LONG_RUNNING = "long"
    EXCLUSIVE = "exclusive"
    CONFIRMATION = "confirmation"
    LAST = "last"


Action = Callable[[ScenarioRun], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scripted exchange with a server, and its cost.

    ``act`` plays the exchange, and ``about`` describes it in words. A scenario opens at
    most ``sessions`` connections; at most ``streams`` of them are open at the same
    time. Some protocols allow only one utterance in each session. There, further
    utterances need further connections, one after the other, which ``sessions`` does
    not count. The scenario sends at most ``times`` short clips. It also sends at most
    ``seconds`` s of other audio, and ``of_clips(clips)`` s of audio whose length
    depends on the clips. If the scenario may need a retry, the numbers include this
    retry. A CONFIRMATION scenario runs only if ``is_needed`` returns true for the
    evidence of the scenarios before it. The scenario needs a protocol that has all
    capabilities in ``fits``.
    """

    name: str
    about: str
    act: Action
    harm: Harm = Harm.SAFE
    concurrency: Concurrency = Concurrency.PARALLEL
    sessions: int = 1
    streams: int = 1
    times: float = 1
    seconds: float = 0.0
    of_clips: Callable[[Clips], float] = lambda clips: 0.0
    is_needed: Callable[[Evidence], bool] = lambda evidence: True
    fits: frozenset[Capability] = frozenset()

    def audio(self, clips: Clips) -> float:
        """Return the largest length in s of the audio that the scenario sends."""
        return self.times * clips.seconds + self.seconds + self.of_clips(clips)


def exclusive(
    name: str,
    about: str,
    act: Action,
    harm: Harm,
    *,
    sessions: int = 3,
    streams: int = 2,
    times: float = 5,
    seconds: float = 0.0,
    fits: frozenset[Capability] = frozenset(),
) -> Scenario:
    """Return an exclusive scenario.

    Its default cost includes a bystander session and a fresh session.
    """
    kind = Concurrency.EXCLUSIVE
    return Scenario(
        name, about, act, harm, kind, sessions, streams, times, seconds, fits=fits
    )
