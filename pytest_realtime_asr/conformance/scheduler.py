"""Runs each scenario once in a process, for all requirements that need its evidence.

Scenarios run in parallel if their `Concurrency` allows this. They run on the event loop
of the test run, beside the tests. A test waits for the scenarios that it needs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import math
import time
from collections.abc import (
    Callable,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.conformance import session_limit
from pytest_realtime_asr.conformance.audio_choice import affordable, beyond
from pytest_realtime_asr.conformance.awaited_events import (
    AwaitedEvent,
    arrived,
    missing_events,
)
from pytest_realtime_asr.conformance.capacity import Capacity
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import (
    NotRun,
    RunConfig,
    ScenarioRun,
    read_gauges,
)
from pytest_realtime_asr.conformance.server_loss import (
    ServerLoss,
    ServerWatch,
    before_loss,
)
from pytest_realtime_asr.conformance.session_limit import RateLimited, SessionLimit
from pytest_realtime_asr.requirements.checks import solo_transcripts
from pytest_realtime_asr.requirements.evidence import Evidence, Gauges, Part
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.run.audio_account import AudioAccount, AudioLimit
from pytest_realtime_asr.run.forecast import reporting
from pytest_realtime_asr.text.number_format import about

SILENCES = 2  # scenarios that may wait in vain for the same event
REPEATS = 3  # of a scenario that loses utterances as other scenarios do
OVERHEAD = 60.0  # s that a scenario may take in addition to its own time limits
NO_EVIDENCE = Evidence(())
_START = "the start"


class ObstacleKind(enum.Enum):
    """The reason why a scenario gave no evidence.

    - MISSING: no session could be opened, or the server was unreachable.
    - STOPPED: the first utterance has failed.
    - UNDECIDED: sessions of earlier scenarios waited for an event that did not come.
    - LIMITED: the server limits its sessions, and refused every attempt.
    - NOT_RUN: the scenario was not requested, or is not allowed on this server.
    - HARNESS: an error of this package, not of the server.
    """

    MISSING = "missing"
    STOPPED = "stopped"
    UNDECIDED = "undecided"
    LIMITED = "limited"
    NOT_RUN = "not run"
    HARNESS = "harness error"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """The reason why a scenario gave no evidence: its kind, and a sentence.

    ``violation`` is the refused session if the refusal is a violation, else ``None``.
    """

    kind: ObstacleKind
    message: str
    violation: Part | None = None


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """The evidence of one or more scenarios, and the first obstacle, if any."""

    evidence: Evidence = NO_EVIDENCE
    obstacle: Obstacle | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of what a run may do to a server.

    - ``harms`` are the kinds of harm that are allowed.
    - ``streams`` is the largest number of sessions at the same time.
    - ``audio`` is the largest total length of audio in s.
    """

    harms: frozenset[Harm]
    streams: int
    audio: float

    def why_not(self, scenario: Scenario) -> str | None:
        """Return the reason why a scenario must not run, ``None`` if it may run."""
        if scenario.harm not in self.harms:
            name = scenario.harm.value
            return f"the scenario is {name}; add --realtime-allow={name} to run it"
        if scenario.streams > self.streams:
            return (
                f"the scenario needs {scenario.streams} sessions at the same time; "
                f"set --realtime-max-streams={scenario.streams} to run it"
            )
        return None


