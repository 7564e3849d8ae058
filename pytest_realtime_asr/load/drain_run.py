"""Runs a drain: opens sessions, stops the server, and waits until they end."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Access, Unreachable, connect
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.drain import (
    Drain,
    DrainedSession,
    complete,
    drained,
)

OPENING = 1.0  # s before its audio at which a session is opened
LEAD = 0.2  # s before the stop within which half of the utterances become complete
PROBING = 0.2  # s between two attempts to open a new connection after the stop
_POLL = 0.01  # s
_LATE = 5.0  # s after the planned time at which the shutdown begins anyway

Sessions = Callable[[Utterance], AbstractAsyncContextManager[Live]]
"""Returns a context manager for the session of an utterance.

The session is not open when the context begins. When the context ends, the session is
closed and recorded. If the session is lost, the context manager catches `Lost`.
"""


@dataclass(slots=True, eq=False)
class _Stream:
    """A stream with its clip.

    ``start`` is the time at which its audio starts, in s on the clock of the loop.
    """

    clip: Utterance
    audio: Audio
    start: float
    begun: int = 0  # ns, the monotonic time at which the clock of its trace is 0
    live: Live | None = None
    item: int = 0
    why: str = ""  # it was lost


async def run(
    clips: Sequence[Utterance],
    sessions: Sessions,
    access: Access,
    *,
    rate: int,
    streams: int,
    stop: Callable[[], object],
    grace: float,
    seed: int = 0,
) -> Drain:
    """Tell a server to stop while ``streams`` sessions are open; return what happened.

    Half of the sessions send the end of their audio in the last `LEAD` s before the
    stop. The other sessions are still speaking at the stop, each at a different
    position in its clip. Each session goes on until the server closes it, for at most
    ``grace`` seconds after the stop. ``stop`` is called in a thread of its own; an
    exception that it raises is raised here after the sessions have ended. ``rate`` is
    the sample rate of the sessions in Hz.
    """
    chosen = _chosen(clips, streams, seed)
    audio = await asyncio.to_thread(
        lambda: [clip.audio.resample(rate) for clip in chosen]
    )
    planned, at = _planned(chosen, audio, seed)
    ready = asyncio.Event()
    first = planned[0]
    tasks = [
        asyncio.create_task(
            _speak(each, sessions, grace, ready if each is first else None)
        )
        for each in planned
    ]
    over = asyncio.Event()
    probing: asyncio.Task[tuple[int, float | None]] | None = None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(at + _LATE):
                await ready.wait()
        lost = [each for each in planned if each.why]
        begun = time.monotonic_ns()
        deadline = asyncio.get_running_loop().time() + grace
        stopping = _in_thread(stop)
        probing = asyncio.create_task(_probe(access, over, grace))
        ended, late = await asyncio.wait(tasks, timeout=grace)
        await _cancelled(late)
        for task in ended:
            task.result()  # such as audio beyond the limit of the run
        took = await _returned(stopping, begun, deadline)
        over.set()
        accepted, refused = await probing
    finally:
        over.set()
        await _cancelled([*tasks, *([] if probing is None else [probing])])
    known = [each for each in planned if each not in lost and each.live is not None]
    return Drain(
        sessions=await asyncio.to_thread(
            lambda: tuple(_result(each, begun) for each in known)
        ),
        grace=grace,
        stop_seconds=took,
        accepted=accepted,
        refused_after=refused,
        failed=tuple(each.why for each in lost),
    )


def _chosen(clips: Sequence[Utterance], streams: int, seed: int) -> list[Utterance]:
    order = random.Random(seed).sample(list(clips), len(clips))
    return [order[stream % len(order)] for stream in range(streams)]


def _planned(
    clips: Sequence[Utterance], audio: Sequence[Audio], seed: int
) -> tuple[list[_Stream], float]:
    """Return the streams, and the time at which to stop the server.

    The time is in s on the clock of the loop. The audio of the first stream is complete
    at this time.
    """
    source = random.Random(seed)
    count = len(clips)
    half = max(1, count // 2)
    before = [  # s of each stream from the start of its audio to the stop
        each.seconds + LEAD * place / half
        if place < half
        else each.seconds * (place - half + source.random()) / (count - half)
        for place, each in enumerate(audio)
    ]
    stop = asyncio.get_running_loop().time() + OPENING + max(before)
    rows = zip(clips, audio, before, strict=True)
    return [_Stream(clip, sound, stop - span) for clip, sound, span in rows], stop


async def _speak(
    stream: _Stream, sessions: Sessions, grace: float, ready: asyncio.Event | None
) -> None:
    """Run the session of a stream until the server closes it.

    ``ready`` is set when the audio is complete, or when the session is lost.
    """
    clock = asyncio.get_running_loop().time
    try:
        async with sessions(stream.clip) as live:
            try:
                await asyncio.sleep(stream.start - OPENING - clock())
                stream.begun = time.monotonic_ns()
                await live.open()
                stream.live = live
                await live.configure()
                await asyncio.sleep(stream.start - clock())
                stream.item = await live.begin()
                await live.stream(stream.audio, stream.clip.id)
                finishing = asyncio.create_task(live.finish())
                try:
                    while ready is not None and not finishing.done():
                        if complete(live.timeline.item(stream.item)) is not None:
                            ready.set()
                        await asyncio.sleep(_POLL)
                    await finishing
                finally:
                    await _cancelled([finishing])
                if ready is not None:
                    ready.set()
                total = grace + stream.audio.seconds + OPENING
                await live.final(stream.item, stream.clip.id, total=total)
                await live.answered(sys.maxsize, timeout=total)
            except Lost as error:
                stream.why = str(error)
                raise
    finally:
        if ready is not None:
            ready.set()


def _result(stream: _Stream, stop: int) -> DrainedSession:
    assert stream.live is not None
    timeline = stream.live.timeline
    return drained(
        timeline.item(stream.item),
        stop=stop - stream.begun,
        label=timeline.session or stream.clip.id,
        clip=stream.clip.id,
    )


def _in_thread(call: Callable[[], object]) -> Future[float]:
    """Call a function in a daemon thread, and return a future.

    The result of the future is the monotonic time in ns at which the function returned.
    The thread is a daemon, so that a function that never returns does not keep the
    process alive.
    """
    found: Future[float] = Future()
    found.set_running_or_notify_cancel()  # a wait that times out must not cancel it

    def run() -> None:
        try:
            call()
        except BaseException as error:
            found.set_exception(error)
        else:
            found.set_result(time.monotonic_ns())

    threading.Thread(target=run, name="realtime-asr-stop", daemon=True).start()
    return found


async def _returned(
    stopping: Future[float], begun: int, deadline: float
) -> float | None:
    """Wait for the call that stops the server; return the time in s that it took.

    ``begun`` is the monotonic time in ns at which the call began. ``deadline`` is a
    time in s on the clock of the loop; if the call has not returned by then, the result
    is ``None``. Raises the exception that the call raised.
    """
    if not stopping.done():
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.wait([asyncio.wrap_future(stopping)], timeout=max(0.0, left))
    return (stopping.result() - begun) / 1e9 if stopping.done() else None


async def _probe(
    access: Access, over: asyncio.Event, grace: float
) -> tuple[int, float | None]:
    """Open new connections until the server refuses one, or until ``over`` is set.

    Returns the number of accepted connections, and the time in s from the call of this
    function to the refusal. This time is ``None`` if no connection was refused.
    """
    begun, accepted = time.monotonic(), 0
    while True:
        last = over.is_set()
        try:
            wire = await connect(access, timeout=grace)
        except Unreachable as error:
            if not error.local:
                return accepted, time.monotonic() - begun
        else:
            accepted += 1
            await wire.close()
        if last:
            return accepted, None
        with suppress(TimeoutError):
            async with asyncio.timeout(PROBING):
                await over.wait()


async def _cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks that still run, and wait until they have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
