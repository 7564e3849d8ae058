"""The child's side of `client.asgi`: serves an application in the forked process.

The child keeps nothing that belongs to the test run. The child has its own output,
signals, loggers and warning filters. It closes the connections that it inherits, and
does not run the exit handlers that it inherits.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import stat
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from multiprocessing.connection import Connection
from types import TracebackType
from typing import IO, Any

from pytest_realtime_asr.client.asgi_output import TaggingStreams, client_port

try:
    import uvicorn
except ImportError as error:
    raise ImportError(
        "an ASGI application is served by uvicorn, which is not installed; run pip "
        'install "pytest-realtime-asr[asgi]"'
    ) from error

STOP = b"stop"  # what the parent writes to the lifeline to end the child
STOPPING = 5.0  # s that the application may take to end when it is asked to
SETTLING = 0.3  # s that the handlers of closed sessions may take to end
_TURNS = 0.01  # s in which the event loop reads what has arrived
_CLOSING = 2  # s that open connections may take to close at the end
_CHECK = 0.5  # s between two checks whether the parent still runs

# Packages whose frames a traceback does not need before those of the application
_FRAMEWORKS = {"fastapi", "litestar", "pytest_realtime_asr", "starlette"}
# The exception of Starlette, FastAPI and Litestar for a client that left
_LEFT = "WebSocketDisconnect"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]


def serve_forever(
    application: ASGI,
    listening: socket.socket,
    output: IO[bytes],
    report: Connection,
    lifeline: Connection,
    parent: int,
) -> None:
    """Serve in the forked process until the parent stops it; does not return.

    ``parent`` is the process id of the parent. Through ``report`` the parent receives
    why the start failed, or ``None`` if the start succeeded.
    """
    status = 1
    try:
        _detach(output, keep={listening.fileno()})
        status = _serve(application, listening, report, lifeline, parent)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        _exit(status)


def _exit(status: int) -> None:
    """End this process and the processes that it started, such as engine workers.

    The workers keep files of the parent open, so a reader of the parent's output would
    wait for the workers. This process is a fork, so it has inherited the exit handlers
    of the test run. The handlers do not run here, since they would end the test run a
    second time.
    """
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(status)


def _detach(output: IO[bytes], *, keep: set[int]) -> None:
    """Release all resources of the parent, except the descriptors in ``keep``."""
    # Objects of the parent must not be freed in the child: if an event loop is freed,
    # it removes its sockets from an epoll object that the two processes share.
    gc.freeze()
    os.setsid()  # Ctrl-C is for the parent, which then stops this process
    signal.set_wakeup_fd(-1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    for number in map(int, os.listdir("/dev/fd")):
        # While this process holds a connection of the parent open, the peer does not
        # see that the parent has closed the connection. The descriptor numbers stay in
        # use.
        if number not in keep and _is_connection(number):
            os.dup2(null, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - used until the exit
    streams = TaggingStreams()
    sys.stdout, sys.stderr = streams.stdout, streams.stderr
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    warnings.resetwarnings()
    _reset_logging()


def _is_connection(number: int) -> bool:
    """Return whether a file descriptor is an internet socket."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as found:
            return found.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:
        return False  # already closed, such as the descriptor that listed the others


