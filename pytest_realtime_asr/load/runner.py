"""Runs levels of load against one server.

A level is cut into shards that all start at the same time. Their rows are collected in
the thread of the caller, while the witnesses run on the event loop of the run.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.evidence import WORST
from pytest_realtime_asr.load.executor import (
    Clip,
    Connection,
    Executor,
    Message,
    Shard,
    ShardEnd,
    ShardLost,
)
from pytest_realtime_asr.load.level import Level, Witness
from pytest_realtime_asr.load.progress import LATENCY, LoneProgress, Progress, progress
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.schedule import Turn, possible_clips
from pytest_realtime_asr.load.server_metrics import Sampler, Source
from pytest_realtime_asr.load.session import STOPPED
from pytest_realtime_asr.load.witnesses import LoneSessions, Witnesses
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.text.number_format import several

PER_WORKER = 50  # streams for which a further worker is used
ALONE = 120.0  # s of audio that are sent without load at most
LEAD = 0.5  # s from the dealing of the shards to the start of the level
_COPIED = 50e6  # bytes of audio per s that are copied to the workers at least
READY = 60.0  # s that a worker may take to start
_JUDGED = 10  # sessions that must have ended before a level is aborted
_TICK = 1.0  # s between two reports of progress
_POLL = 0.25  # s for which one call waits for a message
_CUT = 15.0  # s that shards may take to cut off their sessions
_JUDGING = 30.0  # s that a worker may take to judge its last sessions

_NOTHING = Load(1, hold=0.0)
_PURPOSES = {Phase.RAMP: Purpose.RAMP, Phase.DRAIN: Purpose.DRAIN}

Sink = Callable[[Row, Purpose], None]


@dataclass(slots=True)
class _Collected:
    """The messages of a level so far; ``pending`` are the shards that still run.

    ``ended`` is the number of sessions that have ended. ``failed`` is the number of
    ended sessions without a final. ``streams`` are the indices of the streams of the
    ended sessions. These three fields leave out the sessions that the client cut off.
    """

    pending: dict[int, Shard]
    rows: list[Row] = field(default_factory=list)
    ended: int = 0
    failed: int = 0
    streams: set[int] = field(default_factory=set)
    ends: list[ShardEnd] = field(default_factory=list)
    lost: list[ShardLost] = field(default_factory=list)
    aborted: str = ""

    def add(self, row: Row) -> None:
        """Add a session; if this machine could not open it, it counts as failed."""
        self.rows.append(row)
        if row.lost is not Loss.CANCELLED or row.unopened:
            self.ended += 1
            self.failed += bool(row.lost)
            self.streams.add(row.stream)


class Runner:
    """Runs levels of load with the sessions of ``plan``; its methods block.

    ``connection`` has the values of the plan that the workers need. ``clips`` are the
    utterances that the load sends. ``sink`` is called with each row and its purpose.
    For a session of the load, it is called in the thread of the caller. For a session
    outside the load, it is called in another thread. ``report`` gets the progress each
    second, also before and after the load. ``metrics`` says where the server shows its
    own metrics, which are read once per second during each level. If ``every_trace`` is
    true, the traces of all sessions are kept. Raises `AudioError` if a clip cannot be
    decoded.
    """

    def __init__(
        self,
        loop: Loop,
        plan: Plan,
        connection: Connection,
        clips: Sequence[Utterance],
        executor: Executor,
        *,
        sink: Sink = lambda row, purpose: None,
        report: Callable[[Progress | LoneProgress | str], None] = lambda progress: None,
        metrics: Source | None = None,
        every_trace: bool = False,
    ) -> None:
        self._loop = loop
        self._plan = replace(plan, pace=1.0)
        self._connection = connection
        self._executor = executor
        self._sink = sink
        self._report = report
        self._metrics = metrics
        self._every_trace = every_trace
        rate = plan.caller.rate
        self.clips = tuple(_decoded(each, rate) for each in clips)
        self._alone: tuple[Row, ...] | None = None
        self._number: int | None = None
        self._interrupted = threading.Event()
        self._outside: Future[tuple[Row, ...]] | None = None
        self._started = 0  # workers that were started and not stopped
        self._starting: set[int] = set()  # those of them that are not ready yet

    def alone(self, load: Load | None = None) -> tuple[Row, ...]:
        """Return the rows of clips that were sent without load, one after the other.

        The clips are sent at the first call only. If ``load`` is given, only the clips
        that this load can send are sent. Of many clips, only the first ones are sent,
        with at most `ALONE` s of audio in total.
        """
        if self._alone is None:
            clips, rows = self._lone_clips(load), list[Row]()
            self._alone = self._wait(
                self._send_alone(clips, rows),
                lambda: LoneProgress(
                    len(rows),
                    len(clips),
                    sum(self.clips[each].audio.seconds for each in clips[len(rows) :]),
                ),
            )
        return self._alone

    def _lone_clips(self, load: Load | None) -> Sequence[int]:
        """Return the indices of the clips that `alone` sends."""
        lengths = [each.audio.seconds for each in self.clips]
        wanted = range(len(lengths))
        indices = wanted if load is None else possible_clips(load, lengths)
        sent = accumulate(lengths[each] for each in indices)
        count = sum(1 for seconds in sent if seconds <= ALONE)
        return indices[: max(1, count)]

    async def _send_alone(
        self, clips: Sequence[int], rows: list[Row]
    ) -> tuple[Row, ...]:
        """Send these clips, and add the row of each to ``rows``."""
        lone, clock = self._lone(Purpose.ALONE), Clock(time.monotonic())
        for index in clips:
            clip = self.clips[index]
            turn = Turn(0, index, clock.now, index, clip.audio.seconds)
            rows.append(await lone.run(turn, clip, phase=Phase.STEADY, clock=clock))
        return tuple(rows)

    def _lone(self, purpose: Purpose, seen: list[Row] | None = None) -> LoneSessions:
        """Return a `LoneSessions` that adds the rows of its sessions to ``seen``.

        Each row is also passed to the sink.
        """

        def sink(row: Row) -> None:
            numbered = replace(row, level=self._number)
            if seen is not None:
                seen.append(numbered)
            self._sink(numbered, purpose)

        every = self._every_trace
        return LoneSessions(self._loop, self._plan, sink, every_trace=every)

    def run(
        self,
        load: Load,
        *,
        number: int = 1,
        purpose: Purpose = Purpose.TEST,
        compared: bool = True,
        only: bool = False,
    ) -> Level:
        """Run a level and return its result.

        ``number`` is the number of the level in its test, from 1. ``purpose`` is the
        purpose of the sessions of the steady part. If ``compared`` is true, the clips
        are first sent without load, for comparison (see `alone`). ``only`` says that
        the runner runs no other level, so that only the clips of this level are sent
        then. If the caller is interrupted, the shards are stopped, and the rows of all
        sessions that have ended are passed to the sink.
        """
        self._start_workers(self._workers(load))
        alone = self.alone(load if only else None) if compared else ()
        self._number = number
        if self._metrics is None:
            return self._level(load, number, purpose, alone)
        sampler = Sampler(self._metrics)
        sampler.start()
        try:
            level = self._level(load, number, purpose, alone)
        except BaseException:
            sampler.cancel()
            raise
        start = Clock.at(level.started.timestamp()).start
        return replace(level, server=sampler.stop(start))

    def _level(
        self, load: Load, number: int, purpose: Purpose, alone: tuple[Row, ...]
    ) -> Level:
        """Run a level, with the witnesses before and after it."""
        seen: list[Row] = []
        witnesses = Witnesses(self._lone(Purpose.WITNESS, seen), load, self.clips)
        before = self._wait(
            witnesses.before(), lambda: f"level {number}: witness before the load"
        )
        seen.clear()
        self._await_workers()
        count = self._workers(load)
        size = count * sum(len(clip.audio.pcm) for clip in self.clips)
        started = time.time() + LEAD + size / _COPIED
        clock = Clock.at(started)
        shards = self._shards(load, count, started)
        found = _Collected({shard.worker: shard for shard in shards})
        through = self._loop.submit(witnesses.through(clock))
        try:
            for shard in shards:
                self._executor.start(shard)
            self._collect(load, number, purpose, clock, found, seen)
            seconds = max((row.ended for row in found.rows), default=clock.now)
            if found.aborted:
                through.cancel()
            beside = _result(through)
        except BaseException:
            through.cancel()
            self._cut_off(found, purpose)
            raise
        if found.lost:
            self.stop()  # so that the next level waits for its new workers
        after = self._wait(
            witnesses.after(clock, before),
            lambda: f"level {number}: witness after the load",
        )
        not_begun: Counter[str] = Counter()
        for end in found.ends:
            not_begun.update(end.not_begun)
        return Level(
            load=load,
            number=number,
            started=datetime.fromtimestamp(started, UTC),
            seconds=seconds,
            rows=_with_traces(found.rows, found.ends),
            alone=alone,
            witness=Witness(before, beside, after),
            workers=tuple(found.ends),
            lost_workers=tuple(found.lost),
            not_begun=dict(not_begun),
            aborted=found.aborted,
            purpose=purpose,
        )

    def interrupt(self) -> None:
        """End a call that runs in another thread; the call raises CancelledError."""
        self._interrupted.set()
        if self._outside is not None:
            self._outside.cancel()

    def _wait(
        self,
        work: Coroutine[Any, Any, tuple[Row, ...]],
        done: Callable[[], LoneProgress | str],
    ) -> tuple[Row, ...]:
        """Run ``work``, which runs sessions outside the load; return their rows.

        The result of ``done`` is reported each second.
        """
        self._outside = self._loop.submit(work)
        if self._interrupted.is_set():  # before the line above
            self._outside.cancel()
        try:
            while True:
                wait([self._outside], timeout=_TICK)
                if self._outside.done():  # also if it was just cancelled
                    break
                self._report(done())
            return self._outside.result()
        except BaseException:
            self._outside.cancel()
            raise

    def stop(self) -> None:
        """End the workers; a later level starts new ones."""
        self._executor.stop()
        self._started = 0
        self._starting.clear()

    def _workers(self, load: Load) -> int:
        """Return how many workers run a level. Raises ValueError if there is none."""
        count = min(self._executor.slots, -(-load.streams // PER_WORKER))
        if count < 1:
            raise ValueError("the executor has no slots; start at least one worker")
        return count

    def _start_workers(self, count: int) -> None:
        """Start the first ``count`` workers, each with a shard that has no streams."""
        for worker in range(self._started, count):
            self._starting.add(worker)
            connection, now = self._connection, time.time()
            self._executor.start(
                Shard(worker, _NOTHING, (), connection, (), now, deadline=READY)
            )
        self._started = max(count, self._started)

    def _await_workers(self) -> None:
        """Wait until all workers are ready, so that each begins the level on time.

        A lost worker counts as ready, since its next shard starts it again. Raises
        RuntimeError if a worker is not ready after `READY` s.
        """
        deadline = time.monotonic() + READY
        while self._starting:
            message = self._executor.next(_POLL)
            if isinstance(message, ShardEnd | ShardLost):
                self._starting.discard(message.worker)
            if self._interrupted.is_set():
                raise CancelledError
            if time.monotonic() > deadline:
                waiting = several(len(self._starting), "worker")
                self.stop()
                raise RuntimeError(
                    f"{waiting} of the load did not start within {READY:g} s; use "
                    "fewer workers, or a machine that is less busy"
                )

    def _shards(self, load: Load, count: int, started: float) -> list[Shard]:
        """Return one shard for each of ``count`` workers.

        The streams are given to the shards in turn.
        """
        return [
            Shard(
                worker=worker,
                load=load,
                streams=tuple(range(worker, load.streams, count)),
                connection=self._connection,
                clips=self.clips,
                start=started,
                every_trace=self._every_trace,
            )
            for worker in range(count)
        ]

    def _collect(
        self,
        load: Load,
        number: int,
        purpose: Purpose,
        clock: Clock,
        found: _Collected,
        beside: Sequence[Row],
    ) -> None:
        """Take messages until all shards have ended; cut off shards that are late."""
        limits = self._plan.limits
        longest = max(clip.audio.seconds for clip in self.clips)
        waits = limits.connect + limits.ready + limits.beyond + limits.silence
        deadline = load.planned + longest + waits + _JUDGING
        told = 0.0
        while found.pending and clock.now < deadline:
            self._take(self._executor.next(_POLL), found, purpose)
            if self._interrupted.is_set():
                raise CancelledError
            if not found.aborted and (why := _too_many_errors(load, found)):
                found.aborted = why
                self.stop()
                deadline = min(deadline, clock.now + _CUT)
            if clock.now >= told:
                self._report(progress(load, number, clock.now, found.rows, beside))
                told = clock.now + _TICK
        if found.pending:
            self._cut_off(found, purpose)

    def _cut_off(self, found: _Collected, purpose: Purpose) -> None:
        """Stop all shards, and take what their sessions have measured."""
        self.stop()
        deadline = time.monotonic() + _CUT
        while found.pending and time.monotonic() < deadline:
            self._take(self._executor.next(_POLL), found, purpose)
        for worker, shard in found.pending.items():
            why = f"it did not end within {_CUT:g} s"
            now = datetime.now(UTC)
            found.lost.append(ShardLost(worker, why, shard.streams, now))
        found.pending.clear()

    def _take(
        self, message: Message | None, found: _Collected, purpose: Purpose
    ) -> None:
        match message:
            case Row():
                row = replace(message, level=self._number)
                found.add(row)
                self._sink(row, _purpose(row, purpose))
            case ShardEnd():
                found.ends.append(message)
                found.pending.pop(message.worker, None)
            case ShardLost():
                found.lost.append(message)
                found.pending.pop(message.worker, None)


def _purpose(row: Row, steady: Purpose) -> Purpose:
    """Return the purpose of a session; ``steady`` is the purpose in the steady part."""
    if row.lost is Loss.CANCELLED and row.reason == STOPPED:
        return Purpose.INTERRUPTED
    if row.unopened:
        return Purpose.DISTURBED
    return _PURPOSES.get(row.phase, steady)


def _result(rows: Future[tuple[Row, ...]]) -> tuple[Row, ...]:
    """Return the rows of a call; an empty tuple if the call was cancelled."""
    return () if rows.cancelled() else rows.result()


def _decoded(utterance: Utterance, rate: int) -> Clip:
    """Return an utterance with its audio, so that a worker needs no file."""
    audio = utterance.audio.resample(rate)
    return Clip(replace(utterance, source=audio, located=utterance.sound), audio)


def _too_many_errors(load: Load, found: _Collected) -> str:
    """Return why a level must be aborted; "" if it may go on.

    A level is aborted only after at least ten sessions have ended. These sessions must
    come from at least ten streams, or from all streams if the level has fewer.
    """
    if found.ended < _JUDGED or len(found.streams) < min(load.streams, _JUDGED):
        return ""
    if found.failed <= load.most_errors * found.ended:
        return ""
    return (
        f"{found.failed} of {several(found.ended, 'session')} had no final, more than "
        f"the allowed {load.most_errors:.0%}"
    )


def _with_traces(rows: Sequence[Row], ends: Sequence[ShardEnd]) -> tuple[Row, ...]:
    """Return the rows of a level, with the traces of its `WORST` slowest sessions."""
    worst = [row for end in ends for row in end.worst]
    worst.sort(key=lambda row: row.measured.metrics[LATENCY] or 0.0, reverse=True)
    kept = {(row.stream, row.number): row.trace for row in worst[:WORST]}
    traces = (kept.get((row.stream, row.number), row.trace) for row in rows)
    return tuple(map(_with_trace, rows, traces))


def _with_trace(row: Row, trace: bytes | None) -> Row:
    return row if trace is row.trace else replace(row, trace=trace)
