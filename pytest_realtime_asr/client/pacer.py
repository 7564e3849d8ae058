"""The pacing of audio: each frame leaves at its due time.

The schedule is absolute: a late frame does not delay the frames after it. Usually a
timer of the event loop sends a frame, so that no task has to wake up. If the socket
does not accept the frame at once, the task that called `Pacer.run` waits until it does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.transport import Wire
from pytest_realtime_asr.dialects import Caller
from pytest_realtime_asr.trace.recorder import AudioFrames, Recorder

Blocked = Callable[[], Awaitable[None]]
"""A function that waits until the socket has accepted the frame that was blocked."""


class Pacer:
    """Sends one piece of audio in frames, and records them.

    ``frames`` has the fields that all records of this audio share. ``step`` is the
    number of samples in a frame. ``pace`` is in seconds of audio per second; 0 is as
    fast as the socket accepts. ``begin`` is the time in ns at which the first sample is
    spoken. ``put`` sends a frame and waits until the socket has accepted it. ``after``
    is called with the number of samples of each frame that was sent; the audio ends
    early if ``after`` returns true. ``path_delay`` returns the simulated delay of
    the network path in s; the next frame is sent this long after its due time.
    """

    def __init__(
        self,
        audio: Audio,
        frames: AudioFrames,
        *,
        caller: Caller,
        recorder: Recorder,
        step: int,
        pace: float,
        begin: int,
        put: Callable[[bytes], Awaitable[None]],
        after: Callable[[int], bool],
        path_delay: Callable[[], float] | None = None,
    ) -> None:
        self.due = begin  # of the last frame, in ns
        self._pcm = memoryview(audio.pcm)
        self._samples = audio.samples
        self._rate = audio.rate
        self._frames = frames
        self._append = caller.append
        self._binary = caller.binary
        self._recorder = recorder
        self._step = step
        self._pace = pace
        self._begin = begin
        self._put = put
        self._after = after
        self._path_delay = path_delay
        self._delayed = False  # whether the next frame has had this delay
        self._next = 0  # the first sample of the next frame
        self._woke = 0  # when the pacer came to send the next frame, in ns
        self._over = not audio.samples
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, wire: Wire) -> Blocked | None:
        """Send frames until the socket does not accept one of them at once.

        Return the function that waits until the socket has accepted this frame, or
        ``None`` if all frames were sent. The caller awaits the function, then calls
        `accepted`, and then calls `run` again.
        """
        self._loop = asyncio.get_running_loop()
        self._wire = wire
        self._waiter: asyncio.Future[Blocked | None] = self._loop.create_future()
        self._advance()
        try:
            return await self._waiter
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def accepted(self) -> None:
        """Record that the socket has accepted a frame."""
        start, stop = self._next, min(self._next + self._step, self._samples)
        self._recorder.sent_audio(
            self._frames, due=self.due, woke=self._woke, start=start, stop=stop
        )
        self._next = stop
        self._over = self._after(stop - start) or stop == self._samples

    def _advance(self) -> None:
        """Send all frames that are due; set the timer for the next frame."""
        if self._waiter.done():  # the task was cancelled
            return
        try:
            blocked = self._send()
        except Exception as error:
            self._waiter.set_exception(error)
            return
        if blocked is not None or self._over:
            self._waiter.set_result(blocked)

    def _send(self) -> Blocked | None:
        """Send the frames that are due, until the socket does not accept one at once.

        Return the function that waits until the socket has accepted this frame, or
        ``None`` if the socket has accepted all frames that are due.
        """
        recorder, wire = self._recorder, self._wire
        while not self._over:
            stop = min(self._next + self._step, self._samples)
            if (wait := self._wait(stop)) > 0:
                self._timer = self._loop.call_later(wait, self._advance)
                return None
            self._delayed = False
            frame = self._append(bytes(self._pcm[2 * self._next : 2 * stop]))
            if recorder.ended is not None or not wire.ready:
                return partial(self._put, frame)
            if not wire.send_now(frame, binary=self._binary):
                return wire.accepted
            self.accepted()
        return None

    def _wait(self, stop: int) -> float:
        """Return the seconds to wait before the frame that ends at ``stop`` is sent."""
        if self._delayed:
            return 0.0
        self._woke = self._recorder.now()
        if self._pace:
            spoken = round(stop / self._rate / self._pace * 1e9)
            self.due = self._begin + spoken
        else:
            self.due = self._woke
        # On some event loops a timer may fire early, so the time is compared again.
        if (left := self.due - self._woke) > 0:
            return left / 1e9
        if self._path_delay is None:
            return 0.0
        self._delayed = True
        return self._path_delay()
