"""Faults of handshakes, of other HTTP requests and of the metrics page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from pytest_realtime_asr.fake.faults.errors import TRACEBACK
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.fake.server_state import ServerState


@fault("any-path", "accepts sessions on every path")
class AnyPath(Hooks):
    """Accepts a handshake on every path."""

    def serves_path(self, served: bool, *, upgrade: bool) -> bool:
        return served or upgrade


@fault("any-key", "does not check the key")
class AnyKey(Hooks):
    """Accepts a request with any key or without a key."""

    def accepts_key(self, accepted: bool) -> bool:
        return True


@fault("crash-page", "shows a stack trace in reply to a plain HTTP request")
class CrashPage(Hooks):
    """Answers a request without an upgrade with status 500 and a traceback."""

    def response(
        self, connection: ServerConnection, *, upgrade: bool
    ) -> Response | None:
        if upgrade:
            return None
        return connection.respond(HTTPStatus.INTERNAL_SERVER_ERROR, TRACEBACK)


@fault("limits", "answers every second handshake with 429")
class Limits(Hooks):
    """Answers every second handshake with status 429 and ``Retry-After: 1``."""

    def __init__(self, state: ServerState) -> None:
        super().__init__(state)
        self._handshakes = 0

    def response(
        self, connection: ServerConnection, *, upgrade: bool
    ) -> Response | None:
        self._handshakes += upgrade
        if not upgrade or self._handshakes % 2:
            return None
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "")
        response.headers["Retry-After"] = "1"
        return response


@fault("lists-llm-first", "lists an unusable model before its own models")
class ListsLlmFirst(Hooks):
    """Lists the name of a language model before its own models."""

    def listed_models(self, models: Sequence[str]) -> Sequence[str]:
        return ("language-model", *models)


@fault("leaks", "counts closed sessions as active", needs=Needs.GAUGE)
class Leaks(Hooks):
    """Reports all sessions since the start of the server as active."""

    def active_sessions(self, number: int) -> int:
        return self._state.sessions


@fault(
    "leaks-requests",
    "still counts a request as running after its client has left",
    needs=Needs.RUNNING,
)
class LeaksRequests(Hooks):
    """Counts an utterance as running even if its client left before the final."""

    def running_requests(self, number: int) -> int:
        return number + self._state.closed_mid_utterance + self._state.vanished


@fault("restarts", "shows a new start time after a connection reset")
class Restarts(Hooks):
    """Shows the time of the last connection reset as the start time of the server."""

    def client_vanished(self, *, mid_utterance: bool) -> None:
        self._state.started = time.time()
