"""Servers that misbehave in HTTP, in the handshake and in the frames of a WebSocket.

Each is a bare socket on a thread. The limits are shortened, so that a row takes a
fraction of a second.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from unittest.mock import patch

from websockets.utils import accept_key

from pytest_realtime_asr.client import probe, target, transport
from pytest_realtime_asr.client.failure_reasons import unreachable, untrusted
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.corpus import Corpus, Utterance
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.trace.records import Ending
from tests.hostile import Case, message
from tests.hostile.options import told
from tests.support.paths import FIXTURES
from tests.support.servers import CLIP, CREATED, VLLM, plan

BRIEF = 0.2  # s, for what is to exceed its limit
AMPLE = 5.0  # s, for what is not, also on a machine that is busy
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = FIXTURES / "audio" / "cut-short.flac"
LONG = 2**16 * b"x"
TOO_LATE = f"no complete response within {BRIEF:g} s"
REFUSED = "HTTP 401: no API key was sent"
OUR_LIMIT = ("the client's limit of 1 MiB", "--realtime-max-message=SIZE")

Answer = Callable[[bytes], Iterable[bytes]]


def drip(start: bytes, then: bytes = b"a") -> Iterator[bytes]:
    """Send the start, and then a byte now and then; an empty part waits a moment."""
    return chain([start], *repeat([then, b""], 1000))


def pour(start: bytes, part: bytes = LONG) -> Iterator[bytes]:
    """Send the start, and then as much as the client reads."""
    return chain([start], repeat(part, 10**6))


def stay(start: bytes) -> Iterator[bytes]:
    """Send the start, and leave the connection open."""
    return chain([start], repeat(b"", 1000))


def agree(request: bytes) -> bytes:
    """Return the answer that opens a WebSocket."""
    key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0].decode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
        + accept_key(key).encode()
        + b"\r\n\r\n"
    )


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """Answer each connection with these parts, and give the URL."""
    over = threading.Event()

    def talk(taken: socket.socket) -> None:
        with closing(taken):
            taken.settimeout(5)
            try:
                for part in answer(taken.recv(65536)):
                    if over.is_set():
                        return
                    if part:
                        taken.sendall(part)
                    else:
                        over.wait(0.02)
            except OSError:
                return  # the client has gone

    def accept() -> None:
        talking: list[threading.Thread] = []
        while not over.is_set():
            try:
                taken, _ = listening.accept()
            except TimeoutError:
                continue
            talking.append(threading.Thread(target=talk, args=(taken,)))
            talking[-1].start()
        for thread in talking:
            thread.join(10)
            assert not thread.is_alive()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.02)
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            accepting.join(10)


@contextmanager
def serving(answer: Answer, *, limit: float = AMPLE) -> Iterator[str]:
    """Run the server, with a limit of so many seconds for an answer over HTTP."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(probe, "ANSWER", limit))
        stack.enter_context(patch.object(transport, "CLOSE_TIMEOUT", BRIEF))
        yield stack.enter_context(server(answer))


def access(url: str, proxy: str | None = None) -> Access:
    tls = ssl.create_default_context() if url.startswith("https") else None
    return Access(target.parse(url, path="/v1/realtime"), proxy=proxy, tls=tls)


def health(answer: Answer, *, limit: float = AMPLE) -> str:
    """Return the message if the server answers ``/health`` with these parts."""
    with serving(answer, limit=limit) as url:
        return message(Unreachable, lambda: probe.health(access(url)))


def model(answer: Answer, *, limit: float = AMPLE) -> str:
    """Return the message if the server answers ``/v1/models`` with these parts."""
    with serving(answer, limit=limit) as url:
        return message(Unreachable, lambda: probe.models(access(url)))


def version(answer: Answer) -> str:
    """Return the version of a server that answers ``/version`` with these parts."""
    with serving(answer) as url:
        return f"version {probe.version(access(url))!r}"


