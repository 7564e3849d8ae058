"""The WebSocket of the client side: the one importer of ``websockets`` there."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
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
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.text.messages import printable, shortened

LONGEST = 2000  # characters of a message that may quote the server
MAX_MESSAGE = 2**20  # bytes of an event, or of the body of an HTTP answer
MAX_PINGS = 10_000  # of the peer in a session; each of them has to be answered
CLOSE_TIMEOUT = 2.0  # s; a peer that does not answer a close is cut off
_NARROW = 4096  # bytes that the kernel takes in for a connection that is not read
_QUIET = logging.getLogger(f"{__name__}.quiet")
_QUIET.disabled = True  # at the level DEBUG, the library logs the headers with the key
_HEAD_END = b"\r\n\r\n"
_STATUS = len("HTTP/1.1 101 ")
_LONGEST_HEAD = 2**16  # bytes of the head of a refusal
_REFUSAL = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)[ \r]")
_RETRY_AFTER = re.compile(rb"(?im)^(Retry-After:[ \t]*\d{1,9})[ \t]*\r?$")
_NO_UTF8 = 1007  # the close code for a text that cannot be decoded
_TOO_BIG = 1009  # the close code for a message that is over the limit
_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EADDRNOTAVAIL)
_OUT_OF_TIME = (9, 10)  # OpenSSL: the certificate is not yet, or no longer, valid
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_NO_CERTIFICATE = ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_UNKNOWN_CA")
_HUNG_UP = (
    "closed during the handshake; does it speak TLS there (wss, https) or not (ws, "
    "http), and does it ask for a client certificate (--realtime-client-cert)?"
)
_UNANSWERED = (
    "the server closed the connection in place of an answer to the WebSocket "
    "handshake; is the path right, and does each proxy on the way know WebSockets?"
)


class Unreachable(Exception):
    """No connection could be made; the message says why and what to do.

    ``status`` is the HTTP status, where the server answered with one, ``retry_after``
    the seconds after which it asks to be asked again. ``ours`` says that this machine
    is the reason, and not the server.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        ours: bool = False,
    ) -> None:
        super().__init__(shortened(printable(message), LONGEST))
        self.status = status
        self.retry_after = retry_after
        self.ours = ours


class Closed(Exception):
    """The connection is closed: by whom, with which code and reason.

    ``code`` is ``None`` where the peer vanished without a close frame, or did not
    answer ours. ``failed`` is ours of a connection on which the peer sent what cannot
    be; the code is then our own. ``limit`` is ours of one on which a message was over
    our own limit, so that the peer is not at fault.
    """

    def __init__(
        self,
        code: int | None,
        reason: str,
        *,
        by_us: bool,
        failed: bool = False,
        limit: bool = False,
    ) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.by_us = by_us
        self.failed = failed
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Access:
    """How a target is reached: what to send, whom to trust, which way to go.

    ``headers`` hold the key, so they are never printed. ``proxy`` is a URL, ``None``
    for a direct way, or ``True`` for what the environment says. ``max_message`` is our
    limit in bytes for an event and for the body of an HTTP answer.
    """

    target: Target
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | Literal[True] | None = None
    max_message: int = MAX_MESSAGE


class _Connection(ClientConnection):
    """A connection whose end is not left to the peer.

    The library reads the whole body of a refusal. After a close frame or an error of
    the protocol, it waits for as long as the peer leaves the TCP connection open.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.received = 0  # bytes after the handshake
        self._answer = bytearray()  # to the handshake, until it is whole
        self._pings = 0  # and pongs, of the peer
        self.controls = 0  # bytes of these
        self._head: bytearray | None = bytearray()  # until it is known what it is
        self._cut: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            opening = _opening(bytes(self._head))
            if opening is None:
                return
            self._head, data = None, opening
        opened = self.response is not None
        if not opened:
            self._answer += data
        super().data_received(data)
        if opened:
            self.received += len(data)
        elif self.response is not None:
            self.received = len(self._answer.partition(_HEAD_END)[2])
            self._answer.clear()
        if self.protocol.handshake_exc or self.protocol.parser_exc:
            self.transport.close()  # once our close frame is sent
        if self._cut is None and self.protocol.close_expected():
            self._cut = self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
            self._pings += 1
            self.controls += 2 + len(event.data)  # the head is of two bytes
            if self._pings > MAX_PINGS and self.protocol.state is State.OPEN:
                self.protocol.fail(
                    1008, f"the server flooded us: more than {MAX_PINGS} pings or pongs"
                )
                self.transport.abort()  # it need not read the answers to them
                return
        super().process_event(event)

    def eof_received(self) -> None:
        if self._head:
            super().data_received(_opening(bytes(self._head), whole=True) or b"")
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)


def _opening(head: bytes, *, whole: bool = False) -> bytes | None:
    """What the library gets of an answer that begins so; ``None`` until that is known.

    Of a refusal it gets the status and when to ask again, and nothing to wait for.
    """
    refusal = _REFUSAL.match(head)
    if refusal is None:
        known = whole or len(head) >= _STATUS or b"\n" in head
        return head if known else None
    fields, end, _ = head.partition(_HEAD_END)
    if not (whole or end or len(head) >= _LONGEST_HEAD):
        return None
    lines = [b"HTTP/1.1 %s " % refusal[1], *_RETRY_AFTER.findall(fields)]
    return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])


class Wire:
    """One open connection."""

    def __init__(self, connection: _Connection, *, max_message: int) -> None:
        self._connection = connection
        self._max_message = max_message
        self._deaf = False

    @property
    def received(self) -> int:
        """How many bytes have come since the handshake, but for pings and pongs."""
        return self._connection.received - self._connection.controls

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
            raise self._closed(error) from error
        except AttributeError:
            # A connection that was lost with data still unsent has no loop any more,
            # and the library aborts it all the same (seen with Python 3.11).
            if self._stands:
                raise
            raise self._closed(self._connection.protocol.close_exc) from None

    def _closed(self, error: ConnectionClosed) -> Closed:
        return _closed(error, self._max_message)

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
    buffer on the way out (``sent`` is when the socket took the frame), and no message
    over the limit of the access.
    """
    where = access.target.shown
    # The same port was asked for its health before, so that it does not speak TLS.
    hung_up = _HUNG_UP if access.target.secure else _UNANSWERED
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
            max_size=access.max_message,
            max_queue=256,
            create_connection=_Connection,
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
            raise Unreachable(f"{where}: {hung_up}") from error
        raise Unreachable(f"{where}: not a WebSocket server: {_why(error)}") from error
    except (EOFError, ConnectionResetError) as error:
        raise Unreachable(f"{where}: {hung_up}") from error
    except OSError as error:
        ours = error.errno in _OURS
        raise Unreachable(f"{where}: {unreachable(error)}", ours=ours) from error
    assert isinstance(connection, _Connection)
    return Wire(connection, max_message=access.max_message)


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
            what = "the server failed" if status >= 500 else "the server refused it"
    return f"HTTP {status}: {what}"


