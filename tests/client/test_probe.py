"""HTTP requests to real servers on real sockets."""

from __future__ import annotations

import gc
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import trustme
from hypothesis import given, settings, strategies
from websockets.http11 import Request, Response

from pytest_realtime_asr.client import probe, target
from pytest_realtime_asr.client.transport import Access, Unreachable
from tests.support.servers import closed, plain, serving


def access(url: str, **options: object) -> Access:
    where = target.parse(url, path="/v1/realtime")
    return Access(where, **options)  # type: ignore[arg-type]


def saying(
    status: int, body: bytes = b"", **headers: str
) -> Callable[[Request], Response]:
    """Return a handler that gives every request this response."""
    return lambda request: plain(status, body, **headers)


# Health


@pytest.mark.parametrize("status", [200, 204, 404])
def test_a_healthy_server_passes(status: int) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.path)
        return plain(status)

    with serving(answer=answer) as url:
        probe.health(access(f"{url}/proxied/v1?key=hidden"))
    assert seen == ["/proxied/health"]


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "REALTIME_API_KEY"), (500, "server error"), (503, "load")],
)
def test_a_health_page_with_an_error_status_is_reported(
    status: int, advice: str
) -> None:
    def answer(request: Request) -> Response:
        return plain(status, b"no")

    with (
        serving(answer=answer) as url,
        pytest.raises(Unreachable) as caught,
    ):
        probe.health(access(url))
    assert caught.value.status == status
    assert f"{url}/health: HTTP {status}: " in str(caught.value)
    assert advice in str(caught.value)
    assert "waited" not in str(caught.value)


def test_key_is_sent_and_not_shown() -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers["Authorization"])
        return plain(401)

    with serving(answer=answer) as url, pytest.raises(Unreachable) as caught:
        probe.health(access(url, headers={"Authorization": "Bearer hush"}))
    assert seen == ["Bearer hush"]
    assert "hush" not in str(caught.value)


def test_the_probe_waits_while_the_server_loads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    left = [503, 502, 503]

    def answer(request: Request) -> Response:
        return plain(left.pop() if left else 200)

    with serving(answer=answer) as url:
        probe.health(access(url), wait=30)
    assert not left


def test_the_probe_waits_until_the_server_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    up, over = threading.Event(), threading.Event()
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))  # not listening: connections are refused

        def later() -> None:
            time.sleep(0.3)
            reserved.listen()
            up.set()
            while not over.is_set():
                taken, _ = reserved.accept()
                taken.recv(4096)
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                taken.close()
                over.set()

        thread = threading.Thread(target=later)
        thread.start()
        port = reserved.getsockname()[1]
        probe.health(access(f"http://127.0.0.1:{port}"), wait=30)
        thread.join(5)
    assert up.is_set()


def test_the_error_states_how_long_the_probe_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    begun = time.monotonic()
    with closed() as port, pytest.raises(Unreachable) as caught:
        probe.health(access(f"http://127.0.0.1:{port}"), wait=0.3)
    took = time.monotonic() - begun
    assert took >= 0.3
    # What is said is what it took, and not what was allowed.
    said = re.search(
        r"are its host and port right\? \(waited (.*) s\)", f"{caught.value}"
    )
    assert said is not None
    assert 0.3 <= float(said[1]) <= took + 0.05


def test_progress_shows_how_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    told: list[str] = []
    with closed() as port, pytest.raises(Unreachable):
        probe.health(access(f"http://127.0.0.1:{port}"), wait=0.2, progress=told.append)
    assert told[0] == f"waiting for http://127.0.0.1:{port}, 0 of 0.2 s"


def test_no_wait_for_a_permanent_error() -> None:
    with (
        serving(answer=saying(401)) as url,
        pytest.raises(Unreachable) as caught,
    ):
        probe.health(access(url), wait=600)
    assert "waited" not in str(caught.value)


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(
            Unreachable, match=r"/health: no complete response within 0\.2 s"
        ),
    ):
        probe.health(access(f"http://127.0.0.1:{mute.getsockname()[1]}"))


def test_a_request_may_have_a_limit_of_its_own() -> None:
    expected = r"/metrics: no complete response within 0\.1 s"
    with socket.create_server(("127.0.0.1", 0)) as mute:
        where = access(f"http://127.0.0.1:{mute.getsockname()[1]}")
        with pytest.raises(Unreachable, match=expected):
            probe.get(where, "/metrics", within=0.1)


def test_no_http_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            taken, _ = other.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unreachable, match="not an HTTP server"):
            probe.health(access(f"http://127.0.0.1:{other.getsockname()[1]}"))
        thread.join()


