"""SIGTERM ends a run that measures as Ctrl-C does, so that what was judged is kept."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType


def catch() -> Callable[[], None]:
    """Let SIGTERM interrupt the main thread; gives what puts the default back.

    Nothing changes in another thread, or where a handler is installed already. A
    second signal ends the process at once, and so does one to a forked child.
    """
    owner = os.getpid()

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt("SIGTERM")

    def restore() -> None:
        if signal.getsignal(signal.SIGTERM) is interrupt:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return lambda: None
    signal.signal(signal.SIGTERM, interrupt)
    return restore
