"""Shards, rows and levels for the tests of load."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.plan import Limits
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.executor import Clip, Shard
from pytest_realtime_asr.load.judge import Judge, Judged
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.shard import ShardRun
from pytest_realtime_asr.load.workload import Load
from tests.support.servers import CLIP, plan

SHORT = CLIP.audio.cut(0.8, 1.2)  # a part of a word
BRIEFLY = Limits(connect=2, ready=2, silence=2, beyond=3)


def bit(id: str = "bit") -> Clip:
    """A clip of 0.4 s, for what needs no text."""
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
    """What a shard gives to its judge."""
    found: list[Judged] = []

    async def send(value: Judged) -> None:
        found.append(value)

    loop.run(ShardRun(loop, of, send).run())
    return found


def rows(of: Shard, values: Iterable[Judged]) -> list[Row]:
    """The rows of the sessions that a shard has sent."""
    judge = Judge(of)
    return [judge.row(each) for each in values if isinstance(each, Sent)]