def _seconds(texts: Iterable[str]) -> float | None:
    """The seconds that a Retry-After names; its other form, a date, is not read."""
    return next((float(text) for text in texts if text.isdecimal()), None)


def untrusted(error: ssl.SSLCertVerificationError) -> str:
    """A certificate that does not verify, and what to do about it."""
    if error.verify_code in _OUT_OF_TIME:
        return (
            f"the certificate does not verify: {error.verify_message}; renew it, or "
            "check the clock of this machine, or (unsafe) --realtime-insecure"
        )
    return (
        f"the certificate does not verify: {error.verify_message}; give its authority "
        "with --realtime-ca=FILE, its name with --realtime-server-name, or (unsafe) "
        "--realtime-insecure"
    )


def _why(error: Exception) -> str:
    """What was wrong with a handshake, without the text of the server in it."""
    cause = re.split(": |; got", str(error.__cause__ or ""))[0]
    return f"{error} ({cause})" if cause else str(error)


def over_limit(size: int) -> str:
    """What is wrong with a message of more than ``size`` bytes, and what to do."""
    unit, name = next(
        (unit, name)
        for unit, name in ((2**20, "MiB"), (2**10, "KiB"), (1, "bytes"))
        if size % unit == 0
    )
    return (
        f"larger than our own limit of {size // unit} {name}; raise it with "
        "--realtime-max-message=SIZE"
    )


def unreachable(error: OSError) -> str:
    """Why no connection could be made."""
    if isinstance(error, socket.gaierror):
        return f"cannot find the host: {error.strerror}; is its name right?"
    if isinstance(error, ssl.SSLError):
        return _untied(error)
    if isinstance(error, ConnectionResetError):
        return (
            "the server reset the connection; is it overloaded, does it speak TLS "
            "there (wss, https) or not (ws, http), and does it ask for a client "
            "certificate (--realtime-client-cert)?"
        )
    reason = error.strerror or str(error)
    if error.errno:
        reason = os.strerror(error.errno)  # asyncio says less: "Connect call failed"
    if error.errno in _OURS:
        return (
            f"cannot connect: {reason}: this is a limit of this machine, and not of "
            "the server; close what is open, or raise the limit (ulimit -n)"
        )
    return f"cannot connect: {reason}; is the server running there?"


def _untied(error: ssl.SSLError) -> str:
    """Why a TLS handshake failed."""
    name = getattr(error, "reason", None) or str(error)
    what = f"the TLS handshake failed ({name})"
    if any(each in name for each in _NO_TLS):
        return f"{what}; the server does not speak TLS there: name it with http or ws"
    if "CERTIFICATE" in name or name in _NO_CERTIFICATE:
        return (
            f"{what}; the server may ask for a client certificate that it trusts: "
            "--realtime-client-cert=FILE"
        )
    return f"{what}; the server and this machine may share no TLS version or cipher"


def _closed(error: ConnectionClosed, max_message: int) -> Closed:
    told, sent = error.rcvd, error.sent
    if told is not None and error.rcvd_then_sent is not False:
        return Closed(told.code, told.reason, by_us=False)
    if sent is not None and sent.code == _TOO_BIG:
        reason = f"an event of the server is {over_limit(max_message)}"
        return Closed(sent.code, reason, by_us=True, limit=True)
    if sent is not None and sent.code != 1000:  # whatever the peer said to that
        reason = sent.reason
        if sent.code == _NO_UTF8:  # the library says only where
            reason = f"the server sent what is not UTF-8: {reason}"
        return Closed(sent.code, reason, by_us=True, failed=True)
    if told is not None:
        return Closed(told.code, told.reason, by_us=True)
    if sent is not None:
        return Closed(None, "the peer did not answer our close frame", by_us=True)
    return Closed(None, "the connection broke without a close frame", by_us=False)
