"""What is asked over HTTP, of real servers on real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest
import trustme
from servers import closed, plain, serving
from websockets.http11 import Request, Response

from pytest_realtime_asr import probe, target
from pytest_realtime_asr.transport import Access, Unreachable


def access(url: str, **options: object) -> Access:
    where = target.parse(url, path="/v1/realtime")
    return Access(where, **options)  # type: ignore[arg-type]


def models(body: str, *, status: int = 200) -> Callable[[Request], Response]:
    return lambda request: plain(status, body.encode())


# Health


@pytest.mark.parametrize("status", [200, 204, 404])
def test_healthy(status: int) -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.path)
        return plain(status)

    with serving(answer=answer) as url:
        probe.health(access(f"{url}/proxied/v1?key=hidden"))
    assert seen == ["/proxied/health"]


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "REALTIME_API_KEY"), (500, "refused"), (503, "load")]
)
def test_ill(status: int, advice: str) -> None:
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


def test_key_is_sent_and_not_told() -> None:
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers["Authorization"])
        return plain(401)

    with serving(answer=answer) as url, pytest.raises(Unreachable) as caught:
        probe.health(access(url, headers={"Authorization": "Bearer hush"}))
    assert seen == ["Bearer hush"]
    assert "hush" not in str(caught.value)


def test_waits_while_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    left = [503, 502, 503]

    def answer(request: Request) -> Response:
        return plain(left.pop() if left else 200)

    with serving(answer=answer) as url:
        probe.health(access(url), wait=30)
    assert not left


def test_waits_until_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_waits_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    begun = time.monotonic()
    with closed() as port, pytest.raises(Unreachable) as caught:
        probe.health(access(f"http://127.0.0.1:{port}"), wait=0.3)
    assert time.monotonic() - begun >= 0.3
    assert "is the server running there? (waited 0.3 s)" in str(caught.value)


def test_does_not_wait_for_what_will_not_change() -> None:
    with (
        serving(answer=lambda request: plain(401)) as url,
        pytest.raises(Unreachable) as caught,
    ):
        probe.health(access(url), wait=600)
    assert "waited" not in str(caught.value)


def test_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ANSWER", 0.2)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(Unreachable, match=r"/health: no answer within 0.2 s"),
    ):
        probe.health(access(f"http://127.0.0.1:{mute.getsockname()[1]}"))


def test_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def greet() -> None:
            taken, _ = other.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(Unreachable, match="no HTTP server"):
            probe.health(access(f"http://127.0.0.1:{other.getsockname()[1]}"))
        thread.join()


def test_direct_way_and_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
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
    with serving(answer=lambda request: plain(200), tls=context) as url:
        probe.health(access(url, tls=trusting))
        with pytest.raises(Unreachable, match="--realtime-ca=FILE"):
            probe.health(access(url, tls=ssl.create_default_context()))


# Models


def test_first_model() -> None:
    body = '{"object":"list","data":[{"id":"one","object":"model"},{"id":"two"}]}'
    with serving(answer=models(body)) as url:
        assert probe.first_model(access(url)) == "one"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, "", "no such route"),
        (401, "", "REALTIME_API_KEY"),
        (503, "", "still loading"),
        (200, '{"data":[]}', "the server has no model"),
        (200, "<html>", "not a list of models"),
        (200, '{"data":[{"name":"x"}]}', "not a list of models"),
        (200, "\xff", "not a list of models"),
    ],
)
def test_no_model(status: int, body: str, said: str) -> None:
    raw = body.encode("latin-1")
    with (
        serving(answer=lambda request: plain(status, raw)) as url,
        pytest.raises(Unreachable, match=said) as caught,
    ):
        probe.first_model(access(url))
    assert f"{url}/v1/models: " in str(caught.value)
    if status in (200, 404):
        assert "--realtime-model" in str(caught.value)


def test_models_of_a_server_that_is_down() -> None:
    with closed() as port, pytest.raises(Unreachable) as caught:
        probe.first_model(access(f"http://127.0.0.1:{port}"))
    assert f"127.0.0.1:{port}/v1/models: cannot connect: " in str(caught.value)
