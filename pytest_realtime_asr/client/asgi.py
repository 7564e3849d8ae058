"""A server that is an ASGI application object, served in a forked process by uvicorn.

An application that a test has built cannot be sent to another program, so the process
is forked. Its half of the fork touches nothing that belongs to the test run: it has
output, signals, loggers and warning filters of its own, lets go of the connections that
were open, and leaves without any of the clean-up of the parent.

Two pipes join the halves. Over one the child says how its start went; the other is its
lifeline, at whose end it stops, and so with the parent, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import json
import logging
import os
import select
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import IO, Any, Self

try:
    import uvicorn
except ImportError as error:
    raise ImportError(
        'an ASGI application is served by uvicorn: pip install "pytest-realtime-asr'
        '[asgi]"'
    ) from error

STARTING = 60.0  # s that an application may take until it listens
STOPPING = 5.0  # s that it may take to end by itself
SHOWN = 4096  # bytes at most of what it printed

_CLOSING = 2  # s that open connections are given at the end
_LOOK = 0.5  # s after which the child looks whether its parent is there

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGI = Callable[[Message, Receive, Send], Awaitable[None]]


class ApplicationError(RuntimeError):
    """The application did not start, or is none; the message holds its traceback."""


class Application:
    """Serves an ASGI 3 application on a free port of the loopback address until `stop`.

    It is up once this has returned: the application has had its lifespan's startup.
    ``starting`` is in seconds. Raises `ApplicationError`, and TypeError for what is no
    application.
    """

    def __init__(self, application: ASGI, *, starting: float = STARTING) -> None:
        if not callable(application):
            raise TypeError(f"{application!r} is no ASGI application: it is not called")
        if not _takes_three(application):
            name = getattr(application, "__name__", type(application).__name__)
            raise ApplicationError(
                f"the application {name} is not an ASGI 3 application: it cannot be "
                "called with (scope, receive, send); wrap a WSGI or an ASGI 2 "
                "application (asgiref has adapters)"
            )
        listening = socket.socket()
        # A port in TIME_WAIT is as good as any.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - `stop` closes it
        status, say = os.pipe()
        lifeline, self._lifeline = os.pipe()
        parent = os.getpid()
        with warnings.catch_warnings():
            # That a lock may be held by a thread which the child does not have: ours
            # are not used there.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            os.close(status)
            os.close(self._lifeline)
            _be(application, listening, self._printed, say, lifeline, parent)
        os.close(say)
        os.close(lifeline)
        # What comes before the child listens is refused, and so is all when it is gone.
        listening.close()
        self._over = False
        self._seen = 0  # bytes of what it printed
        try:
            failure = self._wait(status, starting)
        except BaseException:
            self._end(0)
            raise
        finally:
            os.close(status)
        if failure is not None:
            printed = self._end(0).strip()
            if "Traceback" not in failure and printed:  # else it was printed too
                failure = f"{failure}\n{printed}"
            raise ApplicationError(f"the application did not start: {failure.strip()}")
        self._seen = os.fstat(self._printed.fileno()).st_size

    def stop(self) -> None:
        """End the application and show what it printed; may be called twice."""
        if not self._over:
            sys.stderr.write(self._end(STOPPING))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _wait(self, status: int, limit: float) -> str | None:
        """Why it did not start; ``None`` where it did."""
        deadline = time.monotonic() + limit
        said = b""
        while not said.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                return f"it took more than {limit:g} s"
            if not select.select([status], [], [], left)[0]:
                continue
            part = os.read(status, 65536)
            if not part:
                return "its process ended"
            said += part
        failure: str | None = json.loads(said)
        return failure

    def _end(self, patience: float) -> str:
        """End the process; gives the end of what it printed since it was up."""
        self._over = True
        # Another child of this process may hold the pipe open, so something is said.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._lifeline, b".")
        os.close(self._lifeline)
        deadline = time.monotonic() + patience
        while not _reaped(self.pid):
            if time.monotonic() >= deadline:
                _kill(self.pid)
            time.sleep(0.01)
        end = self._printed.seek(0, os.SEEK_END)
        self._printed.seek(max(self._seen, end - SHOWN))
        printed = self._printed.read().decode(errors="replace")
        self._printed.close()
        return printed


def _takes_three(application: Callable[..., object]) -> bool:
    try:
        inspect.signature(application).bind({}, None, None)
    except TypeError:
        return False
    except ValueError:  # it is written in C, and has no signature to look at
        return True
    return True


def _kill(pid: int) -> None:
    """Kill a child that is not reaped yet, and what it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # it has no group at its very start
        os.killpg(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True  # by someone else


# The child's half


def _be(
    application: ASGI,
    listening: socket.socket,
    printed: IO[bytes],
    say: int,
    lifeline: int,
    parent: int,
) -> None:
    """Be the server; does not return."""
    status = 1
    try:
        _part(printed, keep={listening.fileno()})
        status = _serve(application, listening, say, lifeline, parent)
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        _leave(status)


def _leave(status: int) -> None:
    """End this process and all that it has started, such as the workers of an engine.

    They hold what the parent has open, and a pipe behind it would wait for them. There
    is no clean-up of the parent's: that would end its tests here a second time.
    """
    if os.getpgid(0) == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(status)


def _part(printed: IO[bytes], *, keep: set[int]) -> None:
    """Part from all that belongs to the parent, but for the sockets to ``keep``."""
    # What the parent made must not be freed here: a loop that is freed takes its
    # sockets out of a poll that the two processes share.
    gc.freeze()
    os.setsid()  # Ctrl-C is for the parent, which then stops this
    signal.set_wakeup_fd(-1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(printed.fileno(), 1)
    os.dup2(printed.fileno(), 2)
    for number in map(int, os.listdir("/dev/fd")):
        # As long as a connection of the parent's is open here too, its peer would not
        # see that the parent has closed it. The numbers stay taken.
        if number not in keep and _is_connection(number):
            os.dup2(nothing, number)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - they last as long as the process
    sys.stdout = open(1, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
    sys.excepthook = sys.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    warnings.resetwarnings()
    _part_from_loggers()


def _is_connection(number: int) -> bool:
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return False
        with socket.socket(fileno=os.dup(number)) as found:
            return found.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:
        return False  # closed meanwhile, as the listing itself


def _part_from_loggers() -> None:
    """Log to standard error; the parent's reports and files are not for this."""
    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            logger.handlers = []
    logging.root.addHandler(logging.StreamHandler())
    logging.root.setLevel(logging.WARNING)


def _serve(
    application: ASGI, listening: socket.socket, say: int, lifeline: int, parent: int
) -> int:
    """Serve until the lifeline ends; gives the exit status."""
    watched = _Watched(application)
    server = uvicorn.Server(
        uvicorn.Config(
            watched,
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
        if watched.failure:
            server.should_exit = True
        elif server.started:
            _tell(say, None)
        await serving

    hanging = threading.Thread(
        target=_hang, args=(lifeline, parent, server), daemon=True
    )
    hanging.start()
    failure = ""
    try:
        # Not `asyncio.run`, which replaces the loop of the parent and so may free it.
        asyncio.new_event_loop().run_until_complete(run())
    except SystemExit:
        failure = "it failed in its lifespan's startup"
    except BaseException:
        failure = traceback.format_exc()
    if server.started and not watched.failure:
        if failure:
            sys.stderr.write(failure)
        return int(bool(failure))
    _tell(say, watched.failure or failure or "it ended at once")
    return 1


def _tell(say: int, failure: str | None) -> None:
    with contextlib.suppress(BrokenPipeError), open(say, "wb", buffering=0) as pipe:
        pipe.write(json.dumps(failure).encode() + b"\n")


def _hang(lifeline: int, parent: int, server: uvicorn.Server) -> None:
    """End the server with its lifeline or its parent, whatever its loop does."""
    while os.getppid() == parent:
        if select.select([lifeline], [], [], _LOOK)[0]:
            break
    server.should_exit = True
    time.sleep(STOPPING)
    _leave(1)


class _Watched:
    """An application, and how its startup failed, empty if it did not.

    By the specification an application that raises for its lifespan has none, and is
    served all the same. One that has asked for the event of its startup has one.
    """

    def __init__(self, application: ASGI) -> None:
        self._application = application
        self.failure = ""
        self._up = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._application(scope, receive, send)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        asked = False

        async def hear() -> Message:
            nonlocal asked
            asked = True
            return await receive()

        async def say(message: Message) -> None:
            self._up |= message["type"] == "lifespan.startup.complete"
            if message["type"] == "lifespan.startup.failed":
                self.failure = message.get("message", "") or "it said so"
            await send(message)

        try:
            await self._application(scope, hear, say)
        except asyncio.CancelledError:
            raise
        except BaseException:  # sys.exit() is a failure too
            if self._up:
                traceback.print_exc()  # of its shutdown, which nobody else would tell
            elif asked and not self.failure:
                self.failure = traceback.format_exc()
            raise
