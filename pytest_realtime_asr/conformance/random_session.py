"""Executes a random script in a live session, and judges the server's behaviour.

Few things are required of the server, so that every legal behaviour passes:

- The server stays reachable, and the next session works.
- The server completes each utterance that it has certainly accepted.
- If the server ends the session, it sends an error or a close code that says why.

The server may refuse a frame outside the protocol, ignore the frame, or treat it as any
frame that is legal in the state of the session.
"""

from __future__ import annotations

import asyncio
import enum
import time
from dataclasses import dataclass, replace

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.conformance.grammar import Grammar
from pytest_realtime_asr.conformance.random_script import (
    REFUSED,
    Await,
    Pause,
    Script,
    Step,
    frames,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig, ScenarioRun
from pytest_realtime_asr.dialects import can
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import Violated
from pytest_realtime_asr.trace.records import Ending, Trace

ROLE = "random"
FRESH = "fresh"

_NORMAL = 1000  # the close code of a session that has served its purpose
_LOOK = 0.002  # s between two checks for new records


class ProblemKind(enum.Enum):
    """The kind of a failure of a random session."""

    NOT_COMPLETED = "an utterance, or the session's set-up, was not completed in time"
    ENDED = "the server ended the session without a reason"
    NEXT_SESSION = "the session could not be opened, or the next session failed"
    UNREACHABLE = "the server is unreachable"


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure of a random session: its kind, and a sentence with the details."""

    kind: ProblemKind
    message: str


@dataclass(frozen=True, slots=True)
class RandomSession:
    """The executed steps of a script, the evidence, and the problem if there is one.

    ``slowest`` is the longest time in s that the server took to complete an utterance,
    in this session or in the next one.
    """

    script: Script
    evidence: Evidence
    problem: Problem | None
    slowest: float


async def execute(
    config: RunConfig, grammar: Grammar, script: Script, *, limit: float
) -> RandomSession:
    """Execute a script, and transcribe a clip in a second session.

    The second session opens as soon as the last step is executed, while an utterance of
    the first session may still be pending. Each wait takes at most ``limit`` s. Raises
    `RateLimited`.
    """
    run = ScenarioRun(config, ROLE)
    limits = Limits(
        connect=config.plan.limits.connect, ready=limit, silence=limit, beyond=limit
    )
    execution = _Execution(run, grammar, limits)
    try:
        await execution.both_sessions(script)
        await run.check_server()
    finally:
        evidence = await run.close()
    taken = tuple(execution.taken)
    problem = judge(grammar, taken, evidence, limit=limit)
    unfinished = problem is not None and problem.kind is ProblemKind.NOT_COMPLETED
    if unfinished and grammar.ends and not (taken and isinstance(taken[-1], Await)):
        # The script left an utterance pending: add the wait for its end.
        taken += (Await(grammar.ends[0]),)
    return RandomSession(taken, evidence, problem, execution.slowest)


class _Execution:
    """The execution of one script, with the steps that were executed so far."""

    def __init__(self, run: ScenarioRun, grammar: Grammar, limits: Limits) -> None:
        self._run = run
        self._grammar = grammar
        self._limits = limits
        self.taken: list[Step] = []
        self.slowest = 0.0

    async def both_sessions(self, script: Script) -> None:
        """Execute the script, and then transcribe a clip in a second session."""
        run, limits = self._run, self._limits
        ending = None
        try:
            live = await run.open(ROLE, configure=False, pace=0.0, limits=limits)
            if await self._steps(live, script):
                ending = asyncio.create_task(self._wait(live))
        except Lost:
            pass  # the trace shows how the session was lost
        try:
            await self._next_session()
        finally:
            if ending is not None and (awaited := await ending).move is not None:
                self.taken.append(awaited)

    async def _steps(self, live: Live, script: Script) -> bool:
        """Execute the steps until a wait fails; return whether all waits succeeded.

        A wait fails if an utterance is still pending after the wait. Raises `Lost`.
        """
        for step in script:
            match step:
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)
                case Await():
                    step = await self._wait(live)
                    if self._is_pending(live.trace):
                        self.taken.append(step)
                        return False
                case _:
                    # Raw, so that no requirement is checked on the client's frames: an
                    # illegal frame changes what the legal frames after it mean.
                    await live.send_raw(step.frame)
            self.taken.append(step)
        return True

    async def _next_session(self) -> None:
        start = time.monotonic()
        run = self._run
        try:
            live = await run.open(FRESH, pace=0.0, limits=self._limits)
            await run.transcribe(live, run.clips.first)
        except Lost:
            return
        self._completed(start)

    async def _wait(self, live: Live) -> Await:
        """Wait until no utterance is pending, or until the time limit is over.

        Return the executed step. Its ``move`` is the event that completed the
        utterances. If an utterance is still pending, ``move`` is the missing event. If
        none was pending before, ``move`` is ``None``.
        """
        foreign = sum(step.foreign for step in frames(self.taken))
        await live.answered(foreign, timeout=REFUSED)
        start, seen = time.monotonic(), len(live.trace.records)
        if not self._is_pending(live.trace):
            return Await()
        while time.monotonic() - start <= self._limits.silence:
            trace = live.trace
            # Of several records that arrive together, find the one that completes the
            # utterance.
            for count in range(seen + 1, len(trace.records) + 1):
                until = replace(trace, records=trace.records[:count])
                if not self._is_pending(until):
                    self._completed(start)
                    return Await(self._grammar.dialect.parse(until.records[-1]).move)
            if trace.end.how is not Ending.CLOSED_BY_US:
                break
            seen = len(trace.records)
            await asyncio.sleep(_LOOK)
        return Await(self._grammar.ends[0])

    def _is_pending(self, trace: Trace) -> bool:
        return self._grammar.is_pending(self.taken, trace)

    def _completed(self, start: float) -> None:
        self.slowest = max(self.slowest, time.monotonic() - start)


# Judgement


def judge(
    grammar: Grammar, taken: Script, evidence: Evidence, *, limit: float
) -> Problem | None:
    """Return the problem of an executed script, or ``None`` if there is none.

    ``taken`` are the executed steps. ``limit`` is the longest time of each wait in s.
    """
    for gauges in evidence.gauges:
        if gauges.lost:
            message = f"the server is unreachable: {gauges.lost}"
            return Problem(ProblemKind.UNREACHABLE, message)
    for part in evidence.role(ROLE):
        if (problem := _wrong_end(part, taken)) is not None:
            return problem
        if not grammar.is_pending(taken, part.trace):
            continue
        if part.trace.end.how is Ending.CLOSED_BY_US:
            message = f"an utterance was not completed within {limit:.2g} s"
            return Problem(ProblemKind.NOT_COMPLETED, message)
        if _ends_too_early(grammar, part, taken):
            message = f"an utterance was not completed: {checks.why(part)}"
            return Problem(ProblemKind.NOT_COMPLETED, message)
    for part in evidence.role(FRESH):
        if part.text(0) is None:
            message = f"the next session failed: {checks.why(part)}"
            return Problem(ProblemKind.NEXT_SESSION, message)
    return None


def _ends_too_early(grammar: Grammar, part: Part, taken: Script) -> bool:
    """Return whether the server closed as if it had completed the utterance.

    This is possible only in a protocol with one utterance in each session. In such a
    protocol, a normal close says that the utterance is complete.
    """
    end = part.trace.end
    several = can(grammar.dialect, Capability.SEVERAL_UTTERANCES)
    normal = end.how is Ending.CLOSED_BY_PEER and end.code == _NORMAL
    foreign = any(step.foreign for step in frames(taken))
    return normal and not (several or foreign or part.timeline.refusals)


def _wrong_end(part: Part, taken: Script) -> Problem | None:
    """Return the problem if the server ended a session in a way that is not allowed.

    After a foreign frame, every close by the server is allowed here; other requirements
    judge it.
    """
    end, why = part.trace.end, checks.why(part)
    if end.how in (Ending.CLOSED_BY_US, Ending.CANCELLED):
        return None
    if part.trace.opened is None:
        message = f"no session could be opened: {why}"
        return Problem(ProblemKind.NEXT_SESSION, message)
    foreign = any(step.foreign for step in frames(taken))
    if end.how is Ending.DEADLINE:
        # A server that has sent an error and is about to close need not read frames.
        excused = foreign or part.timeline.refusals
        return None if excused else Problem(ProblemKind.NOT_COMPLETED, why)
    if end.how is Ending.CLOSED_BY_PEER or (end.how is Ending.BROKEN and not end.code):
        explained = checks.explained_close(Evidence((part,)))
        if foreign or not isinstance(explained, Violated):
            return None
        message = f"the server ended the session without an error: {why}"
        return Problem(ProblemKind.ENDED, message)
    return Problem(ProblemKind.ENDED, why)
