"""Lets SIGTERM and SIGHUP end a run as Ctrl-C does, so that no results are lost."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_REPEATED = 0.05  # s from an ignored interrupt to its repetition


def catch() -> Callable[[], None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in the main thread.

    Returns a function that restores the default handlers. A call from another thread
    changes nothing. A signal that already has a handler, or is ignored (as with nohup),
    is left as it is. A second signal of the same kind ends the process at once. A
    signal to a forked child ends the child at once.

    Python ignores an exception in a callback of the garbage collector or in a
    finalizer. If that exception is the KeyboardInterrupt of one of these signals, or of
    Ctrl-C, the signal is sent again.
    """
    owner = os.getpid()
    repetitions: list[threading.Timer] = []
    report_ignored = sys.unraisablehook

    def interrupt(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
        raise KeyboardInterrupt(signal.Signals(number).name)

    def repeat_ignored(unraisable: UnraisableHookArgs) -> None:
        main = threading.main_thread()
        if (
            not issubclass(unraisable.exc_type, KeyboardInterrupt)
            or threading.current_thread() is not main
            or os.getpid() != owner
        ):
            report_ignored(unraisable)
            return
        number = _signal_of(unraisable.exc_value)
        if number in _SIGNALS:
            signal.signal(number, interrupt)
        # A signal that comes before the callback returns would be ignored again.
        timer = threading.Timer(_REPEATED, signal.pthread_kill, (main.ident, number))
        timer.daemon = True
        timer.start()
        repetitions.append(timer)

    def restore() -> None:
        for timer in repetitions:  # the default handler would end the process
            timer.cancel()
        if sys.unraisablehook is repeat_ignored:
            sys.unraisablehook = report_ignored
        for number in _SIGNALS:
            if signal.getsignal(number) is interrupt:
                signal.signal(number, signal.SIG_DFL)

    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, interrupt)
        sys.unraisablehook = repeat_ignored
    return restore


def _signal_of(error: BaseException | None) -> signal.Signals:
    """Return the signal that raised this KeyboardInterrupt."""
    name = str(error)
    return next((each for each in _SIGNALS if each.name == name), signal.SIGINT)
