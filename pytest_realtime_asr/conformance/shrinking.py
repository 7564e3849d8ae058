"""The search for a random session that goes wrong, and for a short script that does it.

A shorter script is looked for as long as there is time. The one that is found has to
fail again; else it is told that it is flaky.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from pytest_realtime_asr.conformance import fuzz
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
    Grammar,
    Kind,
    RandomSession,
    execute,
    grammar,
)
from pytest_realtime_asr.conformance.scenario_run import RateLimited, RunConfig
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Evidence, SessionFinding

LIMIT = 5.0  # s that anything may take
SHORTENING = 20.0  # s after a failure in which a shorter script is looked for

_HASTE = 2  # times the slowest that was seen to end in time, while it is shortened
_HASTY = 0.25  # s at least
_LEFT = 0.5  # s in which it shows that a server has ended a session


async def search(
    config: RunConfig,
    speech: Utterance,
    *,
    limit: float = LIMIT,
    shortening: float = SHORTENING,
) -> Evidence:
    """Play random sessions until one fails; gives that one, else the last.

    ``speech`` is at the dialect's rate. Nothing is waited for longer than ``limit`` s.
    Raises `RateLimited`.
    """
    limit = min(limit, config.plan.limits.silence)
    seed = secrets.randbits(32) if config.seed is None else config.seed
    words, pcm = grammar(config.plan), speech.audio.pcm
    scripts = await asyncio.to_thread(
        fuzz.write, words, pcm, seed=seed, count=config.fuzz
    )
    slowest, played = 0.0, None
    for script in scripts:
        played = await execute(config, words, script, limit=limit)
        if played.wrong is not None:
            found = _Found(config, words, played, limit, slowest)
            told = await _told(found, speech, shortening, f"--hypothesis-seed={seed}")
            return replace(_parts(found.shown), findings=(told,))
        slowest = max(slowest, played.slowest)
    return _parts(played)


class _Found:
    """A script that failed, and what becomes of it."""

    def __init__(
        self,
        config: RunConfig,
        words: Grammar,
        first: RandomSession,
        limit: float,
        slowest: float,
    ) -> None:
        self._venue = config
        self._words = words
        self._first = first
        self._slowest = slowest or limit / 10
        self._known: set[Script] = set()
        self._until = 0.0
        self.limit = limit
        self.shown = first

    @property
    def gone(self) -> bool:
        """Whether the server is gone, so that whatever is played fails."""
        return self.shown.wrong is not None and self.shown.wrong.kind is Kind.GONE

    async def shorten(self, seconds: float) -> None:
        """Leave out what it fails without: many steps, then single ones, then audio."""
        self._until = time.monotonic() + seconds
        size = len(self.shown.script) // 2
        while size:
            if not await self._without(size) or size > 1:
                size //= 2
        least = Send(self._words.caller.append(bytes(2)).decode())
        place = 0
        while place < len(script := self.shown.script):
            if self._is_audio(script[place]):
                await self._fails((*script[:place], least, *script[place + 1 :]))
            place += 1

    async def again(self) -> bool:
        """Whether the shortest fails again, or else the first."""
        for found in (self.shown, self._first):
            script = _untaken(found.script)
            played = await execute(self._venue, self._words, script, limit=self.limit)
            if played.wrong is not None:
                self.shown = played
                return True
        self.shown = self._first
        return False

    async def _without(self, size: int) -> bool:
        """Leave out so many steps at a time, the last ones first; whether any were."""
        fewer = False
        place = len(self.shown.script)
        while place > 0:
            start = max(0, place - size)
            script = self.shown.script
            fewer |= await self._fails(script[:start] + script[place:])
            place = min(start, len(self.shown.script))
        return fewer

    def _is_audio(self, step: Step) -> bool:
        match step:
            case Send(frame=str(frame), foreign=False):
                return self._words.move(frame) == self._words.audio
        return False

    async def _fails(self, script: Script) -> bool:
        """Whether a shorter script fails as well, as far as there is time to try."""
        script = _untaken(script)
        if script in self._known or time.monotonic() > self._until or self.gone:
            return False
        self._known.add(script)
        # Each failure of silence costs the whole limit.
        hasty = min(self.limit, max(_HASTY, _HASTE * self._slowest))
        played = await execute(self._venue, self._words, script, limit=hasty)
        if played.wrong is None:
            self._slowest = max(self._slowest, played.slowest)
            return False
        self.shown = played
        return True


def _untaken(script: Script) -> Script:
    """The script, to be played again; what is owed at its end is waited for anyway."""
    steps = [Await() if isinstance(step, Await) else step for step in script]
    while steps and steps[-1] == Await():
        steps.pop()
    return tuple(steps)


# What is told


def _parts(played: RandomSession | None) -> Evidence:
    return Evidence(() if played is None else played.evidence.role(ROLE))


async def _told(
    found: _Found, speech: Utterance, shortening: float, seed: str
) -> SessionFinding:
    """What was found, in words and as a script, once it was shortened."""
    flaky, limited = False, ""
    try:
        if not found.gone:
            await found.shorten(shortening)
        if not found.gone:
            flaky = not await found.again()
    except RateLimited as error:
        limited = f"; it could not be played again: {error}"
    wrong = found.shown.wrong
    assert wrong is not None
    count = len(frames(found.shown.script))
    what = f"{wrong.what}; after {count} frame{'s' * (count != 1)}, {seed}{limited}"
    if found.gone:
        what += "; without the server no shorter script could be found"
    elif flaky:
        what = f"flaky: {what}; it did not fail when it was played again"
    text = program(
        found.shown.script,
        speech=speech,
        about=f"Random session: {what}",
        limit=found.limit,
        then=_then(wrong.kind, speech),
    )
    return SessionFinding(ROLE, what, text, flaky)


def _then(kind: Kind, speech: Utterance) -> Sequence[str]:
    """What shows it, once the steps of the script were taken."""
    match kind:
        case Kind.SILENT:
            return ()  # the wait at its end
        case Kind.LEFT:
            return (
                f"time.sleep({_LEFT:g})",
                'assert session.trace.end.how.value == "closed by us"',
            )
        case Kind.NEXT | Kind.GONE:
            return (f"realtime.transcribe(corpus[{quoted(speech.id)}])",)
