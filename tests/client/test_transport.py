"""The client's WebSocket against real servers on real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

import pytest
import trustme
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from pytest_realtime_asr.client import target, transport
from pytest_realtime_asr.client.failure_reasons import explain
from pytest_realtime_asr.client.transport import (
    FRAMES_PER_TURN,
    MAX_MESSAGE,
    Access,
    Closed,
    Unreachable,
    Wire,
    connect,
)
from pytest_realtime_asr.text.redaction import Redactor
from tests.support.servers import bare, plain, quiet, serving
from tests.support.servers import closed as closed_port

PATH = "/v1/realtime"


def access(url: str, **options: object) -> Access:
    return Access(target.parse(url, path=PATH), **options)  # type: ignore[arg-type]


def refusal(reached: Access, *, timeout: float = 5) -> Unreachable:
    """Return why no connection could be opened."""

    async def attempt() -> None:
        wire = await connect(reached, timeout=timeout)
        wire.abort()

    with pytest.raises(Unreachable) as caught:
        asyncio.run(attempt())
    return caught.value


async def echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)


async def said(wire: Wire, text: str) -> str | bytes:
    await wire.send(text)
    return await wire.receive()


# The way in


def test_a_port_without_a_server_is_reported() -> None:
    with closed_port() as port:
        found = refusal(access(f"http://127.0.0.1:{port}/?key=hidden"))
    assert str(found) == (
        f"ws://127.0.0.1:{port}/v1/realtime: no server was there: "
        f"{os.strerror(errno.ECONNREFUSED)}; is the server running, and are its host "
        "and port right?"
    )
    assert found.status is None


def test_unknown_host_name() -> None:
    found = refusal(access("http://no-such-host.invalid:8000"))
    assert "Unknown error" not in str(found)
    assert "known" in str(found) or "resol" in str(found).lower()


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "REALTIME_API_KEY"),
        (403, "--realtime-api-key-env"),
        (404, "is the path right"),
        (429, "rate limited by the server"),
        (502, "--realtime-wait"),
        (503, "still loading"),
        (500, "server error"),
        (418, "the server refused the request"),
    ],
)
def test_http_status_is_explained(status: int, advice: str) -> None:
    def answer(request: Request) -> Response:
        return plain(status, b"no")

    with serving(answer=answer) as url:
        asked = access(f"{url}/?k=hidden", headers={"Authorization": "Bearer hush"})
        found = refusal(asked)
    assert found.status == status
    assert str(found).endswith(explain(status, asked.target, asked.key_source))
    assert advice in str(found)
    assert "hush" not in str(found)
    assert "hidden" not in str(found)
    assert f"HTTP {status}" in str(found)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ([], None),
        (["7"], 7.0),
        (["0"], 0.0),
        (["Fri, 31 Dec 1999 23:59:59 GMT"], None),
        (["1.5"], None),
        (["-1"], None),
        (["Fri, 31 Dec 1999 23:59:59 GMT", "7", "9"], 7.0),
    ],
)
def test_retry_after_is_read_in_seconds(told: list[str], seconds: float | None) -> None:
    def answer(request: Request) -> Response:
        response = plain(429)
        for text in told:
            response.headers["Retry-After"] = text
        return response

    with serving(answer=answer) as url:
        found = refusal(access(url))
    assert (found.status, found.retry_after) == (429, seconds)


@pytest.mark.parametrize(
    ("head", "passed"),
    [
        (b"", None),
        (b"HTTP/1.1 40", None),
        (b"HTTP/1.1 101", None),
        (b"HTTP/1.1 101 ", b"HTTP/1.1 101 "),
        (b"HTTP/1.1 100 C", b"HTTP/1.1 100 C"),
        (b"+OK\r\n", b"+OK\r\n"),
        (b"HTTP/1.1 429 No\r\nRetry-After: 7\r\n", None),
        (
            b"HTTP/1.0 429 No\r\nx: y\r\nretry-after:7 \r\nRetry-After: x\r\n\r\nRetr",
            b"HTTP/1.1 429 \r\nretry-after:7\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            b"HTTP/1.1 401 No\r\n" + b"x: y\r\n" * 2**14,
            b"HTTP/1.1 401 \r\nContent-Length: 0\r\n\r\n",
        ),
        (b"HTTP/1.1 400 No\r\ncontent-length: 4\r\n\r\nbad", None),
        (
            b"HTTP/1.1 400 No\r\ncontent-length: 4\r\n\r\nbad key",
            b"HTTP/1.1 400 \r\nContent-Length: 4\r\n\r\nbad ",
        ),
        (
            b"HTTP/1.1 400 No\r\nContent-Length: 2001\r\n\r\nbad",
            b"HTTP/1.1 400 \r\nContent-Length: 0\r\n\r\n",
        ),
    ],
    ids=range(12),
)
def test_the_library_gets_a_refused_handshake_with_a_short_body_alone(
    head: bytes, passed: bytes | None
) -> None:
    assert transport._response(head) == passed


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"err_msg":\n "no such model"}', '{"err_msg": "no such model"}'),
        (b"<!doctype html><title>400</title>", ""),
        (b"x" * 2001, ""),
        (b"Bad Request\n", ""),
        (b"\xff\x1b[31m", "\ufffd\x1b[31m"),
        (b"", ""),
    ],
)
def test_a_short_body_of_a_refusal_is_kept(body: bytes, said: str) -> None:
    with serving(answer=lambda request: plain(400, body)) as url:
        found = refusal(access(url))
    assert (found.status, found.body) == (400, said)
    assert "\x1b" not in found.explained(Redactor())


def test_the_rest_of_a_body_that_never_comes_is_not_awaited() -> None:
    def then(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 9\r\n\r\nbad")
        while taken.recv(4096):
            pass

    found = deaf(then)(60)
    assert (found.status, found.body) == (400, "bad")


def test_a_refused_handshake_is_read_in_pieces_of_any_size() -> None:
    def then(taken: socket.socket) -> None:
        taken.recv(4096)
        for byte in b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n":
            taken.sendall(bytes([byte]))
        while taken.recv(4096):
            pass

    found = deaf(then)(5)
    assert (found.status, found.retry_after) == (503, 7.0)


def test_no_retry_after_without_an_answer() -> None:
    with closed_port() as port:
        assert refusal(access(f"http://127.0.0.1:{port}")).retry_after is None


def test_headers_of_the_handshake() -> None:
    seen: list[Request] = []

    def answer(request: Request) -> None:
        seen.append(request)

    async def talk() -> None:
        reached = access(url + "/?model=one", headers={"Authorization": "Bearer hush"})
        wire = await connect(reached, timeout=5)
        await wire.close()
        assert "hush" not in repr(reached)

    with serving(answer=answer) as url:
        asyncio.run(talk())
    (request,) = seen
    assert request.path == "/v1/realtime?model=one"
    assert request.headers["Authorization"] == "Bearer hush"
    assert "Sec-WebSocket-Extensions" not in request.headers  # it bends the stamps


def deaf(then: Callable[[socket.socket], None]) -> Callable[[float], Unreachable]:
    """Return a function that connects to a socket whose server calls ``then``."""

    def attempt(timeout: float) -> Unreachable:
        async def talk() -> Unreachable:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                port = listening.getsockname()[1]

                def one() -> None:
                    taken, _ = listening.accept()
                    with closing(taken):
                        then(taken)

                other = asyncio.create_task(asyncio.to_thread(one))
                try:
                    wire = await connect(
                        access(f"http://127.0.0.1:{port}"), timeout=timeout
                    )
                    wire.abort()
                except Unreachable as error:
                    return error
                finally:
                    await other
                raise AssertionError("connected")

        return asyncio.run(talk())

    return attempt


def test_server_that_does_not_answer() -> None:
    def silent(taken: socket.socket) -> None:
        while taken.recv(4096):
            pass

    found = deaf(silent)(0.2)
    assert str(found).endswith("/v1/realtime: no connection within 0.2 s")


def test_server_that_closes_during_the_handshake() -> None:
    found = deaf(lambda taken: None)(5)
    assert "/v1/realtime: the server closed the connection without a" in str(found)
    assert "TLS" not in str(found)  # on this port, it was asked over HTTP before


def test_not_a_websocket_server() -> None:
    def ssh(taken: socket.socket) -> None:
        taken.recv(4096)
        taken.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

    found = deaf(ssh)(5)
    assert "not a WebSocket server" in str(found)


def test_http_server_without_websockets() -> None:
    with serving(answer=lambda request: plain(200, b"hello")) as url:
        found = refusal(access(url))
    assert "HTTP 200" in str(found)


def test_dead_proxy_is_named() -> None:
    with closed_port() as port, serving() as url:
        found = refusal(access(url, proxy=f"http://127.0.0.1:{port}"))
    assert (
        "proxy" in str(found)
        or "Connect call failed" in str(found)
        or (os.strerror(errno.ECONNREFUSED) in str(found))
    )


@pytest.mark.parametrize("scheme", ["ftp", "socks5"])
def test_the_error_of_a_proxy_has_no_password(scheme: str) -> None:
    with serving() as url:
        found = refusal(access(url, proxy=f"{scheme}://me:hunter2@127.0.0.1:9"))
    assert scheme == "socks5" or "the proxy cannot be used: scheme ftp" in str(found)
    assert "hunter2" not in repr(found)


def test_a_direct_connection_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")

    async def talk() -> str | bytes:
        wire = await connect(access(url), timeout=5)
        try:
            return await said(wire, "direct")
        finally:
            await wire.close()

    with serving(echo) as url:
        assert asyncio.run(talk()) == "direct"


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_side(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "asr.example").configure_cert(context)
    return context


def hello(reached: Access) -> str | bytes:
    """Echo a text over a new connection."""

    async def talk() -> str | bytes:
        wire = await connect(reached, timeout=5)
        try:
            return await said(wire, "hello")
        finally:
            await wire.close()

    return asyncio.run(talk())


def test_unknown_authority(server_side: ssl.SSLContext) -> None:
    with serving(echo, tls=server_side) as url:
        found = refusal(access(url))
    assert "the certificate cannot be verified: " in str(found)
    assert "--realtime-ca=FILE" in str(found)


def test_trusted_authority(authority: trustme.CA, server_side: ssl.SSLContext) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(echo, tls=server_side) as url:
        assert hello(access(url, tls=trusting)) == "hello"
        named = url.replace("127.0.0.1", "localhost")
        found = refusal(access(named, tls=trusting))
        assert "--realtime-server-name" in str(found)
        reached = access(named, tls=trusting, server_name="asr.example")
        assert hello(reached) == "hello"


def test_insecure(server_side: ssl.SSLContext) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE
    with serving(echo, tls=server_side) as url:
        assert hello(access(url, tls=trusting)) == "hello"


def test_many_frames_over_tls(
    authority: trustme.CA, server_side: ssl.SSLContext
) -> None:
    """Each frame is sent at once, although the server sends nothing meanwhile."""
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def count(connection: ServerConnection) -> None:
        for _ in range(50):
            await connection.recv()
        await connection.send("50")
        await quiet(connection)

    async def talk() -> str | bytes:
        wire = await connect(access(url, tls=trusting), timeout=5)
        async with asyncio.timeout(20):
            for number in range(50):
                await wire.send(f"{number}" + "x" * 4000)
            answer = await wire.receive()
        await wire.close()
        return answer

    with serving(count, tls=server_side) as url:
        assert asyncio.run(talk()) == "50"


def test_client_certificate(authority: trustme.CA) -> None:
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(asking)
    authority.configure_trust(asking)
    asking.verify_mode = ssl.CERT_REQUIRED
    without = ssl.create_default_context()
    authority.configure_trust(without)
    with_one = ssl.create_default_context()
    authority.configure_trust(with_one)
    authority.issue_cert("client@example.org").configure_cert(with_one)
    with serving(echo, tls=asking) as url:
        found = refusal(access(url, tls=without))
        assert "--realtime-client-cert" in str(found)
        assert hello(access(url, tls=with_one)) == "hello"


def test_tls_to_a_server_without_tls_is_explained() -> None:
    with serving(echo) as url:
        found = refusal(access(url.replace("http", "https")))
    assert "does the scheme match the server" in str(found)


# The wire


def test_frames_both_ways() -> None:
    async def talk() -> list[str | bytes]:
        wire = await connect(access(url), timeout=5)
        await wire.send("über")
        await wire.send("über".encode())  # UTF-8 of a text frame
        await wire.send_binary(b"\0\1")
        heard = [await wire.receive() for _ in range(3)]
        await wire.close()
        await wire.close()
        return heard

    with serving(echo) as url:
        assert asyncio.run(talk()) == ["über", "über", b"\0\1"]


def ending(talk: Callable[[ServerConnection], object], **options: object) -> Closed:
    """Return the end of a connection whose server does ``talk`` and then waits."""

    async def run(connection: ServerConnection) -> None:
        result = talk(connection)
        if asyncio.iscoroutine(result):
            await result
        await connection.wait_closed()

    async def wait() -> Closed:
        wire = await connect(access(url), timeout=5)
        with pytest.raises(Closed) as first:
            await wire.receive()
        for again in (wire.receive(), wire.send("x"), wire.send_binary(b"x")):
            with pytest.raises(Closed) as caught:
                await again
            assert caught.value.args == first.value.args
        await wire.close()
        return first.value

    with serving(run, **options) as url:  # type: ignore[arg-type]
        return asyncio.run(wait())


def test_server_closes() -> None:
    end = ending(lambda connection: connection.close(4001, "enough"))
    assert (end.code, end.reason, end.by_client) == (4001, "enough", False)


def test_server_vanishes() -> None:
    end = ending(lambda connection: connection.transport.abort())
    assert (end.code, end.by_client) == (None, False)
    assert end.reason == "the connection broke without a close frame"


def test_too_large_a_frame() -> None:
    end = ending(lambda connection: connection.send("x" * (MAX_MESSAGE + 1)))
    assert (end.code, end.by_client, end.protocol_error, end.too_large) == (
        1009,
        True,
        False,
        True,
    )
    assert end.reason == (
        "an event of the server is larger than the client's limit of 1 MiB; raise "
        "this limit with "
        "--realtime-max-message=SIZE"
    )


@pytest.mark.parametrize("size", [2**10, MAX_MESSAGE, 2**21])
def test_largest_frame(size: int) -> None:
    async def talk() -> int:
        wire = await connect(access(url, max_message=size), timeout=5)
        frame = await wire.receive()
        await wire.close()
        return len(frame)

    async def large(connection: ServerConnection) -> None:
        await connection.send("x" * size)
        await quiet(connection)

    with serving(large) as url:
        assert asyncio.run(talk()) == size


def test_text_that_is_not_utf8() -> None:
    end = ending(lambda connection: connection.send(b"\xff\xfe", text=True))
    assert (end.code, end.by_client) == (1007, True)


@pytest.mark.parametrize(
    ("sent", "end"),
    [
        (b"\x83\x00", (1002, True, True)),
        (b"\x88\x02\x03\xf3", (1011, False, False)),
    ],
)
def test_a_server_that_stays_does_not_keep_the_connection_open(
    sent: bytes, end: tuple[int, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client does not wait for the server after an error or a close frame."""
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.1)
    over = threading.Event()

    def then(taken: socket.socket) -> None:
        taken.sendall(sent)
        assert over.wait(20)

    async def talk() -> Closed:
        async with wired(url) as wire:
            with pytest.raises(Closed) as caught:
                await wire.receive()
            # The bytes of a close frame are not part of an event.
            assert wire.received == (0 if sent[0] == 0x88 else len(sent))
            over.set()
            return caught.value

    with bare(then) as url:
        found = asyncio.run(talk())
    assert (found.code, found.by_client, found.protocol_error) == end


