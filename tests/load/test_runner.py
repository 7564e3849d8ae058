"""The runner: levels of load from their shards to their rows."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.load import runner
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.runner import Runner
from pytest_realtime_asr.load.session import STOPPED
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.trace.records import End, Ending
from tests.support.loads import BRIEFLY, LocalExecutor, bit, rows, sent, shard
from tests.support.servers import faking, plan

LOAD = Load(3, hold=0.6, ramp=0.1, seed=3, witnesses=0)
UNUSED = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start levels at once, and wait briefly for shards that do not end."""
    monkeypatch.setattr(runner, "LEAD", 0.05)
    monkeypatch.setattr(runner, "_CUT", 0.5)
    monkeypatch.setattr(runner, "_JUDGING", 0.1)
    monkeypatch.setattr(runner, "_POLL", 0.02)


@pytest.fixture(scope="module")
def row(loop: Loop) -> Row:
    """A row of a steady session with a final."""
    with faking() as (url, _):
        given = shard(url, Load(1, hold=0.1, witnesses=0))
        (found,) = rows(given, sent(loop, given))
    return replace(found, phase=Phase.STEADY)


class Received(list[tuple[Row, Purpose]]):
    """The rows that the sink of a runner got."""

    def __call__(self, row: Row, purpose: Purpose) -> None:
        self.append((row, purpose))


def made(
    loop: Loop,
    url: str,
    executor: LocalExecutor,
    *,
    clips: Sequence[Any] = (),
    **more: Any,
) -> Runner:
    """A runner of short clips."""
    given = plan(url, pace=32.0, limits=more.pop("limits", BRIEFLY))
    utterances = clips or [bit("one").utterance, bit("two").utterance]
    return Runner(loop, given, connection(given), utterances, executor, **more)


def scripted(loop: Loop, *messages: Any, load: Load = LOAD) -> tuple[Any, Received]:
    """The level of these messages and what the sink got, without a server."""
    told = Received()
    running = made(loop, UNUSED, LocalExecutor(loop, messages), sink=told)
    running._alone = ()
    return running.run(load), told


@pytest.mark.slow
def test_a_level_has_its_rows_and_those_without_load(loop: Loop) -> None:
    told, executor = Received(), LocalExecutor(loop)
    with faking() as (url, _):
        running = made(loop, url, executor, sink=told)
        level = running.run(replace(LOAD, witnesses=1), number=4)
    assert (level.number, level.aborted, level.lost_workers) == (4, "", ())
    assert not [each.reason for each in level.rows if each.lost]
    assert {each.stream for each in level.rows} == {0, 1, 2}
    assert [each.clip for each in level.alone] == ["one", "two"]
    assert [each.clip for each in level.witness.before] == ["one", "two"]
    assert [each.clip for each in level.witness.after[:2]] == ["one", "two"]
    assert all(each.ended <= 0 for each in level.witness.before)
    assert all(each.due >= LOAD.planned for each in level.witness.after)
    assert {each.phase for each in level.witness.before} == {Phase.RAMP}
    assert {each.phase for each in level.witness.through} <= {Phase.STEADY}
    assert {each.phase for each in level.witness.after} == {Phase.DRAIN}
    purposes = Counter(purpose for _, purpose in told)
    assert purposes[Purpose.ALONE] == 2
    assert purposes[Purpose.WITNESS] >= 5
    assert purposes[Purpose.TEST] == len(level.steady)
    assert purposes[Purpose.RAMP] == len(level.of(Phase.RAMP))
    assert purposes[Purpose.DRAIN] == len(level.of(Phase.DRAIN))


def test_the_clips_are_sent_alone_only_once(loop: Loop) -> None:
    with faking() as (url, _):
        running = made(loop, url, LocalExecutor(loop))
        assert running.alone() is running.alone()