def _reset_logging() -> None:
    """Log to standard error, not to the reports and log files of the parent."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            logger.handlers = []
    logging.root.addHandler(logging.StreamHandler())
    logging.root.setLevel(logging.WARNING)


def _serve(
    application: ASGI,
    listening: socket.socket,
    report: Connection,
    lifeline: Connection,
    parent: int,
) -> int:
    """Serve until the parent stops this process or ends; return the exit status."""
    startup = _Startup(application)
    server = uvicorn.Server(
        uvicorn.Config(
            _Sessions(startup),
            loop="asyncio",
            interface="asgi3",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_CLOSING,
        )
    )

    async def run() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if startup.failure is not None:
            server.should_exit = True
        elif server.started:
            _send(report, None)
        await serving

    # Not `asyncio.run`: it replaces the event loop of the parent and may free it.
    loop = asyncio.new_event_loop()
    watching = threading.Thread(
        target=_watch_parent, args=(lifeline, parent, server, loop), daemon=True
    )
    watching.start()
    failure = None
    try:
        loop.run_until_complete(run())
    except SystemExit:
        failure = "its lifespan startup failed"
    except BaseException:
        failure = traceback.format_exc()
    if server.started and startup.failure is None:
        if failure is not None:
            sys.stderr.write(failure)
        return int(failure is not None)
    _send(report, startup.failure or failure or "the server ended at once")
    return 1


def _send(report: Connection, failure: str | None) -> None:
    """Tell the parent why the start failed; ``failure`` is ``None`` if it succeeded."""
    with contextlib.suppress(BrokenPipeError), report:
        report.send(failure)


def _watch_parent(
    lifeline: Connection,
    parent: int,
    server: uvicorn.Server,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Answer the parent's requests, until the parent ends or sends `STOP`.

    This process is then ended, even if the event loop of the server hangs.
    """
    settled = _Settled(server)
    while os.getppid() == parent:
        if not lifeline.poll(_CHECK):
            continue
        try:
            word = lifeline.recv_bytes()
        except (OSError, EOFError):
            break
        if word == STOP:
            break
        answer = functools.partial(_answer, lifeline, word)
        waiting = settled.wait()
        try:
            future = asyncio.run_coroutine_threadsafe(waiting, loop)
        except RuntimeError:  # the loop has ended
            waiting.close()
            continue
        future.add_done_callback(answer)
    server.should_exit = True
    time.sleep(STOPPING)
    _exit(1)


def _answer(lifeline: Connection, word: bytes, _: object) -> None:
    with contextlib.suppress(OSError):
        lifeline.send_bytes(word)


class _Settled:
    """Waits until the handlers of closed sessions have ended.

    A wait takes at most `SETTLING` s.
    """

    def __init__(self, server: uvicorn.Server) -> None:
        self._state = server.server_state
        self._left = 0  # handlers that did not end, for which no later call waits

    async def wait(self) -> None:
        deadline = time.monotonic() + SETTLING
        await asyncio.sleep(_TURNS)
        while self._without_connection > self._left and time.monotonic() < deadline:
            await asyncio.sleep(_TURNS)
        self._left = max(self._left, self._without_connection)

    @property
    def _without_connection(self) -> int:
        return len(self._state.tasks) - len(self._state.connections)


class _Sessions:
    """Wraps an application, to mark the output of each session with the client's port.

    When a client leaves a session, a framework may end the session's handler by an
    exception. This exception is no error of the application, so it is shown in one
    line, without a traceback.
    """

    def __init__(self, application: ASGI) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._application(scope, receive, send)
            return
        client_port.set((scope.get("client") or (None, None))[1])
        try:
            await self._application(scope, receive, send)
        except BaseException as error:
            if not any(kind.__name__ == _LEFT for kind in type(error).__mro__):
                error.__traceback__ = _own(error.__traceback__)
                raise
            print(f"{_LEFT}, which the handler does not catch: {error}")


def _own(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of frameworks at its start."""
    first = trace
    while first is not None:
        if (
            first.tb_frame.f_globals.get("__name__", "").partition(".")[0]
            not in _FRAMEWORKS
        ):
            return first
        first = first.tb_next
    return trace


class _Startup:
    """Wraps an application, to note why its lifespan startup failed.

    ``failure`` is the reason; it is ``None`` if the startup did not fail. An
    application that raises an exception for the lifespan scope is served without
    lifespan events, as the ASGI specification demands. But if the application has first
    asked for a lifespan event, an exception before the end of its startup is a failure.
    """

    def __init__(self, application: ASGI) -> None:
        self._application = application
        self.failure: str | None = None
        self._complete = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        received = False

        async def note_receive() -> Message:
            nonlocal received
            received = True
            return await receive()

        async def note_send(message: Message) -> None:
            self._complete |= message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                self.failure = message.get("message") or "no reason was given"
            await send(message)

        try:
            await self._application(scope, note_receive, note_send)
        except asyncio.CancelledError:
            raise
        except BaseException:  # sys.exit() is a failure too
            if self._complete:
                traceback.print_exc()  # uvicorn does not show a failed shutdown
            elif received and self.failure is None:
                self.failure = traceback.format_exc()
            raise
