"""ASGI applications that are served in a child process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pytest_realtime_asr.client import asgi, asgi_child
from pytest_realtime_asr.client.asgi import Application, ApplicationError
from pytest_realtime_asr.client.asgi_child import Message, Receive, Send
from pytest_realtime_asr.client.loop import Loop
from tests.support.paths import ROOT


async def speaking(scope: Message, receive: Receive, send: Send) -> None:
    """Answers ``GET`` with the path, and each WebSocket frame with two frames."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = str(scope["path"]).encode()
        await send({"type": "http.response.body", "body": body})
        return
    assert scope["type"] == "websocket", "there is no lifespan"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "heard:"})
        await send({"type": "websocket.send", "text": message["text"]})


class Living:
    """An application with a lifespan, which notes what it does in a file."""

    def __init__(self, notes: Path | None = None, *, fails: str = "") -> None:
        self._notes = notes
        self._fails = fails

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await speaking(scope, receive, send)
            return
        for event in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{event}"
            self._note(event)
            if self._fails == f"prints at {event}":
                print("loading the model", flush=True)
                raise ArithmeticError("no model")
            if self._fails == event:
                raise ArithmeticError(f"no {event} today")
            if self._fails == f"says {event}":
                message = "Traceback ...\nArithmeticError: it is said"
                await send({"type": f"lifespan.{event}.failed", "message": message})
                return
            if self._fails == f"hangs at {event}":
                print("this takes time", flush=True)
                await asyncio.sleep(60)
            if self._fails == f"leaves at {event}":
                sys.exit(7)
            if self._fails == f"dies at {event}":
                print("this ends here", flush=True)
                os._exit(3)
            await send({"type": f"lifespan.{event}.complete"})

    def _note(self, text: str) -> None:
        if self._notes is not None:
            with self._notes.open("a") as notes:
                notes.write(f"{text} {os.getpid()}\n")


