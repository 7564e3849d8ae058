"""Runs a soak: the load, what runs beside it, and the quiet times around it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any, Protocol

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.corpus.joined import joined
from pytest_realtime_asr.load.level import Level, Sampled
from pytest_realtime_asr.load.server_metrics import Sampler
from pytest_realtime_asr.load.soak import (
    Beside,
    LongSession,
    Period,
    SilentSession,
    Soak,
    judge,
)
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.metrics.emission import emissions
from pytest_realtime_asr.metrics.lag_drift import lag_drift
from pytest_realtime_asr.metrics.pacing import counts
from pytest_realtime_asr.trace.records import Ending

LONGEST = 1200.0  # s of audio of the long session at most
LEAST = 10.0  # s of a soak
_JOINED, _JOINED_SHARE = 30.0, 1 / 12  # s of joined clips in the load, at most
_PAUSE = 0.5  # s of silence between joined clips
_QUIET, _QUIET_SHARE = 60.0, 1 / 15  # s of each of the four quiet times, at most
_RAMP, _RAMP_SHARE = 10.0, 0.1  # s of the ramp, at most
_SHORT, _SHORT_SHARE = 10.0, 1 / 60  # s between two short sessions, at most
_READINGS = 360  # of the server's metrics in a short soak
_LEAST_INTERVAL, _MOST_INTERVAL = 0.1, 1.0  # s between two of them
_AGAIN = 1.0  # s until another idle session is opened
_ENDLESS = 7 * 24 * 3600.0  # s; longer than a soak


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """The times of a soak in s.

    ``quiet`` is the length of each of the four periods in which nothing is sent.
    ``short`` is the time between two short sessions, and ``interval`` is the time
    between two readings of the server's metrics. ``long`` is the length of the audio of
    the long session.
    """

    load: Load
    quiet: float
    short: float
    interval: float
    long: float


class Sessions(Protocol):
    """Makes the sessions that run beside the load, as sessions of the test."""

    def silent(self) -> Live:
        """Return a session that sends no audio and is not open yet."""

    def speaking(self, utterance: Utterance) -> AbstractAsyncContextManager[Live]:
        """Return a context manager for the session of an utterance.

        The session is not open when the context begins. At its end, the context manager
        closes and records the session. If the session is lost, the context manager
        catches `Lost`.
        """


def plan(
    duration: float, *, streams: int, talk: float, seed: int, sampled: bool
) -> SoakPlan:
    """Return the times of a soak.

    The soak lasts ``duration`` seconds, and its drain follows. ``sampled`` says whether
    the server's metrics are read. If they are not read, no quiet time is needed.
    """
    quiet = min(_QUIET, _QUIET_SHARE * duration) if sampled else 0.0
    rest = duration - 4 * quiet
    ramp = min(_RAMP, _RAMP_SHARE * rest)
    return SoakPlan(
        load=Load(streams, rest - ramp, ramp=ramp, talk=talk, seed=seed, witnesses=0),
        quiet=quiet,
        short=min(_SHORT, _SHORT_SHARE * duration),
        interval=max(_LEAST_INTERVAL, min(_MOST_INTERVAL, duration / _READINGS)),
        long=min(LONGEST, rest),
    )


def clips(corpus: Sequence[Utterance], plan: SoakPlan) -> list[Utterance]:
    """Return the clips of the load: the corpus, and a clip that joins several clips.

    The joined clip is added only if it is longer than every clip of the corpus.
    """
    longest = max(each.duration for each in corpus)
    most = min(_JOINED, _JOINED_SHARE * plan.load.hold)
    if most <= longest:
        return list(corpus)
    return [*corpus, speech(corpus, most, "joined clips")]


def speech(corpus: Sequence[Utterance], seconds: float, name: str) -> Utterance:
    """Return an utterance that joins clips of the corpus, with silence between them.

    The clips are taken in turn until another clip would make the utterance longer than
    ``seconds`` seconds. The first clip is taken even if it is longer.
    """
    parts: list[Utterance] = []
    left = seconds
    for clip in cycle(corpus):
        if parts and clip.duration > left:
            break
        parts.append(clip)
        left -= clip.duration + _PAUSE
    return replace(joined(parts, _PAUSE), id=name)


class SoakRun:
    """One soak.

    ``put_load`` runs the level of the soak, and returns the level when it has ended.

    ``long`` is the utterance of the long session. ``sampler`` reads the server's
    metrics, and must not be started yet. If the metrics cannot be read, ``sampler`` is
    ``None``, and ``unread`` is the reason. ``report`` shows a line to the user.
    """

    def __init__(
        self,
        plan: SoakPlan,
        loop: Loop,
        sessions: Sessions,
        long: Utterance,
        put_load: Callable[[], Level],
        sampler: Sampler | None,
        unread: str,
        report: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._loop = loop
        self._long = long
        self._put_load = put_load
        self._sampler = sampler
        self._unread = unread
        self._report = report
        self._interrupted = threading.Event()
        self._beside = _Running(sessions, plan.short)
        self._tasks: list[asyncio.Task[None]] = []

    def run(self) -> Soak:
        """Run the soak and return its results with their verdicts.

        The call blocks until the soak has ended.
        """
        alone: list[Period] = []
        empty: list[Period] = []
        if self._sampler is not None:
            self._sampler.start()
        try:
            level = self._load(alone, empty)
        except BaseException:
            if self._sampler is not None:
                self._sampler.stop(time.monotonic())
            raise
        start = time.monotonic() + level.started.timestamp() - time.time()
        sampled = Sampled(failed=self._unread)
        if self._sampler is not None:
            sampled = self._sampler.stop(start)
        beside = self._beside
        return judge(
            level,
            Beside(
                long=beside.spoken,
                long_period=_shifted(beside.spoke, start),
                short=tuple(_silent(each, start) for each in beside.shorts),
                idle=tuple(_silent(each, start) for each in beside.idles),
                alone=tuple((a - start, b - start) for a, b in alone),
                empty=tuple((a - start, b - start) for a, b in empty),
            ),
            sampled,
        )

    def _load(self, alone: list[Period], empty: list[Period]) -> Level:
        """Run the quiet times, the level and the sessions beside it; return the level.

        The quiet times during the idle session are added to ``alone``. The quiet times
        without any session are added to ``empty``.
        """
        beside, run = self._beside, self._loop.run
        try:
            self._quiet(empty)
            idle = self._start(beside.idle())
            self._quiet(alone)
            short = self._start(beside.short())
            long = self._start(beside.long(self._long))
            level = self._put_load()
            run(_ended(short))
            run(_finished(long))
            self._quiet(alone)
            run(_ended(idle))
            self._quiet(empty)
        finally:
            run(_ended(*self._tasks))
        return level

    def interrupt(self) -> None:
        """End the soak except for its load; `run` then raises CancelledError.

        The load must be interrupted by the method of its runner.
        """
        self._interrupted.set()
        self._loop.submit(_ended(*self._tasks))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a coroutine on the loop."""

        async def start() -> asyncio.Task[None]:
            return asyncio.create_task(work)

        task = self._loop.run(start())
        self._tasks.append(task)
        return task

    def _quiet(self, periods: list[Period]) -> None:
        """Send nothing for a time, and add the time to ``periods``."""
        if not self._plan.quiet:
            return
        self._report(f"soak: nothing is sent for {self._plan.quiet:.0f} s")
        begun = time.monotonic()
        if self._interrupted.wait(self._plan.quiet):
            raise CancelledError
        periods.append((begun, time.monotonic()))