def secure(answer: Answer) -> str:
    """Return the message if the request to the server uses TLS."""
    with serving(answer, limit=BRIEF) as url:
        where = access(url.replace("http", "https"))
        return message(Unreachable, lambda: probe.health(where))


def proxied(answer: Answer, url: str) -> str:
    """Return the message if the request to the URL goes through this proxy."""
    with serving(answer, limit=BRIEF) as proxy:
        return message(Unreachable, lambda: probe.health(access(url, proxy)))


def metrics(page: bytes) -> str:
    """Return how many metrics are read from this page."""
    with serving(lambda request: [OK + b"\r\n", page]) as url:
        return f"{len(probe.metrics(access(url)))} metrics"


def redirect(body: Callable[[bytes], Iterator[bytes]]) -> Answer:
    """Redirect ``/health`` with this body to a place that answers HTTP 503."""

    def answer(request: bytes) -> Iterable[bytes]:
        if b"/there" in request:
            return [b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]
        return body(b"HTTP/1.1 302 There\r\nLocation: /there\r\n\r\n")

    return answer


def session(answer: Answer, *, ready: float = AMPLE) -> str:
    """Return the message on a session that this server does not make ready."""
    loop = Loop()
    limits = Limits(connect=AMPLE, ready=ready)
    try:
        with serving(answer) as url:
            live = Live(loop, plan(url, limits=limits))
            said = message(Lost, lambda: loop.run(live.open()))
            loop.run(live.close())
            return said
    finally:
        loop.stop()


def frames(*parts: bytes) -> Answer:
    """Open a WebSocket, send these bytes, and leave the connection open."""
    return lambda request: stay(agree(request) + b"".join(parts))


def fragment(size: int, *, first: bool = False, last: bool = False) -> bytes:
    """Return one frame of a text in fragments."""
    kind = (0x80 if last else 0) | (1 if first else 0)
    return bytes([kind, 127]) + size.to_bytes(8) + size * b"x"


