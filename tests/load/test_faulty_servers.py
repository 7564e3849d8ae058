"""Levels of load on correct servers, and with a fault that only load shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.faults.lateness import RECOVERY, STARVED
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load import schedule
from pytest_realtime_asr.load.behaviour import Behaviour, compare
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.decision import Held, decide
from pytest_realtime_asr.load.executor import NotBegun
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.level_values import level_values
from pytest_realtime_asr.load.outcome import Outcome, counted, limits_of, outcomes
from pytest_realtime_asr.load.processes import Processes
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.runner import Runner
from pytest_realtime_asr.load.texts import CrossTalk, cross_talk, solo
from pytest_realtime_asr.load.work import unequal_work
from pytest_realtime_asr.load.workload import Arrivals, Load
from pytest_realtime_asr.metrics import LEVELS
from pytest_realtime_asr.metrics.level_values import Estimate
from pytest_realtime_asr.verdicts.budgets import Budget, Limit, Stat
from tests.support.loads import SHORT
from tests.support.runs import ENGLISH
from tests.support.servers import plan

pytestmark = pytest.mark.slow

DELAY = 500.0  # ms from the commit to the final; the noise of a busy machine is less
LIMIT = Budget("final_from_commit", (Limit(Stat.P99, 4 * DELAY),))
TALK = tuple(ENGLISH[name] for name in ("turn-right", "open-door", "digits-four"))
BIT = Utterance("bit", "and", SHORT)  # 0.4 s
STREAMS = 20


@dataclass(frozen=True)
class Bench:
    """Runs levels with the same worker processes."""

    loop: Loop
    executor: Processes

    def level(
        self,
        *arguments: str,
        clips: Sequence[Utterance] = TALK,
        compared: bool = False,
        **load: Any,
    ) -> Level:
        """Return a level of load on a fake server with these arguments.

        If it is ``compared``, its clips are also sent alone, which takes their length.
        """
        wanted = Load(**{"ramp": 1.0, "witnesses": 0, "seed": 3, **load})
        late = ("--final-delay", f"{DELAY:g}ms", "--corpus", "bundled:english")
        with FakeServer((*late, *arguments)) as fake:
            given = plan(fake.url, pace=1.0, model="scripted")
            runner = Runner(self.loop, given, connection(given), clips, self.executor)
            return runner.run(wanted, compared=compared)


@pytest.fixture(scope="module")
def bench(loop: Loop) -> Iterator[Bench]:
    executor = Processes(2)
    yield Bench(loop, executor)
    executor.stop()


@pytest.fixture(scope="module")
def sound(bench: Bench) -> Level:
    """A level on a correct server, which no check below may report."""
    return bench.level(compared=True, streams=STREAMS, hold=8, witnesses=1)


def value(name: str, level: Level) -> Estimate:
    """Return a metric of a level."""
    found = LEVELS[name](level_values(level, (LIMIT,), by_id(TALK)))
    assert found is not None
    return found


def by_id(clips: Sequence[Utterance]) -> dict[str, Utterance]:
    return {each.id: each for each in clips}


def all_outcomes(level: Level, clips: Sequence[Utterance]) -> dict[Outcome, int]:
    known = by_id(clips)
    alone = solo(level.alone, known)
    return counted(outcomes(level.rows, alone, known, limits_of([LIMIT])))


def finals(rows: Sequence[Row]) -> list[float]:
    """Return the latencies of the finals in ms."""
    found = [row.measured.metrics["final_from_commit"] for row in rows]
    return [each for each in found if each is not None]


def mixed(level: Level) -> Sequence[CrossTalk]:
    known = by_id(TALK)
    return cross_talk(level.rows, solo(level.alone, known), known)


def test_all_sessions_of_a_correct_server_are_done(sound: Level) -> None:
    assert all_outcomes(sound, TALK) == {Outcome.DONE: len(sound.rows)}
    assert (sound.aborted, sound.not_begun, sound.lost_workers) == ("", {}, ())
    assert mixed(sound) == ()


def test_one_failed_session_is_a_loss_and_no_latency(bench: Bench) -> None:
    level = bench.level(
        "--fault", "fails-50th-session", clips=[BIT], compared=True, streams=12, hold=6
    )
    expected = {Outcome.DONE: len(level.rows) - 1, Outcome.BROKEN: 1}
    assert all_outcomes(level, [BIT]) == expected
    (lost,) = (row for row in level.rows if row.lost)
    assert lost.opened.end.code == 1011
    limit = decide(level, Held((LIMIT,))).binding
    assert limit is not None
    assert (limit.over, limit.lost, limit.by_loss) == (1, 1, True)


def test_open_arrivals_beyond_the_capacity_are_counted(bench: Bench) -> None:
    def level(*arguments: str) -> Level:
        return bench.level(
            *arguments,
            clips=[BIT],
            arrivals=Arrivals.CONSTANT,
            rate=6.0,
            streams=10,
            hold=6,
        )

    full, free = level("--capacity", "2"), level()
    due = len(list(schedule.arrivals(full.load, [BIT.duration])))
    assert set(full.not_begun) == {NotBegun.FULL}
    assert full.not_begun[NotBegun.FULL] + len(full.rows) == due
    assert free.not_begun == {}
    assert len(free.rows) == due


def test_sessions_that_the_client_holds_back_are_not_the_latency_of_the_server(
    bench: Bench,
) -> None:
    level = bench.level(
        arrivals=Arrivals.CONSTANT, rate=6.0, streams=2, hold=6, clips=[BIT]
    )
    assert level.not_begun[NotBegun.FULL] > len(level.rows) / 2
    assert DELAY <= median(finals(level.rows)) < 1.5 * DELAY
    # What was begun has waited for nothing in the client.
    assert median(row.began - row.due for row in level.rows) < DELAY / 2000


def test_a_starved_stream_is_unfair(bench: Bench, sound: Level) -> None:
    unfair = bench.level("--fault", "starves-one", streams=STREAMS, hold=10)
    assert value("fairness", sound).value < 2
    assert value("fairness", unfair).value > 0.8 * (1 + 1000 * STARVED / DELAY)
    # A median over all sessions does not show it.
    assert median(finals(unfair.steady)) < 2 * DELAY


@pytest.fixture(scope="module")
def overloaded(bench: Bench) -> Level:
    """A level beyond the capacity of a server that recovers slowly."""
    faults = ("--fault", "slow-recovery")
    return bench.level(
        "--capacity", "4", *faults, streams=7, hold=6, witnesses=1, varied=False
    )


def test_a_slow_recovery_is_measured(overloaded: Level, sound: Level) -> None:
    found = value("recovery", overloaded)
    assert found.interval is not None
    assert found.value > 1000 * RECOVERY / 2
    assert value("recovery", sound).value < 1000 * RECOVERY / 2


def test_the_witness_shows_an_overload(overloaded: Level, sound: Level) -> None:
    assert value("witness_inflation", overloaded).value > 2
    assert value("witness_inflation", sound).value < 2
    before = median(finals(sound.witness.before))
    assert median(finals(sound.witness.through)) < 1.5 * before


def test_cross_talk_is_named_with_both_sessions(bench: Bench) -> None:
    level = bench.level(
        "--fault", "mixes-one-in-ten", compared=True, streams=STREAMS, hold=8
    )
    found = mixed(level)
    assert found
    sessions = {row.measured.session for row in level.rows}
    for each in found:
        ids = {each.row.measured.session, each.other.measured.session}
        assert len(ids) == 2
        assert ids <= sessions
        assert all(id in str(each) for id in ids)
    assert all_outcomes(level, TALK)[Outcome.CROSS_TALK] == len(found)
    assert len(found) < len(level.rows) / 5


PLACES = 4
# The work at two levels is compared by clips, so their number is the sample size.
SENTENCES = tuple(
    ENGLISH[name]
    for name in (
        *("turn-right", "open-door", "digits-four", "go-forward"),
        *("turn-left", "call-sister", "digits-five", "last-message"),
    )
)
BEYOND: dict[str, Any] = {"streams": 2 * PLACES, "hold": 6}
# Which words a session loses depends on chance: each clip needs several sessions.
BEYOND_WITH_LOST_WORDS: dict[str, Any] = {"streams": 4 * PLACES, "hold": 10}


@pytest.fixture(scope="module")
def held(bench: Bench) -> Level:
    """A level at the capacity, where all modes of the server are the same."""
    arguments = ("--capacity", str(PLACES))
    return bench.level(*arguments, clips=SENTENCES, streams=PLACES, hold=12)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("queue", Behaviour.QUEUES),
        ("refuse", Behaviour.REFUSES),
        ("slow", Behaviour.SLOWS),
        ("die", Behaviour.DIES),
        ("text", Behaviour.LOSES_TEXT),
        ("less", Behaviour.SENDS_LESS),
    ],
)
def test_what_a_server_does_beyond_its_capacity(
    bench: Bench, held: Level, mode: str, expected: Behaviour
) -> None:
    size = BEYOND_WITH_LOST_WORDS if expected is Behaviour.LOSES_TEXT else BEYOND
    arguments = ("--capacity", str(PLACES), "--capacity-mode", mode)
    level = bench.level(*arguments, clips=SENTENCES, **size)
    found = compare(level, held)
    assert found is not None
    assert found.behaviours == (expected,), found
    unequal = unequal_work(held, level)
    amounts = set() if unequal is None else {each.what for each in unequal.amounts}
    if expected is Behaviour.SENDS_LESS:
        assert amounts == {"partials per second of audio"}
    elif expected in (Behaviour.QUEUES, Behaviour.SLOWS):
        assert not amounts, unequal
    elif expected is Behaviour.LOSES_TEXT:
        assert "words per final" in amounts


def test_a_level_at_the_capacity_shows_no_change_of_behaviour(
    held: Level, sound: Level
) -> None:
    found = compare(sound, held)
    assert found is not None
    assert found.behaviours == (Behaviour.HOLDS,)
    assert unequal_work(held, sound) is None
