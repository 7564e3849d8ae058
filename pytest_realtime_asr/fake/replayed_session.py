"""A session of the fake server in which recorded answers are sent to the client."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr.fake.drain import Drain
from pytest_realtime_asr.fake.recorded_session import Close
from pytest_realtime_asr.fake.replay import NotRecorded, Replay
from pytest_realtime_asr.trace.recorder import Recorder
from pytest_realtime_asr.trace.records import NOT_RECORDED, Frame, Sender, Span

_LONGEST = 123  # bytes of the reason in a close frame
# Codes that no close frame may contain (RFC 6455, 7.4.1).
_UNSENDABLE = (1004, 1005, 1006, 1015)
_NORMAL = 1000


class ReplayedSession:
    """A session with one client, whose answers come from `Replay`.

    In the trace, the frame ``carrier`` stands for each frame with audio.
    ``place`` says where the recordings are; it is shown if an utterance was not
    recorded. ``was_dropped`` says whether this server ended the connection without a
    close frame.
    """

    def __init__(
        self,
        replay: Replay,
        connection: ServerConnection,
        recorder: Recorder,
        *,
        carrier: Frame,
        place: str,
    ) -> None:
        self._replay = replay
        self._connection = connection
        self._recorder = recorder
        self._carrier = carrier
        self._place = place
        self._position = 0  # samples of audio so far
        self._changed = asyncio.Event()
        self._over = False  # whether the connection ends
        self.was_dropped = False

    @property
    def is_mid_utterance(self) -> bool:
        """Return whether an answer still has to be sent."""
        return bool(self._replay.due)

    async def run(self, name: str) -> None:
        """Serve the client until the connection ends.

        ``name`` is not used, because the recorded answers already name the session.
        Raises ConnectionClosed when the connection ends.
        """
        sending: asyncio.Task[None] | None = None
        try:
            self._replay.open(self._recorder.now())
            sending = asyncio.create_task(self._send_answers())
            while True:
                self._take(await self._connection.recv())
                self._changed.set()
        except NotRecorded as error:
            await self._refuse(str(error))
        finally:
            if sending is not None:
                sending.cancel()
                with suppress(asyncio.CancelledError):
                    await sending

    async def drain(self, drain: Drain) -> None:
        """Close the connection; answers that are not due yet are not sent."""
        await asyncio.sleep(drain.linger)
        await self._connection.close(drain.code)

    async def close(self) -> None:
        """Do nothing, because no answer is sent after `run` has ended."""

    def _take(self, frame: Frame) -> None:
        """Record a frame of the client, and replay the answers to it."""
        at = self._recorder.now()
        if self._over:
            return
        try:
            self._replay.hear(frame, at)
        finally:
            start = self._position
            self._position += self._replay.samples
            if self._position == start:
                self._recorder.received(Sender.CLIENT, at, frame)
            else:
                span = Span("heard", start, self._position)
                self._recorder.received(Sender.CLIENT, at, self._carrier, span=span)

    async def _send_answers(self) -> None:
        """Send each answer when it is due."""
        with suppress(ConnectionClosed):  # `run` gets the same exception
            while not self._over:
                self._changed.clear()
                now = self._recorder.now()
                due, patience = self._replay.due, self._replay.patience()
                if due and due[0].at <= now:
                    await self._send(due.pop(0).content)
                elif patience is not None and patience <= now:
                    self._replay.lose_patience(now)
                else:
                    ends = [each.at for each in due[:1]]
                    ends += [] if patience is None else [patience]
                    await self._wait(min(ends) - now if ends else None)

    async def _wait(self, most: int | None) -> None:
        """Wait until the client has sent something, or for at most ``most`` ns."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if most is None else most / 1e9):
                await self._changed.wait()

    async def _send(self, content: Frame | Close) -> None:
        if not isinstance(content, Close):
            woke = self._recorder.now()
            await self._connection.send(content)
            self._recorder.sent(Sender.SERVER, content, due=woke, woke=woke)
            return
        self._over = True
        if content.code is None:
            self.was_dropped = True
            self._connection.transport.abort()
            return
        code = _NORMAL if content.code in _UNSENDABLE else content.code
        await self._connection.close(code, content.reason)

    async def _refuse(self, why: str) -> None:
        """Close the connection with the reason why nothing can be replayed."""
        self._over = True
        reason = f"not recorded in {self._place}: {why}"
        cut = reason.encode()[:_LONGEST].decode(errors="ignore")
        closing = self._connection.close(NOT_RECORDED, cut)
        await asyncio.gather(closing, self._drop_frames())

    async def _drop_frames(self) -> None:
        """Drop the frames that arrive before the client has read the close frame."""
        with suppress(ConnectionClosed):
            while True:
                await self._connection.recv()