class _Lost:
    """The results of the scenarios that lost an utterance and may be repeated.

    ``found`` maps the name of each such scenario to its result, which includes the
    evidence of the repetitions.
    """

    def __init__(self, repeats: int) -> None:
        self._repeats = repeats
        self._left: dict[str, int] = {}  # repetitions that are left, by scenario
        self.found: dict[str, ScenarioResult] = {}

    def add(self, scenario: Scenario, result: ScenarioResult) -> bool:
        """Add a result if its scenario lost an utterance and may be repeated.

        Return whether the result was added.
        """
        if not (self._repeats and _is_repeatable(scenario) and _lost_utterance(result)):
            return False
        self.found[scenario.name] = result
        self._left[scenario.name] = self._repeats
        return True

    def add_repeated(self, name: str, again: ScenarioResult) -> None:
        """Add the evidence of a repetition.

        If the repetition lost no utterance, the scenario is not repeated again.
        """
        before = self.found[name]
        self.found[name] = replace(before, evidence=before.evidence + again.evidence)
        self._left[name] = self._left[name] - 1 if _lost_utterance(again) else 0

    def to_repeat(self) -> list[str]:
        """Return the names of the scenarios to repeat.

        If only one scenario lost an utterance, no scenario is repeated.
        """
        return [
            name for name, left in self._left.items() if left and len(self.found) > 1
        ]


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """The rules by which a run ends before all of its scenarios have run.

    - ``gate`` is called with the evidence of the GATE scenarios. It returns why the run
      stops, or ``None`` if the run goes on.
    - ``silences`` is a number of scenarios. The run ends when this many scenarios have
      timed out while they waited for the same event. A scenario is not counted if any
      session got this event after the scenario had begun to wait. A server that loses
      only some finals therefore does not end the run.
    - ``seconds`` is a time in s from the start of the run. After this time, no scenario
      starts if any session has timed out while it waited for an event. A server that is
      slow but answers does not end the run.
    """

    gate: Callable[[Evidence], str | None]
    silences: int = SILENCES
    seconds: float = math.inf


