"""The pings of a session."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import run_utterance
from pytest_realtime_asr.corpus import Utterance
from tests.support.servers import faking, plan

QUIET = Utterance("quiet", "", silence(0.6), (), "en")


def test_the_plan_says_how_often_a_session_pings() -> None:
    loop = Loop()
    with faking() as (url, _):
        rare = plan(url, pace=1.0, ping_interval=60.0)
        often = replace(rare, ping_interval=0.1)

        async def both() -> list[int]:
            lives = [Live(loop, each, pings=True) for each in (rare, often)]
            takes = await asyncio.gather(*(run_utterance(it, QUIET) for it in lives))
            return [len(take.trace.pings) for take in takes]

        rarely, frequently = loop.run(both())
    loop.stop()
    assert rarely == 1
    assert frequently > 2
