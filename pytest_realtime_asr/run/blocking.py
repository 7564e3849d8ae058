"""Functions with which a test waits for work on the event loop or in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from pytest_realtime_asr.client.further_utterance import NoFurtherUtterance
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.run.audio_account import NotSent
from pytest_realtime_asr.run.ledger import Ended
from pytest_realtime_asr.run.run import Run

T = TypeVar("T")


def checked(make: Callable[[], T]) -> T:
    """Return the result of ``make``, which checks the arguments that a test gives.

    ValueError and `Ended` are raised without the internal frames of their tracebacks.
    """
    __tracebackhide__ = True
    try:
        return make()
    except (ValueError, Ended) as error:
        raise error.with_traceback(None) from None


async def in_thread(work: Callable[[], T], interrupt: Callable[[], None]) -> T:
    """Run a blocking function in a thread; ``interrupt`` ends it early."""
    __tracebackhide__ = True
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        interrupt()
        await asyncio.wait([running])
        raise


def block(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop of the run, and wait for its result.

    `Lost`, `Ended`, `NotSent` and `NoFurtherUtterance` are raised without the internal
    frames of their tracebacks.
    """
    __tracebackhide__ = True
    try:
        return run.loop.run(work)
    except (Lost, Ended, NotSent, NoFurtherUtterance) as error:
        raise error.with_traceback(None) from None


async def awaited(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Do the same as `block`, but await the result on the test's own event loop."""
    __tracebackhide__ = True
    try:
        return await run.loop.wait(work)
    except (Lost, Ended, NotSent, NoFurtherUtterance) as error:
        raise error.with_traceback(None) from None
