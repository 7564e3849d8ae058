"""Runs a scenario: opens its sessions and collects their evidence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits, Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.session_limit import RateLimited, opened
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Gauges, Part

FUZZ = 8  # random sessions by default; all 8 take about 4 s
BYSTANDER_PACE = 2  # times the pace of the plan
_LOOK = 0.01  # s between two looks at whether a session is open


class NotRun(Exception):
    """Raised if a scenario was not requested; the message names the option to set."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """How scenarios are run: the plan of a session, the clips, and time limits.

    - ``answer`` is the longest time in s that a scenario waits for a refusal.
    - ``settle`` is the time in s to wait for events that may still arrive.
    - ``first`` are the time limits of the first utterance. If it is ``None``, the time
      limits of the plan are used.
    - ``fuzz`` is the number of random sessions.
    - ``seed`` is the seed of the random sessions. If it is ``None``, a new seed is
      drawn.
    """

    loop: Loop
    plan: Plan
    clips: Clips
    answer: float = 10.0
    settle: float = 0.3
    first: Limits | None = None
    fuzz: int = FUZZ
    seed: int | str | None = None

    def wall_seconds(self, seconds: float) -> float:
        """Return the time in s that ``seconds`` s of audio take at the plan's pace."""
        return seconds / self.plan.pace if self.plan.pace else 0.0


@dataclass(slots=True)
class _RoleSession:
    """A session with its role, and the utterances that were sent in it.

    ``spoken`` maps the number of an item to the utterance of this item. ``successor``
    is the session that was opened for the next utterance, or ``None`` if no such
    session was opened.
    """

    role: str
    live: Live
    spoken: dict[int, Utterance] = field(default_factory=dict)
    successor: _RoleSession | None = None

    @property
    def is_used(self) -> bool:
        """Return whether the session has had an utterance, with or without audio."""
        return bool(self.spoken) or self.live.items > 0


