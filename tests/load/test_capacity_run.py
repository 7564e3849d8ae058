"""The driver of a search: levels, pauses, seeds and the end of a server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from pytest_realtime_asr.load.behaviour import Behaviour
from pytest_realtime_asr.load.capacity import Capacity, LimitedBy, Tried
from pytest_realtime_asr.load.capacity_run import CapacityRun, plan_of
from pytest_realtime_asr.load.decision import Held
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.trials import Step
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.verdicts.budgets import latency_budget
from pytest_realtime_asr.verdicts.limits import BudgetError
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.load_rows import level, row

LIMIT = Held((latency_budget("final_from_commit", p95="800ms"),))
LOAD = Load(streams=1, hold=40.0, ramp=5.0, seed=7, witnesses=1)
CLIPS = [4.0, 6.0, 5.0]
TEXT = "one two three"


@dataclass
class Virtual:
    """A server and its clock: more streams than ``capacity`` are served too late."""

    capacity: int
    now: float = 0.0
    paused: list[float] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    counted: list[Level] = field(default_factory=list)
    is_ready: Callable[[int], bool] = lambda levels: True

    def run(self, load: Load, *, number: int) -> Level:
        self.loads.append(load)
        self.now += load.planned + 10
        late = load.streams + load.witnesses > self.capacity
        each = int(load.hold / 5) - 1
        rows = [
            row(
                TEXT,
                clip=f"clip{place % 3}",
                session=f"sess_{place}",
                stream=place // each,
                at=load.ramp + 5 * (place % each) + 0.37 * (place % 11),
                final=3000.0 if late else 200.0,
                first=3100.0 if late else 300.0,
                partials=10,
            )
            for place in range(load.streams * each)
        ]
        return replace(level(rows, number=number), load=load)

    def count(self, level: Level) -> None:
        self.counted.append(level)

    def ready(self) -> bool:
        return self.is_ready(len(self.loads))

    def sleep(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.now += seconds


def searched(
    server: Virtual,
    *,
    between: tuple[int, int] = (1, 100),
    max_time: float = 3600.0,
    beyond: bool = True,
) -> tuple[Capacity, list[Tried]]:
    plan = plan_of(
        LOAD,
        CLIPS,
        between=between,
        confirm=120.0,
        max_time=max_time,
        pause=4.0,
        q=LIMIT.strictest,
        beyond=beyond,
    )
    told: list[Tried] = []
    run = CapacityRun(
        server,
        plan,
        LIMIT,
        LOAD,
        chunk=0.1,
        told=told.append,
        sleep=server.sleep,
        clock=lambda: server.now,
    )
    return run.run(), told


def test_the_capacity_is_found_and_its_sessions_are_counted() -> None:
    server = Virtual(12)
    found, told = searched(server)
    assert found.interval == (12, 13)
    assert found.confirmed
    assert found.limited_by is LimitedBy.SERVER
    assert told == list(found.levels)
    assert found.seconds == server.now
    (counted,) = server.counted
    assert counted.streams + counted.load.witnesses == 12
    assert counted.load.hold >= 120


def test_each_level_has_a_seed_of_its_own() -> None:
    server = Virtual(12)
    searched(server)
    seeds = [load.seed for load in server.loads]
    assert len(set(seeds)) == len(seeds)


def test_the_witness_is_one_of_the_streams() -> None:
    server = Virtual(12)
    found, _ = searched(server)
    for tried, load in zip(found.levels, server.loads, strict=True):
        assert load.streams + load.witnesses == tried.streams
        assert bool(load.witnesses) == (
            tried.step not in (Step.DOUBLE, Step.BISECT) and tried.streams > 1
        )


def test_the_server_cools_down_between_levels() -> None:
    server = Virtual(12)
    found, _ = searched(server)
    assert server.paused == [4.0] * (len(found.levels) - 1)


def test_the_level_beyond_shows_what_the_server_does() -> None:
    found, _ = searched(Virtual(12))
    assert found.beyond is not None
    assert found.beyond.behaviours == (Behaviour.QUEUES,)
    assert found.beyond.streams == 18
    assert found.beyond.held == 12


def test_the_first_missed_level_is_used_if_no_level_beyond_runs() -> None:
    found, _ = searched(Virtual(12), beyond=False)
    assert found.beyond is not None
    assert found.beyond.streams == 13


def test_a_server_that_does_not_come_back_ends_the_search() -> None:
    server = Virtual(12, is_ready=lambda levels: levels < 3)
    found, told = searched(server)
    assert len(told) == 3
    assert found.ended == "the server did not accept sessions any more"
    assert found.limited_by is LimitedBy.ENDED
    assert not server.counted


def test_an_unconfirmed_search_counts_no_sessions() -> None:
    server = Virtual(0)
    found, _ = searched(server)
    assert found.interval == (0, 1)
    assert not server.counted
    assert found.beyond is None


def test_the_setting_is_part_of_the_result() -> None:
    found, _ = searched(Virtual(3))
    assert (found.setting.clip, found.setting.longest) == (5.0, 6.0)
    assert (found.setting.hold, found.setting.confirm) == (40.0, 120.0)
    assert found.setting.witnesses == 1


def test_the_plan_includes_the_time_of_the_witnesses() -> None:
    def taken(load: Load) -> float:
        return plan_of(
            load,
            CLIPS,
            between=(1, 9),
            confirm=60,
            max_time=900,
            pause=4,
            q=0.95,
            beyond=True,
        ).drain

    assert taken(LOAD) == taken(replace(LOAD, witnesses=0)) + 2 * sum(CLIPS)


def test_a_search_that_cannot_work_is_refused() -> None:
    with pytest.raises(ValueError, match="max_time=90s is too short"):
        searched(Virtual(12), max_time=90.0)


def test_an_undecidable_level_is_reported_before_the_error() -> None:
    server, told = Virtual(10), list[Tried]()
    held = Held((latency_budget("endpoint_delay", p95="1s"),))
    plan = plan_of(
        LOAD,
        CLIPS,
        between=(1, 8),
        confirm=120.0,
        max_time=3600.0,
        pause=1.0,
        q=0.95,
        beyond=False,
    )
    run = CapacityRun(
        server,
        plan,
        held,
        LOAD,
        0.1,
        told=told.append,
        sleep=server.sleep,
        clock=lambda: server.now,
    )
    with pytest.raises(BudgetError, match="measured in no session"):
        run.run()
    (only,) = told
    assert only.decision.verdict is Verdict.INCONCLUSIVE
    assert "measured in no session" in only.decision.reason
