"""Lets SIGTERM and SIGHUP end a run as Ctrl-C does, so that its results are kept."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def catch() -> Callable[[], None]:
    """Let these signals interrupt the main thread; returns what restores the defaults.

    Nothing changes in another thread, nor for a signal that already has a handler or is
    ignored, as nohup does. A second signal of the same kind ends the process at once,
    and so does a signal to a forked child.
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
