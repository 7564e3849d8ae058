"""The interval of a capacity in simulation: how often it contains the true one."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import special

from pytest_realtime_asr.load.capacity import (
    Capacity,
    Edge,
    LimitedBy,
    Tried,
    capacity,
)
from pytest_realtime_asr.load.search_plan import SearchPlan
from pytest_realtime_asr.load.trials import Step, Trial, bounds
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.load.services import (
    LIMIT,
    PLAN,
    SETTING,
    Array,
    Queue,
    Service,
    drifting,
    search,
    sessions,
)

TRUE = 37
STEEP = Queue()
SLOPE = Queue(work=0.04, sigma=0.05, tau=2.0, cap=25.1)


def share(service: Service, streams: int, seed: int = 1) -> float:
    """The share over the limit of a level that lasts for hours."""
    _, latencies = service.level(streams, 20_000, np.random.default_rng(seed))
    return float((latencies > LIMIT).mean())


def held(trials: tuple[Trial, ...], streams: int) -> bool:
    """Whether the interval of a search contains a capacity."""
    found = bounds(trials)
    return found.low <= streams and (found.high is None or streams < found.high)


def held_by(found: Capacity, streams: int) -> bool:
    low, high = found.interval
    return low <= streams and (high is None or streams < high)


def width(trials: tuple[Trial, ...]) -> float:
    found = bounds(trials)
    return float("inf") if found.high is None else found.high - found.low


@dataclass(frozen=True)
class Shares:
    """A server whose sessions are independent, each over the limit with a share."""

    shares: dict[int, float]

    def level(
        self, streams: int, hold: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        starts, ends = sessions(streams, hold, rng, PLAN.ramp)
        ends = ends[starts >= PLAN.ramp]
        known = max((each for each in self.shares if each <= streams), default=0)
        over = rng.random(len(ends)) < self.shares.get(known, 0.0)
        return ends, np.where(over, 2 * LIMIT, LIMIT * rng.uniform(0.2, 0.9, len(ends)))


@dataclass(frozen=True)
class Drifting:
    """A server whose share is just below the limit up to `TRUE`, and just above it.

    The latencies of all streams drift together, with the correlation time ``tau`` in s;
    ``part`` of their variance is common to all.
    """

    tau: float = 4.0
    part: float = 0.7
    step: float = 0.1

    def level(
        self, streams: int, hold: float, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        starts, ends = sessions(streams, hold, rng, PLAN.ramp)
        ticks = int((PLAN.ramp + hold) / self.step) + 2
        drift = drifting(ticks, self.step, self.tau, rng)[
            (ends / self.step).astype(int)
        ]
        own = rng.standard_normal(len(ends))
        both = np.sqrt(self.part) * drift + np.sqrt(1 - self.part) * own
        limit = special.ndtri(1 - (0.049 if streams <= TRUE else 0.051))
        return ends[starts >= PLAN.ramp], LIMIT * np.exp(both - limit)[
            starts >= PLAN.ramp
        ]


def result(service: Service, seed: int = 1, plan: SearchPlan = PLAN) -> Capacity:
    trials = search(service, seed, plan)
    return capacity([Tried(each) for each in trials], plan, SETTING)


@pytest.mark.parametrize("service", [STEEP, SLOPE])
def test_the_true_capacity_is_known(service: Queue) -> None:
    assert share(service, TRUE) <= 0.05 < share(service, TRUE + 1)


def test_the_sessions_of_the_simulated_queue_are_correlated() -> None:
    trials = search(STEEP, 1)
    confirmed = [each for each in trials if each.task.step is Step.CONFIRM]
    limit = confirmed[0].decision.binding
    assert limit is not None
    assert limit.effective < limit.n / 3


def test_intervals_contain_the_true_capacity() -> None:
    found = [search(STEEP, seed) for seed in range(15)]
    assert sum(held(each, TRUE) for each in found) >= 14
    assert statistics.median(map(width, found)) <= 4


def test_intervals_of_independent_sessions_contain_the_true_capacity() -> None:
    service = Shares({each: 0.05 * 1.25 ** (each - TRUE) for each in range(20, 60)})
    found = [search(service, seed) for seed in range(10)]
    assert sum(held(each, TRUE) for each in found) >= 9
    assert all(bounds(each).low for each in found)


def test_a_cliff_is_found_to_the_stream() -> None:
    found = result(Shares({1: 0.0, TRUE + 1: 1.0}))
    assert found.interval == (TRUE, TRUE + 1)
    assert found.edge is Edge.CLIFF
    assert found.limited_by is LimitedBy.SERVER
    assert found.confirmed


def test_a_slope_is_no_cliff() -> None:
    service = Shares({each: 0.05 * 1.1 ** (each - TRUE) for each in range(1, 68)})
    found = [result(service, seed) for seed in range(5)]
    assert all(held_by(each, TRUE) for each in found)
    assert {each.edge for each in found} == {Edge.SLOPE}


def test_a_server_that_holds_all_streams_has_an_open_interval() -> None:
    found = result(Shares({1: 0.001}), plan=replace(PLAN, high=50))
    assert found.interval == (50, None)
    assert found.limited_by is LimitedBy.RANGE
    assert found.undecided == ()


def test_a_server_that_fails_with_one_stream_holds_none() -> None:
    found = result(Shares({1: 0.9}))
    assert found.interval == (0, 1)
    assert found.verdict is Verdict.FAIL
    assert found.limited_by is LimitedBy.SERVER


def test_a_server_that_fails_in_between_is_reported() -> None:
    # The doubling meets 16 streams, which fail, and the level beyond meets 18 or more.
    found = result(Shares({1: 0.0, 14: 1.0, 18: 0.0}))
    assert found.interval == (13, 14)
    assert [pair for pair in found.reversals if pair[0] < 18 <= pair[1]]


def test_a_search_without_enough_time_leaves_the_capacity_undecided() -> None:
    found = result(STEEP, plan=replace(PLAN, max_time=500.0))
    assert not found.confirmed
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.limited_by is LimitedBy.TIME


@pytest.mark.slow
@pytest.mark.parametrize(("service", "most"), [(STEEP, 4), (SLOPE, 5)])
def test_95_percent_of_500_intervals_contain_the_true_capacity(
    service: Queue, most: int
) -> None:
    found = [search(service, seed) for seed in range(500)]
    assert sum(held(each, TRUE) for each in found) >= 462
    assert statistics.median(map(width, found)) <= most


@pytest.mark.slow
def test_intervals_contain_a_capacity_whose_share_is_near_the_limit() -> None:
    # The hardest server: its share is next to the limit at every number of streams, so
    # that each proof is wrong with nearly the probability that it may be.
    found = [search(Drifting(), seed) for seed in range(300)]
    least = 300 * 0.95 - 3 * (300 * 0.95 * 0.05) ** 0.5
    assert sum(held(each, TRUE) for each in found) >= least
