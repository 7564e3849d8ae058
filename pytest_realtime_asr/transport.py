"""The WebSocket of the client side: the one importer of ``websockets`` there."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as _connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
)
from websockets.protocol import State

from pytest_realtime_asr.redaction import printable
from pytest_realtime_asr.target import Target

MAX_FRAME = 2**20  # bytes; the most text that a whole session may bring
CLOSE_TIMEOUT = 2.0  # s; a peer that does not answer a close is cut off
_NARROW = 4096  # bytes that the kernel takes in for a connection that is not read
_QUIET = logging.getLogger(f"{__name__}.quiet")
_QUIET.disabled = True  # at the level DEBUG, the library logs the headers with the key
_HUNG_UP = (
    "closed during the handshake; does it speak TLS there (wss, https) or not (ws, "
    "http), and does it ask for a client certificate (--realtime-client-cert)?"
)


class Unreachable(Exception):
    """No connection could be made; the message says why and what to do.

    ``status`` is the HTTP status, where the server answered with one, ``retry_after``
    the seconds after which it asks to be asked again.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(printable(message))
        self.status = status
        self.retry_after = retry_after


class Closed(Exception):
    """The connection is closed: by whom, with which code and reason.

    ``code`` is ``None`` where the peer vanished without a close frame, or did not
    answer ours. ``failed`` is ours of a connection on which the peer sent what cannot
    be; the code is then our own.
    """

    def __init__(
        self, code: int | None, reason: str, *, by_us: bool, failed: bool = False
    ) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.by_us = by_us
        self.failed = failed


@dataclass(frozen=True, slots=True)
class Access:
    """How a target is reached: what to send, whom to trust, which way to go.

    ``headers`` hold the key, so they are never printed. ``proxy`` is a URL, ``None``
    for a direct way, or ``True`` for what the environment says.
    """

    target: Target
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | Literal[True] | None = None


class Wire:
    """One open connection."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._deaf = False

    async def send(self, frame: str | bytes) -> None:
        """Send a text frame (``bytes`` are its UTF-8) until the socket has taken it.

        Raises `Closed`.
        """
        with self._telling():
            await self._connection.send(frame, text=True)

    async def send_binary(self, frame: bytes) -> None:
        """Send a binary frame. Raises `Closed`."""
        with self._telling():
            await self._connection.send(frame, text=False)

    async def send_fragments(self, parts: Iterable[str]) -> None:
        """Send one text message in fragments, and an empty one that ends it.

        Raises `Closed`.
        """
        with self._telling():
            await self._connection.send(parts)

    async def ping(self) -> None:
        """Send a ping and wait for its pong. Raises `Closed`."""
        with self._telling():
            # A pong that comes when nobody waits any more must find its place.
            await asyncio.shield(await self._connection.ping())

    async def receive(self) -> str | bytes:
        """The next frame. Raises `Closed`."""
        with self._telling():
            if not self._deaf:
                return await self._connection.recv()
            # The library would read on as soon as its own queue is short enough.
            await self._connection.wait_closed()
            raise self._connection.protocol.close_exc

    def deafen(self) -> None:
        """Read nothing from now on, so that the peer's frames pile up on its side."""
        if self._stands:
            self._deaf = True
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
            self._connection.transport.pause_reading()

    async def close(self) -> None:
        """Close with a handshake, within `CLOSE_TIMEOUT`; else cut the connection.

        The library bounds the wait for the answer and not that for a peer that does not
        read.
        """
        try:
            with self._telling():
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._connection.close()
        except TimeoutError:
            self.abort()
            await self._connection.wait_closed()
        except Closed:
            return

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._stands:
            self._connection.transport.abort()

    def reset(self) -> None:
        """Cut the connection so that the peer's kernel sees a reset (RST)."""
        if self._stands:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._connection.transport.abort()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tells as `Closed` what the library raises of a closed connection."""
        try:
            yield
        except ConnectionClosed as error:
            raise _closed(error) from error
        except AttributeError:
            # A connection that was lost with data still unsent has no loop any more,
            # and the library aborts it all the same (seen with Python 3.11).
            if self._stands:
                raise
            raise _closed(self._connection.protocol.close_exc) from None

    @property
    def _stands(self) -> bool:
        """Whether it has its socket still."""
        return self._connection.state is not State.CLOSED

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._connection.transport.get_extra_info("socket")
        return found


class _Direct(_connect):
    """Follows no redirect: the headers, and the verdict, are for this server alone."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def connect(access: Access, *, timeout: float) -> Wire:
    """Open a connection within ``timeout`` seconds. Raises `Unreachable`.

    What `websockets` presets is set on purpose: no compression (it costs more than
    everything else together and bends the stamps), no keepalive of our own (a server
    that is too busy to answer a ping shows as latency, and our deadlines end it), no
    buffer on the way out (``sent`` is when the socket took the frame), and a frame no
    larger than the text that a whole session may bring.
    """
    where = access.target.shown
    kwargs: dict[str, Any] = {}
    if access.target.secure:
        kwargs["ssl"] = access.tls or ssl.create_default_context()
        if access.server_name:
            kwargs["server_hostname"] = access.server_name
    try:
        connection = await _Direct(
            access.target.websocket,
            additional_headers=dict(access.headers),
            proxy=access.proxy,
            compression=None,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,
            max_size=MAX_FRAME,
            max_queue=256,
            write_limit=1,  # at 0, asyncio's TLS waits for a buffer that is empty
            logger=_QUIET,
            **kwargs,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise Unreachable(
            f"{where}: {explain(status)}",
            status=status,
            retry_after=_seconds(error.response.headers.get_all("Retry-After")),
        ) from error
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"{where}: {untrusted(error)}") from error
    except TimeoutError as error:
        raise Unreachable(f"{where}: no connection within {timeout:g} s") from error
    except InvalidProxy as error:  # its text would show the proxy's password
        raise Unreachable(f"{where}: no proxy to go by: {error.msg}") from None
    except ImportError as error:  # for a proxy of another kind
        raise Unreachable(f"{where}: {error}") from error
    except (InvalidURI, InvalidHandshake) as error:
        if isinstance(error.__cause__, EOFError):
            raise Unreachable(f"{where}: {_HUNG_UP}") from error
        raise Unreachable(f"{where}: not a WebSocket server: {error}") from error
    except (EOFError, ConnectionResetError) as error:
        raise Unreachable(f"{where}: {_HUNG_UP}") from error
    except OSError as error:
        raise Unreachable(f"{where}: {unreachable(error)}") from error
    return Wire(connection)