def get(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as response:
        return str(response.read().decode())


def gone(pid: int, *, within: float = 10.0) -> bool:
    """Return whether a process, of any parent, ends within ``within`` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{pid}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_http_and_websocket() -> None:
    with Application(speaking) as app:
        assert get(f"{app.url}/health") == "/health"
        url = app.url.replace("http://", "ws://")
        with connect(f"{url}/v1/realtime", proxy=None) as link:
            for text in ("one", "two"):
                link.send(text)
                assert [link.recv(), link.recv()] == ["heard:", text]
        pid = app.pid
    assert gone(pid)
    app.stop()
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(f"{app.url}/health")


def test_lifespan(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with Application(Living(notes)) as app:
        assert notes.read_text() == f"startup {app.pid}\n"
        assert get(f"{app.url}/health") == "/health"
    assert notes.read_text() == f"startup {app.pid}\nshutdown {app.pid}\n"


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ("startup", "ArithmeticError: no startup today"),
        (
            "prints at startup",
            "ArithmeticError: no model\nthe application printed before:\n"
            "loading the model",
        ),
        ("says startup", "ArithmeticError: it is said"),
        ("leaves at startup", "SystemExit: 7"),
        ("dies at startup", "its process ended\nthis ends here"),
    ],
)
def test_a_start_that_fails_is_reported(fails: str, said: str) -> None:
    with pytest.raises(ApplicationError) as caught:
        Application(Living(fails=fails))
    text = str(caught.value)
    assert text.startswith("the application did not start: ")
    assert text.endswith(said)
    assert text.count(said) == 1


def test_start_that_takes_too_long() -> None:
    begun = time.monotonic()
    with pytest.raises(ApplicationError, match=r"more than 0\.5 s\nthis takes time$"):
        Application(Living(fails="hangs at startup"), starting=0.5)
    assert time.monotonic() - begun < 5


def test_shutdown_that_fails_is_output() -> None:
    app = Application(Living(fails="shutdown"))
    app.stop()
    assert "ArithmeticError: no shutdown today" in app.output.take()


def test_shutdown_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "STOPPING", 0.3)
    app = Application(Living(fails="hangs at shutdown"))
    app.stop()
    assert gone(app.pid, within=1)


def test_stopped_process_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "STOPPING", 0.2)
    app = Application(speaking)
    os.kill(app.pid, signal.SIGSTOP)
    app.stop()
    assert gone(app.pid, within=1)


def test_child_processes_of_the_application_end_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    async def forking(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            worker = subprocess.Popen(["sleep", "60"])
            note.write_text(str(worker.pid))
        await speaking(scope, receive, send)

    with Application(forking) as app:
        assert get(f"{app.url}/x") == "/x"
        worker = int(note.read_text())
        os.kill(worker, 0)  # it is there
    assert gone(worker)


def test_end_does_not_wait_for_sessions() -> None:
    app = Application(speaking)
    with connect(app.url.replace("http://", "ws://"), proxy=None) as link:
        link.send("one")
        link.recv()
        begun = time.monotonic()
        app.stop()
        assert time.monotonic() - begun < 4


def test_an_object_that_is_no_application_is_refused() -> None:
    with pytest.raises(TypeError, match="5 is not an ASGI application"):
        Application(5)  # type: ignore[arg-type]


def test_errors_are_output(capfd: pytest.CaptureFixture[str]) -> None:
    async def failing(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        print("an aside")
        raise ArithmeticError("in a request")

    app = Application(failing)
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(f"{app.url}/health")
    caught.value.close()
    assert caught.value.code == 500
    app.settle()
    printed = app.output.take(sessions=False)
    assert "an aside" in printed
    assert printed.count("ArithmeticError: in a request") == 1
    app.stop()
    assert app.output.take() == ""
    assert capfd.readouterr() == ("", "")


class WebSocketDisconnect(Exception):
    """As frameworks raise it in the handler of a session that the client has left."""


async def printing(scope: Message, receive: Receive, send: Send) -> None:
    """Print each frame of a session, and raise an exception when the client leaves."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        print(message["text"])
        print(message["text"], "again", file=sys.stderr)
        await send({"type": "websocket.send", "text": "printed"})
        if message["text"] == "lingers":
            await asyncio.sleep(60)
    raise WebSocketDisconnect(message["code"])


def test_output_is_attributed_to_its_session() -> None:
    with Application(printing) as app:
        url = app.url.replace("http://", "ws://")
        with connect(url, proxy=None) as one, connect(url, proxy=None) as two:
            for link, word in ((one, "one"), (two, "two"), (one, "three")):
                link.send(word)
                link.recv()
            ports = [link.socket.getsockname()[1] for link in (one, two)]
        app.settle()
        left = "WebSocketDisconnect, which the handler does not catch: 1000\n"
        assert [app.output.of_session(port) for port in ports] == [
            f"one\none again\nthree\nthree again\n{left}",
            f"two\ntwo again\n{left}",
        ]
        assert app.output.take().startswith("one\none again\ntwo\ntwo again\nthree\n")
        assert app.output.take(sessions=False) == ""


@pytest.mark.slow
def test_a_handler_that_lingers_is_awaited_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asgi_child, "SETTLING", 0.2)
    with Application(printing) as app:
        url = app.url.replace("http://", "ws://")
        with connect(url, proxy=None) as link:
            link.send("lingers")
            link.recv()
        begun = time.monotonic()
        app.settle()
        first = time.monotonic()
        app.settle()
        assert time.monotonic() - first < first - begun >= 0.2
    app.settle()  # after the end there is nothing to wait for


