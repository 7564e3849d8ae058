"""The search for a random session that goes wrong, and for a short script that does it.

It runs on a thread of its own, since Hypothesis does, and waits there for what is
played on the loop of the run.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pytest_realtime_asr.conformance import fuzz
from pytest_realtime_asr.conformance.play import (
    ROLE,
    Grammar,
    Kind,
    Played,
    grammar,
    play,
)
from pytest_realtime_asr.conformance.script import (
    Await,
    Script,
    Send,
    frames,
    program,
    quoted,
)
from pytest_realtime_asr.conformance.stage import Venue
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.evidence import Evidence, Finding

LIMIT = 5.0  # s that anything may take
SHORTENING = 20.0  # s after a failure in which a shorter script is looked for

_HASTE = 2  # times the slowest that was seen to end in time, while it is shortened
_HASTY = 0.25  # s at least
_OVERDUE = 60.0  # s that a script may take beyond all limits
_LEFT = 0.5  # s in which it shows that a server has ended a session


def search(
    venue: Venue,
    speech: Utterance,
    over: threading.Event,
    *,
    limit: float = LIMIT,
    shortening: float = SHORTENING,
) -> Evidence:
    """Play random sessions until one fails; gives that one, else the last.

    ``speech`` is at the dialect's rate. Nothing is waited for longer than ``limit`` s.
    It blocks, off the loop of the venue, at most until ``over``. Raises `Limited`.
    """
    limit = min(limit, venue.plan.limits.silence)
    seed = secrets.randbits(32) if venue.seed is None else venue.seed
    found = _Search(venue, over, limit=limit, shortening=shortening)
    # Of the scripts of a turn one at least is new.
    pcm = speech.audio.pcm
    fuzz.write(found.words, pcm, found.show, seed=seed, turns=venue.fuzz)
    if found.first is None:
        if found.error is not None:
            raise found.error
        return _parts(found.last)
    again = None
    with suppress(fuzz.Enough):
        found.shorten()
        again = found.again()
    return _told(found, again, speech, limit, f"--hypothesis-seed={seed}")


class _Search:
    """Plays scripts once each, and keeps the shortest that failed."""

    def __init__(
        self, venue: Venue, over: threading.Event, *, limit: float, shortening: float
    ) -> None:
        self._venue = venue
        self._over = over
        self._limit = limit
        self._shortening = shortening
        self._known: set[Script] = set()
        self._slowest = 0.0
        self._until = 0.0  # when it is to be short enough
        self.words: Grammar = grammar(venue.plan)
        self.last: Played | None = None
        self.first: Played | None = None
        self.best: Played | None = None
        self.error: Exception | None = None  # ours, or that the server limits us

    @property
    def gone(self) -> bool:
        """Whether the server is gone, so that whatever is played fails."""
        wrong = self.last.wrong if self.last is not None else None
        return wrong is not None and wrong.kind is Kind.GONE

    def show(self, script: Script) -> None:
        """Play a script. Raises `Enough` once one has failed or all were played."""
        if script in self._known:
            return
        if len(self._known) == self._venue.fuzz:
            raise fuzz.Enough
        self._known.add(script)
        played = self._play(script, self._limit)
        if played.wrong is not None:
            self.first = self.best = played
            self._until = time.monotonic() + self._shortening
            raise fuzz.Enough
        self._slowest = max(self._slowest, played.slowest)

    def shorten(self) -> None:
        """Leave out what it fails without: many steps, then single ones, then audio."""
        size = len(self._shortest) // 2
        while size:
            if not self._without(size) or size > 1:
                size //= 2
        least = Send(self.words.dialect.append(bytes(2)).decode())
        for place, step in enumerate(self._shortest):
            if isinstance(step, Send) and self._is_audio(step) and step != least:
                script = self._shortest
                self._fails((*script[:place], least, *script[place + 1 :]))

    def again(self) -> Played | None:
        """The shortest, else the first, as it fails again; ``None``: neither does."""
        for found in (self.best, self.first):
            assert found is not None
            if found.wrong is None or found.wrong.kind is Kind.GONE:
                raise fuzz.Enough
            repeated = self._play(_untaken(found.script), self._limit)
            if repeated.wrong is not None:
                return repeated
        return None

    @property
    def _shortest(self) -> Script:
        assert self.best is not None
        return self.best.script

    def _without(self, size: int) -> bool:
        """Leave out so many steps at a time, the last ones first; whether any were."""
        fewer = False
        place = len(self._shortest)
        while place > 0:
            start = max(0, place - size)
            script = self._shortest
            if self._fails(script[:start] + script[place:]):
                fewer = True
            place = min(start, len(self._shortest))
        return fewer

    def _is_audio(self, step: Send) -> bool:
        if step.foreign or not isinstance(step.frame, str):
            return False
        return self.words.move(step.frame) == self.words.audio

    def _fails(self, script: Script) -> bool:
        """Whether a shorter script fails as well, as far as there is time to try."""
        script = _untaken(script)
        if script in self._known or time.monotonic() > self._until or self.gone:
            return False
        self._known.add(script)
        played = self._play(script, self._haste)
        if played.wrong is None:
            self._slowest = max(self._slowest, played.slowest)
            return False
        self.best = played
        return True

    def _play(self, script: Script, limit: float) -> Played:
        if self._over.is_set():
            raise fuzz.Enough
        work = play(self._venue, self.words, script, limit=limit)
        playing = self._venue.loop.submit(work)
        try:
            self.last = playing.result(_OVERDUE + limit * (len(script) + 1))
        except Exception as error:
            self.error = error
            playing.cancel()
            raise fuzz.Enough from error
        return self.last

    @property
    def _haste(self) -> float:
        """The limit while it is shortened, when each failure of silence costs it."""
        slowest = self._slowest or self._limit / 10
        return min(self._limit, max(_HASTY, _HASTE * slowest))


def _untaken(script: Script) -> Script:
    """The script, to be played again; what is owed at its end is waited for anyway."""
    steps = [Await() if isinstance(step, Await) else step for step in script]
    while steps and steps[-1] == Await():
        steps.pop()
    return tuple(steps)


# What is told


def _parts(played: Played | None) -> Evidence:
    return Evidence(() if played is None else played.evidence.role(ROLE))


def _told(
    found: _Search, again: Played | None, speech: Utterance, limit: float, seed: str
) -> Evidence:
    """What was found, in words and as a script, with the session that shows it."""
    shown = again or (found.last if found.gone else found.first)
    assert shown is not None
    assert shown.wrong is not None
    count = len(frames(shown.script))
    what = f"{shown.wrong.what}; after {count} frame{'s' * (count != 1)}, {seed}"
    flaky = False
    if found.gone:
        what += "; without the server no shorter script could be found"
    elif again is None and found.error is not None:
        what += f"; it could not be played again: {found.error!r}"
    elif again is None:
        flaky = True
        what = f"flaky: {what}; it did not fail when it was played again"
    text = program(
        shown.script,
        speech=speech,
        about=f"Random session: {what}",
        limit=limit,
        then=_then(shown.wrong.kind, speech),
    )
    return replace(_parts(shown), findings=(Finding(ROLE, what, text, flaky),))


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
