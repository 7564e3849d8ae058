"""The process that judges: what it is sent arrives, and it ends with its worker."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.load.executor import ShardEnd, ShardLost
from pytest_realtime_asr.load.judge_process import JudgeProcess
from pytest_realtime_asr.load.row import Row
from pytest_realtime_asr.load.session import Sent
from pytest_realtime_asr.load.workload import Load
from tests.support.loads import sent, shard
from tests.support.servers import faking

pytestmark = pytest.mark.slow


def test_the_sessions_of_a_shard_come_back_as_rows(loop: Loop) -> None:
    with faking() as (url, _):
        values = sent(loop, shard(url, Load(2, hold=0.2, witnesses=0)))
    short = next(each for each in values if isinstance(each, Sent))
    frame = short.trace.records[-1]
    long = replace(short.trace, records=(*short.trace.records, *[frame] * 3000))
    values.insert(-1, replace(short, trace=long))
    judge = JudgeProcess()

    async def send() -> None:
        for each in values:
            await judge.send(each)
        await judge.close()

    loop.run(send())
    *rows, end = judge.messages()
    assert isinstance(end, ShardEnd)
    assert all(isinstance(each, Row) for each in rows)
    assert len(rows) == len(values) - 2  # without the shard and its end


def test_a_process_that_has_ended_is_an_error(loop: Loop) -> None:
    judge = JudgeProcess()

    async def send() -> None:
        lost = ShardLost(0, "nothing was sent")
        await judge.send(lost)
        judge._process.kill()
        async with asyncio.timeout(30):
            while True:
                await judge.send(lost)
                await asyncio.sleep(0.01)

    with pytest.raises(RuntimeError, match="the process that judges the sessions"):
        loop.run(send())
    assert list(judge.messages()) in ([], [ShardLost(0, "nothing was sent")])


def test_a_process_that_was_sent_nothing_ends(loop: Loop) -> None:
    judge = JudgeProcess()
    loop.run(judge.close())
    assert list(judge.messages()) == []


NOISY = """
from pytest_realtime_asr.load.evidence import Evidence

add = Evidence.add

def noisy(*given, **named):
    print("noise", flush=True)
    return add(*given, **named)

Evidence.add = noisy
"""


def test_what_a_dialect_prints_does_not_spoil_the_messages(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with faking() as (url, _):
        values = sent(loop, shard(url, Load(2, hold=0.2, witnesses=0)))
    (tmp_path / "sitecustomize.py").write_text(NOISY)
    monkeypatch.syspath_prepend(tmp_path)
    judge = JudgeProcess()

    async def send() -> None:
        for each in values:
            await judge.send(each)
        await judge.close()

    loop.run(send())
    *rows, end = judge.messages()
    assert isinstance(end, ShardEnd)
    assert len(rows) == len(values) - 2