def test_a_traceback_begins_with_the_application() -> None:
    async def failing(scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        raise ArithmeticError("in a session")

    with Application(failing) as app:
        url = app.url.replace("http://", "ws://")
        with pytest.raises(InvalidStatus), connect(url, proxy=None):
            pass
        app.settle()
        printed = app.output.take()
    assert "ArithmeticError: in a session" in printed
    assert f'File "{__file__}", line ' in printed
    assert "asgi_child" not in printed


def test_the_child_uses_no_state_of_its_parent(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The child has its own output, loggers, filters, clean-up and connections."""
    told: list[str] = []

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("a handler of the parent", file=sys.__stderr__)

    async def loud(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            logging.getLogger("of.tests").error("a log")
            compile("1 is 1", "here", "eval")  # warns
            told.append("in the child")
        await speaking(scope, receive, send)

    handler = Telling()
    logging.getLogger("of.tests").addHandler(handler)
    print("half a line", end="")
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    peer = socket.create_connection(address)
    accepted, _ = listening.accept()
    try:
        with Application(loud) as app:
            assert get(f"{app.url}/health") == "/health"
            for it in (peer, listening):
                it.close()  # which is seen though the process was forked
            accepted.settimeout(5)
            assert accepted.recv(1) == b""
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(address)
            assert capfd.readouterr().out == "half a line"
    finally:
        logging.getLogger("of.tests").removeHandler(handler)
        for it in (peer, listening, accepted):
            it.close()
    shown = app.output.take() + capfd.readouterr().err
    assert "a log" in shown
    assert "a handler" not in shown
    assert told == []


@pytest.mark.slow
def test_loops_of_the_parent_go_on() -> None:
    """A server starts from a coroutine, from a thread, and beside a running loop."""
    loop = Loop()

    async def inside() -> str:
        with Application(speaking) as app:
            return await asyncio.to_thread(get, f"{app.url}/inside")

    async def ticks() -> int:
        for _ in range(5):
            await asyncio.sleep(0.01)
        return 5

    assert asyncio.run(inside()) == "/inside"
    assert loop.run(inside()) == "/inside"
    found: list[str] = []

    def threaded() -> None:
        with Application(speaking) as app:
            found.append(get(f"{app.url}/thread"))

    thread = threading.Thread(target=threaded)
    thread.start()
    thread.join(20)
    assert found == ["/thread"]
    assert loop.run(ticks()) == 5
    loop.stop()


def test_two_applications_run_at_the_same_time() -> None:
    with Application(speaking) as one, Application(speaking) as two:
        assert one.url != two.url
        begun = time.monotonic()
        one.stop()
        assert time.monotonic() - begun < 3
        assert get(f"{two.url}/health") == "/health"


PARENT = """
import os, sys, threading, time, warnings
sys.path.insert(0, {tests!r})
from pytest_realtime_asr.client.asgi import Application
from tests.client.test_asgi import Living

threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
app = Application(Living())
print(app.pid, app.url, flush=True)
{rest}
"""


@contextmanager
def parent(rest: str) -> Iterator[subprocess.Popen[str]]:
    code = PARENT.format(tests=str(ROOT), rest=rest)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    "rest",
    [
        "time.sleep(60)",
        "os._exit(0)",
        "raise SystemExit",
        "app.stop()",
        "if not os.fork(): time.sleep(3); os._exit(0)\nos._exit(0)",
    ],
    ids=["killed", "exit", "system-exit", "stop", "survived-by-a-fork"],
)
def test_ends_with_its_parent(rest: str) -> None:
    with parent(rest) as process:
        assert process.stdout is not None
        pid, url = process.stdout.readline().split()
        assert url.startswith("http://127.0.0.1:")
        if "sleep(60)" in rest:
            assert get(f"{url}/health") == "/health"
            process.kill()
        assert gone(int(pid))


def test_interrupt_is_for_the_parent() -> None:
    """The child has its own session, so Ctrl-C in a terminal does not reach it."""
    with Application(speaking) as app:
        assert os.getsid(app.pid) == os.getpgid(app.pid) == app.pid
        assert os.getsid(0) != app.pid


def test_without_uvicorn() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None; import pytest_realtime_asr.client."
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}asgi"], capture_output=True, text=True
    )
    assert done.returncode == 1
    said: Any = done.stderr.strip().splitlines()[-1]
    assert said.startswith("ImportError: ")
    assert said.endswith('pip install "pytest-realtime-asr[asgi]"')