def warm_up(answer: Answer, clip: Utterance) -> str:
    """Return the note on a warm-up by one session with this clip."""
    given = {"warmup": "1", "timeout": f"{BRIEF:g}s", "pace": "0", "model": "m"}
    read = settings(lambda option: given.get(option.name), lambda _: None, {})
    run = Run(read.run, lambda: Corpus("own", (clip,)), shared=None)

    def site(request: bytes) -> Iterable[bytes]:
        if b"Sec-WebSocket-Key" in request:
            return answer(request)
        return [b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"]

    try:
        with serving(site) as url:
            return run.servers.host(url, VLLM, "m").note
    finally:
        run.stop()


def greeting(answer: Answer) -> str:
    """Return the message if the dialect must be detected by the first frame."""
    with serving(answer) as url:
        ask = partial(asyncio.run, probe.greeting(access(url)))
        return message(Unreachable, ask)


def parsed(text: str) -> str:
    """Return the message on an invalid target."""
    return message(target.TargetError, lambda: target.parse(text, path="/v1/realtime"))


def unknown_host(folder: Path) -> str:
    """Return the message on a host that does not resolve."""
    failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with patch.object(socket, "getaddrinfo", side_effect=failure):
        where = access("http://no-such-host.invalid:8000")
        return message(Unreachable, lambda: probe.health(where))


def resolver_that_hangs(folder: Path) -> str:
    """Return the message if the resolution of the host name does not end."""
    over = threading.Event()
    with (
        patch.object(probe, "ANSWER", BRIEF),
        patch.object(socket, "getaddrinfo", side_effect=lambda *_: over.wait(5)),
    ):
        where = access("http://slow-name.invalid:8000")
        said = message(Unreachable, lambda: probe.health(where))
        over.set()
    return said


def no_descriptors(folder: Path) -> str:
    """Return the message if this process may open no more files."""
    loop = Loop()
    try:
        with serving(frames()) as url:
            live = Live(loop, plan(url))
            failure = OSError(errno.EMFILE, "Too many open files")
            with patch.object(transport, "_Direct", side_effect=failure):
                said = message(Lost, lambda: loop.run(live.open()))
        assert live.trace.end.how is Ending.CANCELLED
        return said
    finally:
        loop.stop()


def tls_failure(name: str) -> Callable[[Path], str]:
    """Return the message on a TLS handshake that OpenSSL fails for this reason."""
    error = ssl.SSLError(1, f"[SSL: {name}] failed (_ssl.c:1006)")
    error.reason = name
    return lambda folder: unreachable(error)


def expired(folder: Path) -> str:
    """Return the message on a certificate that has expired."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = 10, "certificate has expired"
    return untrusted(error)


CASES = (
    # TLS, and limits of this machine
    Case(
        "no-more-descriptors",
        "the process may open no more files",
        ("Too many open files", "a limit of this machine, not of the server"),
        10,
        no_descriptors,
    ),
    Case(
        "no-tls-there",
        "the user gives https for a server with plain HTTP",
        ("does not use TLS on this port: use http or ws",),
        5,
        tls_failure("WRONG_VERSION_NUMBER"),
    ),
    Case(
        "client-certificate-wanted",
        "the server asks for a client certificate",
        ("use --realtime-client-cert=FILE, with a certificate that the server trusts",),
        5,
        tls_failure("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    ),
    Case(
        "certificate-expired",
        "the server has a certificate that has expired",
        ("certificate has expired; renew the certificate", "the clock of this machine"),
        5,
        expired,
    ),
    Case(
        "ping-flood",
        "the server sends pings without end and reads no pong",
        ("the server sent more than 10000 pings or pongs", "code 1008"),
        20,
        lambda _: session(lambda request: pour(agree(request), 500 * b"\x89\0")),
    ),
    Case(
        "pong-flood",
        "the server sends pongs without end and without a ping",
        ("the server sent more than 10000 pings or pongs",),
        20,
        lambda _: session(lambda request: pour(agree(request), 500 * b"\x8a\0")),
    ),
    # Plain HTTP
    Case(
        "status-line-dripped",
        "the server sends its status line byte by byte",
        ("/health: ", TOO_LATE),
        10,
        lambda _: health(lambda request: drip(b"HTTP/1.1 200 "), limit=BRIEF),
    ),
    Case(
        "status-line-of-another-protocol",
        "the server sends 60 kB that are not HTTP",
        ("/health: not an HTTP server: the response has no HTTP status line",),
        10,
        lambda _: health(lambda request: [60_000 * b"x" + b"\r\n"]),
    ),
    Case(
        "head-dripped",
        "the server sends a header byte by byte",
        ("/health: ", TOO_LATE),
        10,
        lambda _: health(lambda request: drip(OK + b"X: "), limit=BRIEF),
    ),
    Case(
        "head-endless",
        "the server sends headers without end",
        ("/health: ", "not an HTTP server", "more than 100 headers"),
        10,
        lambda _: health(lambda request: pour(OK, b"X: y\r\n" * 1000)),
    ),
    Case(
        "continue-endless",
        "the server answers 100 Continue again and again",
        ("/health: ", TOO_LATE),
        10,
        lambda _: health(
            lambda request: drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), limit=BRIEF
        ),
    ),
    Case(
        "body-dripped",
        "the server sends the body byte by byte",
        ("/v1/models: ", TOO_LATE),
        10,
        lambda _: model(lambda request: drip(OK + b"\r\n"), limit=BRIEF),
    ),
    Case(
        "chunk-size-dripped",
        "the server sends the size of a chunk byte by byte",
        ("/v1/models: ", TOO_LATE),
        10,
        lambda _: model(lambda request: drip(CHUNKED, b"0"), limit=BRIEF),
    ),
    Case(
        "chunk-dripped",
        "the server sends a chunk byte by byte",
        ("/v1/models: ", TOO_LATE),
        10,
        lambda _: model(lambda request: drip(CHUNKED + b"ffff\r\n"), limit=BRIEF),
    ),
    Case(
        "trailer-dripped",
        "the server ends the chunks with trailers without end",
        ("/v1/models: ", TOO_LATE),
        10,
        lambda _: model(
            lambda request: drip(CHUNKED + b"0\r\n", b"X: y\r\n"), limit=BRIEF
        ),
    ),
    Case(
        "redirect-body-dripped",
        "the server sends the body of a redirect byte by byte",
        ("HTTP 503: still loading",),
        10,
        lambda _: health(redirect(drip)),
    ),
    Case(
        "redirect-body-endless",
        "the server sends the body of a redirect without end",
        ("HTTP 503: still loading",),
        10,
        lambda _: health(redirect(pour)),
    ),
    Case(
        "redirect-loop",
        "the server redirects to the same place again and again",
        ("/v1/models: ", "HTTP 302", "give the final URL as the target"),
        10,
        lambda _: model(
            lambda request: [b"HTTP/1.1 302 X\r\nLocation: /v1/models\r\n\r\n"]
        ),
    ),
    Case(
        "redirect-to-ftp",
        "the server redirects to another protocol",
        ("/health (redirected to ftp://127.0.0.1:9/): unknown url type: ftp",),
        10,
        lambda _: health(
            lambda request: [b"HTTP/1.1 302 X\r\nLocation: ftp://127.0.0.1:9/\r\n\r\n"]
        ),
    ),
    Case(
        "tls-handshake-dripped",
        "the server sends its part of the TLS handshake byte by byte",
        ("/health: ", TOO_LATE),
        10,
        lambda _: secure(lambda request: drip(b"\x16\x03\x03\x40\x00", b"\0")),
    ),
    Case(
        "proxy-dripped",
        "the proxy answers CONNECT with a header byte by byte",
        ("asr.example/health: ", TOO_LATE),
        10,
        lambda _: proxied(
            lambda request: drip(b"HTTP/1.1 200 OK\r\nX: "), "https://asr.example"
        ),
    ),
    Case(
        "host-name-looked-up-for-ever",
        "the resolution of the host name does not end",
        ("slow-name.invalid:8000/health: ", TOO_LATE),
        10,
        resolver_that_hangs,
    ),
    Case(
        "models-of-5-mb",
        "the list of models has 5 MB",
        ("/v1/models: ", *OUR_LIMIT, "--realtime-model"),
        10,
        lambda _: model(
            lambda request: [OK + b'\r\n{"data":[{"id":"', 5_000_000 * b"x", b'"}]}']
        ),
    ),
    Case(
        "model-name-of-100-kb",
        "the name of the first model has 100 kB",
        ("/v1/models: ", "has 100000 characters; name the model with --realtime-model"),
        10,
        lambda _: model(
            lambda request: [OK + b'\r\n{"data":[{"id":"', 100_000 * b"x", b'"}]}']
        ),
    ),
    Case(
        "version-endless",
        "the server sends its version without end",
        ("version ''",),
        10,
        lambda _: version(lambda request: pour(OK + b'\r\n{"version":"')),
    ),
    Case(
        "version-of-100-kb",
        "the version of the server has 100 kB",
        ("version ''",),
        10,
        lambda _: version(
            lambda request: [OK + b'\r\n{"version":"' + 100_000 * b"1" + b'"}']
        ),
    ),
    Case(
        "metrics-one-number",
        "the page of metrics is one number of 1 MB with a letter at its end",
        ("0 metrics",),
        10,
        lambda _: metrics(b"a " + (2**20 - 100) * b"1" + b"x\n"),
    ),
    Case(
        "metrics-braces",
        "the page of metrics is one line of 1 MB of braces and blanks",
        ("0 metrics",),
        10,
        lambda _: metrics(b"a{" + 2**19 * b"} " + b"x\n"),
    ),
    # The handshake of a WebSocket
    Case(
        "refusal-of-100-mb",
        "the server refuses the key with a body of 100 MB",
        (REFUSED,),
        10,
        lambda _: session(
            lambda request: pour(
                b"HTTP/1.1 401 No\r\nContent-Length: 100000000\r\n\r\n"
            )
        ),
    ),
    Case(
        "refusal-endless",
        "the server refuses the key with a body without end",
        (REFUSED,),
        10,
        lambda _: session(lambda request: pour(b"HTTP/1.1 401 No\r\n\r\n")),
    ),
    Case(
        "refusal-dripped",
        "the server refuses the key with a body that comes byte by byte",
        (REFUSED,),
        10,
        lambda _: session(lambda request: drip(b"HTTP/1.1 401 No\r\n\r\n")),
    ),
    Case(
        "refusal-of-a-broken-chunk",
        "the server refuses the key with a body that is not chunked as announced",
        (REFUSED,),
        10,
        lambda _: session(
            lambda request: stay(
                b"HTTP/1.1 401 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            )
        ),
    ),
    Case(
        "refusal-with-1000-headers",
        "the server refuses the key with a thousand headers",
        (REFUSED,),
        10,
        lambda _: session(
            lambda request: stay(b"HTTP/1.1 401 No\r\n" + 1000 * b"X: y\r\n" + b"\r\n")
        ),
    ),
    Case(
        "refusal-of-http-1-0",
        "the server refuses the key in HTTP/1.0",
        (REFUSED,),
        10,
        lambda _: session(lambda request: [b"HTTP/1.0 401 No\r\n\r\nno"]),
    ),
    Case(
        "refusal-without-an-end",
        "the server refuses the key and closes before its headers end",
        (REFUSED,),
        10,
        lambda _: session(lambda request: [b"HTTP/1.1 401 No\r\nX: y\r\n"]),
    ),
    Case(
        "status-line-broken",
        "the server answers the handshake without HTTP and keeps the connection",
        ("not a WebSocket server", "(invalid HTTP status line)"),
        10,
        lambda _: session(lambda request: stay(b"+OK hello\r\n")),
    ),
    Case(
        "status-line-of-100-kb",
        "the server answers the handshake with 100 kB and keeps the connection",
        ("not a WebSocket server", "expected no more than 8192 bytes"),
        10,
        lambda _: session(lambda request: stay(b"HTTP/1.1 101 " + 100_000 * b"x")),
    ),
    Case(
        "handshake-with-1000-headers",
        "the server accepts with 1,000 headers and keeps the connection",
        ("not a WebSocket server", "expected no more than 128 headers"),
        10,
        lambda _: session(
            lambda request: stay(agree(request)[:-2] + 1000 * b"X: y\r\n" + b"\r\n")
        ),
    ),
    # The frames of a WebSocket
    Case(
        "protocol-error-after-200-kb",
        "the server breaks the protocol after 200 kB and keeps the connection",
        (
            "code 1002",
            "invalid opcode",
            "200012 bytes were received, but no complete event",
        ),
        10,
        lambda _: session(frames(fragment(200_000, first=True), b"\x83\0")),
    ),
    Case(
        "close-without-the-end-of-tcp",
        "the server closes the WebSocket and leaves TCP open",
        ("the server closed with code 1011: oh",),
        10,
        lambda _: session(frames(b"\x88\x04\x03\xf3oh")),
    ),
    Case(
        "event-of-2-mib",
        "the server sends an event of 2 MiB",
        ("an event of the server is larger", *OUR_LIMIT),
        10,
        lambda _: session(frames(fragment(2**21, first=True, last=True))),
    ),
    Case(
        "event-of-2-mib-in-fragments",
        "the server sends an event of 2 MiB in fragments",
        ("an event of the server is larger", *OUR_LIMIT),
        10,
        lambda _: session(
            frames(fragment(2**19, first=True), *repeat(fragment(2**19), 3))
        ),
    ),
    Case(
        "event-dripped",
        "the server sends an event byte by byte",
        ("for the server to be ready", "bytes were received, but no complete event"),
        10,
        lambda _: session(
            lambda request: drip(agree(request) + b"\x81\x7e\xff\xff"), ready=BRIEF
        ),
    ),
    Case(
        "greeting-of-2-mib",
        "the first frame of a server of an unknown dialect has 2 MiB",
        ("/v1/realtime: an event of the server is larger", *OUR_LIMIT),
        10,
        lambda _: greeting(frames(fragment(2**21, first=True, last=True))),
    ),
    Case(
        "greeting-that-breaks-the-protocol",
        "the first frame of a server of an unknown dialect is invalid",
        ("/v1/realtime: the server broke the WebSocket protocol: invalid opcode",),
        10,
        lambda _: greeting(frames(b"\x83\0")),
    ),
    # The warm-up
    Case(
        "warm-up-without-a-final",
        "the server sends no final in the warm-up",
        ("the warm-up failed: waited ", " for the final of utterance 0 (turn-right)"),
        10,
        lambda _: warm_up(
            frames(b"\x81", bytes([len(CREATED)]), CREATED.encode()), CLIP
        ),
    ),
    Case(
        "warm-up-with-broken-audio",
        "the clip of the warm-up is cut short",
        ("no warm-up: ", "cut-short.flac: "),
        10,
        lambda _: warm_up(frames(), replace(CLIP, source=BROKEN, words=())),
    ),
    # Ours, not the server's
    Case(
        "own-header-host",
        "the user sets a header of the connection",
        ("--realtime-header", "Host is set by the connection itself; omit this option"),
        10,
        lambda _: told({"header": ["Host=TOKEN"]}, environment={"TOKEN": "hush"}),
    ),
    Case(
        "own-header-of-the-handshake",
        "the user sets a header of the WebSocket handshake",
        ("REALTIME_HEADER", "sec-websocket-key is set by the connection itself"),
        10,
        lambda _: told(
            {}, environment={"REALTIME_HEADER": "sec-websocket-key=T", "T": "hush"}
        ),
    ),
    Case(
        "own-header-that-cannot-be-sent",
        "the user gives a header name with a space",
        ("realtime_header in the ini file", "a character that cannot be sent"),
        10,
        lambda _: told(
            {}, ini={"header": ["X Token=TOKEN"]}, environment={"TOKEN": "hush"}
        ),
    ),
    Case(
        "timeout-of-0",
        "the user gives a timeout of 0",
        ("--realtime-timeout: 0 is not a time", "from 0.001s to a week"),
        10,
        lambda _: told({"timeout": "0"}),
    ),
    Case(
        "max-message-of-1",
        "the user gives a limit that is smaller than any event",
        ("--realtime-max-message", "give a size from 1KiB to 1GiB"),
        10,
        lambda _: told({"max-message": "1"}),
    ),
    Case(
        "port-0",
        "the user gives port 0",
        ("'http://gpu-7:0'", "port 0 cannot be used"),
        10,
        lambda _: parsed("http://gpu-7:0"),
    ),
    Case(
        "port-out-of-range",
        "the user gives a port above 65535",
        ("'http://gpu-7:99999'", "Port out of range 0-65535"),
        10,
        lambda _: parsed("http://gpu-7:99999"),
    ),
    Case(
        "ipv6-without-brackets",
        "the user gives an IPv6 address without brackets",
        ("'::1:8000'", "write an IPv6 address in brackets"),
        10,
        lambda _: parsed("::1:8000"),
    ),
    Case(
        "host-name-that-cannot-be",
        "the user gives a host name with an empty label",
        ("'http://gpu..7:8000'", "gpu..7 is not a valid host name"),
        10,
        lambda _: parsed("http://gpu..7:8000"),
    ),
    Case(
        "host-that-does-not-resolve",
        "the host name does not resolve",
        ("no-such-host.invalid:8000/health: ", "cannot resolve the host name"),
        10,
        unknown_host,
    ),
)
