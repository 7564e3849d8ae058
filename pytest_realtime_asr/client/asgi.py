"""A server that is an ASGI application object, served in a forked process by uvicorn.

An application that a test has built cannot be sent to another program, so the process
is forked. ``os.fork`` is used and not `multiprocessing`: a daemonic process of that may
have no children, which the workers of an engine are, and any other one is joined at
the exit of the interpreter, where a test run that was interrupted would wait for it.

The child reports over a pipe whether it has started. A second pipe is its lifeline: the
child stops when the parent writes to it or ends.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from pytest_realtime_asr.client import asgi_child
from pytest_realtime_asr.client.asgi_child import ASGI
from pytest_realtime_asr.client.child_server import ChildServer, Output

STARTING = 60.0  # s that an application may take until it listens
STOPPING = asgi_child.STOPPING


class ApplicationError(RuntimeError):
    """The application cannot be served; the message holds its traceback."""


class Application(ChildServer):
    """Serves an ASGI 3 application on a free port of the loopback address until `stop`.

    The application has completed its lifespan startup when this returns. ``starting``
    is the time limit for that in s. Raises `ApplicationError`, and TypeError for an
    object that cannot be called.
    """

    def __init__(self, application: ASGI, *, starting: float = STARTING) -> None:
        if not callable(application):
            raise TypeError(
                f"{application!r} is not an ASGI application: it cannot be called"
            )
        if not _takes_three(application):
            name = getattr(application, "__name__", type(application).__name__)
            raise ApplicationError(
                f"the application {name} is not an ASGI 3 application: it cannot be "
                "called with (scope, receive, send); wrap a WSGI or ASGI 2 application "
                "(asgiref has adapters)"
            )
        listening = socket.socket()
        # The free port that the kernel gives may be one in TIME_WAIT.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._output = Output()
        started, report = Pipe(duplex=False)
        lifeline, self._lifeline = Pipe(duplex=False)
        parent = os.getpid()
        with warnings.catch_warnings():
            # Python warns that another thread may hold a lock; the child uses none of
            # the locks of this process.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if not self.pid:
            started.close()
            self._lifeline.close()
            asgi_child.serve_forever(
                application, listening, self._output.file, report, lifeline, parent
            )
        report.close()
        lifeline.close()
        # So a connection is refused until the child listens, and once it has ended.
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
            printed = self._end(0).strip()
            if "Traceback" not in failure and printed:  # else it was printed too
                failure = f"{failure}\n{printed}"
            raise ApplicationError(f"the application did not start: {failure.strip()}")
        self._output.skip()

    def stop(self) -> None:
        """End the application and show what it printed; may be called twice."""
        if not self._over:
            sys.stderr.write(self._end(STOPPING))

    def _end(self, patience: float) -> str:
        """End the process and return the last part of what it printed."""
        self._over = True
        # Closing is not enough: another child of this process may hold the pipe open.
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.send_bytes(b"stop")
        self._lifeline.close()
        deadline = time.monotonic() + patience
        while not _reaped(self.pid):
            if time.monotonic() >= deadline:
                _kill(self.pid)
            time.sleep(0.01)
        printed = self._output.tail()
        self._output.close()
        return printed


def _failure(started: Connection, limit: float) -> str | None:
    """Return why the application did not start; ``None`` if it did."""
    if not started.poll(limit):
        return f"it took more than {limit:g} s"
    try:
        failure: str | None = started.recv()
    except EOFError:
        return "its process ended"
    return failure


def _takes_three(application: Callable[..., object]) -> bool:
    try:
        inspect.signature(application).bind({}, None, None)
    except TypeError:
        return False
    except ValueError:  # it is written in C and has no signature
        return True
    return True


def _kill(pid: int) -> None:
    """Kill a child that is not reaped yet, and the processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):  # it has no group at its very start
        os.killpg(pid, signal.SIGKILL)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True  # by someone else