def test_a_direct_request_uses_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.path)
        return plain(200)

    with serving(answer=answer) as url, closed() as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        probe.health(access(url))  # direct
        with pytest.raises(Unreachable):
            probe.health(access(url, proxy=True))
        probe.health(access("http://asr.example:8000", proxy=url))
    assert seen == ["/health", "http://asr.example:8000/health"]


def test_redirect_does_not_carry_the_key_elsewhere() -> None:
    seen: list[Request] = []

    def there(request: Request) -> Response:
        seen.append(request)
        return plain(200)

    with serving(answer=there) as elsewhere:

        def here(request: Request) -> Response:
            return plain(302, Location=f"{elsewhere}/health")

        with serving(answer=here) as url:
            probe.health(access(url, headers={"Authorization": "Bearer hush"}))
    assert [request.path for request in seen] == ["/health"]
    assert "Authorization" not in seen[0].headers


def test_certificates() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with serving(answer=saying(200), tls=context) as url:
        probe.health(access(url, tls=trusting))
        with pytest.raises(Unreachable, match="--realtime-ca=FILE"):
            probe.health(access(url, tls=ssl.create_default_context()))


@pytest.mark.parametrize("name", [None, "asr.example"])
def test_the_server_may_have_a_certificate_for_another_name(name: str | None) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("asr.example").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    hosts: list[str] = []

    def answer(request: Request) -> Response:
        hosts.append(request.headers["Host"])
        return plain(200)

    with serving(answer=answer, tls=context) as url:
        asked = access(url, tls=trusting, server_name=name)
        if name is None:
            with pytest.raises(Unreachable, match="--realtime-server-name"):
                probe.health(asked)
        else:
            probe.health(asked)
            assert hosts == [url.removeprefix("https://")]


# Models


def test_models() -> None:
    body = b'{"object":"list","data":[{"id":"one","object":"model"},{"id":"two"}]}'
    with serving(answer=saying(200, body)) as url:
        assert probe.models(access(url))[0] == "one"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "", "not found"),
        (401, "", "REALTIME_API_KEY"),
        (503, "", "still loading"),
        (200, '{"data":[]}', "the list of models is empty"),
        (200, "<html>", "not a list of models"),
        (200, '{"data":[{"name":"x"}]}', "not a list of models"),
        (200, "\xff", "not a list of models"),
        (200, '{"data":[{"id":"\xff"}]}', "not a list of models"),
        (200, '{"data":[],"x":' + "[" * 99_999, "not a list of models"),
    ],
)
def test_no_model(status: int, body: str, said: str) -> None:
    raw = body.encode("latin-1")
    with (
        serving(answer=saying(status, raw)) as url,
        pytest.raises(Unreachable, match=said) as caught,
    ):
        probe.models(access(url))
    assert f"{url}/v1/models: " in str(caught.value)
    if status in (200, 404):
        assert "--realtime-model" in str(caught.value)


def test_models_of_a_server_that_is_down() -> None:
    with closed() as port, pytest.raises(Unreachable) as caught:
        probe.models(access(f"http://127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}/v1/models: no server was there: " in str(caught.value)


# Version


def test_version() -> None:
    seen: list[tuple[str, str]] = []

    def answer(request: Request) -> Response:
        seen.append((request.path, request.headers["Authorization"]))
        return plain(200, b'{"version":"0.33.1.dev5+g1a2b3c","more":1}')

    with serving(answer=answer) as url:
        key = {"Authorization": "Bearer hush"}
        assert probe.version(access(url, headers=key)) == "0.33.1.dev5+g1a2b3c"
    assert seen == [("/version", "Bearer hush")]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, '{"version":"1.0"}'),
        (401, ""),
        (500, '{"version":"1.0"}'),
        (200, ""),
        (200, "1.0"),
        (200, '"1.0"'),
        (200, '{"version":1.0}'),
        (200, '{"versions":["1.0"]}'),
        (200, '{"version":"\xff"}'),
        (200, '{"version":"1.0","x":' + "[" * 99_999),
    ],
)
def test_a_server_without_a_version(status: int, body: str) -> None:
    raw = body.encode("latin-1")
    with serving(answer=saying(status, raw)) as url:
        assert probe.version(access(url)) == ""


def test_version_of_a_server_that_is_down() -> None:
    with closed() as port:
        assert probe.version(access(f"http://127.0.0.1:{port}")) == ""


# Metrics

METRICS = """\
# HELP vllm:num_requests_running Number of requests.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="fake"} 2.0
vllm:num_requests_running{engine="1",model_name="fake"} 1.0
process_open_fds 42
python_info{version="3.12",text="a } 7 b {"} 1.0 1700000000000
created_total 1.7e+09
 spaced\t{a="b"}   -0.5  \r
tiny .5
whole 3.
endless{le="+Inf"} +Inf
none NaN
line_break{text="a\x85b\u2028c\x0b\x0cd\x1c"} 4

nothing
two 1.2.3
three 1 2 3
four 1e
name{a="b"}
five{a="b" 1
6six 1
dots ..
hex 0x1
under_score 1_000
digits \u0661
"""


