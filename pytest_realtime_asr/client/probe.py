"""What a server says of itself before the first session: over HTTP, and at once."""

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

ANSWER = 10.0  # s for one answer, from the look-up of the host name to the last byte
PAUSE = 0.5  # s between two questions to a server that is loading
GREETING = 5.0  # s in which a server that speaks first has spoken
_LOADING = (502, 503)
# What says that there is no such page: also by a server that knows WebSockets alone.
_NO_ROUTE = (400, 404, 405, 426, 501)
_LONGEST_VERSION = 200  # characters
_LONGEST_MODEL = 4096  # characters; a path is a lawful name
_LONGEST_LINE = 1 << 16  # bytes of a line of metrics
_NAME = re.compile(rb"[a-z_:][\w:]*", re.IGNORECASE)
# Each alternative begins in its own way, so that no text is read twice.
_NUMBER = re.compile(
    rb"[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|inf|nan)", re.IGNORECASE
)
_TIMESTAMP = re.compile(rb"-?\d+")
_UNREADABLE = (ValueError, RecursionError)  # also of a number that is too long

T = TypeVar("T")


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


class _Version(msgspec.Struct):
    version: str


def health(
    access: Access, *, wait: float = 0.0, tell: Callable[[str], None] | None = None
) -> None:
    """Ask ``/health`` until the server is up, at most ``wait`` seconds.

    A server without this route is taken as healthy. ``tell`` hears how long it has been
    waited. Raises `Unreachable`.
    """
    begun = time.monotonic()
    deadline = begun + wait
    while True:
        try:
            status, _ = get(access, "/health")
            if status < 300 or status in _NO_ROUTE:
                return
            trouble = Unreachable(_said(access, "/health", status), status=status)
        except Unreachable as error:
            trouble = error
        loading = trouble.status is None or trouble.status in _LOADING
        if not loading or time.monotonic() >= deadline:
            waited = time.monotonic() - begun
            spent = f" (waited {waited:.1f} s)" if wait and loading else ""
            raise Unreachable(f"{trouble}{spent}", status=trouble.status)
        if tell is not None:
            waited = time.monotonic() - begun
            tell(f"waiting for {access.target.http}, {waited:.0f} of {wait:g} s")
        time.sleep(min(PAUSE, max(0.0, deadline - time.monotonic())))


async def greeting(access: Access) -> str | bytes | None:
    """The first frame that a server says by itself; ``None`` where it says none.

    It is waited for at most `GREETING` seconds. Raises `Unreachable`, also where the
    server closes before it has said anything.
    """
    wire = await connect(access, timeout=ANSWER)
    try:
        async with asyncio.timeout(GREETING):
            return await wire.receive()
    except TimeoutError:
        return None
    except Closed as error:
        if error.by_us:
            broke = "" if error.limit else "it broke the WebSocket protocol: "
            raise Unreachable(
                f"{access.target.shown}: {broke}{error.reason}"
            ) from error
        bare = error.code in (None, NO_CODE)
        code = "without a code" if bare else f"with code {error.code}"
        said = f": {error.reason}" if error.reason else ""
        raise Unreachable(
            f"{access.target.shown}: it closed {code} before it said anything{said}"
        ) from error
    finally:
        await wire.close()


def first_model(access: Access) -> str:
    """The first model of ``GET /v1/models``. Raises `Unreachable`."""
    status, body = get(access, "/v1/models")
    where = f"{access.target.http}/v1/models"
    name = "name the model with --realtime-model"
    if status in _NO_ROUTE:
        raise Unreachable(f"{where}: no such route; {name}", status=status)
    if status >= 300:
        raise Unreachable(_said(access, "/v1/models", status), status=status)
    try:
        models = msgspec.json.decode(body, type=_Models).data
    except _UNREADABLE as error:
        if len(body) == access.max_message:
            limit = over_limit(access.max_message)
            raise Unreachable(f"{where}: the list is {limit}, or {name}") from error
        raise Unreachable(f"{where}: not a list of models ({error}); {name}") from error
    if not models:
        raise Unreachable(f"{where}: the server has no model; {name}")
    found = models[0].id
    if not found.strip():
        raise Unreachable(f"{where}: the name of its first model is empty; {name}")
    if len(found) > _LONGEST_MODEL:
        raise Unreachable(
            f"{where}: the name of its first model has {len(found)} characters; {name}"
        )
    return found


