"""Searches for a random session that fails, and shrinks its script.

A limited number of shorter scripts is tried, so that the result does not depend on the
speed of the server. The shortest script that fails is then repeated several times. If
it does not fail each time, the original script is repeated in the same way. If neither
script fails each time, the failure is reported as flaky.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from pytest_realtime_asr.conformance import fuzz
from pytest_realtime_asr.conformance.grammar import Grammar, grammar_of
from pytest_realtime_asr.conformance.random_script import (
    Await,
    Script,
    Send,
    Step,
    frames,
    program,
    quoted,
)
from pytest_realtime_asr.conformance.random_session import (
    ROLE,
    ProblemKind,
    RandomSession,
    execute,
)
from pytest_realtime_asr.conformance.scenario_run import RunConfig
from pytest_realtime_asr.conformance.session_limit import RateLimited
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.requirements.evidence import Evidence, SessionFinding
from pytest_realtime_asr.text.number_format import several

LIMIT = 5.0  # s that a single wait may take
FINDINGS = 3  # failures after which the search ends
REPETITIONS = 3  # of a script that failed, which all have to fail as well
SHORTER = 60  # shorter scripts that are tried after a failure
SHRINKING = 60.0  # s, after which no shorter script is tried on a slow server

_MARGIN = 2  # the time limit while shrinking, in multiples of the slowest success
_LEAST = 0.25  # s, the shortest time limit while shrinking
_LEFT = 0.5  # s after which the end of a session by the server is visible


async def search(
    config: RunConfig,
    speech: Utterance,
    *,
    limit: float = LIMIT,
    shorter: int = SHORTER,
) -> Evidence:
    """Execute random sessions, and return the evidence of the sessions that failed.

    If no session failed, return the evidence of the last session. If a failure needs an
    illegal move, the search goes on with the sessions that do not have this move. After
    any other failure, the search ends. ``speech`` is at the dialect's sample rate. No
    wait takes longer than ``limit`` seconds. At most ``shorter`` shorter scripts are
    tried for each failure. Raises `RateLimited`.
    """
    limit = min(limit, config.plan.limits.silence)
    seed = secrets.randbits(32) if config.seed is None else config.seed
    grammar, pcm = grammar_of(config.plan), speech.audio.pcm
    scripts = await asyncio.to_thread(
        fuzz.generate, grammar, pcm, seed=seed, count=config.fuzz
    )
    slowest, last = 0.0, None
    found = Evidence(())
    failing: frozenset[tuple[str, str]] = frozenset()
    for script in scripts:
        if failing & grammar.unlawful(script):
            continue  # it would fail for the same cause
        last = await execute(config, grammar, script, limit=limit)
        if last.problem is not None:
            failure = _Failure(config, grammar, last, limit, slowest)
            reproduce = f"--realtime-fuzz-seed={seed}"
            finding = await _finding(failure, speech, shorter, reproduce)
            found += replace(_evidence(failure.shortest), findings=(finding,))
            failing |= finding.moves
            # Without such a move, every other script may fail for the same cause.
            if not finding.moves or len(found.findings) == FINDINGS:
                break
        slowest = max(slowest, last.slowest)
    return found if found.findings else _evidence(last)


class _Failure:
    """A random session that failed, and the shortest script that still fails."""

    def __init__(
        self,
        config: RunConfig,
        grammar: Grammar,
        first: RandomSession,
        limit: float,
        slowest: float,
    ) -> None:
        self._config = config
        self._grammar = grammar
        self._first = first
        self._slowest = slowest or limit / 10
        self._tried: set[Script] = set()
        self._left = 0  # shorter scripts that may still be tried
        self._deadline = 0.0
        self.limit = limit
        self.shortest = first

    @property
    def unreachable(self) -> bool:
        """Return whether the server is unreachable, which makes every script fail."""
        problem = self.shortest.problem
        return problem is not None and problem.kind is ProblemKind.UNREACHABLE

    @property
    def unlawful(self) -> frozenset[tuple[str, str]]:
        """The illegal moves of the shortest script, as pairs of a state and a move."""
        return self._grammar.unlawful(self.shortest.script)

    async def shrink(self, shorter: int) -> None:
        """Remove the steps that are not needed for the failure.

        At most ``shorter`` shorter scripts are tried. First many steps at a time are
        removed, then single steps. Finally the audio of each remaining frame is
        replaced by one sample.
        """
        self._left = shorter
        self._deadline = time.monotonic() + SHRINKING
        size = len(self.shortest.script) // 2
        while size:
            if not await self._without(size) or size > 1:
                size //= 2
        least = Send(audio_frame(self._grammar.caller, bytes(2)))
        place = 0
        while place < len(script := self.shortest.script):
            if self._is_audio(script[place]):
                await self._fails((*script[:place], least, *script[place + 1 :]))
            place += 1

    async def repeat(self) -> bool:
        """Return whether a script fails in each of several executions.

        The shortest script is tried first. If it does not always fail, the original
        script is tried.
        """
        for found in (self.shortest, self._first):
            if (session := await self._repeated(_not_taken(found.script))) is not None:
                self.shortest = session
                return True
        self.shortest = self._first
        return False

    async def _repeated(self, script: Script) -> RandomSession | None:
        """Execute a script several times; return the last session if all failed.

        Return ``None`` as soon as a session does not fail.
        """
        session = None
        for _ in range(REPETITIONS):
            session = await execute(
                self._config, self._grammar, script, limit=self.limit
            )
            if session.problem is None:
                return None
            if session.problem.kind is ProblemKind.UNREACHABLE:
                break
        return session

    async def _without(self, size: int) -> bool:
        """Remove ``size`` steps at a time, from the end of the script to its start.

        Return whether any shorter script still fails.
        """
        fewer = False
        place = len(self.shortest.script)
        while place > 0:
            start = max(0, place - size)
            script = self.shortest.script
            fewer |= await self._fails(script[:start] + script[place:])
            place = min(start, len(self.shortest.script))
        return fewer

    def _is_audio(self, step: Step) -> bool:
        match step:
            case Send(frame=frame, foreign=False):
                return self._grammar.move(frame) == self._grammar.audio
        return False

    async def _fails(self, script: Script) -> bool:
        """Return whether a shorter script still fails.

        Return false without executing the script if it was tried before, if no more
        scripts may be tried, or if the server is unreachable.
        """
        script = _not_taken(script)
        over = not self._left or time.monotonic() > self._deadline
        if script in self._tried or over or self.unreachable:
            return False
        self._tried.add(script)
        self._left -= 1
        # A missing answer takes the whole time limit, so the limit is short.
        limit = min(self.limit, max(_LEAST, _MARGIN * self._slowest))
        session = await execute(self._config, self._grammar, script, limit=limit)
        if session.problem is None:
            self._slowest = max(self._slowest, session.slowest)
            return False
        self.shortest = session
        return True


def _not_taken(script: Script) -> Script:
    """Return a script without the results of its waits, to execute it again.

    Waits at the end of the script are removed, since every execution ends with a wait
    for pending utterances.
    """
    steps = [Await() if isinstance(step, Await) else step for step in script]
    while steps and steps[-1] == Await():
        steps.pop()
    return tuple(steps)


# The finding in the report


def _evidence(session: RandomSession | None) -> Evidence:
    return Evidence(() if session is None else session.evidence.role(ROLE))


async def _finding(
    failure: _Failure, speech: Utterance, shorter: int, reproduce: str
) -> SessionFinding:
    """Shrink and repeat a failed session; return a message and a test for it."""
    flaky, limited = False, ""
    try:
        if not failure.unreachable:
            await failure.shrink(shorter)
        if not failure.unreachable:
            flaky = not await failure.repeat()
    except RateLimited as error:
        limited = f"; the failure could not be repeated: {error}"
    problem = failure.shortest.problem
    assert problem is not None
    count = several(len(frames(failure.shortest.script)), "frame")
    message = (
        f"{problem.message}; the script sends {count}; repeat the session with "
        f"{reproduce}{limited}"
    )
    if failure.unreachable:
        message += "; the script was not shrunk, since the server is unreachable"
    elif flaky:
        message = f"flaky: {message}; not every repetition failed"
    text = program(
        failure.shortest.script,
        speech=speech,
        about=f"Random session: {message}",
        limit=failure.limit,
        then=_assertions(problem.kind, speech),
    )
    moves = failure.unlawful
    return SessionFinding(ROLE, message, text, flaky=flaky, moves=moves)


def _assertions(kind: ProblemKind, speech: Utterance) -> Sequence[str]:
    """Return the last statements of a test; they fail if the problem occurs again."""
    match kind:
        case ProblemKind.NOT_COMPLETED:
            return ()  # the wait at the end of the script fails
        case ProblemKind.ENDED:
            return (
                f"time.sleep({_LEFT:g})",
                'assert session.trace.end.how.value == "closed by us"',
            )
        case ProblemKind.NEXT_SESSION | ProblemKind.UNREACHABLE:
            return (f"realtime.transcribe(corpus[{quoted(speech.id)}])",)
