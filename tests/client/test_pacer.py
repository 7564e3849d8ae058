"""The pacing of audio: on time, in order, and without a task for each frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any, cast

import pytest

from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.client.pacer import Pacer
from pytest_realtime_asr.client.transport import Wire
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.trace.recorder import AudioFrames, Recorder
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Span, Vantage

MS = 1_000_000
RATE = 16_000
FRAMES = AudioFrames(Sender.CLIENT, "clip", "carrier")


class Socket:
    """A wire that takes each frame at once, except those whose number is given.

    ``turns`` has the turn of the event loop in which each frame was sent.
    """

    def __init__(self, *, full: tuple[int, ...] = ()) -> None:
        self.frames: list[bytes] = []
        self.turns: list[int] = []
        self.turn = 0
        self.waits = 0
        self.ready = True
        self._full = full

    def send_now(self, frame: bytes, *, binary: bool = False) -> bool:
        self.frames.append(frame)
        self.turns.append(self.turn)
        return len(self.frames) - 1 not in self._full

    async def accepted(self) -> None:
        self.waits += 1
        await asyncio.sleep(0.02)


class Paced:
    """A pacer with its recorder and its socket."""

    def __init__(
        self,
        audio: Audio,
        socket: Socket,
        *,
        pace: float = 10.0,
        append: Callable[[bytes], bytes] | None = None,
        after: Callable[[int], bool] = lambda samples: False,
        path_delay: Callable[[], float] | None = None,
    ) -> None:
        self.socket = socket
        self.recorder = Recorder(
            vantage=Vantage.CLIENT, dialect="vllm", rate=RATE, target=""
        )
        self.put: list[bytes] = []
        caller: Any = VLLM.caller("m", {})
        if append is not None:
            caller.append = append
        self.begin = self.recorder.now()
        self.pacer = Pacer(
            audio,
            FRAMES,
            caller=caller,
            recorder=self.recorder,
            step=RATE // 10,
            pace=pace,
            begin=self.begin,
            put=self._put,
            after=after,
            path_delay=path_delay,
        )

    async def _put(self, frame: bytes) -> None:
        self.put.append(frame)

    async def run(self) -> tuple[Record, ...]:
        counting = asyncio.create_task(self._count_turns())
        try:
            return await self._run()
        finally:
            counting.cancel()

    async def _count_turns(self) -> None:
        while True:
            self.socket.turn += 1
            await asyncio.sleep(0)

    async def _run(self) -> tuple[Record, ...]:
        while (blocked := await self.pacer.run(cast(Wire, self.socket))) is not None:
            await blocked()
            self.pacer.accepted()
        return self.recorder.records


def paced(audio: Audio, socket: Socket, **options: Any) -> Paced:
    """Send audio to its end; return the pacer with its recorder and its socket."""

    async def talk() -> Paced:
        it = Paced(audio, socket, **options)
        await it.run()
        return it

    return asyncio.run(talk())


def test_each_frame_leaves_when_its_last_sample_is_spoken() -> None:
    it = paced(silence(0.45, rate=RATE), Socket())
    records = it.recorder.records
    ends = [0.1, 0.2, 0.3, 0.4, 0.45]
    stops = [round(end * RATE) for end in ends]
    assert [record.span for record in records] == [
        Span("clip", start, stop)
        for start, stop in zip([0, *stops], stops, strict=False)
    ]
    dues = [it.begin + round(end * 100 * MS) for end in ends]
    assert [record.due for record in records] == dues
    for record in records:
        due, woke = record.times
        assert due <= woke <= record.at
    assert len(it.socket.frames) == len(ends)
    assert it.pacer.due == dues[-1]


def test_without_a_pace_all_frames_leave_at_once() -> None:
    it = paced(silence(3.0, rate=RATE), Socket(), pace=0.0)
    records = it.recorder.records
    assert len(records) == 30
    assert all(record.due == record.woke for record in records)
    assert len(set(it.socket.turns)) == 1


def test_empty_audio_is_sent_without_a_frame() -> None:
    it = paced(silence(0.0, rate=RATE), Socket())
    assert (it.socket.frames, it.recorder.count) == ([], 0)


def test_a_frame_counts_as_sent_once_the_socket_has_taken_it() -> None:
    it = paced(silence(0.5, rate=RATE), Socket(full=(1, 3)))
    waits = [record.at - record.times[1] for record in it.recorder.records]
    assert it.socket.waits == 2
    assert min(waits[1], waits[3]) >= 20 * MS


def test_frames_that_are_late_leave_without_delay() -> None:
    """The schedule is absolute: a wait of one frame is no wait of those after it."""
    it = paced(silence(1.0, rate=RATE), Socket(full=(0,)), pace=100.0)
    records = it.recorder.records
    dues = [record.times[0] for record in records]
    assert [after - before for before, after in pairwise(dues)] == [MS] * 9
    # After the wait of 20 ms, all others are due: they leave in one turn of the loop.
    assert dues[-1] <= records[0].at
    assert len(set(it.socket.turns[1:])) == 1


def test_a_frame_that_cannot_be_sent_at_once_is_left_to_the_task() -> None:
    socket = Socket()
    socket.ready = False
    it = paced(silence(0.2, rate=RATE), socket)
    assert (len(it.put), socket.frames) == (2, [])
    assert it.recorder.count == 2


def test_frames_of_an_ended_session_are_left_to_the_task() -> None:
    async def talk() -> Paced:
        it = Paced(silence(0.2, rate=RATE), Socket())
        it.recorder.end(Ending.DEADLINE)
        await it.run()
        return it

    it = asyncio.run(talk())
    assert (len(it.put), it.socket.frames) == (2, [])


def test_the_callback_can_end_the_audio_early() -> None:
    counted: list[int] = []

    def after(samples: int) -> bool:
        counted.append(samples)
        return len(counted) == 2

    it = paced(silence(1.0, rate=RATE), Socket(), after=after)
    assert counted == [RATE // 10] * 2
    assert len(it.socket.frames) == 2


def test_a_delay_of_the_path_is_no_delay_of_the_client() -> None:
    """A frame that the path delays was due and woke in time, and is sent later."""
    delays = iter([0.03, 0.0, 0.02])
    it = paced(silence(0.3, rate=RATE), Socket(), path_delay=delays.__next__)
    sent = [record.at - record.times[1] for record in it.recorder.records]
    assert sent[0] >= 30 * MS
    assert sent[2] >= 20 * MS
    assert len(it.socket.frames) == 3


def test_an_exception_of_the_dialect_reaches_the_task() -> None:
    def broken(pcm: bytes) -> bytes:
        raise KeyError("audio")

    with pytest.raises(KeyError, match="audio"):
        paced(silence(0.2, rate=RATE), Socket(), append=broken)


def test_a_cancelled_task_sends_no_more() -> None:
    async def talk() -> int:
        it = Paced(silence(100.0, rate=RATE), Socket())
        sending = asyncio.create_task(it.run())
        while len(it.socket.frames) < 2:
            await asyncio.sleep(0.001)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        sent = len(it.socket.frames)
        await asyncio.sleep(0.02)
        assert len(it.socket.frames) == sent
        return sent

    assert asyncio.run(talk()) < 1000