def test_client_closes() -> None:
    async def talk() -> Closed:
        wire = await connect(access(url), timeout=5)
        await wire.close()
        with pytest.raises(Closed) as caught:
            await wire.receive()
        return caught.value

    with serving() as url:
        end = asyncio.run(talk())
    assert (end.code, end.by_client) == (1000, True)


def test_client_aborts() -> None:
    async def talk() -> Closed:
        wire = await connect(access(url), timeout=5)
        wire.abort()
        with pytest.raises(Closed) as caught:
            await wire.receive()
        return caught.value

    with serving() as url:
        assert asyncio.run(talk()).code is None


def answering(reply: bytes, first: bytes = b"") -> Callable[[socket.socket], None]:
    """Return a peer that sends ``first``, and ``reply`` after the close frame."""

    def then(taken: socket.socket) -> None:
        taken.sendall(first)
        assert taken.recv(4096)[:1] == b"\x88"
        taken.sendall(reply)

    return then


@pytest.mark.parametrize(
    ("reply", "code", "reason"),
    [
        (b"\x88\x02\x03\xe8", 1000, ""),
        (b"\x88\x00", 1005, ""),
        (b"\x88\x05\x03\xe9bye", 1001, "bye"),
        (b"", None, "the server did not answer the client's close frame"),
    ],
)
def test_any_answer_leaves_a_close_by_the_client_as_it_is(
    reply: bytes, code: int | None, reason: str
) -> None:
    async def talk() -> Closed:
        wire = await connect(access(url), timeout=5)
        await wire.close()
        with pytest.raises(Closed) as caught:
            await wire.receive()
        return caught.value

    with bare(answering(reply)) as url:
        end = asyncio.run(talk())
    assert (end.code, end.reason) == (code, reason)
    assert (end.by_client, end.protocol_error) == (True, False)


