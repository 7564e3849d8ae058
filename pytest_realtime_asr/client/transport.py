"""The WebSocket connection of the client.

This is the only module of the client that imports ``websockets``.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import pairwise
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

from pytest_realtime_asr.client.failure_reasons import (
    LOCAL_ERRORS,
    explain,
    over_limit,
    unreachable,
    untrusted,
)
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.redaction import Redactor

LONGEST = 2000  # characters of an error message, which may quote the server
MAX_MESSAGE = 2**20  # bytes of an event or of the body of an HTTP response
MAX_PINGS = 10_000  # pings and pongs that the server may send in one session
FRAMES_PER_TURN = 64  # frames read before other tasks of the loop may run
CLOSE_TIMEOUT = 2.0  # s that the server may take to answer a close frame
_SMALL_BUFFER = 4096  # bytes of the receive buffer while the client does not read
_QUIET = logging.getLogger(f"{__name__}.quiet")
_QUIET.disabled = True  # at level DEBUG, the library logs the headers with the API key
_HEAD_END = b"\r\n\r\n"
_STATUS = len("HTTP/1.1 101 ")
_LONGEST_HEAD = 2**16  # bytes of the status line and headers of a refusal
_REFUSAL = re.compile(rb"HTTP/1\.[01] ([2-5]\d\d)[ \r]")
_CONTENT_LENGTH = re.compile(rb"(?im)^Content-Length:[ \t]*(\d{1,4})[ \t]*\r?$")
_LONGEST_BODY = 2000  # bytes of a refusal; a longer body is not read
_BODY_TIMEOUT = 1.0  # s that the rest of this body may take
_SHOWN_BODY = 300  # characters of it in a message
_RETRY_AFTER = re.compile(rb"(?im)^(Retry-After:[ \t]*\d{1,9})[ \t]*\r?$")
_NO_UTF8 = 1007  # close code: a text frame is not UTF-8
_TOO_BIG = 1009  # close code: a message is larger than the limit
KEY_REFUSED = (401, 403)  # HTTP statuses
_CLOSED_DURING_HANDSHAKE = (
    "the server closed the connection during the handshake; does the scheme match the "
    "server (wss or https if it uses TLS, otherwise ws or http), and does the server "
    "require a client certificate (--realtime-client-cert)?"
)
_UNANSWERED = (
    "the server closed the connection without a response to the WebSocket handshake; "
    "is the path right, and does every proxy in between support WebSockets?"
)


class Unreachable(Exception):
    """Raised if no connection could be opened; the message says why and what to do.

    ``status`` is the HTTP status of the response, if there was one; ``retry_after`` is
    the time in s that its Retry-After header names. ``body`` is the text of a short
    response, which may contain secrets. ``local`` is true if this machine is the cause,
    not the server.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        body: str = "",
        local: bool = False,
    ) -> None:
        super().__init__(shortened(printable(message), LONGEST))
        self.status = status
        self.retry_after = retry_after
        self.body = body
        self.local = local

    def explained(self, redactor: Redactor) -> str:
        """Return the message, and what the server said about it, without secrets."""
        if not self.body or redactor.private:
            return str(self)
        said = shortened(printable(redactor.clean(self.body)), _SHOWN_BODY)
        return f"{self}; the server says: {said}"


class Closed(Exception):
    """The connection is closed; ``code`` and ``reason`` are from the close frame.

    ``code`` is ``None`` if the connection broke without a close frame, or if the server
    did not answer the client's close frame; ``reason`` then says which of the two
    happened. ``by_client`` is true if the client closed first. ``protocol_error`` is
    true if the client closed because the server violated the WebSocket protocol.
    ``too_large`` is true if the client closed because a message was larger than the
    client's own limit. If ``protocol_error`` or ``too_large`` is true, ``code`` and
    ``reason`` are from the client.
    """

    def __init__(
        self,
        code: int | None,
        reason: str,
        *,
        by_client: bool,
        protocol_error: bool = False,
        too_large: bool = False,
    ) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.by_client = by_client
        self.protocol_error = protocol_error
        self.too_large = too_large


def _never(headers: Mapping[str, str]) -> bool:
    """Return false, since there is no way to renew the key."""
    return False