def test_metrics() -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.path)
        return plain(200, METRICS.encode())

    with serving(answer=answer) as url:
        found = probe.metrics(access(url))
    assert seen == ["/metrics"]
    assert str(found.pop("none")) == "nan"
    assert found == {
        "vllm:num_requests_running": 3.0,
        "process_open_fds": 42.0,
        "python_info": 1.0,
        "created_total": 1.7e9,
        "spaced": -0.5,
        "tiny": 0.5,
        "whole": 3.0,
        "endless": float("inf"),
        "line_break": 4.0,
    }


@pytest.mark.parametrize("status", [401, 404, 500])
def test_a_server_without_metrics(status: int) -> None:
    with serving(answer=saying(status, b"one 1\n")) as url:
        assert probe.metrics(access(url)) == {}


def test_metrics_that_are_not_valid() -> None:
    for body in (b"", b"<html>one 1</html>", b"\xff\xfe\n\xff 1", b'{"one": 1}'):
        with serving(answer=saying(200, body)) as url:
            assert probe.metrics(access(url)) == {}


def test_a_number_that_is_cut_off_is_ignored() -> None:
    most, line = 2**20, b"one 1234567\n"
    head = b"# " + b"x" * ((most - 3 - 7) % len(line)) + b"\n"
    whole, rest = divmod(most - len(head), len(line))
    assert line[:rest] == b"one 123"
    with serving(answer=saying(200, head + line * (whole + 1))) as url:
        found = probe.metrics(access(url))
    assert found == {"one": 1234567.0 * whole}


# What the page was read by before, which takes the square of the length of a number.
OF_OLD = re.compile(
    r"([a-z_:][\w:]*)(?:\s*\{.*\})?\s+"
    r"([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf|nan))(?:\s+-?\d+)?",
    re.ASCII | re.IGNORECASE,
)


@given(
    strategies.text('a1.e+-{}"= \t_:#', max_size=12)
    | strategies.from_regex(OF_OLD, fullmatch=True, alphabet='a1.e+-{}=" in_f:')
)
@settings(max_examples=100, deadline=None)
def test_lines_of_metrics_are_read_as_by_the_regular_expression(line: str) -> None:
    match = OF_OLD.fullmatch(line.strip())
    found = probe.sums(line.encode())
    if match is None:
        assert found == {}
    else:
        assert repr(found) == repr({match[1]: 0.0 + float(match[2])})