class Scheduler:
    """Runs the scenarios of one server.

    - ``early_stop`` are the rules by which the run ends early. With ``None``, it never
      ends early.
    - ``progress`` is called with a line that says how many scenarios have run, and how
      much time is left. ``left`` returns the time in s that is left. Its argument maps
      the name of each unfinished scenario to the time in s for which it has run.
    - ``repeats`` is the largest number of times that a scenario is repeated. If two or
      more scenarios lost an utterance, the harmless ones among them are repeated until
      they lose no utterance. The repetitions show which losses are due to chance.
    - ``recover`` is the longest time in s to wait for a server that became unreachable.
    - ``account`` counts the audio that the run sends.
    - ``overhead`` is the time in s that a scenario may take in addition to its own time
      limits.
    """

    def __init__(
        self,
        config: RunConfig,
        scenarios: Mapping[str, Scenario],
        bounds: Bounds,
        *,
        early_stop: EarlyStop | None = None,
        repeats: int = 0,
        recover: float = 0.0,
        overhead: float = OVERHEAD,
        account: AudioAccount | None = None,
        progress: Callable[[str], None] = lambda text: None,
        left: Callable[[Mapping[str, float]], float] | None = None,
    ) -> None:
        self._config = config
        self._scenarios = scenarios
        self._bounds = bounds
        self._early_stop = early_stop
        self._overhead = overhead
        self._account = account or AudioAccount()
        self._progress = progress
        self._left = left
        self._starts: dict[str, float] = {}  # by scenario
        self._results: dict[str, concurrent.futures.Future[ScenarioResult]] = {}
        self._audio = 0.0  # s sent so far
        self._left_out: set[str] = set()  # for their audio
        allowed = (e for e in scenarios.values() if bounds.why_not(e) is None)
        enough = sum(each.audio(config.clips) for each in allowed)
        self._too_long = beyond(bounds.audio, self._account.used + enough)
        self._started: set[str] = set()
        self._gauges: list[Gauges] = []
        self._watch = ServerWatch(recover, self._gauges)
        self._exclusive = ""  # the exclusive scenario that runs now or ran last
        self.stopped: str | None = None  # why the gate stopped the run
        self._reporter = ""  # the test that reports why the run is stopped
        self._began = time.monotonic()
        # The scenarios in which a session waited in vain, each with the start of the
        # wait, and the last time at which the event came, by the awaited event.
        self._silent: dict[AwaitedEvent, list[tuple[str, float]]] = {}
        self._heard: dict[AwaitedEvent, float] = {}
        self._lost = _Lost(repeats)
        self._capacity = Capacity(bounds.streams)
        self._long_running: list[asyncio.Task[None]] = []
        self.session_limit: SessionLimit | None = None  # of the server, if measured
        self._limited = False  # whether the server has refused a session by its limit
        self._measured = False  # whether the limit was then measured

    # The interface of the tests

    def start(
        self,
        names: Iterable[str],
        *,
        before: Callable[[], None] = lambda: None,
        over: Callable[[], None] = lambda: None,
    ) -> None:
        """Start these scenarios, and return at once.

        A scenario that was started before does not run again. If any scenario is new,
        ``before`` is called before the new scenarios start, and ``over`` is called on
        any thread after they have ended.
        """
        wanted = set(names)
        if self._early_stop is not None:
            gates = (
                name
                for name, each in self._scenarios.items()
                if each.concurrency is Concurrency.GATE
            )
            wanted.update(gates)
        new = [
            each
            for name, each in self._scenarios.items()
            if name in wanted and name not in self._results
        ]
        if not new:
            return
        before()
        for each in new:
            self._results[each.name] = concurrent.futures.Future()
        future = self._config.loop.submit(self._run_all(new))

        def end(done: concurrent.futures.Future[None]) -> None:
            # An interrupted run must not leave a test waiting.
            error = None if done.cancelled() else done.exception()
            message = "the run of the scenarios was stopped"
            if error:
                message = f"the run of the scenarios was interrupted: {error!r}"
            obstacle = Obstacle(ObstacleKind.HARNESS, message)
            for each in new:
                waiting = self._results[each.name]
                if not waiting.done():
                    waiting.set_result(ScenarioResult(obstacle=obstacle))
            over()

        future.add_done_callback(end)

    def collect(self, names: Sequence[str]) -> ScenarioResult:
        """Wait for these scenarios; return their evidence and the first obstacle."""
        evidence = NO_EVIDENCE
        obstacle = None
        for name in names:
            found = self._results[name].result()
            evidence += found.evidence
            obstacle = obstacle or found.obstacle
        return ScenarioResult(evidence, obstacle)

    def done(self, names: Iterable[str]) -> bool:
        """Return whether all of these scenarios have run."""
        results = [self._results.get(name) for name in names]
        return all(each is not None and each.done() for each in results)

    def stop_reason(self) -> str | None:
        """Wait for the GATE scenarios, and return why they stopped the run.

        Return ``None`` if they did not stop it.
        """
        for name, each in self._scenarios.items():
            if each.concurrency is Concurrency.GATE and name in self._results:
                self._results[name].result()
        return self.stopped

    @property
    def loss(self) -> ServerLoss | None:
        """The loss of the server; ``None`` if it was not lost for good."""
        return self._watch.loss

    def reporter(self, test: str) -> str:
        """Return the name of the test that reports why the gate stopped the run.

        This is the first ``test`` that is passed to this method.
        """
        self._reporter = self._reporter or test
        return self._reporter

    @property
    def first(self) -> Evidence:
        """The evidence of the GATE scenarios that have run."""
        gates = (
            name
            for name, each in self._scenarios.items()
            if each.concurrency is Concurrency.GATE and self.done([name])
        )
        return self.collect(list(gates)).evidence

    def whole(self) -> Evidence:
        """Wait for all scenarios that were started; return their evidence."""
        return self.collect(list(self._results)).evidence

    @property
    def everything(self) -> Evidence:
        """The evidence of all scenarios that have run so far."""
        evidence = NO_EVIDENCE
        for future in self._results.values():
            if future.done():
                evidence += future.result().evidence
        return evidence

    # How scenarios run

    async def _run_all(self, new: Sequence[Scenario]) -> None:
        """Run these scenarios, and report the progress."""
        async with reporting(self._progress, self._state):
            await self._run_in_order(new)

    def _state(self) -> str:
        """Return a line about the progress of the scenarios."""
        now = time.monotonic()
        waiting = {
            name: now - self._starts.get(name, now)
            for name, each in self._results.items()
            if not each.done()
        }
        every = len(self._results)
        done = f"{every - len(waiting)} of {every} scenarios"
        if self._left is None:
            return done
        return f"{done}, {about(self._left(waiting))} left"

    async def _run_in_order(self, new: Sequence[Scenario]) -> None:
        """Run these scenarios in the order of `Concurrency`."""
        self._leave_out(new)
        if not self._gauges:
            self._gauges.append(await read_gauges(self._config, after=_START))
        by: dict[Concurrency, list[Scenario]] = {each: [] for each in Concurrency}
        for each in new:
            by[each.concurrency].append(each)
        for each in by[Concurrency.GATE]:
            await self._run_one(each)
        for each in by[Concurrency.FIRST]:
            await self._run_together([each])
            self._prefer_recognised(self._results[each.name].result().evidence)
        self._long_running = [
            asyncio.create_task(self._run_one(each))
            for each in by[Concurrency.LONG_RUNNING]
        ]
        try:
            parallel = by[Concurrency.PARALLEL]
            # The longest starts first, so that it does not run alone at the end.
            parallel.sort(key=lambda each: -each.audio(self._config.clips))
            await self._run_together(parallel)
            await self._repeat()
            for each in by[Concurrency.EXCLUSIVE]:
                self._exclusive = each.name
                await self._run_together([each])
            await asyncio.gather(*self._long_running)
            self._exclusive = ""
            again = [e for e in by[Concurrency.LONG_RUNNING] if not self._ran(e.name)]
            await self._run_together(again)
            await self._repeat()
            for name, result in self._lost.found.items():
                self._results[name].set_result(result)
            for each in by[Concurrency.CONFIRMATION]:
                if each.is_needed(self.everything):
                    await self._run_together([each])
                else:
                    self._results[each.name].set_result(ScenarioResult())
            for each in by[Concurrency.LAST]:
                await self._run_together([each])
        finally:
            for task in self._long_running:
                task.cancel()

    def _leave_out(self, new: Sequence[Scenario]) -> None:
        """Note which new scenarios do not fit into the audio limit of the run."""
        allowed = [each for each in new if self._bounds.why_not(each) is None]
        left = self._bounds.audio - self._audio
        if self._account.limit is not None:
            left = min(left, self._account.limit - self._account.used)
        config = self._config
        rules = config.plan.dialect.requirements
        fitting = affordable(allowed, config.clips, rules, left)
        self._left_out |= {each.name for each in allowed} - fitting

    async def _repeat(self) -> None:
        """Repeat each scenario that lost an utterance, until it loses none.

        Each scenario is repeated at most ``repeats`` times.
        """

        async def run(name: str) -> None:
            scenario = self._scenarios[name]
            async with self._capacity.reserve(scenario.streams):
                again = await self._run(scenario, repeated=True)
                self._lost.add_repeated(name, again)

        while names := self._lost.to_repeat():
            async with asyncio.TaskGroup() as tasks:
                for name in names:
                    tasks.create_task(run(name))

    def _ran(self, name: str) -> bool:
        """Return whether a scenario has run, even if it may be repeated later."""
        return self.done([name]) or name in self._lost.found

    async def _run_together(self, scenarios: Sequence[Scenario]) -> None:
        """Run these scenarios at the same time, within the limit on open sessions.

        If the server refuses a session because of a limit on its sessions, this limit
        is measured. The scenarios without a result then run within this limit.
        """
        for _ in range(2):
            async with asyncio.TaskGroup() as tasks:
                for each in scenarios:
                    if not self._ran(each.name):
                        tasks.create_task(self._run_one(each))
            if not self._limited or self._measured:
                return
            await asyncio.gather(*self._long_running)
            self.session_limit = found = await session_limit.measure(
                self._config.loop, self._config.plan, most=self._bounds.streams
            )
            self._measured = True
            # Without a measured limit, each scenario runs alone.
            self._capacity.resize(max(1, found.sessions) if found else 1)

    async def _run_one(self, scenario: Scenario) -> None:
        """Run a scenario as soon as all of its sessions may be opened.

        The scenario gets no result if it should run again.
        """
        is_gate = scenario.concurrency is Concurrency.GATE
        is_long = scenario.concurrency is Concurrency.LONG_RUNNING
        async with self._capacity.reserve(scenario.streams):
            if self._limited and not self._measured:
                return  # the limit of the server is measured first
            result = await self._run(scenario)
        limited = result.obstacle and result.obstacle.kind is ObstacleKind.LIMITED
        if limited and not self._measured and not is_gate:
            self._limited = True
            return
        if is_long and self._exclusive and _lost_utterance(result):
            # An exclusive scenario may have caused the loss: run this scenario again,
            # alone.
            return
        if not self._lost.add(scenario, result):
            self._results[scenario.name].set_result(result)

    def _prefer_recognised(self, evidence: Evidence) -> None:
        """Make later scenarios prefer the clips that the server has recognised."""
        if names := solo_transcripts(evidence):
            clips = self._config.clips.prefer(names)
            self._config = replace(self._config, clips=clips)

    async def _run(
        self, scenario: Scenario, *, repeated: bool = False
    ) -> ScenarioResult:
        """Run a scenario within its limits of time and audio.

        The audio of a ``repeated`` scenario is counted again. An error of the scenario
        is not raised but becomes part of the result.
        """
        audio = scenario.audio(self._config.clips)
        if scenario.name in self._started and not repeated:
            audio = 0.0  # counted before
        await self._watch.checked()
        if obstacle := self._obstacle(scenario, audio):
            return ScenarioResult(obstacle=obstacle)
        try:
            # A scenario that runs once more may send its audio once more.
            whole = scenario.audio(self._config.clips)
            reserved = self._account.reserve(whole, f"the scenario {scenario.name}")
        except AudioLimit:
            obstacle = Obstacle(ObstacleKind.NOT_RUN, self._too_long)
            return ScenarioResult(obstacle=obstacle)
        self._audio += audio
        self._started.add(scenario.name)
        self._starts[scenario.name] = time.monotonic()
        plan = replace(self._config.plan, meter=reserved.meter)
        run = ScenarioRun(replace(self._config, plan=plan), scenario.name)
        beyond = self._config.plan.limits.beyond * scenario.sessions
        timeout = self._overhead + self._config.wall_seconds(audio) + beyond
        obstacle = await _act(scenario, run, timeout)
        evidence = await run.close()
        self._account.release(reserved)
        self._gauges += evidence.gauges
        if run.refused is not None:
            obstacle = Obstacle(ObstacleKind.LIMITED, refusal(run.refused))
        is_gate = scenario.concurrency is Concurrency.GATE
        if is_gate and self._early_stop is not None:
            self.stopped = run.refused or self._early_stop.gate(evidence)
            if run.refused is not None:
                obstacle = Obstacle(ObstacleKind.STOPPED, run.refused)
        elif scenario.harm is Harm.SAFE:
            # An exclusive scenario may have broken the sessions of one that runs on.
            where = self._exclusive or scenario.name
            if await self._watch.was_lost(self._config, where, evidence):
                obstacle = Obstacle(ObstacleKind.MISSING, str(self.loss))
                return ScenarioResult(before_loss(evidence), obstacle)
        if scenario.concurrency is Concurrency.EXCLUSIVE:
            # Before the result is known, since a loss is a part of it.
            await self._recovery(scenario)
        self._note_silences(scenario, evidence)
        if scenario.concurrency is Concurrency.LAST:
            evidence = replace(evidence, gauges=tuple(self._gauges))
        opened = any(part.trace.opened is not None for part in evidence.parts)
        if opened and obstacle and obstacle.kind is ObstacleKind.MISSING:
            obstacle = None  # the sessions that could be opened are evidence
        return ScenarioResult(evidence, obstacle)

    def _obstacle(self, scenario: Scenario, audio: float) -> Obstacle | None:
        """Return the obstacle to a scenario with ``audio`` seconds of audio, if any."""
        if message := self._bounds.why_not(scenario):
            return Obstacle(ObstacleKind.NOT_RUN, message)
        if self.stopped is not None:
            return Obstacle(ObstacleKind.STOPPED, self.stopped)
        if self.loss is not None:
            return Obstacle(ObstacleKind.MISSING, str(self.loss))
        limit = self.session_limit
        if limit is not None and scenario.streams > limit.sessions:
            return _beyond(limit, scenario.streams)
        if message := self._in_vain():
            return Obstacle(ObstacleKind.UNDECIDED, message)
        too_long = self._audio + audio > self._bounds.audio
        if too_long or scenario.name in self._left_out:
            return Obstacle(ObstacleKind.NOT_RUN, self._too_long)
        return None

    def _in_vain(self) -> str | None:
        """Return why missing events end the run early; ``None`` if the run goes on."""
        if self._early_stop is None:
            return None
        for silence, waits in self._silent.items():
            heard = self._heard.get(silence, -math.inf)
            names = [name for name, start in waits if start > heard]
            if len(names) >= self._early_stop.silences:
                return (
                    f"not tried, since {silence.value} did not arrive in the scenarios "
                    f"{' and '.join(names[: self._early_stop.silences])}; "
                    "--realtime-keep-going tries it"
                )
        passed = time.monotonic() - self._began
        if self._silent and passed > self._early_stop.seconds:
            return (
                f"not tried, since the run has taken {passed:.0f} s, more than its "
                f"limit of {self._early_stop.seconds:.0f} s; --realtime-keep-going "
                "tries it"
            )
        return None

    def _note_silences(self, scenario: Scenario, evidence: Evidence) -> None:
        """Record which events arrived in a scenario, and which did not."""
        for silence, start in missing_events(evidence).items():
            self._silent.setdefault(silence, []).append((scenario.name, start))
        for part in evidence.parts:
            for silence, at in arrived(part):
                self._heard[silence] = max(self._heard.get(silence, at), at)

    async def _recovery(self, scenario: Scenario) -> None:
        """Wait until the server is reachable after a harmful scenario.

        If the server is not reachable within the time ``recover``, no more scenarios
        run.
        """
        if scenario.harm is not Harm.SAFE:
            await self._watch.check(self._config, scenario.name)