def version(access: Access) -> str:
    """What ``GET /version`` says (``{"version": ...}``); empty for any other answer.

    So is a text that is too long for a version.
    """
    try:
        _, body = get(access, "/version")
        found = msgspec.json.decode(body, type=_Version).version
    except (Unreachable, *_UNREADABLE):
        return ""
    return found if len(found) <= _LONGEST_VERSION else ""


def metrics(access: Access) -> dict[str, float]:
    """The metrics of ``GET /metrics`` in Prometheus's text format, by name.

    Those that are told apart by labels are summed up. A server without this route has
    none. Raises `Unreachable`.
    """
    _, body = get(access, "/metrics")
    if len(body) == access.max_message:
        body = body[: body.rfind(b"\n") + 1]  # a number may be cut in two
    return sums(body)


def sums(page: bytes) -> dict[str, float]:
    """Sum the samples of a page in Prometheus's text format by name.

    Lines that are no samples are left out. The cost is linear in the length.
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
    """Status and body of a route; of an error the body is empty unless asked for.

    The whole request, redirects included, ends within `ANSWER` seconds, and no more of
    a body is read than ``access.max_message``. Redirects are followed without the key.
    Raises `Unreachable`.
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
        request.add_unredirected_header(name, value)  # the key is for this server alone

    def ask() -> tuple[int, bytes]:
        try:
            response = opener.open(request)
        except urllib.error.HTTPError as error:
            response = error
        with closing(response):
            # A redirect is closed, also where there are too many to follow.
            wanted = not response.closed and (errors or response.status < 400)
            body = _body(response, access.max_message) if wanted else b""
            return response.status, body

    try:
        return deadline.within(ask)
    except (_CutOff, OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{where}{redirects.shown}: {_reason(error)}") from error


class _CutOff(Exception):
    """The body of an answer is shorter than its head says."""


class _Deadline:
    """The time limit of one request: at its end, its connections are cut.

    The timeout of a socket bounds a single read. A server that sends a byte now and
    then, in whatever part of its answer, never exceeds it.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._connected: list[socket.socket] = []
        self._over = False

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Connect in the time that is left. Raises OSError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connected = socket.create_connection(address, left)
        with self._lock:
            if self._over:
                connected.close()
                raise TimeoutError
            # TLS takes the socket over; a duplicate still reaches the connection.
            self._connected.append(connected.dup())
        return connected

    def within(self, call: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises, or TimeoutError.

        The call has a thread of its own: the look-up of a host name cannot be cut off.
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
    """Makes the connections of a request within its deadline."""

    def __init__(self, deadline: _Deadline, access: Access) -> None:
        super().__init__()
        self._deadline = deadline
        self._access = access

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(partial(self._made, http.client.HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> Any:
        secure = partial(http.client.HTTPSConnection, context=self._access.tls)
        return self.do_open(partial(self._made, secure), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def _made(self, kind: Callable[..., Any], host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        place = connection.host, connection.port
        connection._create_connection = partial(self._deadline.connect, place)
        if host == urlsplit(self._access.target.http).netloc:
            # Whose certificate it has to show; also where we go by its address.
            connection.host = self._access.server_name or connection.host
        return connection


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect without reading its body, which may have no end.

    ``shown`` says where the last one went; it is empty where there was none.
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
    """The proxies by scheme; ``None`` for those of the environment."""
    match access.proxy:
        case None:
            return {}
        case True:
            return None
        case url:
            return {"http": url, "https": url}


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    """At most so many bytes of a body. Raises `_CutOff`."""
    promised, body = response.length, bytearray()
    while len(body) < most and (part := response.read1(most - len(body))):
        body += part
    if promised is not None and len(body) < min(promised, most):
        raise _CutOff(f"its answer was cut off after {len(body)} of {promised} bytes")
    return bytes(body)


def _reason(error: str | BaseException) -> str:
    match error:
        case urllib.error.URLError():
            return _reason(error.reason)
        case ssl.SSLCertVerificationError():
            return untrusted(error)
        case TimeoutError():
            return f"no complete answer within {ANSWER:g} s"
        case OSError():
            return unreachable(error)
        case http.client.BadStatusLine():  # its text comes from the server
            return "no HTTP server: its answer begins with no HTTP status line"
        case str() | _CutOff():
            return str(error)
    return f"no HTTP server: {error!r}"


def _said(access: Access, route: str, status: int) -> str:
    return f"{access.target.http}{route}: {explain(status)}"
