"""Runs the streams of a shard on one event loop.

The loop opens sessions, sends audio and reads answers. Another process judges the
sessions. A clip of usual length is varied on the loop, since this takes less than a
millisecond and a switch to another thread would take longer.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

from pytest_realtime_asr.client.garbage_collection import quiet_gc
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load import schedule, session
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.connection import plan
from pytest_realtime_asr.load.executor import (
    Clip,
    NotBegun,
    Shard,
    ShardEnd,
    ShardLost,
)
from pytest_realtime_asr.load.judge import Judged
from pytest_realtime_asr.load.schedule import Stream, Turn
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.metrics.pacing import tick_delay

_EARLY = 0.2  # s before a session is due in which its clip is made
_LATE = 1.0  # s after which a session of an open load is no longer begun
_LONG = 30.0  # s of audio from which a clip is varied on another thread


class ShardRun:
    """The streams of one shard; `run` is awaited on ``loop``.

    ``send`` is used like `JudgeProcess.send`. It gets the shard, then each session of
    the shard, and at last a `ShardEnd` or a `ShardLost`. It should not wait until a
    session is judged.
    """

    def __init__(
        self, loop: Loop, shard: Shard, send: Callable[[Judged], Awaitable[None]]
    ) -> None:
        self._loop = loop
        self._shard = shard
        self._load = shard.load
        self._send = send
        self._plan = plan(shard.connection)
        self._clock = Clock.at(shard.start)
        self._not_begun: Counter[str] = Counter()
        self._stopped = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = 0

    def stop(self) -> None:
        """Begin no further session, and cut off the open sessions.

        Call this method on the loop.
        """
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def run(self) -> None:
        """Run all sessions of the shard, and then send a `ShardEnd`.

        If the shard is ready too late, send a `ShardLost` and run no session.
        """
        await self._send(self._shard)
        ready = self._clock.now
        if ready > self._shard.deadline:
            why = f"it was ready too late, {ready:.1f} s after the start of the level"
            await self._send(ShardLost(self._shard.worker, why, self._shard.streams))
            return
        self._loop.watch()
        began = time.monotonic_ns()
        try:
            with quiet_gc():  # from before the ramp, in which a collection would pause
                await self._run_streams()
        finally:
            ended = time.monotonic_ns()
            lag = self._loop.lag(began, ended)
            self._loop.unwatch()
        await self._send(
            ShardEnd(
                worker=self._shard.worker,
                lag=tick_delay(lag) or 0.0,
                cpu=lag.load,
                not_begun=dict(self._not_begun),
                seconds=self._plan.meter.seconds,
            )
        )

    async def _run_streams(self) -> None:
        lengths = [clip.audio.seconds for clip in self._shard.clips]
        if self._load.arrivals is not None:
            await self._run_arrivals(lengths)
            return
        chunk = self._shard.connection.chunk
        streams = [
            Stream(self._load, number, lengths, chunk) for number in self._shard.streams
        ]
        async with asyncio.TaskGroup() as tasks:
            for stream in streams:
                self._start(tasks, self._run_stream(stream))

    def _start(
        self, tasks: asyncio.TaskGroup, work: Coroutine[None, None, None]
    ) -> None:
        task = tasks.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run_stream(self, stream: Stream) -> None:
        earliest = stream.start
        while not self._stopped:
            turn = stream.next(earliest)
            if turn is None:
                return
            await self._clock.until(turn.due - _EARLY)
            clip = await self._clip(turn)
            await self._clock.until(turn.due)
            sent = await self._session(turn, clip)
            earliest = stream.after(turn, sent.ended)

    async def _run_arrivals(self, lengths: list[float]) -> None:
        async with asyncio.TaskGroup() as tasks:
            arriving = asyncio.create_task(self._begin_arrivals(tasks, lengths))
            self._tasks.add(arriving)
            try:
                await asyncio.wait([arriving])
            finally:
                arriving.cancel()  # a session has raised an error if it still runs
                self._tasks.discard(arriving)
            if not arriving.cancelled():
                arriving.result()

    async def _begin_arrivals(
        self, tasks: asyncio.TaskGroup, lengths: list[float]
    ) -> None:
        """Begin each session when it is due, without waiting for the server."""
        own, most = set(self._shard.streams), len(self._shard.streams)
        turns = [
            turn
            for turn in schedule.arrivals(self._load, lengths)
            if turn.stream in own
        ]
        left = len(turns)
        try:
            for turn in turns:
                await self._clock.until(turn.due)
                left -= 1
                if self._clock.now - turn.due > _LATE:
                    self._not_begun[NotBegun.LATE] += 1
                elif self._open >= most:
                    self._not_begun[NotBegun.FULL] += 1
                else:
                    self._open += 1
                    self._start(tasks, self._run_arrival(turn))
        finally:
            if left:
                self._not_begun[NotBegun.ENDED] += left

    async def _run_arrival(self, turn: Turn) -> None:
        try:
            await self._session(turn, await self._clip(turn))
        finally:
            self._open -= 1

    async def _clip(self, turn: Turn) -> Clip:
        clip = self._shard.clips[turn.clip]
        if turn.variation is None:
            return clip
        if clip.audio.seconds > _LONG:
            return await asyncio.to_thread(turn.variation, clip)
        return turn.variation(clip)

    async def _session(self, turn: Turn, clip: Clip) -> Sent:
        planned = self._plan
        if self._load.jitter:
            planned = replace(planned, jitter=self._load.jitter, seed=turn.seed)
        sent = await session.run(
            self._loop,
            planned,
            turn,
            clip,
            phase=turn.phase(self._load),
            clock=self._clock,
            stopped=lambda: self._stopped,
        )
        await self._send(sent)
        return sent
