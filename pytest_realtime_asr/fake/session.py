"""A session of the fake server, which reads frames and sends replies and words."""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from pytest_realtime_asr.dialects import Reaction, Server, audio_frame
from pytest_realtime_asr.fake.capacity import Workload
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.drain import Drain
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.recognisers.recogniser import Recogniser
from pytest_realtime_asr.fake.utterance import FakeUtterance, Speaking
from pytest_realtime_asr.trace.recorder import Recorder
from pytest_realtime_asr.trace.records import Frame, Sender, Span
from pytest_realtime_asr.trace.timeline import WordTime

_DIED = 70  # the exit code of a server that crashes by a fault or beyond its capacity


class FakeSession:
    """A session with one client, controlled by the dialect's server side.

    ``number`` is the number of this session on the fake server, from 1. ``refusal`` is
    the way in which the server refuses the session, or ``None`` if it serves the
    session. ``was_dropped`` says whether this server ended the connection without a
    close frame.
    """

    def __init__(
        self,
        config: FakeConfig,
        recogniser: Recogniser,
        server: Server,
        connection: ServerConnection,
        recorder: Recorder,
        faults: Faults,
        workload: Workload,
        word_delay: Callable[[], float],
        number: int,
        *,
        add_word: Callable[[WordTime, int], None],
        refusal: Reaction | None = None,
    ) -> None:
        self._limit = config.limit
        self._server = server
        self._connection = connection
        self._recorder = recorder
        client = config.dialect.caller("", {})
        self._carrier = audio_frame(client, b"")  # in the trace, for each audio frame
        self._early: list[tuple[bytes, int]] = []  # audio before the next utterance
        self._utterances: list[FakeUtterance] = []  # in the order of their starts
        self._position = 0  # samples of audio so far
        self._idle = faults.idle_timeout(None)
        self._idle_notice = faults.idle_notice
        self._active = 0.0  # when the last frame came that is not a keepalive, in s
        traits = config.dialect.traits
        self._keepalive = None if traits.keepalive is None else traits.keepalive.frame
        self._idle_close = (1011, "")
        if traits.idle is not None:
            self._idle_close = (traits.idle.code, traits.idle.reason)
            if self._idle is None:  # a correct server counts keepalives too
                self._idle, self._keepalive = traits.idle.seconds, None
        self._send_frame = faults.sender(connection.send)
        self._refusal = faults.refusal() or refusal
        self.was_dropped = False
        self._speaking = Speaking(
            session=number,
            server=server,
            recogniser=recogniser,
            faults=faults,
            workload=workload,
            add_word=add_word,
            now=recorder.now,
            send=self._send,
            fail=self._fail,
            word_delay=word_delay,
            final_delay=config.final_delay,
        )
        faults.connected(connection)

    @property
    def is_mid_utterance(self) -> bool:
        """Return whether an utterance is open, from its start to its final."""
        return any(not utterance.is_over for utterance in self._utterances)

    async def run(self, name: str) -> None:
        """Serve the client until the session expires; ``name`` is part of its id.

        Raises ConnectionClosed if the connection ends before the session expires.
        """
        if self._refusal is not None:
            await self._react(self._refusal, self._recorder.now())
            return
        await self._send(self._server.open(f"sess-{name}", int(time.time())))
        self._active = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._limit):
                await self._read()
        except TimeoutError:
            await self._react(self._server.expire(), self._recorder.now())

    async def drain(self, drain: Drain) -> None:
        """Let the open utterances finish, and close the connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(drain.grace):
                for utterance in list(self._utterances):
                    await utterance.ended()
        await asyncio.sleep(drain.linger)
        await self._connection.close(drain.code)

    async def close(self) -> None:
        """Drop all utterances."""
        for utterance in self._utterances:
            await utterance.close()

    @property
    def _hearing(self) -> FakeUtterance | None:
        """The utterance whose audio is not complete yet."""
        last = self._utterances[-1] if self._utterances else None
        return None if last is None or last.is_complete else last

    async def _read(self) -> None:
        while True:
            frame = await self._receive()
            at = self._recorder.now()
            reaction = self._server.hear(frame)
            self._record(at, frame, reaction)
            await self._react(reaction, at)

    async def _receive(self) -> Frame:
        until = None if self._idle is None else self._active + self._idle
        try:
            async with asyncio.timeout_at(until):
                frame = await self._connection.recv()
        except TimeoutError:
            await self._send(self._idle_notice())
            await self._close(*self._idle_close)
            return await self._connection.recv()  # raises ConnectionClosed
        if frame != self._keepalive:
            self._active = asyncio.get_running_loop().time()
        return frame

    async def _close(self, code: int, reason: str = "") -> None:
        """Close the connection; until it is closed, read and drop the client's frames.

        This is how the server gets the client's close frame.
        """
        await asyncio.gather(self._connection.close(code, reason), self._drop_frames())

    async def _drop_frames(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                await self._connection.recv()

    async def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            woke = self._recorder.now()
            await self._send_frame(frame)
            self._recorder.sent(Sender.SERVER, frame, due=woke, woke=woke)

    async def _fail(self, failure: BaseException) -> None:
        """Print a failure of the recogniser to stderr, and close with the code 1011."""
        traceback.print_exception(failure)
        await self._connection.close(1011, "the recogniser failed")

    async def _react(self, reaction: Reaction, at: int) -> None:
        if reaction.drop and (dropped := self._hearing) is not None:
            await dropped.close()  # so it sends nothing after the reply to the drop
        # After the client's close frame, `send` would wait for the connection's end,
        # which the library does not notice while it has many unread frames.
        if self._connection.state is State.OPEN:
            await self._send(reaction.replies)
        if reaction.die:
            os._exit(_DIED)
        if reaction.begin:
            await self._begin()
        self._take_audio(reaction, at)
        if reaction.pause:
            self._connection.transport.pause_reading()
            await asyncio.sleep(reaction.pause)
            self._connection.transport.resume_reading()
        if reaction.after_finals:
            for utterance in self._utterances:
                if utterance.is_complete:
                    await utterance.ended()
        if reaction.close:
            await self._close(reaction.close, reaction.reason)
        elif reaction.close is not None:
            self.was_dropped = True
            self._connection.transport.abort()

    async def _begin(self) -> None:
        """Start an utterance, and give it the audio that came before its start."""
        if (interrupted := self._hearing) is not None:
            await interrupted.close()
        if self._speaking.workload.is_deadly:
            os._exit(_DIED)
        begun = FakeUtterance(len(self._utterances), self._speaking)
        self._utterances.append(begun)
        for pcm, earlier in self._early:
            begun.hear(pcm, earlier)
        self._early.clear()

    def _take_audio(self, reaction: Reaction, at: int) -> None:
        hearing = self._hearing
        if reaction.audio and hearing is None:
            self._early.append((reaction.audio, at))
        elif reaction.audio and hearing is not None:
            hearing.hear(reaction.audio, at)
        if reaction.finish and hearing is not None:
            hearing.finish(at)

    def _record(self, at: int, frame: Frame, reaction: Reaction) -> None:
        samples = reaction.carried or len(reaction.audio) // 2
        if not samples:
            self._recorder.received(Sender.CLIENT, at, frame)
            return
        start = self._position
        self._position += samples * self._recorder.rate // self._server.rate
        span = Span("heard", start, self._position)
        self._recorder.received(Sender.CLIENT, at, self._carrier, span=span)
