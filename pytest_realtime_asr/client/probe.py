"""What a server answers before the first session: over HTTP, and as its greeting."""

from __future__ import annotations

import asyncio
import http.client
import re
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from pytest_realtime_asr.client.transport import (
    Access,
    Closed,
    Unreachable,
    connect,
    explain,
    over_limit,
    unreachable,
    untrusted,
)
from pytest_realtime_asr.trace.records import NO_CODE

ANSWER = 10.0  # s for one response, from name resolution to its last byte
PAUSE = 0.5  # s between two requests to a server that is loading
GREETING = 5.0  # s in which a server sends its first frame, if it sends first
_LOADING = (502, 503)
# Statuses that mean that a route is missing, also of a server with WebSockets only.
_NO_ROUTE = (400, 404, 405, 426, 501)
_LONGEST_VERSION = 200  # characters
_LONGEST_MODEL = 4096  # characters; the name of a model may be a path
_LONGEST_LINE = 1 << 16  # bytes of a line of metrics
_NAME = re.compile(rb"[a-z_:][\w:]*", re.IGNORECASE)
# The alternatives start differently, so the expression never backtracks.
_NUMBER = re.compile(
    rb"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|inf|nan)", re.IGNORECASE
)
_TIMESTAMP = re.compile(rb"-?\d+")
_UNREADABLE = (ValueError, RecursionError)  # ValueError also for a huge number

T = TypeVar("T")


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Version(msgspec.Struct):
    version: str


def health(
    access: Access, *, wait: float = 0.0, progress: Callable[[str], None] | None = None
) -> None:
    """Request ``/health`` until the server is up, for at most ``wait`` seconds.

    A server without this route is taken as healthy. ``progress`` is called with the
    time waited so far, as a line of text. Raises `Unreachable`.
    """
    started = time.monotonic()
    deadline = started + wait
    while True:
        try:
            status, _ = get(access, "/health")
            if status < 300 or status in _NO_ROUTE:
                return
            failure = Unreachable(_refusal(access, "/health", status), status=status)
        except Unreachable as error:
            failure = error
        loading = failure.status is None or failure.status in _LOADING
        if not loading or time.monotonic() >= deadline:
            waited = time.monotonic() - started
            spent = f" (waited {waited:.1f} s)" if wait and loading else ""
            raise Unreachable(f"{failure}{spent}", status=failure.status)
        if progress is not None:
            waited = time.monotonic() - started
            progress(f"waiting for {access.target.http}, {waited:.0f} of {wait:g} s")
        time.sleep(min(PAUSE, max(0.0, deadline - time.monotonic())))


async def greeting(access: Access) -> str | bytes | None:
    """Return the frame that a server sends first, or ``None`` after `GREETING` seconds.

    Raises `Unreachable`, also if the server closes the connection before that.
    """
    wire = await connect(access, timeout=ANSWER)
    try:
        async with asyncio.timeout(GREETING):
            return await wire.receive()
    except TimeoutError:
        return None
    except Closed as error:
        if error.by_client:
            broke = (
                "" if error.too_large else "the server broke the WebSocket protocol: "
            )
            raise Unreachable(
                f"{access.target.shown}: {broke}{error.reason}"
            ) from error
        bare = error.code in (None, NO_CODE)
        code = "without a code" if bare else f"with code {error.code}"
        reason = f": {error.reason}" if error.reason else ""
        raise Unreachable(
            f"{access.target.shown}: the server closed {code} before its first "
            f"event{reason}"
        ) from error
    finally:
        await wire.close()


def first_model(access: Access) -> str:
    """Return the first model of ``GET /v1/models``. Raises `Unreachable`."""
    status, body = get(access, "/v1/models")
    where = f"{access.target.http}/v1/models"
    name = "name the model with --realtime-model"
    if status in _NO_ROUTE:
        raise Unreachable(f"{where}: not found; {name}", status=status)
    if status >= 300:
        raise Unreachable(_refusal(access, "/v1/models", status), status=status)
    try:
        models = msgspec.json.decode(body, type=_Models).data
    except _UNREADABLE as error:
        if len(body) == access.max_message:
            limit = over_limit(access.max_message)
            raise Unreachable(
                f"{where}: the list of models is {limit}, or {name}"
            ) from error
        raise Unreachable(f"{where}: not a list of models ({error}); {name}") from error
    if not models:
        raise Unreachable(f"{where}: the list of models is empty; {name}")
    found = models[0].id
    if not found.strip():
        raise Unreachable(f"{where}: the name of the first model is empty; {name}")
    if len(found) > _LONGEST_MODEL:
        raise Unreachable(
            f"{where}: the name of the first model has {len(found)} characters; {name}"
        )
    return found


def version(access: Access) -> str:
    """Return the version in ``GET /version`` (``{"version": ...}``).

    Return "" for any other response, and for a text that is too long for a version.
    """
    try:
        _, body = get(access, "/version")
        found = msgspec.json.decode(body, type=_Version).version
    except (Unreachable, *_UNREADABLE):
        return ""
    return found if len(found) <= _LONGEST_VERSION else ""


def metrics(access: Access) -> dict[str, float]:
    """Return the metrics of ``GET /metrics`` in Prometheus's text format, by name.

    Samples that differ in their labels are added up. The result is empty for a server
    without this route. Raises `Unreachable`.
    """
    _, body = get(access, "/metrics")
    if len(body) == access.max_message:
        body = body[: body.rfind(b"\n") + 1]  # a number may be cut in two
    return sums(body)


