"""Simulated servers on a virtual clock, and searches for their capacity.

A service returns, for a number of streams, the latencies of the sessions of the steady
part of a level, each with the time at which its audio ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import signal

from pytest_realtime_asr.load.capacity import Setting
from pytest_realtime_asr.load.correlation import windows
from pytest_realtime_asr.load.decision import Decision, Risk, decide_share, decided
from pytest_realtime_asr.load.search import following
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import Trial
from pytest_realtime_asr.verdicts.budgets import Limit, Stat
from pytest_realtime_asr.verdicts.sample import Oriented

Array = npt.NDArray[Any]
LIMIT = 1500.0  # ms
CLIP = 8.0  # s, the mean
PLAN = SearchPlan(
    low=1,
    high=500,
    hold=60,
    confirm=300,
    max_time=1800,
    ramp=10,
    drain=14,
    pause=5,
    clip=CLIP,
    longest=12,
)
SETTING = Setting(
    talk=1.0, clip=CLIP, longest=12, chunk=0.1, ramp=10, hold=60, confirm=300
)


class Service(Protocol):
    """A simulated server."""

    def level(
        self, streams: int, hold: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Return the end of the audio in s, and the latency in ms, of each session."""


def sessions(
    streams: int, hold: float, rng: np.random.Generator, ramp: float
) -> tuple[Array, Array]:
    """Return the start and the end in s of the audio of all sessions, by their end."""
    count = int((ramp + hold) / 4) + 2
    clips = rng.uniform(4, 12, (streams, count))
    ends = np.cumsum(clips, axis=1) + rng.uniform(0, ramp, (streams, 1))
    starts, flat = (ends - clips).ravel(), ends.ravel()
    order = np.argsort(flat)
    order = order[flat[order] <= ramp + hold]
    return starts[order], flat[order]


def drifting(ticks: int, step: float, tau: float, rng: np.random.Generator) -> Array:
    """An AR(1) process of variance 1 with the correlation time ``tau`` in s."""
    kept = float(np.exp(-step / tau))
    noise = rng.standard_normal(ticks) * np.sqrt(1 - kept**2)
    begin = [kept * rng.standard_normal()]
    found: Array = signal.lfilter([1], [1, -kept], noise, zi=begin)[0]
    return found


@dataclass(frozen=True)
class Queue:
    """A server whose sessions share a queue and a speed that varies over seconds.

    Each final is a piece of work of about ``work`` s, of lognormal size, that is done
    in the order of the commits. The audio of an open stream takes 1 / (2 ``cap``) of
    the machine. The speed is an AR(1) process with the relative deviation ``sigma`` and
    the correlation time ``tau`` in s.
    """

    work: float = 0.02
    sigma: float = 0.03
    tau: float = 3.0
    cap: float = 21.55
    ramp: float = 10.0
    step: float = 0.05

    def level(
        self, streams: int, hold: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        starts, ends = sessions(streams, hold, rng, self.ramp)
        ticks = int((self.ramp + hold) / self.step) + 200
        drift = drifting(ticks, self.step, self.tau, rng)
        speed = np.maximum(0.05, 1 + self.sigma * drift - streams / self.cap / 2)
        done = np.concatenate([[0], np.cumsum(speed * self.step)])
        clock = np.arange(ticks + 1) * self.step
        pieces = self.work * rng.lognormal(0, 0.4, len(ends))
        able = np.interp(ends, clock, done)
        ahead = np.cumsum(pieces) - pieces - able
        waiting = ahead - np.minimum(0, np.minimum.accumulate(ahead))
        finals = np.interp(able + waiting + pieces, done, clock, right=np.inf)
        steady = starts >= self.ramp
        return ends[steady], 1000 * (finals - ends)[steady]


def search(service: Service, seed: int, plan: SearchPlan = PLAN) -> tuple[Trial, ...]:
    """Run a whole search on a virtual clock; return its levels."""
    rng = np.random.default_rng(seed)
    trials: list[Trial] = []
    spent = 0.0
    while (task := following(plan, trials, spent)) is not None:
        ends, latencies = service.level(task.streams, task.hold, rng)
        trials.append(Trial(task, judged(task.streams, ends, latencies, task.risk)))
        spent += plan.seconds(task.hold)
        assert spent <= plan.max_time
    return tuple(trials)


def judged(streams: int, ends: Array, latencies: Array, risk: Risk) -> Decision:
    """Return the decision on a level of p95 <= `LIMIT`."""
    limit = Limit(Stat.P95, LIMIT)
    values = latencies.tolist()
    oriented = Oriented((), values, values, LIMIT, np.inf)
    window = windows(ends, CLIP)
    return decided(
        streams, [decide_share("final_from_commit p95", limit, oriented, window, risk)]
    )
