"""Lets SIGTERM and SIGHUP end a run as Ctrl-C does, so that no results are lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def catch() -> Callable[[], None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread.

    Returns a function that restores the default handlers. A call from another thread
    changes nothing. A signal that already has a handler, or is ignored (as with nohup),
    is left as it is. A second signal of the same kind ends the process at once. A
    signal to a forked child ends the child at once.
    """
    owner = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt(signal.Signals(number).name)

    def restore() -> None:
        for number in _SIGNALS:
            if signal.getsignal(number) is interrupt:
                signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, interrupt)
    return restore