@dataclass(frozen=True, slots=True)
class Access:
    """How the client connects to a target: headers, TLS, proxy and size limit.

    ``headers`` contain the API key, so they are never printed. A header of
    ``session_headers`` is sent too, unless ``headers`` has a header of the same name.
    ``renew`` is called with the headers that a server has refused. It returns whether
    the headers have changed, and raises InputError if the key cannot be renewed.
    ``proxy`` is a URL, ``None`` for a direct connection, or ``True`` for the proxy that
    the environment names. ``max_message`` is the client's limit in bytes for an event
    and for the body of an HTTP response. ``key_source`` is the name of the option or of
    the environment variable that has the key, "" if no key is sent.
    """

    target: Target
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    renew: Callable[[Mapping[str, str]], bool] = field(default=_never, repr=False)
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | Literal[True] | None = None
    max_message: int = MAX_MESSAGE
    key_source: str = ""
    session_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


_CONTROLS = frozenset({Opcode.PING, Opcode.PONG, Opcode.CLOSE})


class _Connection(ClientConnection):
    """A connection that ends in bounded time, even if the server misbehaves.

    Without this class, the library would read the whole body of a refused handshake,
    however long and slow it is.
    After a close frame or a protocol error, the library would wait until the server
    closes the TCP connection.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.received = 0  # bytes after the handshake
        self._response = bytearray()  # start of the response to the handshake
        self._pings = 0  # pings and pongs of the server
        self.controls = 0  # bytes of these pings and pongs, and of the close frame
        self._head: bytearray | None = (
            bytearray()
        )  # start of the response, until the library gets it
        self._late_body: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self.on_text: Callable[[str], None] | None = None  # see `Wire.listen`
        self._turn = 0  # frames that `on_text` may still get in this turn

    def data_received(self, data: bytes) -> None:
        if self._head is not None:
            self._head += data
            passed = _response(bytes(self._head))
            if passed is None:
                if self._late_body is None and _HEAD_END in self._head:
                    self._late_body = self.loop.call_later(
                        _BODY_TIMEOUT, self._end_response
                    )
                return
            self._head, data = None, passed
        upgraded = self.response is not None
        if not upgraded:
            self._response += data
        self._turn = FRAMES_PER_TURN
        super().data_received(data)
        if upgraded:
            self.received += len(data)
        elif self.response is not None:
            self.received = len(self._response.partition(_HEAD_END)[2])
            self._response.clear()
        if self.protocol.handshake_exc or self.protocol.parser_exc:
            self.transport.close()  # after the client's close frame
        if self._cut is None and self.protocol.close_expected():
            self._cut = self.loop.call_later(CLOSE_TIMEOUT, self.transport.abort)

    def process_event(self, event: Any) -> None:
        # What is in the queue of the library comes first.
        if self.on_text and self._turn and not len(self.recv_messages.frames):
            text = _text(event)
            if text is not None:
                self._turn -= 1
                self.on_text(text)
                return
        if isinstance(event, Frame) and event.opcode in _CONTROLS:
            self.controls += 2 + len(event.data)  # the header has two bytes
        if isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
            self._pings += 1
            if self._pings > MAX_PINGS and self.protocol.state is State.OPEN:
                self.protocol.fail(
                    1008, f"the server sent more than {MAX_PINGS} pings or pongs"
                )
                self.transport.abort()  # the server may not read the pongs
                return
        super().process_event(event)

    def _end_response(self) -> None:
        """Give the library the response as it is, if it has not got it yet."""
        if self._head:
            head, self._head = bytes(self._head), None
            super().data_received(_response(head, complete=True) or b"")

    def eof_received(self) -> None:
        self._end_response()
        super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._late_body, self._cut):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)


def _text(event: Any) -> str | None:
    """Return the text of an event that is a whole text message; otherwise ``None``."""
    if isinstance(event, Frame) and event.opcode is Opcode.TEXT and event.fin:
        with suppress(UnicodeDecodeError):  # `recv` closes the connection for it
            return str(event.data, "utf-8")
    return None


def fragments(frame: str | bytes, parts: int) -> list[str] | list[bytes]:
    """Cut a frame into ``parts`` parts of about the same length."""
    cuts = pairwise(len(frame) * n // parts for n in range(parts + 1))
    if isinstance(frame, str):
        return [frame[start:stop] for start, stop in cuts]
    return [frame[start:stop] for start, stop in cuts]


def _response(head: bytes, *, complete: bool = False) -> bytes | None:
    """Return the handshake response for the library.

    ``head`` is the start of the response. A refusal is reduced to its status, its
    Retry-After header and a short body, so that the library waits for nothing else. The
    result is ``None`` if more of the response is needed; ``complete`` says that no more
    follows.
    """
    refusal = _REFUSAL.match(head)
    if refusal is None:
        known = complete or len(head) >= _STATUS or b"\n" in head
        return head if known else None
    fields, end, body = head.partition(_HEAD_END)
    if not (complete or end or len(head) >= _LONGEST_HEAD):
        return None
    stated = _CONTENT_LENGTH.search(fields)
    length = int(stated[1]) if stated else 0
    if length > _LONGEST_BODY:
        length = 0
    if len(body) < length and not complete:
        return None
    body = body[:length]
    lines = [b"HTTP/1.1 %s " % refusal[1], *_RETRY_AFTER.findall(fields)]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body])


@dataclass(frozen=True, slots=True)
class Encryption:
    """The TLS of a connection.

    ``certificate`` is the certificate of the server, in the form of
    `ssl.SSLSocket.getpeercert`. It is empty if the server was not verified.
    """

    version: str
    certificate: Mapping[str, Any]


class Wire:
    """One open WebSocket connection."""

    def __init__(self, connection: _Connection, *, max_message: int) -> None:
        self._connection = connection
        self._max_message = max_message
        self._reading = True
        self._fragments = False  # whether a message in fragments is being sent

    @property
    def encryption(self) -> Encryption | None:
        """The TLS of the connection; ``None`` without TLS."""
        tls = self._connection.transport.get_extra_info("ssl_object")
        if tls is None:
            return None
        return Encryption(tls.version() or "TLS", tls.getpeercert() or {})

    @property
    def received(self) -> int:
        """The number of bytes received since the handshake.

        Pings, pongs and close frames are not counted.
        """
        return self._connection.received - self._connection.controls

    @property
    def port(self) -> int:
        """The client's own port of the connection."""
        return int(self._connection.transport.get_extra_info("sockname")[1])

    @property
    def ready(self) -> bool:
        """Whether `send_now` may be called."""
        connection = self._connection
        return (
            connection.protocol.state is State.OPEN
            and not connection.paused
            and not self._fragments
            and not connection.transport.is_closing()
        )

    def send_now(self, frame: bytes, *, binary: bool = False) -> bool:
        """Send a frame without waiting; return whether the socket has accepted it.

        If the result is false, call `accepted` to wait until the socket has accepted
        the whole frame.
        """
        connection = self._connection
        if binary:
            connection.protocol.send_binary(frame)
        else:
            connection.protocol.send_text(frame)
        connection.send_data()
        return not connection.paused

    async def accepted(self) -> None:
        """Wait until the socket has accepted all that was sent. Raises `Closed`."""
        with self._translated():
            try:
                await self._connection.drain()
            except OSError:
                await self._connection.wait_closed()
                raise self._connection.protocol.close_exc from None

    async def send(self, frame: str | bytes) -> None:
        """Send a text frame and wait until the socket has accepted the frame.

        ``bytes`` must be text in UTF-8. Raises `Closed`.
        """
        with self._translated():
            await self._connection.send(frame, text=True)

    async def send_binary(self, frame: bytes) -> None:
        """Send a binary frame. Raises `Closed`."""
        with self._translated():
            await self._connection.send(frame, text=False)

    async def send_together(self, frames: Iterable[str | bytes]) -> None:
        """Send several frames in one write to the socket. Raises `Closed`.

        The server can then read all frames before it answers. A value of the type
        ``bytes`` is sent as a binary frame.
        """
        connection = self._connection
        protocol = connection.protocol
        with self._translated():
            async with connection.send_context():
                for frame in frames:
                    if isinstance(frame, bytes):
                        protocol.send_binary(frame)
                    else:
                        protocol.send_text(frame.encode())
                connection.transport.write(b"".join(protocol.data_to_send()))

    async def send_fragments(self, parts: Iterable[str] | Iterable[bytes]) -> None:
        """Send one message in fragments; the last fragment is empty.

        Raises `Closed`.
        """
        self._fragments = True
        try:
            with self._translated():
                await self._connection.send(parts)
        finally:
            self._fragments = False

    async def ping(self) -> None:
        """Send a ping and wait for its pong. Raises `Closed`."""
        with self._translated():
            # Without data, websockets draws from the module `random`. Hypothesis warns
            # if the state of this module changes while it draws in another thread.
            pong = await self._connection.ping(secrets.token_bytes(8))
            # The future is kept: a pong may arrive after a cancellation.
            await asyncio.shield(pong)

    def listen(self, on_text: Callable[[str], None] | None) -> None:
        """Call ``on_text`` with each text message that arrives in one frame.

        `receive` returns all other messages: binary messages, messages in fragments and
        text that is not UTF-8. While a message waits for `receive`, later messages wait
        behind it, and `receive` returns them too. Messages keep their order only if the
        caller always awaits `receive`. ``None`` for ``on_text`` ends the calls.
        """
        self._connection.on_text = on_text

    async def receive(self) -> str | bytes:
        """Return the next frame. Raises `Closed`."""
        with self._translated():
            if self._reading:
                return await self._connection.recv()
            # `recv` would read again when the queue of the library becomes short.
            await self._connection.wait_closed()
            raise self._connection.protocol.close_exc

    def stop_reading(self) -> None:
        """Stop reading the socket, so that the server meets back-pressure."""
        if self._open:
            self._reading = False
            self.listen(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
            self._connection.transport.pause_reading()

    async def close(self) -> None:
        """Send a close frame; cut the connection if it stays open.

        The connection is cut after `CLOSE_TIMEOUT` s. The library limits the wait for
        the server's close frame, but not the wait until the server reads the client's
        close frame.
        """
        try:
            with self._translated():
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._connection.close()
        except TimeoutError:
            self.abort()
            await self._connection.wait_closed()
        except Closed:
            return

    def abort(self) -> None:
        """Cut the connection at once, without a close frame."""
        if self._open:
            self._connection.transport.abort()

    def reset(self) -> None:
        """Cut the connection with a TCP reset (RST)."""
        if self._open:
            linger = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._connection.transport.abort()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise `Closed` in place of the library's errors for a closed connection."""
        try:
            yield
        except ConnectionClosed as error:
            raise self._closed(error) from error
        except AttributeError:
            # If a connection is lost with unsent data, the library aborts the
            # transport; in Python 3.11 this transport has no event loop any more.
            if self._open:
                raise
            raise self._closed(self._connection.protocol.close_exc) from None

    def _closed(self, error: ConnectionClosed) -> Closed:
        return _closed(error, self._max_message)

    @property
    def _open(self) -> bool:
        """Return whether the connection still has its socket."""
        return self._connection.state is not State.CLOSED

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._connection.transport.get_extra_info("socket")
        return found


class _Direct(_connect):
    """Follows no redirect.

    A redirect could send the API key to a server that the user did not name, and that
    server would be judged.
    """

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def connect(access: Access, *, timeout: float) -> Wire:
    """Open a connection within ``timeout`` seconds. Raises `Unreachable`.

    If the server refuses a key that can be renewed, the key is renewed once.
    """
    used = dict(access.headers)
    try:
        return await _open(access, used, timeout=timeout)
    except Unreachable as error:
        if error.status not in KEY_REFUSED:
            raise
        if not await asyncio.to_thread(renewed, access, used, error):
            raise
    return await _open(access, dict(access.headers), timeout=timeout)


def _merged(
    headers: Mapping[str, str], stronger: Mapping[str, str]
) -> Mapping[str, str]:
    """Return all headers; if a name is in both, the header of ``stronger`` is used."""
    names = {name.lower() for name in stronger}
    kept = {name: each for name, each in headers.items() if name.lower() not in names}
    return {**kept, **stronger}


def renewed(access: Access, used: Mapping[str, str], refusal: Unreachable) -> bool:
    """Renew the key of refused headers; return whether the headers have changed.

    Raises `Unreachable` if the key cannot be renewed.
    """
    try:
        return access.renew(used)
    except InputError as error:
        raise Unreachable(f"{refusal}; {error}", status=refusal.status) from None


async def _open(access: Access, headers: Mapping[str, str], *, timeout: float) -> Wire:
    """Open a connection with these headers. Raises `Unreachable`.

    The connection differs from the defaults of `websockets` on purpose:

    - Compression is off, since it costs more CPU time than everything else and delays
      the time stamps.
    - No keepalive pings are sent. A server that is too busy to answer shows as latency,
      and the idle timeout ends the session.
    - There is no write buffer, so that the recorded time of a frame is the time at
      which the socket accepted the frame.
    - The message limit is ``access.max_message``.
    """
    kwargs: dict[str, Any] = {}
    if access.target.secure:
        kwargs["ssl"] = access.tls or ssl.create_default_context()
        if access.server_name:
            kwargs["server_hostname"] = access.server_name
    try:
        connection = await _Direct(
            access.target.url,
            additional_headers=_merged(access.session_headers, headers),
            proxy=access.proxy,
            compression=None,
            open_timeout=timeout,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,
            max_size=access.max_message,
            max_queue=256,
            create_connection=_Connection,
            write_limit=1,  # with 0, asyncio's TLS would wait for an empty buffer
            logger=_QUIET,
            **kwargs,
        )
    except InvalidProxy as error:  # the error contains the proxy's password
        where = access.target.shown
        raise Unreachable(f"{where}: the proxy cannot be used: {error.msg}") from None
    except (
        InvalidURI,
        InvalidHandshake,
        OSError,
        EOFError,
        ImportError,  # a SOCKS proxy needs another package
    ) as error:
        raise _failure(error, access, timeout) from error
    assert isinstance(connection, _Connection)
    return Wire(connection, max_message=access.max_message)


def _failure(error: Exception, access: Access, timeout: float) -> Unreachable:
    """Return the error for a connection that could not be opened."""
    where = access.target.shown
    # The health check has just used the same port, so for ws the scheme is right.
    closed = _CLOSED_DURING_HANDSHAKE if access.target.secure else _UNANSWERED
    match error:
        case InvalidStatus(response=response):
            status = response.status_code
            what = explain(status, access.target, access.key_source)
            return Unreachable(
                f"{where}: {what}",
                status=status,
                retry_after=_seconds(response.headers.get_all("Retry-After")),
                body=_text_of(bytes(response.body or b""), status),
            )
        case ssl.SSLCertVerificationError():
            what = untrusted(error)
        case TimeoutError():
            what = f"no connection within {timeout:g} s"
        case EOFError() | ConnectionResetError():
            what = closed
        case OSError():
            local = error.errno in LOCAL_ERRORS
            return Unreachable(f"{where}: {unreachable(error)}", local=local)
        case ImportError():
            what = str(error)
        case _ if isinstance(error.__cause__, EOFError):
            what = closed
        case _:
            what = f"not a WebSocket server: {_why(error)}"
    return Unreachable(f"{where}: {what}")


def _seconds(texts: Iterable[str]) -> float | None:
    """Return the seconds of a Retry-After header; ``None`` for a date or no header."""
    return next((float(text) for text in texts if text.isdecimal()), None)


def _text_of(body: bytes, status: int) -> str:
    """Return the text of a response on one line.

    The result is "" for a page in HTML, and for a text that only names the status.
    """
    text = " ".join(body.decode(errors="replace").split())
    phrases = (each.phrase for each in HTTPStatus if each == status)
    return "" if text.startswith("<") or text in phrases else text


def _why(error: Exception) -> str:
    """Return what is wrong with a handshake response, without quoting the server."""
    cause = re.split(": |; got", str(error.__cause__ or ""))[0]
    return f"{error} ({cause})" if cause else str(error)


def _closed(error: ConnectionClosed, max_message: int) -> Closed:
    """Return the `Closed` that replaces the library's error for a closed connection."""
    received, sent = error.rcvd, error.sent
    if received is not None and error.rcvd_then_sent is not False:
        return Closed(received.code, received.reason, by_client=False)
    if sent is not None and sent.code == _TOO_BIG:
        reason = f"an event of the server is {over_limit(max_message)}"
        return Closed(sent.code, reason, by_client=True, too_large=True)
    if sent is not None and sent.code != 1000:  # for any answer of the server
        reason = sent.reason
        if sent.code == _NO_UTF8:  # the library says only where
            reason = f"the server sent text that is not UTF-8: {reason}"
        return Closed(sent.code, reason, by_client=True, protocol_error=True)
    if received is not None:
        return Closed(received.code, received.reason, by_client=True)
    if sent is not None:
        reason = "the server did not answer the client's close frame"
        return Closed(None, reason, by_client=True)
    return Closed(None, "the connection broke without a close frame", by_client=False)
