"""A scenario: one thing that the suite does to a server, and what it costs.

A scenario only provokes; requirements judge its evidence. It runs once in a process,
for all requirements that need it. A session that is lost ends it: the trace says how,
and is judged.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.requirements.requirement import Harm


class Concurrency(enum.Enum):
    """What may run at the same time as a scenario, in the order in which they start.

    - FIRST runs before all others, alone.
    - PARALLEL runs with others.
    - LONG_RUNNING does too, and goes on while EXCLUSIVE ones run.
    - EXCLUSIVE shares the server only with a bystander session of its own, and with
      LONG_RUNNING ones.
    - LAST runs after all others, alone.
    """

    FIRST = "first"
    PARALLEL = "parallel"
    LONG_RUNNING = "long"
    EXCLUSIVE = "exclusive"
    LAST = "last"


Action = Callable[[ScenarioRun], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is done to a server (``act``), and what it costs at most.

    It opens ``sessions`` connections, at most ``streams`` at a time, and sends a short
    clip ``times`` times and ``seconds`` of other audio. A retry is counted where it can
    be needed.
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

    def audio(self, clips: Clips) -> float:
        """Return the length in s of the audio that it sends at most."""
        return self.times * clips.seconds + self.seconds


def exclusive(name: str, about: str, act: Action, harm: Harm, **cost: int) -> Scenario:
    """Return an exclusive scenario, with a bystander session and a fresh one."""
    cost = {"sessions": 3, "streams": 2, "times": 5, **cost}
    return Scenario(name, about, act, harm, Concurrency.EXCLUSIVE, **cost)