@dataclass(slots=True)
class _Running:
    """The sessions that run beside the load; each coroutine can be cancelled.

    All times are in s by `time.monotonic`. ``every`` is the time in s between two short
    sessions.
    """

    sessions: Sessions
    every: float
    spoken: LongSession | None = None
    spoke: Period | None = None
    shorts: list[SilentSession] = field(default_factory=list)
    idles: list[SilentSession] = field(default_factory=list)

    async def idle(self) -> None:
        """Keep a session open without audio; open another if the server closes it."""
        while True:
            await self._silent(self.idles, _ENDLESS)
            await asyncio.sleep(_AGAIN)

    async def short(self) -> None:
        """Every ``every`` seconds, open a session and close it at once."""
        due = time.monotonic()
        while True:
            due += self.every
            await asyncio.sleep(due - time.monotonic())
            await self._silent(self.shorts, 0.0)

    async def _silent(self, found: list[SilentSession], seconds: float) -> None:
        """Keep a session open for ``seconds`` seconds, or until the server closes it.

        Add the session to ``found`` when it has ended.
        """
        live = self.sessions.silent()
        opened, lost = time.monotonic(), ""
        try:
            await live.open()
            await live.configure()
            await live.answered(sys.maxsize, timeout=seconds)
            if (end := live.trace.end).how is Ending.CLOSED_BY_PEER:
                lost = f"the server closed the session {end.coded}"
        except Lost as error:
            lost = str(error)
        finally:
            await live.close()
            found.append(SilentSession(opened, time.monotonic(), lost))

    async def long(self, utterance: Utterance) -> None:
        """Run the long session once."""
        begun, lost = time.monotonic(), Loss.NONE
        reason = ""
        async with self.sessions.speaking(utterance) as live:
            try:
                audio = await live.audio(utterance)
                await live.open()
                await live.configure()
                await live.transcribe(audio, utterance.id)
            except Lost as error:
                lost, reason = error.how, str(error)
                raise
            finally:
                self.spoke = begun, time.monotonic()
        self.spoken = await asyncio.to_thread(_long, live, utterance, lost, reason)


def _long(live: Live, utterance: Utterance, lost: Loss, reason: str) -> LongSession:
    timeline = live.timeline
    item = timeline.item(0)
    return LongSession(
        label=timeline.session or utterance.id,
        seconds=counts(item).seconds,
        lost=lost,
        reason=reason,
        drift=lag_drift(emissions(item, utterance)),
    )


async def _finished(task: asyncio.Task[None]) -> None:
    await task


async def _ended(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks and wait until they have ended. Raises the first error of a task."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.result()


def _shifted(period: Period | None, start: float) -> Period | None:
    return None if period is None else (period[0] - start, period[1] - start)


def _silent(session: SilentSession, start: float) -> SilentSession:
    opened, closed = session.opened - start, session.closed - start
    return replace(session, opened=opened, closed=closed)
