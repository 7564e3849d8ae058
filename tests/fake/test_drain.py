"""The end of the open sessions of a fake server in a shutdown."""

from __future__ import annotations

import asyncio

import pytest

from pytest_realtime_asr.fake.drain import Drain
from tests.support.letters import COMMIT, FINAL, LONG, audio_of, place


def test_idle_sessions_are_closed_before_busy_ones() -> None:
    async def run() -> None:
        async with place(final_delay=0.3) as it:
            idle, busy = [await it.open() for _ in range(2)]
            assert await idle.utter("a b") == "a b"
            await busy.send(COMMIT)
            await busy.send_audio(audio_of("c d"))
            await busy.hear("transcription.delta")
            stopping = asyncio.create_task(it.stop())
            await idle.hear("no such event")
            assert idle.closed == 1001
            assert not stopping.done()
            with pytest.raises(ConnectionRefusedError):
                await it.open()
            await busy.send_audio(audio_of("e"))  # it may go on to the end
            await busy.send(FINAL)
            done = await busy.hear("transcription.done")
            assert done is not None
            assert done["text"] == "c d e"
            await busy.hear("no such event")
            assert busy.closed == 1001
            await stopping

    asyncio.run(run())


def test_an_utterance_that_does_not_end_is_cut_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    brief = Drain(grace=0.1)
    monkeypatch.setattr("pytest_realtime_asr.fake.server.Drain", lambda: brief)

    async def run() -> None:
        async with place(final_delay=LONG) as it:
            talk = await it.open()
            await talk.send(COMMIT, FINAL)
            await talk.rest()
            await asyncio.gather(it.stop(), talk.hear("transcription.done"))
            assert talk.closed == 1001
            assert not talk.all("transcription.done")

    asyncio.run(run())


def test_a_server_without_sessions_stops_at_once() -> None:
    async def run() -> None:
        async with place() as it, asyncio.timeout(Drain().grace / 2):
            await it.stop()

    asyncio.run(run())