@pytest.mark.parametrize(
    ("page", "size"),
    [
        (lambda size: 64 * (b"a " + size // 64 * b"1" + b"x\n"), 2**20),
        (lambda size: 64 * (b"a{" + size // 128 * b"} " + b"x\n"), 2**20),
        (lambda size: 64 * (b"a" + size // 64 * b" " + b"1x\n"), 2**20),
        (lambda size: b"a" + size * b" " + b"1x", 2**20),
        (lambda size: size // 12 * b'b{c="d"} 22\n', 2**16),
    ],
    ids=["digits", "braces", "blanks", "line", "samples"],
)
def test_the_cost_of_metrics_is_linear(page: Callable[[int], bytes], size: int) -> None:
    def cost(size: int) -> float:
        found = page(size)
        begun = time.process_time()
        probe.sums(found)
        return time.process_time() - begun

    small = min(cost(size) for _ in range(3))
    large = min(cost(4 * size - 2**10) for _ in range(3))
    assert large < 6 * small + 0.01  # s, as the clock has its steps


def test_a_line_that_is_too_long_is_left_out() -> None:
    name = b"a" * (2**16 - 2)
    assert probe.sums(name + b" 1\ntwo 2") == {name.decode(): 1.0, "two": 2.0}
    assert probe.sums(name + b"a 1\ntwo 2") == {"two": 2.0}


def test_metrics_of_a_server_that_is_down() -> None:
    with closed() as port, pytest.raises(Unreachable, match="no server was there"):
        probe.metrics(access(f"http://127.0.0.1:{port}"))


# Any route


@pytest.mark.parametrize(
    ("status", "errors", "body"),
    [
        (200, False, b"said"),
        (200, True, b"said"),
        (404, False, b""),
        (404, True, b"said"),
        (500, True, b"said"),
        (426, True, b"said"),
    ],
)
def test_get(status: int, errors: bool, body: bytes) -> None:
    with serving(answer=saying(status, b"said")) as url:
        found = probe.get(access(url + "/v1"), "/v1/realtime", errors=errors)
    assert found == (status, body)


def test_the_start_of_a_long_body_is_read() -> None:
    long = b"x" * (2**20 + 7)
    for status in (200, 500):
        with serving(answer=saying(status, long)) as url:
            found = probe.get(access(url), "/long", errors=True)
        assert found == (status, long[: 2**20])


@pytest.mark.parametrize("most", [2**10, 2**21])
def test_a_body_is_read_up_to_the_limit(most: int) -> None:
    with serving(answer=saying(200, b"x" * (2**21 + 7))) as url:
        found = probe.get(access(url, max_message=most), "/long")
    assert found == (200, b"x" * most)


@pytest.mark.parametrize(
    ("most", "said"),
    [(2**10, "the client's limit of 1 KiB; raise this limit with "), (2**12, "")],
)
def test_a_list_of_models_over_the_limit(most: int, said: str) -> None:
    body = b'{"data":[{"id":"one"}],"more":"%s"}' % (b"x" * 2000)
    with serving(answer=saying(200, body)) as url:
        asked = access(url, max_message=most)
        if said:
            with pytest.raises(Unreachable, match=said):
                probe.models(asked)
        else:
            assert probe.models(asked)[0] == "one"


def test_a_cancelled_request_leaves_no_thread_and_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its thread and its connection end, even if TLS has detached the socket."""
    gone: list[bytes] = []

    def drip(parts: Iterator[bytes]) -> None:
        try:
            taken, _ = listening.accept()
        except TimeoutError:
            return
        with taken:
            taken.settimeout(0.02)
            while not gone:
                try:
                    if not taken.recv(4096):
                        gone.append(b"")
                except TimeoutError:
                    taken.sendall(next(parts, b"\0"))
                except OSError:
                    gone.append(b"")

    before = set(threading.enumerate())
    for limit in (0.2, 1.0, 5.0):  # on a busy machine, a connection may take as long
        monkeypatch.setattr(probe, "ANSWER", limit)
        record = iter([b"\x16\x03\x03\x40\x00"])  # a long record of the handshake
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(limit + 0.2)
            dripping = threading.Thread(target=drip, args=(record,))
            dripping.start()
            where = access(f"https://127.0.0.1:{listening.getsockname()[1]}")
            with pytest.raises(Unreachable, match="no complete response within"):
                probe.health(where)
            dripping.join(10)
        if gone:
            break
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    assert gone


def test_a_redirect_is_followed_no_more_than_ten_times() -> None:
    asked: list[str] = []

    def on(request: Request) -> Response:
        asked.append(request.path)
        return plain(302, Location=f"/{len(asked)}")

    with serving(answer=on) as url:
        assert probe.get(access(url), "/0", errors=True) == (302, b"")
    assert asked == [f"/{number}" for number in range(11)]


@contextmanager
def talking(*parts: bytes, pause: float = 0.0, again: bool = False) -> Iterator[str]:
    """Serve one connection with these parts, and yield the URL.

    With ``again``, the last part is sent again and again.
    """
    over = threading.Event()

    def answer() -> None:
        taken, _ = listening.accept()
        with taken:
            taken.recv(4096)
            try:
                for part in parts:
                    taken.sendall(part)
                while again and not over.wait(pause):
                    taken.sendall(parts[-1])
            except OSError:
                return  # he has gone

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        over.set()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh"])
def test_a_body_without_end_is_given_up(
    status: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "ANSWER", 0.3)
    head = b"HTTP/1.1 " + status + b"\r\n\r\n"
    begun = time.monotonic()
    with (
        talking(head, b": beat\n\n", pause=0.05, again=True) as url,
        pytest.raises(
            Unreachable, match=r"/events: no complete response within 0\.3 s"
        ),
    ):
        probe.get(access(url), "/events", errors=True)
    assert 0.3 <= time.monotonic() - begun < 5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "not an HTTP server"),
        (b"Content-Length: 9\r\n\r\nhalf", "ended after 4 of 9 bytes"),
    ],
)
@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh"])
def test_a_body_that_is_broken(status: bytes, body: bytes, said: str) -> None:
    with (
        talking(b"HTTP/1.1 " + status + b"\r\n" + body) as url,
        pytest.raises(Unreachable, match=f"/broken: .*{said}"),
    ):
        probe.get(access(url), "/broken", errors=True)


@pytest.mark.parametrize("place", ["http://[", "http://host:port/"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_redirect_without_a_location(place: str) -> None:
    with serving(answer=saying(302, Location=place)) as url:
        with pytest.raises(Unreachable, match=f"^{url}/x.*: "):
            probe.get(access(url), "/x")
        gc.collect()  # the library leaves its socket behind


def test_a_redirect_into_our_own_files_is_not_followed() -> None:
    with serving(answer=saying(302, b"there", Location="file:///etc/passwd")) as url:
        assert probe.get(access(url), "/x") == (302, b"there")
