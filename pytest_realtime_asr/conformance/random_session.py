"""A script is played in a live session, and what came of it is judged.

What is asked of the server is little, so that whoever has a right to differ may: it
lives on, the next session works, each utterance that it surely has accepted comes to an
end, and it does not leave without a word. A frame outside the protocol may be refused,
ignored, or taken for any frame that would be legal there.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from pytest_realtime_asr.client.session import Limits, Live, Lost, Plan
from pytest_realtime_asr.conformance.random_script import (
    REFUSED,
    Await,
    Pause,
    Script,
    Step,
    frames,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig, ScenarioRun
from pytest_realtime_asr.dialects import Caller, Dialect
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.order import PossibleStates, Table
from pytest_realtime_asr.requirements.requirement import Violated
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Trace

ROLE = "random"
FRESH = "fresh"

_FOREIGN = "foreign"  # the move of a frame outside the protocol
_LOOK = 0.002  # s between two looks at what has come


@dataclass(frozen=True, slots=True)
class Grammar:
    """What can be said in a dialect, and what it means by the dialect's table.

    ``moves`` has a frame for each move of ours that needs no audio; ``audio`` is the
    move that hands audio over. In the states ``owing`` the server has to end what it
    has accepted, which it does by one of the moves ``ends``, by the first ones surely.
    ``fresh`` are the states of a session that is ready.
    """

    dialect: Dialect
    caller: Caller
    table: Table
    configure: tuple[str, ...]
    begin: tuple[str, ...]
    finish: tuple[str, ...]
    moves: Mapping[str, str]
    audio: str
    owing: frozenset[str]
    ends: tuple[str, ...]
    fresh: frozenset[str]

    def move(self, frame: str) -> str:
        """The move that a frame of ours makes."""
        return _move(self.dialect, frame)


def grammar(plan: Plan) -> Grammar:
    """What can be said in the sessions of a plan."""
    dialect = plan.dialect
    caller = plan.caller
    configure = tuple(caller.configure())
    begin, finish = tuple(caller.begin()), tuple(caller.finish())
    ours, theirs = dialect.table[Sender.CLIENT], dialect.table[Sender.SERVER]
    move = partial(_move, dialect)
    owing = frozenset(
        follower
        for state, moves in ours.items()
        for frame in finish
        for follower in moves.get(move(frame), ())
        if follower != state
    )
    ends = [
        (bool(owing.intersection(followers)), name)
        for state in sorted(owing)
        for name, followers in theirs.get(state, {}).items()
        if not owing.issuperset(followers)
    ]
    # A foreign frame may be taken for whichever move is legal there, or for none.
    wild = {
        state: {**moves, _FOREIGN: (state, *_followers(moves))}
        for state, moves in ours.items()
    }
    return Grammar(
        dialect=dialect,
        caller=caller,
        table={**dialect.table, Sender.CLIENT: wild},
        configure=configure,
        begin=begin,
        finish=finish,
        moves={move(frame): frame for frame in (*configure, *begin, *finish)},
        audio=move(caller.append(bytes(2)).decode()),
        owing=owing,
        ends=tuple(dict.fromkeys(name for _, name in sorted(ends))),
        fresh=_followers(theirs.get(dialect.start, {})) or frozenset({dialect.start}),
    )


def _move(dialect: Dialect, frame: str) -> str:
    return dialect.parse(Record(Sender.CLIENT, 0, text=frame)).move


def _followers(moves: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The states that these moves may lead to."""
    return frozenset(state for followers in moves.values() for state in followers)


