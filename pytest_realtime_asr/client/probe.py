"""Requests before the first session: HTTP routes and the server's first frame."""

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
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from pytest_realtime_asr.client.failure_reasons import (
    explain,
    over_limit,
    unreachable,
    untrusted,
)
from pytest_realtime_asr.client.transport import (
    KEY_REFUSED,
    Access,
    Closed,
    Unreachable,
    Wire,
    connect,
    renewed,
)
from pytest_realtime_asr.trace.records import with_code

ANSWER = 10.0  # s from the name resolution to the last byte of one response
PAUSE = 0.5  # s between two requests to a server that is loading
GREETING = 5.0  # s to wait for the first frame of a server
PATIENCE = "--realtime-wait=SECONDS waits longer for a server that is slow to start"
_LOADING = (502, 503)
# Statuses that mean that a route is missing, including those of a server that only
# supports WebSockets.
_NO_ROUTE = (400, 404, 405, 426, 501)
_LONGEST_VERSION = 200  # characters
_LONGEST_MODEL = 4096  # characters; the name of a model may be a path
_LONGEST_LINE = 1 << 16  # bytes of a line of metrics
_NAME = re.compile(rb"[a-z_:][\w:]*", re.IGNORECASE)
# The alternatives start with different characters: the expression never backtracks.
_NUMBER = re.compile(
    rb"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|inf|nan)", re.IGNORECASE
)
_TIMESTAMP = re.compile(rb"-?\d+")
_UNREADABLE = (ValueError, RecursionError)  # a huge number raises ValueError

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

    A server without the route ``/health`` counts as up. Before each further request,
    ``progress`` is called with a line that shows the time waited so far. Raises
    `Unreachable`.
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


async def greeting(access: Access, *, wait: float = 0.0) -> str | bytes | None:
    """Return the first frame of a server, ``None`` if none comes in time.

    The time limit is `GREETING` or ``wait``, whichever is longer, in seconds. Raises
    `Unreachable`, also if the server closes the connection before its first frame.
    """
    wire = await connect(access, timeout=max(ANSWER, wait))
    try:
        return await first_frame(wire, access, wait=wait)
    finally:
        await wire.close()


async def first_frame(
    wire: Wire, access: Access, *, wait: float = 0.0
) -> str | bytes | None:
    """Return the first frame on a new connection, ``None`` if none comes in time.

    `greeting` describes the time limit and the errors.
    """
    try:
        async with asyncio.timeout(max(GREETING, wait)):
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
        reason = f": {error.reason}" if error.reason else ""
        raise Unreachable(
            f"{access.target.shown}: the server closed the connection "
            f"{with_code(error.code)} before its first event{reason}"
        ) from error


def sent_nothing(seconds: float) -> str:
    """Return the part of a message about a server that sent no first event."""
    return f"the server opened a session and sent nothing within {seconds:g} s"


def models(access: Access) -> tuple[str, ...]:
    """Return the names of the models in the response to ``GET /v1/models``.

    Raises `Unreachable` if there is no model, or if the name of the first model is
    empty or too long. Any later name that is empty or too long is left out.
    """
    status, body = get(access, "/v1/models")
    where = f"{access.target.http}/v1/models"
    name = "name the model with --realtime-model"
    if status in _NO_ROUTE:
        raise Unreachable(f"{where}: not found; {name}", status=status)
    if status >= 300:
        raise Unreachable(_refusal(access, "/v1/models", status), status=status)
    try:
        listed = msgspec.json.decode(body, type=_Models).data
    except _UNREADABLE as error:
        if len(body) == access.max_message:
            limit = over_limit(access.max_message)
            raise Unreachable(
                f"{where}: the list of models is {limit}, or {name}"
            ) from error
        raise Unreachable(f"{where}: not a list of models ({error}); {name}") from error
    if not listed:
        raise Unreachable(f"{where}: the list of models is empty; {name}")
    found = listed[0].id
    if not found.strip():
        raise Unreachable(f"{where}: the name of the first model is empty; {name}")
    if len(found) > _LONGEST_MODEL:
        raise Unreachable(
            f"{where}: the name of the first model has {len(found)} characters; {name}"
        )
    names = (each.id for each in listed)
    return tuple(each for each in names if each.strip() and len(each) <= _LONGEST_MODEL)


def version(access: Access) -> str:
    """Return the version in the response to ``GET /version`` (``{"version": ...}``).

    Returns "" for any other response, and for a version of more than
    `_LONGEST_VERSION` characters.
    """
    try:
        _, body = get(access, "/version")
        found = msgspec.json.decode(body, type=_Version).version
    except (Unreachable, *_UNREADABLE):
        return ""
    return found if len(found) <= _LONGEST_VERSION else ""


def metrics(access: Access) -> dict[str, float]:
    """Return the metrics in the response to ``GET /metrics``, by name.

    The response is in Prometheus's text format. Samples that differ only in their
    labels are added up. The result is empty if the server answers with an error status,
    such as 404. Raises `Unreachable`.
    """
    _, body = get(access, "/metrics")
    if len(body) == access.max_message:
        body = body[: body.rfind(b"\n") + 1]  # the last number may be cut
    return sums(body)


