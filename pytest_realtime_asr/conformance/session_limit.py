"""The largest number of sessions that a server keeps open at the same time.

A server that has reached its limit refuses a further session in one of three ways: by
the HTTP status 429 or 503, by an error event before the session is ready,
or by the close code 1013. Such a server is *limited*. A limit breaks no rule of the
protocol, and a refused session says nothing about the sessions that the server accepts.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.session_refusal import (
    CODES,
    STATUSES,
    TRY_AGAIN_LATER,
)
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.trace.records import Ending

TRIES = 3  # attempts to open a session that the server refuses
RETRY = 1.0  # s between two attempts, if the server names no time
_LONGEST_RETRY = 30.0  # s, the longest wait for a Retry-After


class RateLimited(Exception):
    """Raised if a server at its limit refused each attempt to open a session.

    ``live`` is the session of the last attempt.
    """

    def __init__(self, message: str, live: Live) -> None:
        super().__init__(message)
        self.live = live


@dataclass(frozen=True, slots=True)
class SessionLimit:
    """The limit of a server that accepts ``sessions`` sessions and refuses the next.

    ``refused`` is the refused session, and ``reason`` says how it was refused.
    """

    sessions: int
    reason: str
    refused: Part

    @property
    def is_lawful(self) -> bool:
        """Return whether a server may have this limit.

        A limit of 1 is too low. A measured limit of 0 counts as lawful: other clients
        may have taken all the sessions that the server accepts.
        """
        return self.sessions != 1


def retry_after(live: Live, error: Lost) -> float | None:
    """Return the time in s to wait before the next attempt to open a session.

    ``live`` is the session that could not be opened, and ``error`` was raised for it.
    Return ``None`` if the reason was not the limit of the server.
    """
    cause = error.__cause__
    if isinstance(cause, Unreachable):
        if cause.status not in STATUSES:
            return None
        asked = cause.retry_after
        if asked is None or not math.isfinite(asked):
            asked = RETRY
        return min(_LONGEST_RETRY, asked)
    timeline, end = live.timeline, live.trace.end
    if timeline.ready is not None:
        return None
    codes = [refusal.code for refusal in timeline.refusals]
    closed = end.how is Ending.CLOSED_BY_PEER and end.code == TRY_AGAIN_LATER
    limited = closed or (
        codes and codes[0] in CODES
    )  # a close may follow late or never
    return RETRY if limited else None


def reason(live: Live) -> str:
    """Return how a server refused a session, in its own words if there are any."""
    end, refusals = live.trace.end, live.timeline.refusals
    said = str(refusals[0]) if refusals else end.reason
    if end.how is Ending.REFUSED:
        return f"HTTP {end.code}"
    said = live.plan.redactor.clean(live.plan.redactor.message(said))
    return said if refusals else f"the server closed {end.coded}: {said}"


async def opened(new: Callable[[], Live]) -> Live:
    """Open a session, with further attempts if the server has reached its limit.

    ``new`` returns a new session for each attempt. Raises `RateLimited` if a server at
    its limit refuses every attempt, and `Lost` if a session cannot be opened for
    another reason.
    """
    for left in reversed(range(TRIES)):
        live = new()
        try:
            await live.open()
        except Lost as error:
            wait = retry_after(live, error)
            if wait is None:
                raise
            await live.close()
            if not left:
                http = isinstance(error.__cause__, Unreachable)
                raise RateLimited(str(error) if http else reason(live), live) from error
            await asyncio.sleep(wait)
        else:
            return live
    raise AssertionError(
        "this line is never reached: the last attempt returns a session or raises"
    )


async def measure(loop: Loop, plan: Plan, *, most: int) -> SessionLimit | None:
    """Open up to ``most`` sessions one by one; return the limit of the server, if any.

    No other session may be open. The sessions send nothing. Return ``None`` if the
    server accepts all sessions, or if one of them is lost for a reason other than the
    limit.
    """
    held: list[Live] = []
    try:
        while len(held) < most:
            held.append(await opened(lambda: Live(loop, plan)))
    except RateLimited as error:
        refused = dialects.part(plan.dialect, error.live.trace, role="refused")
        return SessionLimit(len(held), reason(error.live), refused)
    except Lost:
        pass
    finally:
        await asyncio.gather(*(live.close() for live in held))
    return None
