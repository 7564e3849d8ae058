"""Limits on sessions and on audio that waits, and how they are enforced.

A server may have a limit of several sessions, of a session without activity, and of
audio that waits for its utterance; only a limit of one session is a defect.
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
    """Return the frames by which a correct server refuses, with another code."""
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


@fault("caps-by-error", "refuses a fifth session by an error and a close")
class CapsByError(_RefusesSessions):
    """Answers the handshake of a fifth session, then sends an error and closes."""


@fault("caps-by-close", "refuses a fifth session by the close code 1013")
class CapsByClose(_RefusesSessions):
    """Answers the handshake of a fifth session, then closes with 1013."""

    def reaction(self) -> Reaction:
        return Reaction(close=TRY_AGAIN_LATER, reason="too many sessions")


@fault("one-session", "refuses a second session while one is open")
class OneSession(_RefusesSessions):
    """Accepts one session at a time."""

    cap = 1


class _RefusesHandshakes(Hooks):
    """Refuses the handshake of a fifth session by the HTTP status ``status``."""

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


@fault("caps-by-429", "refuses a fifth session by HTTP 429")
class CapsBy429(_RefusesHandshakes):
    """Answers the handshake of a fifth session with status 429."""

    status = HTTPStatus.TOO_MANY_REQUESTS


@fault("caps-by-503", "refuses a fifth session by HTTP 503")
class CapsBy503(_RefusesHandshakes):
    """Answers the handshake of a fifth session with status 503."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


@fault("ends-idle", "reports idle_timeout and closes after 2 s without a frame")
class EndsIdle(Hooks):
    """Ends a session after ``IDLE`` seconds in which no frame came.

    The server sends an error with the code ``idle_timeout`` first.
    """

    def idle_timeout(self, seconds: float | None) -> float | None:
        return IDLE

    def idle_notice(self) -> Iterable[Frame]:
        message = f"The session was idle for {IDLE:g} s."
        return _refusals(self._state, code="idle_timeout", message=message)


@fault(
    "caps-queue",
    "refuses audio while 256 frames wait for an utterance",
    needs=Needs.STARTS,
)
class CapsQueue(ServerWrapper):
    """Refuses audio by the code ``buffer_full`` while ``QUEUE`` frames wait.

    The frames wait for the commit that starts their utterance. From this commit on, the
    server takes audio again.
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
