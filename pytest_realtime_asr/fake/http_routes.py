"""The answers of a fake server to HTTP requests, before a WebSocket opens."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.trace.records import Trace

TRACES = "/fake/traces"

_GUARDED = "/v1"  # the prefix of HTTP paths that need the key
# What the server reports as its memory, in bytes. It is made up, so that it depends on
# the sessions alone: the real memory also holds the traces of the latest sessions.
_MEMORY = 256 * 2**20
_SESSION_MEMORY = 2**20  # of each open session
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class HttpRoutes:
    """Answers the HTTP requests to one fake server."""

    def __init__(
        self,
        config: FakeConfig,
        state: ServerState,
        faults: Faults,
        traces: Callable[[], Sequence[Trace]],
    ) -> None:
        self._config = config
        self._state = state
        self._faults = faults
        self._traces = traces

    def respond(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Return the response to a request, or ``None`` to continue the handshake."""
        config, path = self._config, request.path.partition("?")[0]
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        if path == "/health":
            return connection.respond(HTTPStatus.OK, "")
        if path == "/version" and config.shown_version:
            return _json(connection, {"version": config.shown_version})
        if path == "/metrics":
            return _typed(connection, self._metrics(), _PROMETHEUS)
        guarded = upgrade or path.startswith(_GUARDED) or path == TRACES
        if guarded and not self._faults.accepts_key(self._has_key(request)):
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, '{"error":"Unauthorized"}'
            )
        if path == "/v1/models":
            listed = self._faults.listed_models(config.models)
            models = [{"id": name, "object": "model"} for name in listed]
            return _json(connection, {"object": "list", "data": models})
        if path == TRACES:
            return _json(connection, [t.dumps().decode() for t in self._traces()])
        served = path == config.dialect.path
        if not self._faults.serves_path(served, upgrade=upgrade):
            return connection.respond(HTTPStatus.NOT_FOUND, '{"detail":"Not Found"}')
        response = self._faults.response(connection, upgrade=upgrade)
        if response is None and upgrade:
            return self._refusal(connection, request)
        return response

    def _refusal(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Return the response that refuses a session, or ``None`` to open one."""
        if self._state.workload.refuses(len(connection.server.connections)):
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "")
        asked = dialects.Request.of(request.path, dict(request.headers.raw_items()))
        refusal = self._faults.refused_request(
            self._config.dialect.refusal(asked, self._config.models)
        )
        if isinstance(refusal, dialects.HttpRefusal):
            return connection.respond(HTTPStatus(refusal.status), refusal.body)
        return None

    def _has_key(self, request: Request) -> bool:
        """Return whether a request has the key; true if the server needs no key."""
        key = self._config.key
        if not key:
            return True
        return all(
            hmac.compare_digest(request.headers.get(name, "").encode(), value.encode())
            for name, value in self._config.dialect.headers(key).items()
            if key in value
        )

    def _metrics(self) -> str:
        """Return the metrics page in the text format of Prometheus."""
        return "".join(
            f"# HELP {name} {about}\n# TYPE {name} {kind}\n{name} {float(value)!r}\n"
            for name, kind, value, about in self._metric_rows()
            if name
        )

    def _metric_rows(self) -> Iterator[tuple[str, str, float, str]]:
        """Yield the name, the type, the value and the meaning of each metric.

        The name is empty if the servers of the dialect do not show the metric.
        """
        state, shown = self._state, self._config.dialect.traits.operations
        number = len(state.open_sessions)
        about = "Start time of the process since unix epoch in seconds."
        yield "process_start_time_seconds", "gauge", state.started, about
        memory = self._faults.resident_memory(_MEMORY + number * _SESSION_MEMORY)
        about = "Resident memory size in bytes."
        yield "process_resident_memory_bytes", "gauge", memory, about
        active = self._faults.active_sessions(number)
        yield shown.gauge, "gauge", active, "Number of open sessions."
        yield shown.counter, "counter", state.sessions, "Number of all sessions."
        load = state.workload
        if load.capacity is not None or shown.running != shown.gauge:
            about = "Number of requests that are running."
            running = self._faults.running_requests(load.running)
            yield shown.running, "gauge", running, about
        if load.capacity is not None:
            about = "Number of requests that wait."
            yield shown.waiting, "gauge", load.waiting, about
            about = "Used share of the KV cache, from 0 to 1."
            yield shown.kv_cache, "gauge", load.usage, about


def _json(connection: ServerConnection, value: object) -> Response:
    text = msgspec.json.encode(value).decode()
    return _typed(connection, text, "application/json")


def _typed(connection: ServerConnection, text: str, kind: str) -> Response:
    response = connection.respond(HTTPStatus.OK, text)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = kind
    return response