class ScenarioRun:
    """One run of a scenario, with the sessions that the scenario has opened.

    In a protocol with one utterance in each session, `transcribe` and `next` open a
    further session in the same role for each further utterance. Both methods accept any
    of these sessions, but always use the one that was opened last.
    """

    def __init__(self, config: RunConfig, name: str) -> None:
        self.config = config
        self.name = name
        self.clips = config.clips
        self.dialect = config.plan.dialect
        self.caller = config.plan.caller
        self._sessions: list[_RoleSession] = []
        self._answers: list[Answer] = []
        self._gauges: list[Gauges] = []
        self._added = Evidence(())
        self.refused: str | None = None  # how a server that is limited refused

    async def open(self, role: str, *, configure: bool = True, **changes: Any) -> Live:
        """Return a new session in this role; ``changes`` are changes to the plan.

        If the server limits its sessions, the session is requested again after the time
        that the server names. Raises `Lost`. Raises `RateLimited` if the server also
        refuses the last attempt; the refused session is then not part of the evidence.
        """
        plan = replace(self.config.plan, **changes)
        session = await self._opened(role, plan)
        if configure:
            await session.live.configure()
        return session.live

    async def _opened(self, role: str, plan: Plan) -> _RoleSession:
        """Return a new session; see `open`."""
        tried: list[_RoleSession] = []

        def new() -> Live:
            tried.append(_RoleSession(role, Live(self.config.loop, plan)))
            return tried[-1].live

        try:
            await opened(new)
        except RateLimited as error:
            self.refused = str(error)
            raise
        except Lost:
            self._sessions.append(tried[-1])
            raise
        self._sessions.append(tried[-1])
        return tried[-1]

    async def next(self, live: Live) -> Live:
        """Return the session in which to send the next utterance.

        If the protocol has one utterance in each session and ``live`` has had its
        utterance, ``live`` is closed, and a new session with the same role and plan is
        opened and returned. Otherwise, ``live`` itself is returned. Raises the errors
        of `open`.
        """
        session = self._of(live)
        several = dialects.can(self.dialect, Capability.SEVERAL_UTTERANCES)
        if several or not session.is_used:
            return session.live
        await session.live.close()
        session.successor = await self._opened(session.role, session.live.plan)
        await session.successor.live.configure()
        return session.successor.live

    async def transcribe(self, live: Live, utterance: Utterance) -> str:
        """Send an utterance at the session's pace; return the text of its final.

        The utterance is sent in the session that `next` returns. Raises `Lost`.
        """
        live = await self.next(live)
        item = live.items
        self._of(live).spoken[item] = utterance
        await live.speak(utterance)
        return live.timeline.item(item).text

    async def begin(self, live: Live, utterance: Utterance) -> int:
        """Begin an utterance without sending audio; return the number of its item.

        If ``live`` may have had an utterance before, call `next` first.
        """
        item = await live.begin()
        self.assign(live, item, utterance)
        return item

    def assign(self, live: Live, item: int, utterance: Utterance) -> None:
        """Record that an item of a session transcribes this utterance."""
        self._of(live).spoken[item] = utterance

    async def final(self, live: Live, item: int) -> None:
        """Wait for the final of an item. Raises `Lost`."""
        name = self._of(live).spoken[item].id
        await live.final(item, name, total=live.plan.limits.beyond)

    async def audio(self, utterance: Utterance, live: Live | None = None) -> Audio:
        """Return the audio of an utterance at the sample rate of the session ``live``.

        If ``live`` is ``None``, the sample rate of the plan is used. The audio is
        resampled in a thread, so that no other session is delayed.
        """
        rate = (self.caller if live is None else live.plan.caller).rate
        return await asyncio.to_thread(lambda: utterance.audio.resample(rate))

    async def wait(self, seconds: float) -> None:
        """Wait as long as ``seconds`` seconds of audio take at the plan's pace."""
        await asyncio.sleep(self.config.wall_seconds(seconds))

    async def wait_for_end(self, live: Live, seconds: float) -> None:
        """Wait until the session ends, at most ``seconds`` seconds."""
        try:
            async with asyncio.timeout(seconds):
                while live.is_open:
                    await asyncio.sleep(_LOOK)
        except TimeoutError:
            pass  # the open session is evidence

    async def settle(self) -> None:
        """Wait for events that may still arrive."""
        await asyncio.sleep(self.config.settle)

    @asynccontextmanager
    async def with_bystander(self) -> AsyncIterator[None]:
        """Run a block beside a bystander session, then transcribe in a fresh session.

        The bystander transcribes a clip repeatedly until the block ends. If the
        bystander or the fresh session fails, this is evidence, and no exception is
        raised. If the block raises `Lost`, the exception is raised again after the
        fresh session.
        """
        over = asyncio.Event()
        started = asyncio.Event()
        bystander = asyncio.create_task(self._bystander(started, over))
        lost: Lost | None = None
        try:
            await started.wait()
            yield
        except Lost as error:
            lost = error
        finally:
            over.set()
            await bystander
        await self.check_server()
        await self.fresh_session()
        if lost is not None:
            raise lost

    async def fresh_session(self) -> None:
        """Transcribe a clip in a new session; a failure is recorded, not raised."""
        try:
            fresh = await self.open("fresh", pace=0.0)
            await self.transcribe(fresh, self.clips.first)
            await fresh.close()
        except (Lost, RateLimited):
            return

    async def _bystander(self, started: asyncio.Event, over: asyncio.Event) -> None:
        try:
            # Only finals count in this session, so its pace is faster than the others'.
            pace = self.config.plan.pace * BYSTANDER_PACE
            live = await self.open("bystander", pace=pace)
            started.set()
            while not over.is_set():
                await self.transcribe(live, self.clips.first)
            await live.close()
        except (Lost, RateLimited):
            return
        finally:
            started.set()

    async def get(self, role: str, route: str) -> None:
        """Request a route over plain HTTP; record the answer or its absence."""
        try:
            status, body = await asyncio.to_thread(
                probe.get, self.config.plan.access, route, errors=True
            )
        except Unreachable as error:
            self._answers.append(Answer(role, 0, str(error)))
            return
        self._answers.append(Answer(role, status, body.decode(errors="replace")))

    async def check_server(self) -> Mapping[str, float]:
        """Record whether the server is reachable; return the server's own metrics."""
        gauges = await read_gauges(self.config, after=self.name)
        self._gauges.append(gauges)
        return gauges.values

    def add(self, evidence: Evidence) -> None:
        """Add the evidence of other runs to the evidence of this run."""
        self._added += evidence

    async def close(self) -> Evidence:
        """Close all sessions; return all evidence of the run."""
        await asyncio.gather(*(session.live.close() for session in self._sessions))
        # Reading all traces takes long enough to delay other sessions on the loop.
        parts = await asyncio.to_thread(self._parts)
        here = Evidence(parts, tuple(self._answers), tuple(self._gauges))
        return here + self._added

    def _parts(self) -> tuple[Part, ...]:
        return tuple(
            dialects.part(
                self.dialect,
                session.live.trace,
                role=session.role,
                spoken=session.spoken,
            )
            for session in self._sessions
        )

    def _of(self, live: Live) -> _RoleSession:
        """Return the session of ``live``, or the last session that has replaced it."""
        found = next(session for session in self._sessions if session.live is live)
        while found.successor is not None:
            found = found.successor
        return found


async def read_gauges(config: RunConfig, *, after: str) -> Gauges:
    """Return the server's own metrics, or the reason why no server answered.

    ``after`` is the name of the scenario that ran before.
    """
    access = config.plan.access
    try:
        await asyncio.to_thread(probe.health, access)
        return Gauges(after, await asyncio.to_thread(probe.metrics, access))
    except Unreachable as error:
        return Gauges(after, {}, str(error))
