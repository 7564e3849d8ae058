"""The receiving side: frames are recorded at once and read when they are asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import reception
from pytest_realtime_asr.client.inbox import MAX_EVENTS, Inbox
from pytest_realtime_asr.client.reception import Reception
from pytest_realtime_asr.client.transport import Closed, Wire
from pytest_realtime_asr.trace.recorder import AudioFrames, Recorder
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Vantage
from tests.support.servers import CREATED, VLLM, plan

DELTA = '{"type":"transcription.delta","delta":"go"}'
APPEND = AudioFrames(
    Sender.CLIENT, "clip", '{"type":"input_audio_buffer.append","audio":""}'
)


class Line:
    """A wire whose server is the test."""

    def __init__(self) -> None:
        self.received = 0
        self.aborted = False
        self.hear: Callable[[str], None] | None = None
        self._rest: asyncio.Queue[str | bytes | Closed] = asyncio.Queue()

    def listen(self, on_text: Callable[[str], None] | None) -> None:
        self.hear = on_text

    async def receive(self) -> str | bytes:
        frame = await self._rest.get()
        if isinstance(frame, Closed):
            raise frame
        return frame

    def abort(self) -> None:
        self.aborted = True
        self.put(Closed(None, "cut", by_client=True))

    def put(self, frame: str | bytes | Closed) -> None:
        self._rest.put_nowait(frame)

    def says(self, *texts: str) -> None:
        for text in texts:
            assert self.hear is not None
            self.hear(text)


class Session:
    """A reception with its recorder and its wire, and the records that were read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: list[Record] = []
        add = Inbox.add

        def noted(inbox: Inbox, record: Record) -> None:
            self.read.append(record)
            add(inbox, record)

        monkeypatch.setattr(Inbox, "add", noted)
        self.recorder = Recorder(
            vantage=Vantage.CLIENT, dialect="vllm", rate=16_000, target=""
        )
        self.reception = Reception(
            plan("http://127.0.0.1:9"), self.recorder, asyncio.Lock()
        )
        self.line = Line()

    def begin(self) -> None:
        self.reception.begin(cast(Wire, self.line))

    def send_audio(self, frames: int) -> None:
        for n in range(frames):
            self.recorder.sent_audio(APPEND, due=n, woke=n, start=n, stop=n + 1)

    async def end(self) -> None:
        self.line.put(Closed(1000, "", by_client=False))
        await self.reception.end()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    return Session(monkeypatch)


def test_frames_are_read_when_the_inbox_is_used(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.line.says(CREATED)
        session.send_audio(10)
        session.line.says(DELTA)
        assert session.reception.changed.is_set()
        assert (session.recorder.count, session.read) == (12, [])
        assert session.reception.inbox.ready
        assert [each.move for each in session.reception.inbox.received] == [
            "session.created",
            "transcription.delta",
        ]
        assert tuple(session.read) == session.recorder.records
        await session.end()

    asyncio.run(talk())


def test_audio_of_the_client_wakes_no_waiting_task(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.send_audio(10)
        assert not session.reception.changed.is_set()
        session.line.says(CREATED)
        assert session.reception.changed.is_set()
        await session.end()

    asyncio.run(talk())


def test_frames_that_no_caller_waits_for_are_read_in_portions(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.line.says(CREATED)
        session.send_audio(reception._MOST_UNREAD)
        assert session.read == []
        session.line.says(DELTA)
        assert len(session.read) == reception._PORTION
        await session.end()

    asyncio.run(talk())


def test_many_sessions_are_read_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two portions of all sessions together, other tasks run."""

    async def talk() -> None:
        sessions = [Session(monkeypatch) for _ in range(3)]
        turn = asyncio.Lock()
        portions: list[int] = []
        read = Reception._update

        def noted(self: Reception, most: int) -> None:
            portions[-1] += 1
            read(self, most)

        async def others() -> None:
            while True:
                portions.append(0)
                await asyncio.sleep(0)

        monkeypatch.setattr(Reception, "_update", noted)
        for each in sessions:
            each.reception._turn = turn
            each.begin()
            each.line.says(CREATED)
            each.send_audio(5 * reception._PORTION)
        running = asyncio.create_task(others())
        await asyncio.sleep(0)
        await asyncio.gather(*(each.reception.read() for each in sessions))
        running.cancel()
        assert sum(portions) == 3 * 5
        assert max(portions) == 1
        for each in sessions:
            assert each.reception._unread <= reception._PORTION
            await each.end()

    asyncio.run(talk())


def test_queued_messages_of_the_wire_are_received(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.line.put(CREATED)
        session.line.put(b"binary")
        await session.end()
        assert [each.move for each in session.reception.inbox.received] == [
            "session.created",
            "malformed",
        ]

    asyncio.run(talk())
    ended = session.recorder.ended
    assert ended is not None
    assert (ended.how, ended.code) == (Ending.CLOSED_BY_PEER, 1000)


def test_a_failure_of_the_dialect_ends_the_session(session: Session) -> None:
    class Broken:
        """A dialect that fails to parse every record."""

        def parse(self, record: Record) -> object:
            raise KeyError("delta")

        def __getattr__(self, name: str) -> object:
            return getattr(VLLM, name)

    async def talk() -> None:
        session.begin()
        session.line.says(CREATED)
        cast(Any, session.reception.inbox)._dialect = Broken()
        session.line.says(DELTA)
        assert session.reception.failure is None
        assert session.reception.inbox.count == 1
        assert isinstance(session.reception.failure, KeyError)
        await session.end()

    asyncio.run(talk())
    ended = session.recorder.ended
    assert ended is not None
    assert ended.how is Ending.BROKEN
    assert "KeyError('delta')" in ended.reason


def test_a_flood_cuts_the_connection(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.line.says(CREATED)
        for _ in range(MAX_EVENTS):
            session.line.says(DELTA)
        assert session.line.aborted
        assert session.line.hear is None
        await session.reception.end()

    asyncio.run(talk())
    ended = session.recorder.ended
    assert ended is not None
    assert ended.how is Ending.LIMIT
    assert "flooded" in ended.reason


def test_the_greeting_of_another_dialect_cuts_the_connection(session: Session) -> None:
    (greeting,) = dialects.load("openai").server(["m"]).open("s", 1)

    async def talk() -> None:
        session.begin()
        session.line.says(str(greeting))
        assert session.line.aborted
        await session.reception.end()

    asyncio.run(talk())
    assert "use --realtime-dialect=openai" in session.reception.misfit


def test_several_threads_may_read_the_inbox(session: Session) -> None:
    async def talk() -> None:
        session.begin()
        session.line.says(CREATED)
        session.send_audio(2_000)
        askers = [
            threading.Thread(target=lambda: session.reception.inbox.items)
            for _ in range(4)
        ]
        for each in askers:
            each.start()
        for each in askers:
            each.join()
        await session.end()

    asyncio.run(talk())
    assert tuple(session.read) == session.recorder.records
