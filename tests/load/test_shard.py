"""Shards: their sessions on one event loop, and what becomes of them."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.load.executor import NotBegun, ShardEnd, ShardLost
from pytest_realtime_asr.load.judge import Judged
from pytest_realtime_asr.load.session import STOPPED, Sent
from pytest_realtime_asr.load.shard import ShardRun
from pytest_realtime_asr.load.workload import Arrivals, Load, Phase
from tests.support.loads import BRIEFLY, bit, rows, sent, shard
from tests.support.servers import CREATED, faking, serving

CLOSED = Load(2, hold=0.2, seed=3, witnesses=0)


def test_a_shard_reports_itself_its_sessions_and_its_end(loop: Loop) -> None:
    with faking() as (url, _):
        given = shard(url, CLOSED)
        first, *sessions, end = sent(loop, given)
    assert first is given
    assert isinstance(end, ShardEnd)
    done = [each for each in sessions if isinstance(each, Sent)]
    assert len(done) == len(sessions)
    assert {each.turn.stream for each in done} == {0, 1}
    assert not any(each.lost for each in done)
    assert end.seconds == pytest.approx(sum(each.turn.seconds for each in done))
    assert not end.not_begun


def test_a_stream_begins_its_sessions_at_their_times(loop: Loop) -> None:
    with faking() as (url, _):
        given = shard(url, replace(CLOSED, hold=0.6, streams=1))
        found = [each for each in sent(loop, given) if isinstance(each, Sent)]
    assert len(found) >= 2
    for each in found:
        assert each.turn.due <= each.began <= each.ended
        assert each.ended >= each.turn.planned  # paced in real time
    assert found[1].turn.due >= found[0].ended


def test_the_rows_are_judged_and_name_the_variation(loop: Loop) -> None:
    with faking("bad-usage") as (url, _):
        given = shard(url, replace(CLOSED, streams=1, hold=0.1))
        (row,) = rows(given, sent(loop, given))
    turned = f"lead={row.measured.counts.samples // 16 - 400}ms"
    assert row.clip == "bit"
    assert row.perturbation.startswith(f"varied/1:{turned}:seed=")
    assert row.measured.metrics["final_from_commit"] is not None
    assert row.measured.violations == ()
    assert [each.requirement for each in row.found]
    assert row.trace is not None


def test_an_open_load_does_not_wait_for_the_server(loop: Loop) -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        await connection.wait_closed()

    load = Load(3, hold=0.4, arrivals=Arrivals.CONSTANT, rate=20.0, witnesses=0)
    with serving(silent) as url:  # the silence is longer than the level
        given = shard(url, load, limits=replace(BRIEFLY, silence=1.0))
        *_, end = values = sent(loop, given)
    assert isinstance(end, ShardEnd)
    begun = [each for each in values if isinstance(each, Sent)]
    assert len(begun) == 3
    left = sum(end.not_begun.values())
    assert (left, set(end.not_begun)) in (
        (5, {NotBegun.FULL}),
        (5, {NotBegun.FULL, NotBegun.LATE}),  # on a machine that stalls
    )
    assert all(each.lost is Loss.HUNG for each in begun)


def test_a_stopped_shard_cancels_its_sessions(loop: Loop) -> None:
    found: list[Judged] = []
    load = Load(2, hold=60.0, witnesses=0)
    with faking() as (url, _):

        async def send(value: Judged) -> None:
            found.append(value)

        running = ShardRun(loop, shard(url, load), send)

        async def stop_soon() -> None:
            task = asyncio.ensure_future(running.run())
            while not any(isinstance(each, Sent) for each in found):
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)  # the next sessions are open
            running.stop()
            await asyncio.wait_for(task, 10)

        loop.run(stop_soon())
    *_, end = found
    assert isinstance(end, ShardEnd)
    cut = [each for each in found if isinstance(each, Sent) and each.lost]
    assert cut
    assert {(each.lost, each.reason) for each in cut} == {(Loss.CANCELLED, STOPPED)}


def test_sessions_an_open_load_has_not_begun_at_a_stop_are_counted(
    loop: Loop,
) -> None:
    load = Load(9, hold=60.0, arrivals=Arrivals.CONSTANT, rate=1.0, witnesses=0)
    found: list[Judged] = []
    with faking() as (url, _):

        async def send(value: Judged) -> None:
            found.append(value)

        running = ShardRun(loop, shard(url, load, start=time.time() + 30), send)

        async def stop_soon() -> None:
            task = asyncio.ensure_future(running.run())
            await asyncio.sleep(0.05)
            running.stop()
            await asyncio.wait_for(task, 10)

        loop.run(stop_soon())
    *_, end = found
    assert isinstance(end, ShardEnd)
    assert end.not_begun == {NotBegun.ENDED: 60}


def test_a_shard_that_is_ready_too_late_does_not_begin(loop: Loop) -> None:
    with faking() as (url, _):
        given = shard(url, CLOSED, start=time.time() - 11)
        _, lost = sent(loop, given)
    assert isinstance(lost, ShardLost)
    ready = re.match(r"it was ready too late, (\d+\.\d) s after the start", lost.reason)
    assert ready is not None
    assert float(ready[1]) >= 11
    assert lost.streams == (0, 1)


def test_the_garbage_collector_is_off_during_the_level(loop: Loop) -> None:
    seen: list[tuple[Phase, bool]] = []
    load = Load(1, hold=0.3, ramp=0.3, witnesses=0)
    with faking() as (url, _):

        async def send(value: Judged) -> None:
            if isinstance(value, Sent):
                seen.append((value.phase, gc.isenabled()))

        loop.run(ShardRun(loop, shard(url, load, clips=[bit()]), send).run())
    assert seen
    assert not any(enabled for _, enabled in seen)
    assert gc.isenabled()


def test_jitter_delays_the_frames_on_their_way(loop: Loop) -> None:
    load = replace(CLOSED, streams=1, hold=0.1, jitter=0.08)
    with faking() as (url, _):
        given = shard(url, load)
        (row,) = rows(given, sent(loop, given))
    blocked = row.measured.metrics["send_blocked"]
    assert blocked is not None
    assert blocked > 10  # ms; the largest of five delays from 0 to 80 ms
