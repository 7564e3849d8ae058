"""Limits on sessions and on waiting audio, and the ways to enforce them.

A server may limit the number of open sessions, the time that a session is idle, and the
audio that waits for its utterance. Only a limit of one open session is a defect.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import UNKNOWN_EVENT
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.fake.frame_edits import error_edited
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.trace.records import Frame

CAP = 4  # sessions at the same time
QUEUE = 256  # frames of audio that wait for an utterance with `caps-queue`
IDLE = 2.0  # s without a frame after which `ends-idle` ends the session
TRY_AGAIN_LATER = 1013  # a close code


def _refusals(state: ServerState, *, code: str, message: str) -> list[Frame]:
    """Return the error frames of a correct server, with ``code`` and ``message``."""
    replies = state.correct.new().hear(UNKNOWN_EVENT).replies
    return [error_edited(reply, code=code, message=message) for reply in replies]


class _RefusesSessions(Hooks):
    """Opens at most ``cap`` sessions at the same time; closes each further session."""

    cap = CAP

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        self._held: set[int] = set()  # numbers of the accepted sessions

    def refusal(self) -> Reaction | None:
        self._held &= self._state.open_sessions
        if len(self._held) >= self.cap:
            return self.reaction()
        self._held.add(self._state.sessions)
        return None

    def reaction(self) -> Reaction:
        """Return the reaction that refuses a session."""
        message = f"Maximum concurrent sessions reached ({self.cap})."
        refused = _refusals(self._state, code="too_many_sessions", message=message)
        return Reaction(refused, close=1000)


@fault("caps-by-error", "refuses a session by an error and a close while four are open")
class CapsByError(_RefusesSessions):
    """Accepts a fifth open session, but then sends an error and closes it."""


@fault("caps-by-close", "refuses a session by the close code 1013 while four are open")
class CapsByClose(_RefusesSessions):
    """Accepts a fifth open session, but then closes it with the code 1013."""

    def reaction(self) -> Reaction:
        return Reaction(close=TRY_AGAIN_LATER, reason="too many sessions")


@fault("one-session", "refuses a second session while one is open")
class OneSession(_RefusesSessions):
    """Accepts one session at a time."""

    cap = 1


class _RefusesHandshakes(Hooks):
    """Refuses a handshake by the status ``status`` while four sessions are open."""

    status: HTTPStatus

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        self._accepted = 0  # handshakes

    def response(
        self, connection: ServerConnection, *, upgrade: bool
    ) -> Response | None:
        if not upgrade:
            return None
        closed = self._state.sessions - len(self._state.open_sessions)
        if self._accepted - closed >= CAP:
            return connection.respond(self.status, "")
        self._accepted += 1
        return None


@fault("caps-by-429", "refuses a session by HTTP 429 while four are open")
class CapsBy429(_RefusesHandshakes):
    """Refuses a handshake by the HTTP status 429 while four sessions are open."""

    status = HTTPStatus.TOO_MANY_REQUESTS


@fault("caps-by-503", "refuses a session by HTTP 503 while four are open")
class CapsBy503(_RefusesHandshakes):
    """Refuses a handshake by the HTTP status 503 while four sessions are open."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@fault("ends-idle", "reports idle_timeout and closes after 2 s without a frame")
class EndsIdle(Hooks):
    """Ends a session after ``IDLE`` seconds in which no frame came.

    Before the close, the server sends an error with the code ``idle_timeout``.
    """

    def idle_timeout(self, seconds: float | None) -> float | None:
        return IDLE

    def idle_notice(self) -> Iterable[Frame]:
        message = f"The session was idle for {IDLE:g} s."
        return _refusals(self._state, code="idle_timeout", message=message)


@fault(
    "caps-queue",
    "refuses audio while 256 frames of audio wait for a starting commit",
    needs=Needs.STARTS,
)
class CapsQueue(ServerWrapper):
    """Refuses audio by the error ``buffer_full`` while ``QUEUE`` frames of audio wait.

    The frames wait for the commit that starts their utterance. After this commit, the
    server accepts audio again.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._waiting = 0  # frames
        self._is_hearing = False

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.begin:
            self._waiting, self._is_hearing = 0, True
        if reaction.finish:
            self._is_hearing = False
        if not reaction.audio or self._is_hearing:
            return reaction
        if self._waiting == QUEUE:
            message = f"{QUEUE} frames of audio wait; commit them first."
            refused = _refusals(self._state, code="buffer_full", message=message)
            return replace(reaction, audio=b"", replies=refused)
        self._waiting += 1
        return reaction
