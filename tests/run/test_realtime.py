"""The fixture `realtime` without pytest: sessions and transcriptions."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.dialects.vllm.events import Error
from pytest_realtime_asr.trace.records import Ending
from tests.support.runs import (
    ENGLISH,
    Site,
    Start,
    Talk,
    options,
    realtime,
)
from tests.support.servers import CLIP, serving


def test_session(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    assert server.run is run
    assert server.plan.model == "fake"
    assert server.target == f"{url.replace('http', 'ws')}/v1/realtime"
    assert (server.model, server.dialect) == ("fake", "vllm")
    with server.connect() as session:
        first = session.transcribe(CLIP)
        again = session.transcribe(ENGLISH["digits-four"])
        assert session.id.startswith("sess-")
        assert (first.item, again.item) == (0, 1)
        assert (first.text, again.text) == (CLIP.text, "four two seven one")
        assert session.violations == ()
        assert session.trace.records
        assert len(session.timeline.item(1).heard) > 10
    with server.connect(configure=False) as session:
        session.send_raw({"type": "input_audio_buffer.commit"})
        error = session.expect("error", timeout=5)
        assert isinstance(error, Error)
        assert error.code == "model_not_validated"
        session.configure()
        session.close()
        session.close()
    with server.connect(model="other") as session:
        with pytest.raises(Lost, match="model_not_found") as caught:
            session.transcribe(CLIP)
        assert caught.value.how == "refused"
        assert caught.value.__cause__ is None
    with server.connect(options={"language": "en"}) as session:
        session.transcribe(CLIP)
        sent = [record.text or "" for record in session.trace.records]
        assert any('"language":"en"' in text for text in sent)
    ledger = run.finish()
    assert ledger is not None
    assert [take.lost for take in ledger.takes] == ["", "", "refused", ""]
    assert all(take.raised for take in ledger.takes)


def test_awaited_session(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)

    async def test() -> None:
        async with server.connect() as session:
            assert (await session.transcribe(CLIP)).text == CLIP.text
            await session.send_raw("no JSON")
            assert isinstance(await session.expect("error"), Error)
            await session.configure()
            await session.close()
        assert (await server.aio.transcribe(CLIP)).text == CLIP.text
        both = await server.aio.transcribe([CLIP, CLIP], concurrency=2)
        assert [take.text for take in both] == [CLIP.text] * 2

    asyncio.run(test())
    with server.connect() as session:
        other = session.aio

        async def view() -> str:
            return (await other.transcribe(CLIP)).text

        assert asyncio.run(view()) == CLIP.text
        assert session.id == other.id


def test_many_utterances_keep_their_order_and_lost_ones_are_kept(start: Start) -> None:
    clips = [ENGLISH[name] for name in ("turn-right", "open-door", "digits-four")]
    run = start(options(pace="0"))
    with serving(Talk(0.2, -1.0, 0.0), answer=Site()) as url:
        run.begin("test")
        takes = realtime(run, url).transcribe(clips, concurrency=1)
        with pytest.raises(ValueError, match="concurrency=0 is below 1"):
            realtime(run, url).transcribe(clips, concurrency=0)
        ledger = run.finish()
    assert [take.utterance.id for take in takes] == [clip.id for clip in clips]
    assert [take.lost for take in takes] == ["", "closed", ""]
    assert [take.raised for take in takes] == [False] * 3
    assert ledger is not None
    assert len(ledger.takes) == 3


def test_concurrency(start: Start) -> None:
    open_now, most = 0, 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await Talk(0.3)(connection)
        open_now -= 1

    run = start(options(pace="0", chunk="100ms"))
    with serving(talk, answer=Site()) as url:
        run.begin("test")
        takes = realtime(run, url).transcribe([CLIP] * 5, concurrency=2)
    assert [take.lost for take in takes] == [""] * 5
    assert most == 2


def test_interrupted_test_closes_its_sessions(start: Start, url: str) -> None:
    run = start(options(pace="1"))
    run.begin("test")
    server = realtime(run, url)

    async def test() -> None:
        async with asyncio.timeout(0.5):
            await server.aio.transcribe(CLIP)

    with pytest.raises(TimeoutError):
        asyncio.run(test())
    ledger = run.finish()
    assert ledger is not None
    (live,) = ledger.sessions
    assert live.trace.end.how is Ending.CANCELLED
    assert any(record.span for record in live.trace.records)
    (take,) = ledger.takes
    assert (take.lost, take.raised) == ("cancelled", True)
