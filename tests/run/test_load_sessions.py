"""Sessions beside a load: what the ledger of their test records of them."""

from __future__ import annotations

import asyncio

from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.load_sessions import LoadSessions
from pytest_realtime_asr.run.run import Run
from tests.support.runs import Start, realtime
from tests.support.servers import CLIP


def sessions(run: Run, url: str) -> tuple[LoadSessions, Ledger]:
    run.begin("test")
    plan = realtime(run, url).plan
    ledger = run.ledger
    made = LoadSessions(run, ledger, plan, purpose=Purpose.DRAIN, concurrency=3)
    return made, ledger


def test_a_session_is_recorded(start: Start, url: str) -> None:
    run = start()
    made, ledger = sessions(run, url)

    async def speak() -> None:
        async with made.speaking(CLIP) as live:
            await live.open()
            await live.configure()
            await live.speak(CLIP)

    run.loop.run(speak())
    (take,) = ledger.takes
    assert (take.lost, take.text) == (Loss.NONE, CLIP.text)
    assert (take.purpose, take.conditions.concurrency) == (Purpose.DRAIN, 3)


def test_a_loss_is_recorded_and_not_raised(start: Start, url: str) -> None:
    run = start()
    made, ledger = sessions(run, url)

    async def lose() -> None:
        async with made.speaking(CLIP):
            raise Lost(Loss.HUNG, "no final")

    run.loop.run(lose())
    (take,) = ledger.takes
    assert (take.lost, take.reason) == (Loss.HUNG, "no final")


def test_only_an_utterance_without_its_final_is_cut_off(start: Start, url: str) -> None:
    run = start()
    made, ledger = sessions(run, url)

    async def hold(*, speak: bool) -> None:
        waiting = asyncio.Event()

        async def session() -> None:
            async with made.speaking(CLIP) as live:
                await live.open()
                await live.configure()
                if speak:
                    await live.speak(CLIP)
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(session())
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    run.loop.run(hold(speak=True))
    run.loop.run(hold(speak=False))
    assert [take.lost for take in ledger.takes] == [Loss.NONE, Loss.CANCELLED]


def test_a_silent_session_has_no_utterance(start: Start, url: str) -> None:
    run = start()
    made, ledger = sessions(run, url)
    live = made.silent()
    run.loop.run(live.open())
    ended = run.finish()
    assert ended is ledger
    assert ledger.sessions == [live]
    assert ledger.takes == ()
    assert live.trace.end.code is None or live.trace.end.code == 1000
