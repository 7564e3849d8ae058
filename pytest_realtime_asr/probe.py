"""What a server says of itself before the first session: over HTTP, and at once."""

from __future__ import annotations

import asyncio
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import msgspec

from pytest_realtime_asr.transport import (
    Access,
    Closed,
    Unreachable,
    connect,
    explain,
    unreachable,
    untrusted,
)

ANSWER = 10.0  # s for one answer
PAUSE = 0.5  # s between two questions to a server that is loading
GREETING = 5.0  # s in which a server that speaks first has spoken
_LOADING = (502, 503)
# What says that there is no such page: also by a server that knows WebSockets alone.
_NO_ROUTE = (400, 404, 405, 426, 501)
_MOST = 1 << 20  # bytes of an answer that are read
_METRIC = re.compile(
    r"([a-z_:][\w:]*)(?:\s*\{.*\})?\s+"
    r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf|nan))(?:\s+-?\d+)?",
    re.ASCII | re.IGNORECASE,
)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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
            if status < 400 or status in _NO_ROUTE:
                return
            trouble = Unreachable(_said(access, "/health", status), status=status)
        except Unreachable as error:
            trouble = error
        loading = trouble.status is None or trouble.status in _LOADING
        if not loading or time.monotonic() >= deadline:
            spent = f" (waited {wait:g} s)" if wait and loading else ""
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
        code = "without a code" if error.code is None else f"with code {error.code}"
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
    if status >= 400:
        raise Unreachable(_said(access, "/v1/models", status), status=status)
    try:
        models = msgspec.json.decode(body, type=_Models).data
    except _UNREADABLE as error:
        raise Unreachable(f"{where}: not a list of models ({error}); {name}") from error
    if not models:
        raise Unreachable(f"{where}: the server has no model; {name}")
    return models[0].id


def version(access: Access) -> str:
    """What ``GET /version`` says (``{"version": ...}``); empty for any other answer."""
    try:
        _, body = get(access, "/version")
        return msgspec.json.decode(body, type=_Version).version
    except (Unreachable, *_UNREADABLE):
        return ""


def metrics(access: Access) -> dict[str, float]:
    """The metrics of ``GET /metrics`` in Prometheus's text format, by name.

    Those that are told apart by labels are summed up. A server without this route has
    none. Raises `Unreachable`.
    """
    _, body = get(access, "/metrics")
    found: dict[str, float] = {}
    lines = body.decode(errors="replace").split("\n")
    if len(body) == _MOST:
        del lines[-1]  # it may be cut within its number
    for line in lines:
        match = _METRIC.fullmatch(line.strip())
        if match is not None:
            name, value = match.groups()
            found[name] = found.get(name, 0.0) + float(value)
    return found


def get(access: Access, route: str, *, errors: bool = False) -> tuple[int, bytes]:
    """Status and body of a route; of an error the body is empty unless asked for.

    Of a body the first MiB is read, within `ANSWER` seconds. Redirects are followed
    without the key. Raises `Unreachable`.
    """
    where = access.target.http + route
    match access.proxy:
        case None:
            proxies = urllib.request.ProxyHandler({})
        case True:
            proxies = urllib.request.ProxyHandler()
        case url:
            proxies = urllib.request.ProxyHandler({"http": url, "https": url})
    opener = urllib.request.build_opener(
        proxies, urllib.request.HTTPSHandler(context=access.tls)
    )
    request = urllib.request.Request(where)
    for name, value in access.headers.items():
        request.add_unredirected_header(name, value)  # the key is for this server alone
    try:
        try:
            response = opener.open(request, timeout=ANSWER)
        except urllib.error.HTTPError as error:
            response = error
        with response:
            wanted = errors or response.status < 400
            return response.status, _body(response) if wanted else b""
    except urllib.error.URLError as error:
        raise Unreachable(f"{where}: {_reason(error.reason)}") from error
    except OSError as error:
        raise Unreachable(f"{where}: {_reason(error)}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise Unreachable(f"{where}: no HTTP server: {error!r}") from error


def _body(response: http.client.HTTPResponse) -> bytes:
    """A body that may have no end. Raises TimeoutError."""
    deadline = time.monotonic() + ANSWER
    body = b""
    while len(body) < _MOST and (part := response.read1(_MOST - len(body))):
        body += part
        if time.monotonic() > deadline:
            raise TimeoutError
    return body


def _reason(error: str | BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return untrusted(error)
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER:g} s"
    return unreachable(error) if isinstance(error, OSError) else str(error)


def _said(access: Access, route: str, status: int) -> str:
    return f"{access.target.http}{route}: {explain(status)}"