def explain(status: int) -> str:
    """What an HTTP status means for someone who wants a realtime session."""
    match status:
        case 401 | 403:
            what = (
                "the key was refused (or, with some servers, the route is not there); "
                "set REALTIME_API_KEY or name its variable with --realtime-api-key-env"
            )
        case 404:
            what = "no such route; is the path right, and is the model a realtime one?"
        case 301 | 302 | 303 | 307 | 308:
            what = "redirects are not followed; name the server where it really is"
        case 429:
            what = "the server limits its clients; try again later"
        case 502 | 503:
            what = "still loading, or overloaded; --realtime-wait=SECONDS waits for it"
        case _:
            what = "the handshake was refused"
    return f"HTTP {status}: {what}"


def _seconds(texts: Iterable[str]) -> float | None:
    """The seconds that a Retry-After names; its other form, a date, is not read."""
    return next((float(text) for text in texts if text.isdecimal()), None)


def untrusted(error: ssl.SSLCertVerificationError) -> str:
    """A certificate that does not verify, and what to do about it."""
    return (
        f"the certificate does not verify: {error.verify_message}; give its authority "
        "with --realtime-ca=FILE, its name with --realtime-server-name, or (unsafe) "
        "--realtime-insecure"
    )


def unreachable(error: OSError) -> str:
    """Why no connection could be made."""
    reason = error.strerror or str(error)
    if error.errno and not isinstance(error, socket.gaierror | ssl.SSLError):
        reason = os.strerror(error.errno)  # asyncio says less: "Connect call failed"
    return f"cannot connect: {reason}; is the server running there?"


def _closed(error: ConnectionClosed) -> Closed:
    told, sent = error.rcvd, error.sent
    if told is not None and error.rcvd_then_sent is not False:
        return Closed(told.code, told.reason, by_us=False)
    if sent is not None and sent.code != 1000:  # whatever the peer said to that
        return Closed(sent.code, sent.reason, by_us=True, failed=True)
    if told is not None:
        return Closed(told.code, told.reason, by_us=True)
    if sent is not None:
        return Closed(None, "the peer did not answer our close frame", by_us=True)
    return Closed(None, "the connection broke without a close frame", by_us=False)