def sums(page: bytes) -> dict[str, float]:
    """Sum the samples of a page in Prometheus's text format by name.

    Lines that are not samples are ignored. The cost is linear in the length.
    """
    found: dict[str, float] = {}
    for line in page.split(b"\n"):
        if (sample := _sample(line.strip())) is not None:
            name, value = sample
            found[name] = found.get(name, 0.0) + value
    return found


def _sample(line: bytes) -> tuple[str, float] | None:
    """Return name and value of ``name{labels} value timestamp``, else ``None``."""
    if len(line) > _LONGEST_LINE:
        return None
    name, opened, rest = line.partition(b"{")
    if opened:
        _, closed, rest = rest.rpartition(b"}")
        if not closed or not rest[:1].isspace():
            return None
        fields = [name.rstrip(), *rest.split()]
    else:
        fields = line.split()
    wanted = (_NAME, _NUMBER, _TIMESTAMP)[: max(2, len(fields))]
    if len(fields) != len(wanted):
        return None
    if not all(map(re.Pattern.fullmatch, wanted, fields)):
        return None
    return fields[0].decode(), float(fields[1])


def get(access: Access, route: str, *, errors: bool = False) -> tuple[int, bytes]:
    """Return status and body of a route; with ``errors`` also the body of an error.

    The whole request, redirects included, ends within `ANSWER` seconds, and at most
    ``access.max_message`` bytes of a body are read. Redirects are followed without the
    key. Raises `Unreachable`.
    """
    where = access.target.http + route
    deadline, redirects = _Deadline(ANSWER), _Redirects()
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(_proxies(access)),
        _Connections(deadline, access),
        redirects,
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(where)
    for name, value in access.headers.items():
        request.add_unredirected_header(name, value)  # the key is for this server only

    def ask() -> tuple[int, bytes]:
        try:
            response = opener.open(request)
        except urllib.error.HTTPError as error:
            response = error
        with closing(response):
            # `_Redirects` has closed the response of a redirect.
            wanted = not response.closed and (errors or response.status < 400)
            body = _body(response, access.max_message) if wanted else b""
            return response.status, body

    try:
        return deadline.within(ask)
    except (_Incomplete, OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{where}{redirects.shown}: {_reason(error)}") from error


class _Incomplete(Exception):
    """The body of a response is shorter than its Content-Length."""


class _Deadline:
    """The time limit of one request, after which its connections are cut.

    The timeout of a socket limits a single read. A server that sends a byte at a time,
    in any part of its response, never exceeds that.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connected: list[socket.socket] = []
        self._over = False

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Connect within the remaining time. Raises OSError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connected = socket.create_connection(address, left)
        with self._lock:
            if self._over:
                connected.close()
                raise TimeoutError
            # TLS detaches the socket; a duplicate can still shut the connection down.
            self._connected.append(connected.dup())
        return connected

    def within(self, call: Callable[[], T]) -> T:
        """Return or raise what the call does, or raise TimeoutError.

        The call runs in a thread, since name resolution cannot be interrupted.
        """
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(call())
            except BaseException as error:
                done.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        try:
            return done.result(self._end - time.monotonic())
        finally:
            with self._lock:
                self._over = True
                for each in self._connected:
                    with suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)
                    each.close()


class _Connections(urllib.request.AbstractHTTPHandler):
    """Opens the connections of a request within its deadline."""

    def __init__(self, deadline: _Deadline, access: Access) -> None:
        super().__init__()
        self._deadline = deadline
        self._access = access

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(partial(self._new, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> Any:
        secure = partial(http.client.HTTPSConnection, context=self._access.tls)
        return self.do_open(partial(self._new, secure), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _new(self, kind: Callable[..., Any], host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        place = connection.host, connection.port
        connection._create_connection = partial(self._deadline.connect, place)
        if host == urlsplit(self._access.target.http).netloc:
            # The name that the certificate must have, also behind an IP address.
            connection.host = self._access.server_name or connection.host
        return connection


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect without reading its body, which may be endless.

    ``shown`` is the target of the last redirect, as a part of a message.
    """

    def __init__(self) -> None:
        self.shown = ""

    def redirect_request(
        self, request: Any, response: Any, *rest: Any
    ) -> urllib.request.Request | None:
        response.close()
        made = super().redirect_request(request, response, *rest)
        if made is not None:
            self.shown = f" (redirected to {made.full_url.partition('?')[0]})"
        return made


def _proxies(access: Access) -> dict[str, str] | None:
    """Return the proxies by scheme; ``None`` for those of the environment."""
    match access.proxy:
        case None:
            return {}
        case True:
            return None
        case url:
            return {"http": url, "https": url}


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return at most ``most`` bytes of a body. Raises `_Incomplete`."""
    promised, body = response.length, bytearray()
    while len(body) < most and (part := response.read1(most - len(body))):
        body += part
    if promised is not None and len(body) < min(promised, most):
        raise _Incomplete(f"its response ended after {len(body)} of {promised} bytes")
    return bytes(body)


def _reason(error: str | BaseException) -> str:
    match error:
        case urllib.error.URLError():
            return _reason(error.reason)
        case ssl.SSLCertVerificationError():
            return untrusted(error)
        case TimeoutError():
            return f"no complete response within {ANSWER:g} s"
        case OSError():
            return unreachable(error)
        case http.client.BadStatusLine():  # its message quotes the server
            return "not an HTTP server: its response has no HTTP status line"
        case str() | _Incomplete():
            return str(error)
    return f"not an HTTP server: {error!r}"


def _refusal(access: Access, route: str, status: int) -> str:
    return f"{access.target.http}{route}: {explain(status)}"