def sums(page: bytes) -> dict[str, float]:
    """Return the metrics in a page in Prometheus's text format, by name.

    The values of all samples with the same name are added up. Lines that are not
    samples are ignored. The cost is linear in the length of the page.
    """
    found: dict[str, float] = {}
    for line in page.split(b"\n"):
        if (sample := _sample(line.strip())) is not None:
            name, value = sample
            found[name] = found.get(name, 0.0) + value
    return found


def _sample(line: bytes) -> tuple[str, float] | None:
    """Return name and value from a line of the form ``name{labels} value timestamp``.

    Returns ``None`` if the line is not a sample.
    """
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


def get(
    access: Access, route: str, *, errors: bool = False, within: float | None = None
) -> tuple[int, bytes]:
    """Request a route; return the status and the body of the response.

    The body of an error response is empty, unless ``errors`` is true. The whole request
    ends within ``within`` seconds (default `ANSWER`), redirects included. At most
    ``access.max_message`` bytes of a body are read. Redirects are followed without the
    API key. If the server refuses the key, the key is renewed once, if possible. Raises
    `Unreachable`.
    """
    most = ANSWER if within is None else within
    used = dict(access.headers)
    status, body = _get(access, route, used, errors=errors, within=most)
    if status in KEY_REFUSED:
        refusal = Unreachable(_refusal(access, route, status), status=status)
        if renewed(access, used, refusal):
            new = dict(access.headers)
            return _get(access, route, new, errors=errors, within=most)
    return status, body


def _get(
    access: Access,
    route: str,
    headers: Mapping[str, str],
    *,
    errors: bool,
    within: float,
) -> tuple[int, bytes]:
    """Request a route as `get` does, but with the given headers."""
    where = access.target.http + route
    deadline, redirects = _Deadline(within), _Redirects()
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
    for name, value in headers.items():
        # A server that is redirected to must not get the API key.
        request.add_unredirected_header(name, value)

    def ask() -> tuple[int, bytes]:
        try:
            response = opener.open(request)
        except urllib.error.HTTPError as error:
            response = error
        with closing(response):
            # `_Redirects` has already closed the response of a redirect.
            wanted = not response.closed and (errors or response.status < 400)
            body = _body(response, access.max_message) if wanted else b""
            return response.status, body

    try:
        return deadline.within(ask)
    except (_Incomplete, OSError, http.client.HTTPException, ValueError) as error:
        why = _reason(error, within)
        raise Unreachable(f"{where}{redirects.shown}: {why}") from error


class _Incomplete(Exception):
    """The body of a response is shorter than the response's Content-Length."""


class _Deadline:
    """The time limit of one request, whose connections are cut at this limit.

    The timeout of a socket limits only a single read. A server that sends one byte at a
    time never exceeds that timeout.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connected: list[socket.socket] = []
        self._over = False

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Open a connection within the remaining time. Raises OSError."""
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
        """Return the result of ``call``, if it ends within the time limit.

        Raises the exception of ``call``, or TimeoutError at the limit. ``call`` runs in
        a thread, since name resolution cannot be interrupted.
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
    """Opens the connections of a request within a deadline."""

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
            # The certificate is checked for this name even if the URL has an IP
            # address.
            connection.host = self._access.server_name or connection.host
        return connection


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects without reading their bodies, which may be endless.

    ``shown`` is the part of a message that names the target of the last redirect.
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
    """Return the URL of the proxy for each scheme.

    The result is empty for a direct connection. ``None`` means that the proxies come
    from the environment.
    """
    match access.proxy:
        case None:
            return {}
        case True:
            return None
        case url:
            return {"http": url, "https": url}


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return at most ``most`` bytes of a body.

    Raises `_Incomplete` if the body is shorter than the response promised.
    """
    promised, body = response.length, bytearray()
    while len(body) < most and (part := response.read1(most - len(body))):
        body += part
    if promised is not None and len(body) < min(promised, most):
        raise _Incomplete(f"the response ended after {len(body)} of {promised} bytes")
    return bytes(body)


def _reason(error: str | BaseException, within: float) -> str:
    """Return why an HTTP request failed, and what to do.

    The request had at most ``within`` seconds.
    """
    match error:
        case urllib.error.URLError():
            return _reason(error.reason, within)
        case ssl.SSLCertVerificationError():
            return untrusted(error)
        case TimeoutError():
            return f"no complete response within {within:g} s"
        case OSError():
            return unreachable(error)
        case http.client.BadStatusLine():  # the error quotes the server
            return "not an HTTP server: the response has no HTTP status line"
        case str() | _Incomplete():
            return str(error)
    return f"not an HTTP server: {error!r}"


def _refusal(access: Access, route: str, status: int) -> str:
    """Return the message for an HTTP status that is an error."""
    what = explain(status, access.target, access.key_source)
    return f"{access.target.http}{route}: {what}"
