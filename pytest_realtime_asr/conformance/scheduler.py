"""The conformance run of one process: its scenarios are held, and serve all judges.

Scenarios overlap where they may. They run on the loop of the run, beside the tests:
whoever needs one waits for it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.session import Lost
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.conformance.scenario_run import (
    NotRun,
    RateLimited,
    RunConfig,
    ScenarioRun,
)
from pytest_realtime_asr.conformance.scenarios import Concurrency, Scenario
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements import violations
from pytest_realtime_asr.requirements.checks import solo_transcripts
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges, Part
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.requirements.violations import Violation
from pytest_realtime_asr.trace.observation import Observation
from pytest_realtime_asr.trace.records import Sender, Vantage

_START = "the start"
_PAUSE = 0.5  # s between two questions to a server that was lost
_OVERHEAD = 60.0  # s that a scenario may take beyond all of its own limits


class Kind(enum.Enum):
    """Why a scenario was not held to its end."""

    MISSING = "missing"
    LIMITED = "limited"
    NOT_RUN = "not run"
    HARNESS = "harness error"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a scenario shows nothing of the server."""

    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """A scenario that was held, or was not."""

    evidence: Evidence
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a run may do: which harms, how many streams at once, how many s of audio."""

    harms: frozenset[Harm]
    streams: int
    audio: float

    def refuses(self, scenario: Scenario) -> str:
        """Why a scenario is not run, else empty."""
        if scenario.harm not in self.harms:
            name = scenario.harm.value
            return f"it is {name}; --realtime-allow={name} runs it"
        if scenario.streams > self.streams:
            return (
                f"it needs {scenario.streams} streams at a time; "
                f"--realtime-max-streams={scenario.streams} allows them"
            )
        return ""


class _Capacity:
    """Lets so many streams run at a time; who needs several gets them together."""

    def __init__(self, streams: int) -> None:
        self._free = streams
        self._changed = asyncio.Condition()

    async def take(self, streams: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._free >= streams)
            self._free -= streams

    async def give(self, streams: int) -> None:
        async with self._changed:
            self._free += streams
            self._changed.notify_all()


class Scheduler:
    """Holds scenarios of a server, each once, and judges requirements by them.

    ``tell`` hears how far it has come. ``recover`` is the time in s that a lost server
    is waited for.
    """

    def __init__(
        self,
        config: RunConfig,
        scenarios: Mapping[str, Scenario],
        bounds: Bounds,
        *,
        recover: float = 0.0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._venue = config
        self._scenarios = scenarios
        self._bounds = bounds
        self._recover = recover
        self._tell = tell
        self._held: dict[str, concurrent.futures.Future[ScenarioResult]] = {}
        self._spent = 0.0
        self._taken: set[str] = set()  # what was begun
        self._gauges: list[Gauges] = []
        self._lost = ""
        self._apart = 0

    # What a test asks for

    def begin(
        self,
        names: Iterable[str],
        *,
        before: Callable[[], None] = lambda: None,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Hold these scenarios from now on, beside whoever asks for them.

        One that was begun before is not held again. Where there is something to do,
        ``before`` is called before it, and ``over`` when it is over, on any thread.
        """
        wanted = set(names)
        fresh = [
            each
            for name, each in self._scenarios.items()
            if name in wanted and name not in self._held
        ]
        if not fresh:
            return
        before()
        for each in fresh:
            self._held[each.name] = concurrent.futures.Future()
        future = self._venue.loop.submit(self._conduct(fresh))

        def end(done: concurrent.futures.Future[None]) -> None:
            # What is cut short must not leave anybody waiting.
            error = None if done.cancelled() else done.exception()
            for each in fresh:
                waiting = self._held[each.name]
                if not waiting.done():
                    reason = f"the run was cut short: {error!r}" if error else "stopped"
                    trouble = Trouble(Kind.HARNESS, reason)
                    waiting.set_result(ScenarioResult(Evidence(()), trouble))
            over()

        future.add_done_callback(end)

    def evidence(self, names: Sequence[str]) -> ScenarioResult:
        """What these scenarios gave together; waits for them.

        Of several that were in trouble the first one counts.
        """
        evidence = Evidence(())
        trouble = None
        for name in names:
            held = self._held[name].result()
            evidence += held.evidence
            trouble = trouble or held.trouble
        return ScenarioResult(evidence, trouble)

    def done(self, names: Iterable[str]) -> bool:
        """Whether these scenarios have been held."""
        held = [self._held.get(name) for name in names]
        return all(each is not None and each.done() for each in held)

    @property
    def everything(self) -> Evidence:
        """What all scenarios gave that were held so far."""
        evidence = Evidence(())
        for future in self._held.values():
            if future.done():
                evidence += future.result().evidence
        return evidence

    # How they are held

    async def _conduct(self, fresh: Sequence[Scenario]) -> None:
        capacity = _Capacity(self._bounds.streams)
        if not self._gauges:
            self._gauges.append(await self._look(_START))
        by_company: dict[Concurrency, list[Scenario]] = {
            each: [] for each in Concurrency
        }
        for each in fresh:
            by_company[each.concurrency].append(each)
        done = 0

        async def hold(scenario: Scenario) -> None:
            nonlocal done
            await capacity.take(min(scenario.streams, self._bounds.streams))
            try:
                held = await self._hold(scenario)
            finally:
                await capacity.give(min(scenario.streams, self._bounds.streams))
            if (
                scenario.concurrency is Concurrency.LONG_RUNNING
                and self._apart
                and _broken(held)
            ):
                # What was done beside it may have done it: by itself it is sure.
                return
            self._held[scenario.name].set_result(held)
            done += 1
            self._tell(f"{done}/{len(fresh)} scenarios")

        for each in by_company[Concurrency.FIRST]:
            await hold(each)
            names = solo_transcripts(self._held[each.name].result().evidence)
            if names:
                clips = self._venue.clips.prefer(names)
                self._venue = replace(self._venue, clips=clips)
        through = [
            asyncio.create_task(hold(each))
            for each in by_company[Concurrency.LONG_RUNNING]
        ]
        try:
            async with asyncio.TaskGroup() as tasks:
                together = by_company[Concurrency.PARALLEL]
                # The longest first, so that none is left alone at the end.
                together.sort(key=lambda each: -each.audio(self._venue.clips))
                for each in together:
                    tasks.create_task(hold(each))
            self._apart = len(by_company[Concurrency.EXCLUSIVE])
            for each in by_company[Concurrency.EXCLUSIVE]:
                await hold(each)
                await self._watch(each)
            await asyncio.gather(*through)
            self._apart = 0
            for each in by_company[Concurrency.LONG_RUNNING]:
                if not self._held[each.name].done():
                    await hold(each)
            for each in by_company[Concurrency.LAST]:
                await hold(each)
        finally:
            for task in through:
                task.cancel()
        self._tell("")

    async def _hold(self, scenario: Scenario) -> ScenarioResult:
        """Hold a scenario within its bounds; nothing that it meets is raised."""
        if reason := self._bounds.refuses(scenario):
            return ScenarioResult(Evidence(()), Trouble(Kind.NOT_RUN, reason))
        if self._lost:
            return ScenarioResult(Evidence(()), Trouble(Kind.MISSING, self._lost))
        audio = scenario.audio(self._venue.clips)
        if scenario.name in self._taken:
            audio = 0.0  # it was spoken before, beside what may have broken it
        if self._spent + audio > self._bounds.audio:
            reason = (
                f"its {audio:.0f} s of audio are beyond --realtime-max-audio="
                f"{self._bounds.audio:.0f}s"
            )
            return ScenarioResult(Evidence(()), Trouble(Kind.NOT_RUN, reason))
        self._spent += audio
        self._taken.add(scenario.name)
        run = ScenarioRun(self._venue, scenario.name)
        trouble = None
        limits = self._venue.plan.limits
        most = _OVERHEAD + self._venue.real(audio) + limits.beyond * scenario.sessions
        try:
            async with asyncio.timeout(most):
                await scenario.act(run)
        except Lost as error:
            # What came before it was lost is evidence; without any it is none.
            if isinstance(error.__cause__, Unreachable):
                trouble = Trouble(Kind.MISSING, f"no session: {error}")
        except RateLimited as error:
            trouble = Trouble(Kind.LIMITED, str(error))
        except NotRun as error:
            trouble = Trouble(Kind.NOT_RUN, str(error))
        except TimeoutError:
            trouble = Trouble(Kind.HARNESS, f"it was not over after {most:.0f} s")
        except Exception as error:
            trouble = Trouble(Kind.HARNESS, f"{scenario.name}: {error!r}")
        evidence = await run.close()
        self._gauges += evidence.gauges
        if scenario.concurrency is Concurrency.LAST:
            evidence = replace(evidence, gauges=tuple(self._gauges))
        opened = any(part.trace.opened is not None for part in evidence.parts)
        if opened and trouble is not None and trouble.kind is Kind.MISSING:
            trouble = None  # what others saw, and what came before, is evidence
        return ScenarioResult(evidence, trouble)

    async def _watch(self, scenario: Scenario) -> None:
        """After a harmful scenario: whether the server is there, or comes back."""
        if scenario.harm is Harm.SAFE or self._lost:
            return
        seen = await self._look(scenario.name)
        self._gauges.append(seen)
        if not seen.lost:
            return
        when = time.strftime("%H:%M:%S", time.gmtime())
        deadline = time.monotonic() + self._recover
        while seen.lost and time.monotonic() < deadline:
            # Asked again and again, and not by a thread that waits: a run that is
            # interrupted should not wait for it.
            await asyncio.sleep(_PAUSE)
            seen = await self._look(scenario.name)
        if seen.lost:
            where = f"at {when} UTC in {scenario.name}"
            self._lost = f"the server was lost {where}: {seen.lost}"

    async def _look(self, after: str) -> Gauges:
        access = self._venue.plan.access
        try:
            await asyncio.to_thread(probe.health, access)
            return Gauges(after, await asyncio.to_thread(probe.metrics, access))
        except Unreachable as error:
            return Gauges(after, {}, str(error))


def _broken(held: ScenarioResult) -> bool:
    """Whether an utterance was lost."""
    return any(
        part.text(item) is None for part in held.evidence.parts for item in part.spoken
    )


def client_violations(dialect: Dialect, evidence: Evidence) -> tuple[Violation, ...]:
    """What we ourselves sent against the protocol, by frames not written by hand."""
    found: list[Violation] = []
    binding = [r for r in dialect.requirements if r.binds is Sender.CLIENT]
    for part in evidence.parts:
        kept = [i for i, record in enumerate(part.trace.records) if not record.raw]
        trace = replace(
            part.trace,
            vantage=Vantage.SERVER,
            records=tuple(part.trace.records[i] for i in kept),
        )
        messages = tuple(part.observation.messages[i] for i in kept)
        seen = Part(part.role, Observation(trace, messages), part.timeline)
        found.extend(violations.observe(binding, seen))
    return tuple(found)