def test_only_clips_that_the_load_can_send_are_sent_alone(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [bit(str(number)).utterance for number in range(40)]
    load = replace(LOAD, streams=2, hold=0.1, ramp=0.0)
    monkeypatch.setattr(runner, "_TICK", 0.001)
    reports: list[str] = []
    with faking() as (url, _):
        running = made(
            loop,
            url,
            LocalExecutor(loop),
            clips=clips,
            report=lambda progress: reports.append(str(progress)),
        )
        level = running.run(load, only=True)
    sent = {each.clip for each in level.alone}
    assert {each.clip for each in level.rows} <= sent
    assert 0 < len(sent) < 10
    count = len(sent)
    lone = [each for each in reports if each.startswith("before the load, each clip")]
    assert any(f"alone: 0 of {count} done, " in each for each in lone)


def test_the_clips_that_are_sent_alone_have_a_longest_time(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [bit(str(number)).utterance for number in range(4)]
    running = made(loop, UNUSED, LocalExecutor(loop), clips=clips)
    length = running.clips[0].audio.seconds
    for most, count in ((0.5, 1), (2.5, 2), (9.0, 4)):
        monkeypatch.setattr(runner, "ALONE", most * length)
        assert list(running._lone_clips(None)) == list(range(count))


def test_workers_share_the_streams_and_start_at_the_same_time(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PER_WORKER", 2)
    executor = LocalExecutor(loop, [ShardEnd(0), ShardEnd(1)])
    running = made(loop, UNUSED, executor)
    running._alone = ()
    running.run(replace(LOAD, streams=5))
    assert [each.streams for each in executor.started] == [(0, 2, 4), (1, 3)]
    assert len({each.start for each in executor.started}) == 1


def test_a_level_waits_for_its_workers_but_not_forever(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(LocalExecutor):
        """An executor whose workers never start."""

        def next(self, timeout: float) -> None:
            """No worker says anything."""
            time.sleep(timeout)

    monkeypatch.setattr(runner, "READY", 0.1)
    executor = Slow(loop)
    running = made(loop, UNUSED, executor)
    running._alone = ()
    with pytest.raises(RuntimeError, match="1 worker of the load did not start within"):
        running.run(LOAD)
    assert executor.started == []
    assert executor.stops == 1


def test_no_more_workers_are_used_than_there_are_slots(loop: Loop) -> None:
    executor = LocalExecutor(loop, [ShardEnd(0), ShardEnd(1)])
    running = made(loop, UNUSED, executor)
    running._alone = ()
    running.run(replace(LOAD, streams=1000))
    assert len(executor.started) == 2
    executor.slots = 0
    with pytest.raises(ValueError, match="no slots; start at least one worker"):
        running.run(LOAD)


def test_a_level_with_too_many_errors_is_aborted(loop: Loop, row: Row) -> None:
    lost = replace(row, lost=Loss.REFUSED)
    numbered = [replace(row, stream=n % 3) for n in range(8)]
    broken = [replace(lost, stream=n % 3) for n in range(3)]
    level, told = scripted(loop, *numbered, *broken, ShardEnd(0))
    assert level.aborted == "3 of 11 sessions had no final, more than the allowed 20%"
    assert len(told) == 11


def test_a_level_is_not_aborted_by_a_few_sessions(loop: Loop, row: Row) -> None:
    lost = [replace(row, lost=Loss.REFUSED, stream=n % 3) for n in range(9)]
    level, _ = scripted(loop, *lost, ShardEnd(0))
    assert level.aborted == ""


def test_a_level_is_not_aborted_by_one_stream(loop: Loop, row: Row) -> None:
    lost = [replace(row, lost=Loss.REFUSED)] * 30
    level, _ = scripted(loop, *lost, ShardEnd(0))
    assert level.aborted == ""


def test_sessions_that_the_client_cut_off_abort_no_level(loop: Loop, row: Row) -> None:
    stopped = replace(row, lost=Loss.CANCELLED, reason=STOPPED)
    cut = [replace(stopped, stream=n % 3) for n in range(30)]
    level, _ = scripted(loop, *cut, ShardEnd(0))
    assert level.aborted == ""


def test_a_session_that_the_client_cut_off_is_not_judged(loop: Loop, row: Row) -> None:
    cut = replace(row, lost=Loss.CANCELLED, reason=STOPPED)
    _, told = scripted(loop, cut, unopened(row), ShardEnd(0))
    assert [purpose for _, purpose in told] == [
        Purpose.INTERRUPTED,
        Purpose.DISTURBED,
    ]


def test_a_level_whose_sessions_are_not_opened_is_aborted(loop: Loop, row: Row) -> None:
    rows = [replace(unopened(row), stream=n % 10) for n in range(10)]
    level, _ = scripted(loop, *rows, ShardEnd(0))
    assert level.aborted.startswith("10 of 10 sessions had no final, more than")


def unopened(row: Row) -> Row:
    """A session that this machine could not open."""
    end = End(Ending.CANCELLED, 0)
    opened = replace(row.opened, opened=None, end=end)
    why = "no local port is free"
    return replace(row, lost=Loss.CANCELLED, opened=opened, reason=why)


def test_a_server_that_refuses_all_sessions_ends_the_level_early(loop: Loop) -> None:
    executor = LocalExecutor(loop)
    load = Load(10, hold=60.0, witnesses=0)
    with faking() as (url, _):
        running = made(loop, url, executor)
        running._alone = ()
        began = time.monotonic()
        running._connection = replace(running._connection, model="unknown")
        level = running.run(load)
    assert "10 of 10 sessions had no final" in level.aborted
    assert executor.stops == 1
    assert time.monotonic() - began < load.hold / 2


def test_a_lost_worker_is_reported_with_its_streams(loop: Loop, row: Row) -> None:
    lost = ShardLost(0, "it ended with signal 9", (0, 1, 2))
    level, told = scripted(loop, row, lost)
    assert level.lost_workers == (lost,)
    assert [each for each, _ in told] == [replace(row, level=1)]
    assert level.rows == (replace(row, level=1),)


def test_a_worker_that_never_ends_is_lost(loop: Loop, row: Row) -> None:
    executor = LocalExecutor(loop, [row])
    executor.after_stop = [replace(row, number=1, lost=Loss.CANCELLED)]
    none = Limits(connect=0, ready=0, silence=0, beyond=0)
    running = made(loop, UNUSED, executor, limits=none)
    running._alone = ()
    level = running.run(LOAD)
    assert executor.stops
    assert [each.number for each in level.rows] == [0, 1]
    (lost,) = level.lost_workers
    assert lost.reason == "it did not end within 0.5 s"
    assert lost.streams == (0, 1, 2)


def test_an_interrupt_stops_the_shards_and_loses_no_row(loop: Loop, row: Row) -> None:
    told = Received()
    executor = LocalExecutor(loop, [row, KeyboardInterrupt()])
    executor.after_stop = [replace(row, number=1), ShardEnd(0)]
    running = made(loop, UNUSED, executor, sink=told)
    running._alone = ()
    with pytest.raises(KeyboardInterrupt):
        running.run(LOAD)
    assert executor.stops == 1
    assert [each.number for each, _ in told] == [0, 1]


@pytest.mark.parametrize("part", ["alone", "load"])
def test_another_thread_can_end_a_level(loop: Loop, part: str) -> None:
    clips = [bit(f"{n}").utterance for n in range(100 if part == "alone" else 1)]
    with faking() as (url, _):
        executor = LocalExecutor(loop)
        running = made(loop, url, executor, clips=clips)
        if part == "load":
            running._alone = ()
        threading.Timer(0.3, running.interrupt).start()
        began = time.monotonic()
        load = replace(LOAD, hold=60.0)
        with pytest.raises(CancelledError):
            running.run(load)
        assert time.monotonic() - began < load.hold / 2
    assert executor.stops == (part == "load")


def test_the_traces_of_the_latest_finals_of_all_shards_are_kept(
    loop: Loop, row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finals(latency: float, number: int) -> Row:
        metrics = {**row.measured.metrics, "final_from_commit": latency}
        return replace(
            row, number=number, measured=replace(row.measured, metrics=metrics)
        )

    monkeypatch.setattr(runner, "WORST", 2)
    found = [finals(100.0 * n, n) for n in range(4)]
    kept = [replace(each, trace=b"trace") for each in found]
    end = ShardEnd(0, worst=(kept[3], kept[2], kept[1]))
    level, _ = scripted(loop, *found, end)
    assert [each.trace is not None for each in level.rows] == [
        *(False, False, True, True)
    ]


def test_sessions_not_begun_are_summed_over_the_workers(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PER_WORKER", 2)
    ends = [
        ShardEnd(0, not_begun={"full": 2}),
        ShardEnd(1, not_begun={"full": 1, "late": 1}),
    ]
    level, _ = scripted(loop, *ends)
    assert level.not_begun == {"full": 3, "late": 1}
