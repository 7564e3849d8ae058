"""Shards, rows and levels for the tests of load."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.executor import (
    Clip,
    Executor,
    Message,
    Shard,
    ShardEnd,
    ShardLost,
)
from pytest_realtime_asr.load.judge import Judge, Judged
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.shard import ShardRun
from pytest_realtime_asr.load.workload import Load
from tests.support.servers import CLIP, plan

SHORT = CLIP.audio.cut(0.8, 1.2)  # a part of a word
PATIENCE = 60.0  # s after which a test fails
BRIEFLY = Limits(connect=2, ready=2, silence=2, beyond=3)


def bit(id: str = "bit") -> Clip:
    """A clip of 0.4 s, for tests that need no text."""
    return Clip(Utterance(id, "and", SHORT), SHORT)


def shard(url: str, load: Load, *, clips: Iterable[Clip] = (), **changes: Any) -> Shard:
    """A shard with all streams of a load, which starts soon."""
    named = {
        name: changes.pop(name) for name in ("model", "headers") if name in changes
    }
    planned = plan(url, pace=1.0, limits=changes.pop("limits", BRIEFLY), **named)
    made = Shard(
        worker=0,
        load=load,
        streams=tuple(range(load.streams)),
        connection=connection(planned),
        clips=tuple(clips) or (bit(),),
        start=time.time() + 0.05,
    )
    return replace(made, **changes)


def sent(loop: Loop, of: Shard) -> list[Judged]:
    """What a shard sends to its judge."""
    found: list[Judged] = []

    async def send(value: Judged) -> None:
        found.append(value)

    loop.run(ShardRun(loop, of, send).run())
    return found


def rows(of: Shard, values: Iterable[Judged]) -> list[Row]:
    """The rows of the sessions that a shard has sent."""
    judge = Judge(of)
    return [judge.row(each) for each in values if isinstance(each, Sent)]


class LocalExecutor:
    """Runs shards on an event loop of this process, and judges them when asked.

    ``script`` replaces the messages: each is given once, and raised if it is an error.
    """

    slots = 2

    def __init__(
        self, loop: Loop, script: Iterable[Message | BaseException] = ()
    ) -> None:
        self.started: list[Shard] = []
        self.stops = 0
        self._ready: list[Message] = []
        self.after_stop: list[Message] = []
        self._loop = loop
        self._script = list(script)
        self._scripted = bool(self._script)
        self._values: queue.Queue[tuple[int, Judged]] = queue.Queue()
        self._judges: dict[int, Judge] = {}
        self._running: list[ShardRun] = []

    def start(self, shard: Shard) -> None:
        """Start a shard; one without streams ends at once."""
        if not shard.streams:
            self._ready.append(ShardEnd(shard.worker))
            return
        self.started.append(shard)
        if self._scripted:
            return
        self._judges[shard.worker] = Judge(shard)

        async def send(value: Judged) -> None:
            self._values.put((shard.worker, value))

        running = ShardRun(self._loop, shard, send)
        self._running.append(running)
        self._loop.submit(running.run())

    def next(self, timeout: float) -> Message | None:
        """Return the next message of any shard."""
        if self._ready:
            return self._ready.pop()
        if self.stops and self.after_stop:
            return self.after_stop.pop(0)
        if self._scripted:
            if not self._script:
                return None
            message = self._script.pop(0)
            if isinstance(message, BaseException):
                raise message
            return message
        try:
            worker, value = self._values.get(timeout=timeout)
        except queue.Empty:
            return None
        messages = list(judged_by(self._judges[worker], value))
        return messages[0] if messages else None

    def stop(self) -> None:
        """Cut the shards off."""
        self.stops += 1

        async def stop() -> None:
            for each in self._running:
                each.stop()

        self._loop.run(stop())
        self._running.clear()


def judged_by(judge: Judge, value: Judged) -> Iterator[Message]:
    """Yield the message that a judge makes of a value, if any."""
    match value:
        case Sent():
            yield judge.row(value)
        case ShardEnd():
            yield judge.end(value)
        case ShardLost():
            yield value


def until_the_end(executor: Executor, *, ends: int = 1) -> list[Message]:
    """The messages of shards until all have ended or are lost."""
    found: list[Message] = []
    deadline = time.monotonic() + PATIENCE
    while ends and time.monotonic() < deadline:
        message = executor.next(0.1)
        if message is not None:
            found.append(message)
            ends -= not isinstance(message, Row)
    assert not ends
    return found


def only_rows(messages: list[Message]) -> list[Row]:
    """The rows among messages."""
    return [each for each in messages if isinstance(each, Row)]
