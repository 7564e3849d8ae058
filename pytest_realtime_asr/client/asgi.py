"""Serves an ASGI application object with uvicorn in a forked process.

An application that a test has built cannot be sent to another program, so the process
is forked. ``os.fork`` is used and not `multiprocessing`, for two reasons. A daemonic
process of `multiprocessing` may not start processes, but an engine starts workers. A
process that is not daemonic is joined at the exit of the interpreter, so an
interrupted test run would wait for the server.

The child reports through a pipe whether the application has started. A second pipe is
the child's lifeline: the child stops when the parent writes `STOP` to this pipe, or
when the parent ends. Through the lifeline the parent can also wait until the handlers
of closed sessions have ended; then the output of these sessions is complete.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pytest_realtime_asr.client import asgi_child
from pytest_realtime_asr.client.asgi_child import ASGI, STOP
from pytest_realtime_asr.client.asgi_output import TaggedOutput
from pytest_realtime_asr.client.child_server import ChildServer

STARTING = 60.0  # s that an application may take to start
STOPPING = asgi_child.STOPPING
_ANSWERING = asgi_child.SETTLING + 0.2  # s within which the child says it has settled


class ApplicationError(RuntimeError):
    """Raised if an application cannot be served; the message says why."""


class Application(ChildServer):
    """Serves an ASGI 3 application on a free port of the loopback address until `stop`.

    The constructor returns when the application has completed its lifespan startup.
    ``starting`` is the time limit in s for the startup. Raises `ApplicationError`, or
    TypeError if ``application`` cannot be called. ``output`` is what the application
    has printed, without the output of its startup.
    """

    def __init__(self, application: ASGI, *, starting: float = STARTING) -> None:
        if not callable(application):
            raise TypeError(
                f"{application!r} is not an ASGI application: it cannot be called; "
                "give the application object"
            )
        if not _takes_three(application):
            name = getattr(application, "__name__", type(application).__name__)
            raise ApplicationError(
                f"the application {name} is not an ASGI 3 application: it cannot be "
                "called with (scope, receive, send); if it is a WSGI or ASGI 2 "
                "application, wrap it (asgiref has adapters)"
            )
        listening = socket.socket()
        # The free port that the kernel chooses may be in the state TIME_WAIT.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.output = TaggedOutput()
        started, report = Pipe(duplex=False)
        lifeline, self._lifeline = Pipe()
        self._asked = 0  # how often the child was asked to settle
        parent = os.getpid()
        with warnings.catch_warnings():
            # Python warns that another thread may hold a lock at the fork; the child
            # uses none of the locks of this process.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            started.close()
            self._lifeline.close()
            asgi_child.serve_forever(
                application, listening, self.output.file, report, lifeline, parent
            )
        report.close()
        lifeline.close()
        # The parent must not listen: a connection is then refused before the child
        # listens and after the child has ended.
        listening.close()
        self._over = False
        try:
            failure = _failure(started, starting)
        except BaseException:
            self._end(0)
            raise
        finally:
            started.close()
        if failure is not None:
            self._end(0)
            printed = self.output.take()
            if "Traceback" in failure:  # uvicorn prints the traceback too
                printed = printed.partition("Traceback")[0].strip()
                printed = printed and f"the application printed before:\n{printed}"
            text = "\n".join(filter(None, (failure.strip(), printed.strip())))
            raise ApplicationError(f"the application did not start: {text}")
        self.output.take()

    def stop(self) -> None:
        """End the application; may be called twice."""
        if not self._over:
            self._end(STOPPING)

    def settle(self) -> None:
        """Wait at most `SETTLING` s until the handlers of closed sessions end."""
        if self._over:
            return
        self._asked += 1
        deadline = time.monotonic() + _ANSWERING
        with contextlib.suppress(OSError, EOFError):  # the child has ended
            self._lifeline.send_bytes(b"%d" % self._asked)
            while self._lifeline.poll(max(0.0, deadline - time.monotonic())):
                if self._lifeline.recv_bytes() == b"%d" % self._asked:
                    return

    def _end(self, patience: float) -> None:
        """End the process; kill it if it still runs after ``patience`` seconds."""
        self._over = True
        # Closing is not enough: another child of this process may hold the pipe open.
        with contextlib.suppress(OSError):
            self._lifeline.send_bytes(STOP)
        self._lifeline.close()
        deadline = time.monotonic() + patience
        while not _reaped(self.pid):
            if time.monotonic() >= deadline:
                _kill(self.pid)
            time.sleep(0.01)
        self.output.close()


def _failure(started: Connection, limit: float) -> str | None:
    """Return why the application did not start; ``None`` if it has started."""
    if not started.poll(limit):
        return f"its startup took more than {limit:g} s"
    try:
        failure: str | None = started.recv()
    except EOFError:
        return "its process ended"
    return failure


def _takes_three(application: Callable[..., object]) -> bool:
    """Return whether an object can be called with three arguments."""
    try:
        inspect.signature(application).bind({}, None, None)
    except TypeError:
        return False
    except ValueError:  # an object written in C may have no signature
        return True
    return True


def _kill(pid: int) -> None:
    """Kill a child that is not reaped yet, and the processes that the child started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # a new child has no group yet
        os.killpg(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    """Return whether a child has ended; collect the exit status of an ended child."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True  # other code has collected the exit status