class Kind(enum.Enum):
    """What went wrong."""

    SILENT = "silent"
    LEFT = "left"
    NEXT = "next"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, in a sentence."""

    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class RandomSession:
    """The steps that were taken of a script, what they gave, and what was wrong.

    ``slowest`` is the longest time in s in which something ended, as it should.
    """

    script: Script
    evidence: Evidence
    wrong: Problem | None
    slowest: float

    @property
    def size(self) -> tuple[int, int, int]:
        """By which scripts are compared; the shorter is the better."""
        sent = frames(self.script)
        return len(sent), len(self.script), sum(len(step.frame) for step in sent)


async def execute(
    config: RunConfig, words: Grammar, script: Script, *, limit: float
) -> RandomSession:
    """Play a script, and speak in another session at its end. Raises `RateLimited`.

    Nothing is waited for longer than ``limit`` s.
    """
    run = ScenarioRun(config, ROLE)
    limits = Limits(
        connect=config.plan.limits.connect, ready=limit, silence=limit, beyond=limit
    )
    playing = _Execution(run, words, limits)
    try:
        await playing.session(script)
        await run.look()
    finally:
        evidence = await run.close()
    taken = tuple(playing.taken)
    wrong = judged(words, taken, evidence, limit=limit)
    silent = wrong is not None and wrong.kind is Kind.SILENT
    if silent and words.ends and not (taken and isinstance(taken[-1], Await)):
        taken += (Await(words.ends[0]),)  # what came last made it owe an end again
    return RandomSession(taken, evidence, wrong, playing.slowest)


class _Execution:
    """A script while it is played."""

    def __init__(self, run: ScenarioRun, words: Grammar, limits: Limits) -> None:
        self._stage = run
        self._words = words
        self._limits = limits
        self.taken: list[Step] = []
        self.slowest = 0.0

    async def session(self, script: Script) -> None:
        """Play it, and speak in the next session while its end is waited for."""
        run, limits = self._stage, self._limits
        ending = None
        try:
            live = await run.open(ROLE, configure=False, pace=0.0, limits=limits)
            if await self._whole(live, script):
                ending = asyncio.create_task(self._wait(live))
        except Lost:
            pass  # the trace says how
        try:
            await self._next()
        finally:
            if ending is not None and (awaited := await ending).move:
                self.taken.append(awaited)

    async def _whole(self, live: Live, script: Script) -> bool:
        """Take all steps; whether nothing went wrong on the way. Raises `Lost`."""
        for step in script:
            match step:
                case Pause(seconds=seconds):
                    await asyncio.sleep(seconds)
                case Await():
                    step = await self._wait(live)
                    if self._owes(live.trace):
                        self.taken.append(step)
                        return False
                case _:
                    # All of them count as written by hand: an illegal one changes what
                    # the legal ones after it mean.
                    await live.send_raw(step.frame)
            self.taken.append(step)
        return True

    async def _next(self) -> None:
        begun = time.monotonic()
        run = self._stage
        try:
            live = await run.open(FRESH, pace=0.0, limits=self._limits)
            await run.speak(live, run.clips.first)
        except Lost:
            return
        self._ended(begun)

    async def _wait(self, live: Live) -> Await:
        """Wait until the server owes nothing, or is late with it."""
        foreign = sum(step.foreign for step in frames(self.taken))
        await live.answered(foreign, timeout=REFUSED)
        begun, seen = time.monotonic(), len(live.trace.records)
        if not self._owes(live.trace):
            return Await()
        while time.monotonic() - begun <= self._limits.silence:
            trace = live.trace
            # Of several that came together, one is that for which it was waited.
            for count in range(seen + 1, len(trace.records) + 1):
                until = replace(trace, records=trace.records[:count])
                if not self._owes(until):
                    self._ended(begun)
                    return Await(self._words.dialect.parse(until.records[-1]).move)
            if trace.end.how is not Ending.CLOSED_BY_US:
                break
            seen = len(trace.records)
            await asyncio.sleep(_LOOK)
        return Await(self._words.ends[0])

    def _owes(self, trace: Trace) -> bool:
        return owes(self._words, self.taken, trace)

    def _ended(self, begun: float) -> None:
        self.slowest = max(self.slowest, time.monotonic() - begun)


# What it means


def owes(words: Grammar, taken: Iterable[Step], trace: Trace) -> bool:
    """Whether the server surely has yet to end an utterance, by what was said so far.

    ``taken`` are the steps by which the frames of ours came to be sent.
    """
    states = PossibleStates(words.table, start=words.dialect.start, of=Sender.SERVER)
    foreign = [step.foreign for step in frames(taken)]
    sent = 0
    for record in trace.records:
        move = words.dialect.parse(record).move
        if record.sender is Sender.SERVER:
            states.send(move)
            continue
        states.receive(_FOREIGN if sent < len(foreign) and foreign[sent] else move)
        sent += 1
    return states.final <= words.owing


def judged(
    words: Grammar, taken: Script, evidence: Evidence, *, limit: float
) -> Problem | None:
    """What went wrong in a script that was played; ``None`` where nothing did."""
    for gauges in evidence.gauges:
        if gauges.lost:
            return Problem(Kind.GONE, f"the server is gone: {gauges.lost}")
    for part in evidence.role(ROLE):
        if (wrong := _left(part, taken)) is not None:
            return wrong
        if part.trace.end.how is Ending.CLOSED_BY_US and owes(words, taken, part.trace):
            return Problem(
                Kind.SILENT, f"an utterance came to no end within {limit:.2g} s"
            )
    for part in evidence.role(FRESH):
        if part.text(0) is None:
            return Problem(Kind.NEXT, f"the next session was lost: {checks.why(part)}")
    return None


def _left(part: Part, taken: Script) -> Problem | None:
    """How the server ended a session, if it was not as it may.

    What foreign frames lead to in their own session is judged by other requirements.
    """
    end, why = part.trace.end, checks.why(part)
    if end.how in (Ending.CLOSED_BY_US, Ending.CANCELLED):
        return None
    if part.trace.opened is None:
        return Problem(Kind.NEXT, f"no session could be opened: {why}")
    foreign = any(step.foreign for step in frames(taken))
    if end.how is Ending.DEADLINE:
        # One that is about to close, having said why, need not read on.
        excused = foreign or part.timeline.refusals
        return None if excused else Problem(Kind.SILENT, why)
    if end.how is Ending.CLOSED_BY_PEER or (end.how is Ending.BROKEN and not end.code):
        explained = checks.explained_close(Evidence((part,)))
        if foreign or not isinstance(explained, Violated):
            return None
        return Problem(Kind.LEFT, f"the session was ended without a word: {why}")
    return Problem(Kind.LEFT, why)
