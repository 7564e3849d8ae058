"""What a scenario acts on: it opens sessions in their roles, and keeps the evidence."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live, Lost, Plan
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Gauges, Part

FUZZ = 8  # random sessions, which take about 4 s with a server on this machine
LIMITED = 429
_OVERLOADED = 503
_TRIES = 3
BYSTANDER_PACE = 2  # times the pace of the plan, at which a bystander speaks
_PATIENCE = 30.0  # s at most that a Retry-After is waited for
_AFTER = 1.0  # s where it names none


class RateLimited(Exception):
    """The server takes no more sessions from us for now."""


class NotRun(Exception):
    """The scenario was not asked for; the message says what to do."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Where scenarios are held: with which plan, and what is spoken.

    ``answer`` is the time in s in which a refusal has to come, ``settle`` that in which
    nothing more should come. ``fuzz`` random sessions are played, by ``seed``; where it
    is ``None``, by one of their own.
    """

    loop: Loop
    plan: Plan
    clips: Clips
    answer: float = 10.0
    settle: float = 0.3
    fuzz: int = FUZZ
    seed: int | str | None = None

    def real(self, seconds: float) -> float:
        """The time that so many seconds of audio take at the pace of the plan."""
        return seconds / self.plan.pace if self.plan.pace else 0.0


@dataclass(slots=True)
class _RoleSession:
    """A session and its role."""

    role: str
    live: Live
    spoken: dict[int, Utterance] = field(default_factory=dict)


class ScenarioRun:
    """One performance of a scenario."""

    def __init__(self, config: RunConfig, name: str) -> None:
        self.config = config
        self.name = name
        self.clips = config.clips
        self.dialect = config.plan.dialect
        self.caller = config.plan.caller
        self._cast: list[_RoleSession] = []
        self._answers: list[Answer] = []
        self._gauges: list[Gauges] = []
        self._taken = Evidence(())

    async def open(self, role: str, *, configure: bool = True, **changes: Any) -> Live:
        """A session in this role, with changes to the plan. Raises `Lost`.

        Where the server limits its clients it is asked again, as it says when, and
        `RateLimited` is raised at last.
        """
        plan = replace(self.config.plan, **changes)
        for left in reversed(range(_TRIES)):
            cast = _RoleSession(role, Live(self.config.loop, plan))
            try:
                await cast.live.open()
            except Lost as error:
                wait = _asked_to_wait(error)
                if wait is None:
                    self._cast.append(cast)
                    raise
                if not left:
                    raise RateLimited(str(error)) from error
                await asyncio.sleep(wait)
            else:
                break
        self._cast.append(cast)
        if configure:
            await cast.live.configure()
        return cast.live

    async def speak(self, live: Live, utterance: Utterance) -> str:
        """Transcribe an utterance in pace; gives its final text. Raises `Lost`."""
        audio = await self.audio(utterance, live)
        cast = self._of(live)
        item = live.items
        cast.spoken[item] = utterance
        await live.transcribe(audio, utterance.id)
        return live.timeline.item(item).text

    async def begin(self, live: Live, utterance: Utterance) -> int:
        """Begin an utterance, of which the scenario hands the audio over itself."""
        item = await live.begin()
        self.spoken(live, item, utterance)
        return item

    def spoken(self, live: Live, item: int, utterance: Utterance) -> None:
        """Note what is spoken as an item of a session."""
        self._of(live).spoken[item] = utterance

    async def final(self, live: Live, item: int) -> None:
        """Wait for the final of an item. Raises `Lost`."""
        name = self._of(live).spoken[item].id
        await live.final(item, name, total=live.plan.limits.beyond)

    async def audio(self, utterance: Utterance, live: Live | None = None) -> Audio:
        """The sound of an utterance as it is sent, made where it holds up nobody.

        It is at the rate of a session that has options of its own.
        """
        rate = (self.caller if live is None else live.plan.caller).rate
        return await asyncio.to_thread(lambda: utterance.audio.resample(rate))

    async def wait(self, seconds: float) -> None:
        """Let so much of the audio's time pass."""
        await asyncio.sleep(self.config.real(seconds))

    async def settle(self) -> None:
        """Let pass what may come yet."""
        await asyncio.sleep(self.config.settle)

    @asynccontextmanager
    async def among_others(self) -> AsyncIterator[None]:
        """Keep a bystander speaking all the while, and speak in a fresh session then.

        What is lost of them is evidence, and raises nothing.
        """
        over = asyncio.Event()
        begun = asyncio.Event()
        bystander = asyncio.create_task(self._stand_by(begun, over))
        lost: Lost | None = None
        try:
            await begun.wait()
            yield
        except Lost as error:
            lost = error
        finally:
            over.set()
            await bystander
        await self.look()
        await self.speak_afresh()
        if lost is not None:
            raise lost

    async def speak_afresh(self) -> None:
        """Transcribe a clip in a fresh session; one that is lost is evidence."""
        try:
            fresh = await self.open("fresh", pace=0.0)
            await self.speak(fresh, self.clips.first)
            await fresh.close()
        except Lost:
            return

    async def _stand_by(self, begun: asyncio.Event, over: asyncio.Event) -> None:
        try:
            # Its finals are what counts, and the sooner one is there the better.
            pace = self.config.plan.pace * BYSTANDER_PACE
            live = await self.open("bystander", pace=pace)
            begun.set()
            while not over.is_set():
                await self.speak(live, self.clips.first)
            await live.close()
        except (Lost, RateLimited):
            return
        finally:
            begun.set()

    async def get(self, role: str, route: str) -> None:
        """Ask a route over plain HTTP; whatever comes is evidence."""
        try:
            status, body = await asyncio.to_thread(
                probe.get, self.config.plan.access, route, errors=True
            )
        except Unreachable as error:
            self._answers.append(Answer(role, 0, str(error)))
            return
        self._answers.append(Answer(role, status, body.decode(errors="replace")))

    async def look(self) -> Mapping[str, float]:
        """Note what the server counts now, and whether it is there."""
        access = self.config.plan.access
        lost = ""
        values: Mapping[str, float] = {}
        try:
            await asyncio.to_thread(probe.health, access)
            values = await asyncio.to_thread(probe.metrics, access)
        except Unreachable as error:
            lost = str(error)
        self._gauges.append(Gauges(self.name, values, lost))
        return values

    def take(self, evidence: Evidence) -> None:
        """Keep what another performance gave with what this one gives."""
        self._taken += evidence

    async def close(self) -> Evidence:
        """Close what is open; gives the evidence."""
        await asyncio.gather(*(cast.live.close() for cast in self._cast))
        # To read all traces takes a while, which the loop of the sessions has not.
        parts = await asyncio.to_thread(self._parts)
        here = Evidence(parts, tuple(self._answers), tuple(self._gauges))
        return here + self._taken

    def _parts(self) -> tuple[Part, ...]:
        return tuple(
            dialects.part(
                self.dialect, cast.live.trace, role=cast.role, spoken=cast.spoken
            )
            for cast in self._cast
        )

    def _of(self, live: Live) -> _RoleSession:
        return next(cast for cast in self._cast if cast.live is live)


def _asked_to_wait(error: Lost) -> float | None:
    """The seconds that the server asks for, ``None`` where it refused otherwise."""
    cause = error.__cause__
    if not isinstance(cause, Unreachable):
        return None
    told = cause.retry_after
    if cause.status != LIMITED and (cause.status != _OVERLOADED or told is None):
        return None
    return min(_PATIENCE, _AFTER if told is None or not math.isfinite(told) else told)