def refusal(reason: str) -> str:
    """Return the message about a session that the server refused because of a limit."""
    return (
        f"the server refused a session: {reason}; --realtime-max-streams=N opens fewer "
        "sessions at the same time"
    )


def _beyond(limit: SessionLimit, streams: int) -> Obstacle:
    """Return the obstacle to a scenario with more streams than the server accepts."""
    if not limit.sessions:
        return Obstacle(ObstacleKind.LIMITED, refusal(limit.reason))
    if not limit.is_lawful:
        return Obstacle(
            ObstacleKind.LIMITED,
            "the server refused a second session while only one was open: "
            f"{limit.reason}; if the server's documents name this limit, set "
            "--realtime-max-streams=1",
            limit.refused,
        )
    return Obstacle(
        ObstacleKind.LIMITED,
        f"the scenario needs {streams} sessions at the same time, but the server "
        f"accepted {limit.sessions} and refused the next: {limit.reason}; "
        f"--realtime-max-streams={limit.sessions} leaves the scenario out",
    )


async def _act(scenario: Scenario, run: ScenarioRun, timeout: float) -> Obstacle | None:
    """Execute a scenario for at most ``timeout`` s; return its obstacle, if any."""
    try:
        async with asyncio.timeout(timeout):
            await scenario.act(run)
    except Lost as error:
        # A lost session is evidence, unless the session could not be opened.
        if isinstance(error.__cause__, Unreachable):
            message = f"no session could be opened: {error}"
            return Obstacle(ObstacleKind.MISSING, message)
    except RateLimited as error:
        return Obstacle(ObstacleKind.LIMITED, refusal(str(error)))
    except NotRun as error:
        return Obstacle(ObstacleKind.NOT_RUN, str(error))
    except TimeoutError:
        message = f"the scenario {scenario.name} timed out after {timeout:.0f} s"
        return Obstacle(ObstacleKind.HARNESS, message)
    except Exception as error:
        message = f"the scenario {scenario.name} raised {error!r}"
        return Obstacle(ObstacleKind.HARNESS, message)
    return None


def _is_repeatable(scenario: Scenario) -> bool:
    """Return whether a scenario may be repeated after other scenarios have run."""
    early = (Concurrency.GATE, Concurrency.FIRST, Concurrency.LAST)
    return scenario.harm is Harm.SAFE and scenario.concurrency not in early


def _lost_utterance(result: ScenarioResult) -> bool:
    """Return whether an utterance of the scenario has no final."""
    return any(
        part.text(item) is None
        for part in result.evidence.parts
        for item in part.spoken
    )
