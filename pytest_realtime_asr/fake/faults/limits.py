"""Limits on the number of sessions at the same time, and how they are enforced.

A server may have a limit of several sessions; only a limit of one is a defect.
"""

from __future__ import annotations

from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from pytest_realtime_asr.dialects import Reaction
from pytest_realtime_asr.fake.faults.client_frames import UNKNOWN_EVENT
from pytest_realtime_asr.fake.faults.registry import Hooks, fault
from pytest_realtime_asr.fake.frame_edits import error_edited
from pytest_realtime_asr.fake.server_state import ServerState

CAP = 4  # sessions at the same time
TRY_AGAIN_LATER = 1013  # a close code


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
        replies = self._state.correct.new().hear(UNKNOWN_EVENT).replies
        message = f"Maximum concurrent sessions reached ({self.cap})."
        refused = [
            error_edited(reply, code="too_many_sessions", message=message)
            for reply in replies
        ]
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