@pytest.mark.parametrize("reply", [b"\x88\x02\x03\xef", b"\x88\x02\x03\xe8", b""])
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02\xff\xfe", 1007),
        (b"\x83\x00", 1002),
        (b"\x88\x01\x00", 1002),
    ],
)
def test_an_invalid_frame_fails_the_connection_whatever_the_answer(
    frame: bytes, code: int, reply: bytes
) -> None:
    async def talk() -> Closed:
        wire = await connect(access(url), timeout=5)
        with pytest.raises(Closed) as caught:
            await wire.receive()
        await wire.close()
        return caught.value

    with bare(answering(reply, frame)) as url:
        end = asyncio.run(talk())
    assert (end.code, end.by_client, end.protocol_error) == (code, True, True)


def test_a_server_that_does_not_read_does_not_delay_the_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.3)

    async def deaf_one(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.send("deaf")
        await asyncio.to_thread(over.wait, 20)
        connection.transport.abort()

    async def talk() -> float:
        async with wired(url) as wire:
            assert await wire.receive() == "deaf"
            sending = asyncio.create_task(wire.send("x" * 50_000_000))
            await asyncio.sleep(0)
            begun = time.monotonic()
            await wire.close()
            spent = time.monotonic() - begun
            over.set()
            await asyncio.gather(sending, return_exceptions=True)
            with pytest.raises(Closed) as caught:
                await wire.receive()
            assert (caught.value.code, caught.value.by_client) == (None, True)
            return spent

    over = threading.Event()
    with serving(deaf_one) as url:
        assert 0.3 <= asyncio.run(talk()) < 10


# The wire beyond a plain frame


@asynccontextmanager
async def wired(url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """Open a connection, and cut it at the end of the block."""
    wire = await connect(access(url, tls=tls), timeout=5)
    try:
        async with asyncio.timeout(30):
            yield wire
    finally:
        wire.abort()


@pytest.mark.parametrize("parts", [["a", "é", "c"], ["abc"], ["", "b", ""]])
def test_a_message_in_fragments(parts: list[str]) -> None:
    seen: list[str] = []

    async def collect(connection: ServerConnection) -> None:
        async for part in connection.recv_streaming():
            assert isinstance(part, str)
            seen.append(part)
        await connection.send("all")
        await connection.send(await connection.recv())

    async def talk() -> list[str | bytes]:
        async with wired(url) as wire:
            await wire.send_fragments(parts)
            await wire.send("whole again")
            return [await wire.receive(), await wire.receive()]

    with serving(collect) as url:
        assert asyncio.run(talk()) == ["all", "whole again"]
    assert seen == [*parts, ""]


def test_frames_that_are_sent_at_once() -> None:
    async def talk() -> list[str | bytes]:
        async with wired(url) as wire:
            assert wire.ready
            assert wire.send_now("é".encode())
            assert wire.send_now(b"\xff", binary=True)
            return [await wire.receive(), await wire.receive()]

    with serving(echo) as url:
        assert asyncio.run(talk()) == ["é", b"\xff"]


def test_a_frame_that_the_socket_does_not_take_is_waited_for() -> None:
    """While a frame waits, the wire is not ready; a lost connection ends the wait."""
    reads = threading.Event()

    async def late(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await asyncio.to_thread(reads.wait, 20)
        connection.transport.resume_reading()
        await connection.recv()
        connection.transport.pause_reading()
        await asyncio.to_thread(gone.wait, 20)
        connection.transport.abort()

    async def talk() -> None:
        async with wired(url) as wire:
            assert not wire.send_now(b"x" * 20_000_000)
            assert not wire.ready
            waiting = asyncio.create_task(wire.accepted())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            reads.set()
            await waiting
            assert wire.ready
            assert not wire.send_now(b"x" * 20_000_000)
            gone.set()
            with pytest.raises(Closed) as caught:
                await wire.accepted()
            assert caught.value.code is None
            assert not wire.ready

    gone = threading.Event()
    with serving(late, max_size=None) as url:
        asyncio.run(talk())


def test_the_wire_is_not_ready_within_a_message_in_fragments() -> None:
    async def talk() -> None:
        async with wired(url) as wire:
            sending = asyncio.create_task(wire.send_fragments(["x" * 20_000_000, "y"]))
            await asyncio.sleep(0)
            assert not wire.ready
            await sending
            assert wire.ready

    with serving(echo, max_size=None) as url:
        asyncio.run(talk())


def test_text_is_handed_over_in_order_with_received_messages() -> None:
    """Binary messages, fragments and a long burst are for `receive`."""
    burst = [f"burst {n}" for n in range(3 * FRAMES_PER_TURN)]

    async def speak(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("é")
        await connection.send(b"binary")
        await connection.send(["in ", "fragments"])
        for text in burst:
            await connection.send(text)
        await connection.send("last")
        await connection.wait_closed()

    async def talk() -> tuple[list[str | bytes], list[str]]:
        heard: list[str | bytes] = []
        handed: list[str] = []
        async with wired(url) as wire:

            def listen(text: str) -> None:
                heard.append(text)
                handed.append(text)

            wire.listen(listen)

            async def receive() -> None:
                while True:
                    heard.append(await wire.receive())

            receiving = asyncio.create_task(receive())
            await wire.send("begin")
            while not heard or heard[-1] != "last":
                await asyncio.sleep(0.01)
            receiving.cancel()
        return heard, handed

    with serving(speak) as url:
        heard, handed = asyncio.run(talk())
    assert heard == ["é", b"binary", "in fragments", *burst, "last"]
    assert "é" in handed
    assert "in fragments" not in handed


def test_text_that_is_not_utf8_is_not_handed_over() -> None:
    async def talk() -> None:
        handed: list[str] = []
        async with wired(url) as wire:
            wire.listen(handed.append)
            with pytest.raises(Closed) as caught:
                await wire.receive()
            assert caught.value.code == 1007
        assert handed == []

    with bare(answering(b"", b"\x81\x02\xc3\x28")) as url:
        asyncio.run(talk())


def test_fragments_and_pings_of_a_connection_that_is_closed() -> None:
    async def bye(connection: ServerConnection) -> None:
        await connection.close(4001, "enough")

    async def talk() -> None:
        async with wired(url) as wire:
            with pytest.raises(Closed) as first:
                await wire.receive()
            for attempt in (wire.send_fragments(["a", "b"]), wire.ping()):
                with pytest.raises(Closed) as caught:
                    await attempt
                assert caught.value.args == first.value.args == (4001, "enough")

    with serving(bye) as url:
        asyncio.run(talk())


def test_a_ping_waits_for_its_pong() -> None:
    """A late pong to a ping that was given up does no harm."""

    async def slow(connection: ServerConnection) -> None:
        await connection.send("begin")
        await connection.recv()
        connection.transport.pause_reading()
        await connection.send("paused")
        await asyncio.to_thread(heard.wait, 20)
        connection.transport.resume_reading()
        await connection.send(await connection.recv())

    async def talk() -> tuple[float, float]:
        async with wired(url) as wire:
            assert await wire.receive() == "begin"
            begun = time.monotonic()
            await wire.ping()
            prompt = time.monotonic() - begun
            await wire.send("pause")
            assert await wire.receive() == "paused"
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await wire.ping()
            heard.set()
            await wire.ping()  # a pong to it settles the one before, too
            assert await said(wire, "still here") == "still here"
            return prompt, time.monotonic() - begun

    heard = threading.Event()
    with serving(slow) as url:
        prompt, late = asyncio.run(talk())
    assert late >= 0.3
    assert prompt < late


def test_a_ping_does_not_draw_from_the_module_random() -> None:
    async def talk() -> bool:
        async with wired(url) as wire:
            before = random.getstate()
            await wire.ping()
            return random.getstate() == before

    with serving(quiet) as url:
        assert asyncio.run(talk())


def test_a_ping_that_the_server_interrupts() -> None:
    async def cut(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.send("deaf")
        await asyncio.to_thread(asked.wait, 20)
        connection.transport.abort()

    async def talk() -> Closed:
        async with wired(url) as wire:
            assert await wire.receive() == "deaf"
            waiting = asyncio.create_task(wire.ping())
            await asyncio.sleep(0)
            asked.set()
            with pytest.raises(Closed) as caught:
                await waiting
            return caught.value

    asked = threading.Event()
    with serving(cut) as url:
        end = asyncio.run(talk())
    assert (end.code, end.by_client) == (None, False)


def unsent() -> tuple[Callable[[socket.socket], None], Callable[[], None]]:
    """Return a peer, and the function that makes it end its side of the connection.

    The peer then reads everything that the client sends.
    """
    begun = threading.Event()

    def then(taken: socket.socket) -> None:
        assert begun.wait(20)
        taken.shutdown(socket.SHUT_WR)
        time.sleep(0.2)  # until that has been heard
        while taken.recv(2**20):
            pass

    return then, begun.set


STEPS: dict[str, Callable[[Wire], Awaitable[object]]] = {
    "send": lambda wire: wire.send("x"),
    "send_binary": lambda wire: wire.send_binary(b"x"),
    "send_fragments": lambda wire: wire.send_fragments(["x", "y"]),
    "ping": lambda wire: wire.ping(),
    "receive": lambda wire: wire.receive(),
}


@pytest.mark.parametrize("step", [*STEPS, "close", "abort", "reset", "stop_reading"])
def test_a_connection_that_was_lost_with_data_unsent(step: str) -> None:
    """Each step raises `Closed`, although the library raises an AttributeError."""
    then, begin = unsent()

    async def talk() -> None:
        async with wired(url) as wire:
            sending = asyncio.create_task(wire.send("x" * 20_000_000))
            await asyncio.sleep(0.05)
            begin()
            with pytest.raises(Closed) as first:
                await wire.receive()
            await asyncio.gather(sending, return_exceptions=True)
            if step in STEPS:
                with pytest.raises(Closed) as caught:
                    await STEPS[step](wire)
                assert caught.value.args == first.value.args
            elif step == "close":
                await wire.close()
            else:
                getattr(wire, step)()

    with bare(then) as url:
        asyncio.run(talk())


@pytest.mark.parametrize("way", ["stop_reading", "abort", "reset"])
@pytest.mark.parametrize("secure", [False, True])
def test_nothing_is_done_to_a_connection_that_is_gone(
    way: str, secure: bool, authority: trustme.CA, server_side: ssl.SSLContext
) -> None:
    async def bye(connection: ServerConnection) -> None:
        await connection.close(4001, "enough")

    async def talk() -> None:
        async with wired(url, trusting) as wire:
            for _ in range(2):
                with pytest.raises(Closed) as caught:
                    await wire.receive()
                assert caught.value.args == (4001, "enough")
                getattr(wire, way)()
            await wire.close()

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(bye, tls=server_side if secure else None) as url:
        asyncio.run(talk())


def test_a_protocol_error_is_not_a_lost_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def faulty() -> str:
        raise AttributeError("ours")

    async def talk() -> None:
        async with wired(url) as wire:
            with monkeypatch.context() as patch:
                patch.setattr(wire._connection, "recv", faulty)
                with pytest.raises(AttributeError, match="ours"):
                    await wire.receive()
            assert await said(wire, "still here") == "still here"

    with serving(echo) as url:
        asyncio.run(talk())


@pytest.mark.slow
@pytest.mark.parametrize("secure", [False, True])
def test_stop_reading_leads_to_back_pressure_at_the_server(
    secure: bool, authority: trustme.CA, server_side: ssl.SSLContext
) -> None:
    """The server sends far more than the buffers of any two sockets can hold."""
    total, stuck = 64, threading.Event()  # MiB
    sent: list[int] = []
    pongs: list[str] = []

    async def pour(connection: ServerConnection) -> None:
        await connection.recv()
        try:
            async with asyncio.timeout(0.3):
                await (await connection.ping())
            pongs.append("here")
        except TimeoutError:
            pass
        for number in range(total):
            sent.append(number)
            try:
                async with asyncio.timeout(0.5):
                    await connection.send("x" * MAX_MESSAGE)
            except TimeoutError:
                break
        stuck.set()
        await quiet(connection)

    async def talk() -> None:
        async with wired(url, trusting) as wire:
            wire.stop_reading()
            await wire.send("pour")
            assert await asyncio.to_thread(stuck.wait, 20)

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(pour, tls=server_side if secure else None) as url:
        asyncio.run(talk())
    assert len(sent) < total / 2
    assert pongs == []


def test_frames_that_arrived_before_are_not_read_after_stop_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The library alone would continue to read when its own queue becomes short."""
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.2)
    many = 1000

    async def hail(connection: ServerConnection) -> None:
        for number in range(many):
            await connection.send(str(number))
        await quiet(connection)

    async def talk() -> Closed:
        async with wired(url) as wire:
            socket_side = wire._connection.transport
            while socket_side.is_reading():
                await asyncio.sleep(0.01)
            wire.stop_reading()
            waiting = asyncio.create_task(wire.receive())
            await asyncio.sleep(0)
            assert not socket_side.is_reading()
            await wire.close()
            with pytest.raises(Closed) as caught:
                await waiting
            return caught.value

    with serving(hail) as url:
        end = asyncio.run(talk())
    assert (end.code, end.by_client) == (None, True)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("way", ["reset", "abort"])
def test_a_reset_is_not_an_end_of_file(
    way: str, secure: bool, authority: trustme.CA, server_side: ssl.SSLContext
) -> None:
    """The peer sees a ConnectionResetError after a reset only."""
    causes: list[BaseException | None] = []

    async def listen(connection: ServerConnection) -> None:
        await connection.send("ready")
        try:
            await connection.recv()
        except ConnectionClosed as error:
            causes.append(error.__cause__)

    async def talk() -> Closed:
        async with wired(url, trusting) as wire:
            assert await wire.receive() == "ready"
            getattr(wire, way)()
            with pytest.raises(Closed) as caught:
                await wire.receive()
            return caught.value

    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(listen, tls=server_side if secure else None) as url:
        end = asyncio.run(talk())
    assert (end.code, end.by_client) == (None, False)
    (cause,) = causes
    assert isinstance(cause, ConnectionResetError) == (way == "reset")


def test_a_close_that_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer may end the connection without an answer, or keep it open."""
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.2)

    def end(after: Callable[[ServerConnection], None]) -> Closed:
        async def rude(connection: ServerConnection) -> None:
            connection.transport.pause_reading()
            await connection.send("deaf")
            await asyncio.to_thread(asked.wait, 20)
            after(connection)
            await asyncio.to_thread(over.wait, 20)
            connection.transport.abort()

        async def talk() -> Closed:
            async with wired(url) as wire:
                assert await wire.receive() == "deaf"
                closing = asyncio.create_task(wire.close())
                await asyncio.sleep(0)
                asked.set()
                with pytest.raises(Closed) as caught:
                    await wire.receive()
                await closing
                over.set()
                return caught.value

        asked, over = threading.Event(), threading.Event()
        with serving(rude) as url:
            return asyncio.run(talk())

    for found in (end(lambda peer: peer.transport.abort()), end(lambda peer: None)):
        assert (found.code, found.by_client) == (None, True)
        assert found.reason == "the server did not answer the client's close frame"


def test_a_redirect_is_not_followed() -> None:
    """The headers contain the key, and the verdict is for the server that was named."""
    asked: list[str] = []

    def elsewhere(request: Request) -> Response:
        asked.append(request.headers.get("X-Key", ""))
        return plain(200)

    with serving(answer=elsewhere) as other:
        place = other.replace("http", "ws") + PATH

        def redirect(request: Request) -> Response:
            return plain(307, Location=place)

        with serving(answer=redirect) as url:
            found = refusal(access(url, headers={"X-Key": "hidden"}))
    assert "redirects are not followed" in str(found)
    assert asked == []
