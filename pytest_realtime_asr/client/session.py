"""One session: sends paced audio in a dialect and records every frame in a trace.

Audio is sent on an absolute schedule. Each chunk is sent at the instant at which a
speaker would have finished this chunk. The frames of the server are recorded as they
arrive. They are parsed later, when a caller waits for an event or asks for a result, so
that parsing takes no time while audio is sent.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.client.further_utterance import refuse_further
from pytest_realtime_asr.client.inbox import Inbox
from pytest_realtime_asr.client.keepalives import send_keepalives
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import LOSSES, Loss, Lost
from pytest_realtime_asr.client.pacer import Blocked, Pacer
from pytest_realtime_asr.client.pings import ping_regularly
from pytest_realtime_asr.client.plan import Plan, asking
from pytest_realtime_asr.client.reception import Reception
from pytest_realtime_asr.client.session_refusal import refuses_key
from pytest_realtime_asr.client.transport import (
    Closed,
    Unreachable,
    Wire,
    connect,
    fragments,
)
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.trace.recorder import AudioFrames, Recorder
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import (
    TAIL,
    Ending,
    Frame,
    Sender,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.timeline import Timeline

_MORE = "--realtime-timeout=SECONDS allows more"


class Live:
    """A running session; its coroutines run on the event loop of the plugin.

    If ``pings`` is true, the session pings the server regularly to measure the round
    trip. ``key_renewed`` says that the server refused the key in the session, and that
    the next session has another key.
    """

    def __init__(self, loop: Loop, plan: Plan, *, pings: bool = False) -> None:
        self.plan = plan
        self.key_renewed = False
        self._headers: Mapping[str, str] = {}
        self._pings = pings
        self._loop = loop
        self._caller = plan.caller
        self._recorder = Recorder(
            vantage=Vantage.CLIENT,
            dialect=plan.dialect.name,
            rate=self._caller.rate,
            target=plan.access.target.shown,
            version=plan.version,
            redactor=plan.redactor,
            replayed=plan.replayed,
        )
        self._reception = Reception(plan, self._recorder, loop.reading)
        self._began = time.monotonic_ns()
        self._until: int | None = None
        self._finished: Recording | None = None
        self._wire: Wire | None = None
        self._beside: list[asyncio.Task[None]] = []  # tasks that end with the session
        self._controls = 0  # frames without audio that were sent
        self._due: int | None = None  # when the last audio was due
        self._path_delay: Callable[[], float] | None = None
        if plan.jitter:
            uniform = random.Random(plan.seed).uniform
            self._path_delay = partial(uniform, 0, plan.jitter)
        self._carrier = audio_frame(self._caller, b"")

    # The steps of a session

    async def open(self) -> None:
        """Connect and wait until the server is ready. Raises `Lost`.

        A session that was closed cannot be opened again.
        """
        limits = self.plan.limits
        if self._recorder.ended is not None:
            raise self._lost()
        self._recorder.begin()
        self._began = time.monotonic_ns()
        self._headers = dict(self.plan.access.headers)
        try:
            access = asking(self.plan, self._caller)
            self._wire = await connect(access, timeout=limits.connect)
        except Unreachable as error:
            how = Ending.CANCELLED if error.local else Ending.REFUSED
            reason = error.explained(self.plan.redactor)
            self._recorder.end(how, code=error.status, reason=reason)
            self._until = self._until or time.monotonic_ns()
            raise self._lost() from error
        if self._recorder.ended is not None:  # closed while the client connected
            wire, self._wire = self._wire, None
            await wire.close()
            raise self._lost()
        self._recorder.open(port=self._wire.port)
        self._loop.watch()
        self._reception.begin(self._wire)
        self._start_tasks(self._wire)
        async with self._renewing():
            await self._await(
                lambda: self._inbox.ready and not self.misfit,
                "the server to be ready",
                idle=limits.ready,
                total=limits.ready,
            )

    async def configure(self) -> None:
        """Send the model and the options of the plan. Raises `Lost`."""
        async with self._renewing():
            for frame in self._caller.configure():
                await self._send(frame)

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a string as it is, a mapping as JSON, or bytes as a binary frame.

        Raises `Lost`.
        """
        if isinstance(message, Mapping):
            message = json.dumps(message)
        self._inbox.by_hand = True
        await self._send(message, raw=True)

    async def expect(self, kind: str, *, timeout: float | None = None) -> Message:
        """Wait for the next event of this type and return the event.

        The events that an earlier call has examined are skipped. Raises `Lost` if the
        event does not arrive within ``timeout`` seconds, by default the idle timeout of
        the plan.
        """
        idle = self.plan.limits.silence if timeout is None else timeout
        found: list[Message] = []

        def come() -> bool:
            message = self._inbox.expect(kind)
            found.extend([] if message is None else [message])
            return message is not None

        await self._await(come, f"the event {kind}", idle=idle, total=idle)
        return found[0]

    async def speak(self, utterance: Utterance) -> int:
        """Send one utterance at the pace, and wait for its final.

        Return the index of the utterance in the session. The audio is decoded on
        another thread, so that the event loop is not blocked. Raises `Lost`, or
        AudioError if the audio cannot be decoded.
        """
        audio = await self.audio(utterance)
        return await self.transcribe(audio, utterance.id)

    async def audio(self, utterance: Utterance) -> Audio:
        """Return the audio of an utterance at the session's sample rate.

        The audio is decoded on another thread.
        """
        rate = self._caller.rate
        return await asyncio.to_thread(lambda: utterance.audio.resample(rate))

    async def transcribe(self, audio: Audio, asset: str) -> int:
        """Send one utterance at the pace, and wait for its final.

        Return the index of the utterance in the session. ``audio`` is the audio of the
        utterance, at the rate of the session. ``asset`` is the name of the audio in the
        trace. Raises `Lost`.
        """
        try:
            async with self._renewing():
                return await self._transcribe(audio, asset)
        except asyncio.CancelledError:
            # The server would take the next audio as part of this utterance.
            self._recorder.end(
                Ending.CANCELLED,
                reason=f"cancelled by the test; {self._reception.summary}",
            )
            self._abort()
            raise
        finally:
            self._inbox.report_refusals()

    # The steps of `transcribe`, for sessions that leave some of them out

    async def begin(self) -> int:
        """Start an utterance, and return its index in the session.

        Raises `Lost` if the session is not open, or `NoFurtherUtterance` if the session
        has had an utterance and the protocol allows only one.
        """
        item = self.items
        refuse_further(self.plan.dialect, item)
        self._due = None
        for frame in self._caller.begin():
            await self._send(frame)
        return item

    async def stream(self, audio: Audio, asset: str, *, raw: bool = False) -> None:
        """Send audio at the pace. Raises `Lost`.

        ``asset`` is the name of the audio in the trace. The trace numbers the samples
        of each call from 0. ``raw`` marks audio that is not allowed at this point.
        """
        self._inbox.by_hand |= raw
        total = self._most(audio)
        try:
            async with asyncio.timeout(total):
                await self._stream(audio, asset, raw=raw)
        except TimeoutError:
            self._time_out(
                f"the server did not accept all of the {audio.seconds:.1f} s of audio "
                f"within {total:g} s ({_MORE}); {self._reception.summary}"
            )
            raise self._lost() from None

    async def burst(
        self,
        before: Sequence[Frame],
        audio: Audio,
        asset: str,
        after: Sequence[Frame],
    ) -> None:
        """Send frames, audio, and more frames in one write to the socket.

        So the server can read all frames before it answers the first one. All frames
        count as written by hand. ``asset`` is the name of the audio in the trace.
        Raises `Lost`.
        """
        self._inbox.by_hand = True
        chunks = list(audio.chunks(self.plan.chunk))
        spoken = [audio_frame(self._caller, chunk) for chunk in chunks]
        woke = self._recorder.now()
        wire = self._connected()
        try:
            async with asyncio.timeout(self.plan.limits.silence):
                await wire.send_together((*before, *spoken, *after))
        except TimeoutError:
            self._time_out(
                f"the server did not accept {len(spoken)} frames of audio within "
                f"{self.plan.limits.silence:g} s ({_MORE}); {self._reception.summary}"
            )
            raise self._lost() from None
        except Closed as error:
            self._reception.closed(error)
            raise self._lost() from error
        record = partial(self._recorder.sent, Sender.CLIENT, due=woke, woke=woke)
        for frame in before:
            record(frame, raw=True)
        frames = AudioFrames(Sender.CLIENT, asset, self._carrier, raw=True)
        start = 0  # in samples
        for chunk in chunks:
            stop = start + len(chunk) // 2
            self._recorder.sent_audio(
                frames, due=woke, woke=woke, start=start, stop=stop
            )
            start = stop
        for frame in after:
            record(frame, raw=True)
        self._reception.seconds += audio.seconds
        self.plan.meter.add(audio.seconds)

    async def finish(self, *, raw: bool = False) -> None:
        """Tell the server that the audio is complete. Raises `Lost`.

        If the server detects the end of speech by itself, silence is sent instead.
        ``raw`` marks frames that are not allowed at this point.
        """
        self._inbox.by_hand |= raw
        for frame in self._caller.finish():
            await self._send(frame, due=None if raw else self._due, raw=raw)
        if self._caller.tail and not raw:
            await self._send_tail(self._inbox.complete())

    async def final(self, item: int, what: str, *, total: float) -> None:
        """Wait for the final of an item, at most ``total`` seconds.

        ``what`` names the item in messages. Raises `Lost`.
        """
        frame = self.plan.dialect.traits.final
        await self._await(
            lambda: self._inbox.answered(item),
            f"the final of utterance {item} ({what}){frame and f': {frame}'}",
            idle=self.plan.limits.silence,
            total=total,
        )
        refusal = self._inbox.refusal
        if refusal is not None and not self._inbox.has_final(item):
            self._inbox.report_refusals()
            said = self._reception.quoted(refusal)
            raise self._loss(Loss.REFUSED, f"refused: {said}")

    async def answered(self, count: int, *, timeout: float) -> bool:
        """Wait for ``count`` refusals of the server; return whether they have arrived.

        All refusals since the start of the session are counted. The wait ends after
        ``timeout`` seconds, or when the session ends. A timeout leaves the session
        open.
        """
        deadline = time.monotonic() + timeout
        while self._inbox.refusals < count and self._recorder.ended is None:
            self._reception.changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._reception.changed.wait()
            except TimeoutError:
                break
        return self._inbox.refusals >= count

    async def ping(self, *, timeout: float) -> bool:
        """Send a ping; return whether the server answers within ``timeout`` seconds.

        If the server does not answer, the session stays open. Raises `Lost`.
        """
        wire = self._connected()
        sent = self._recorder.now()
        try:
            async with asyncio.timeout(timeout):
                await wire.ping()
        except TimeoutError:
            self._recorder.pinged(sent, None)
            return False
        except Closed as error:
            self._recorder.pinged(sent, None)
            self._reception.closed(error)
            raise self._lost() from error
        self._recorder.pinged(sent, self._recorder.now())
        return True

    async def send_fragments(self, frame: Frame, *, parts: int) -> None:
        """Send a message in ``parts`` fragments. Raises `Lost`."""
        await self._send(frame, parts=parts)

    def deafen(self) -> None:
        """Stop reading, so that pings are not answered.

        A later end of the session counts as an end by the client.
        """
        self._reception.deaf = True
        if self._wire is not None:
            self._wire.stop_reading()

    def reset(self) -> None:
        """Cut the connection with a TCP reset, without a close frame."""
        reason = "the client reset the connection"
        self._recorder.end(Ending.CLOSED_BY_US, reason=reason)
        if self._wire is not None:
            self._wire.reset()

    async def close(self) -> None:
        """Close the connection, if there is one; then the trace is complete.

        The trace keeps all frames that arrived until then. The method may be called
        several times.
        """
        if self._wire is not None:
            for task in self._beside:
                task.cancel()
            await self._wire.close()
            await self._reception.end()
            if self._wire is not None:  # `None` if a concurrent call was faster
                self._wire = None
                self._loop.unwatch()
        self._recorder.end(Ending.CLOSED_BY_US)
        self._until = self._until or time.monotonic_ns()
        await self._renew_key()

    @property
    def misfit(self) -> str:
        """The message that the server speaks another dialect; "" if it does not."""
        return self._reception.misfit

    # The results so far; may be read at any time and from any thread

    @property
    def id(self) -> str:
        """The id that the server gave the session; "" if there is none yet."""
        return self._inbox.session

    @property
    def is_open(self) -> bool:
        """Return whether the session has begun and has not ended."""
        return self._wire is not None and self._recorder.ended is None

    @property
    def items(self) -> int:
        """The number of complete utterances; also the index of the next utterance."""
        return self._inbox.items

    @property
    def recording(self) -> Recording:
        """The recording of the session so far.

        Once the session is over, every access gives the same object.
        """
        if self._finished is None:
            over = self._until is not None and self._recorder.ended is not None
            trace = self._freeze()
            recording = self._inbox.recording(trace)
            if not over:
                return recording
            self._finished = recording
        return self._finished

    @property
    def trace(self) -> Trace:
        """The frames that were recorded so far."""
        return self._freeze() if self._finished is None else self._finished.trace

    @property
    def timeline(self) -> Timeline:
        """The timeline of the session so far."""
        return self.recording.timeline

    # Implementation

    @property
    def _inbox(self) -> Inbox:
        """The inbox, after it has parsed all frames that were recorded so far."""
        return self._reception.inbox

    def _start_tasks(self, wire: Wire) -> None:
        """Start the tasks that send pings and keepalive frames."""
        if self._pings:
            interval = self.plan.ping_interval
            ping = ping_regularly(wire, self._recorder, interval=interval)
            self._beside.append(asyncio.create_task(ping))
        keepalive = self.plan.dialect.traits.keepalive
        if keepalive is not None and self.plan.keepalive:
            keep = send_keepalives(keepalive, sent=self._activity, send=self._send)
            self._beside.append(asyncio.create_task(keep))

    def _activity(self) -> object:
        """Return a value that changes with each frame that the session sends."""
        return self._controls, self._reception.seconds

    @property
    def _key_was_refused(self) -> bool:
        """Return whether the server refused the key after the connection was open."""
        refusals = self.timeline.refusals if self._inbox.refusals else ()
        return refuses_key(self._recorder.ended, refusals)

    async def _renew_key(self) -> str:
        """Renew the key if the server refused it.

        Return why the renewal failed, or "" if it did not fail.
        """
        if not self.key_renewed and self._key_was_refused:
            renew = self.plan.access.renew
            try:
                self.key_renewed = await asyncio.to_thread(renew, self._headers)
            except InputError as error:
                return str(error)
        return ""

    @asynccontextmanager
    async def _renewing(self) -> AsyncIterator[None]:
        """Renew a refused key if the code in the ``with`` block raises `Lost`.

        If the renewal fails, the message of the `Lost` says why.
        """
        try:
            yield
        except Lost as lost:
            if why := await self._renew_key():
                raise self._loss(lost.how, f"{lost}; {why}") from lost.__cause__
            raise

    def _freeze(self) -> Trace:
        until = self._until or time.monotonic_ns()
        return self._recorder.freeze(lag=self._loop.lag(self._began, until))

    async def _transcribe(self, audio: Audio, asset: str) -> int:
        deadline = time.monotonic() + self._most(audio)
        item = await self.begin()
        await self.stream(audio, asset)
        await self.finish()
        await self.final(item, asset, total=deadline - time.monotonic())
        return item

    def _most(self, audio: Audio) -> float:
        """Return the time limit of an utterance in seconds.

        The limit is `Limits.beyond` plus the time to send the audio at the pace. With
        pace 0, the length of the audio is added, since a server may be only as fast as
        speech.
        """
        return self.plan.limits.beyond + audio.seconds / (self.plan.pace or 1.0)

    async def _send_tail(self, item: int) -> None:
        """Send silence until the server has answered the utterance.

        The silence lasts at least one chunk, so that this utterance is separate from
        the next one. It lasts at most as long as the dialect needs to detect the end of
        speech.
        """
        tail = silence(self._caller.tail, rate=self._caller.rate)
        await self._stream(
            tail, TAIL, raw=False, until=lambda: self._inbox.answered(item)
        )

    async def _stream(
        self,
        audio: Audio,
        asset: str,
        *,
        raw: bool,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Send audio chunk by chunk, each chunk at its due time.

        The method ends after the first chunk for which ``until`` returns true.
        """
        # Silence is paced even if the speech is not: a server that still recognises the
        # speech would ignore silence that arrives at once.
        pace = self.plan.pace or (1.0 if asset == TAIL else 0.0)
        # Silence after speech continues the schedule of the speech.
        begin = self._recorder.now()
        if asset == TAIL and self._due is not None:
            begin = self._due

        def after(samples: int) -> bool:
            self._reception.seconds += samples / audio.rate
            self.plan.meter.add(samples / audio.rate)
            return until()

        pacer = Pacer(
            audio,
            AudioFrames(Sender.CLIENT, asset, self._carrier, raw),
            caller=self._caller,
            recorder=self._recorder,
            step=max(1, round(self.plan.chunk * audio.rate)),
            pace=pace,
            begin=begin,
            put=self._put_audio,
            after=after,
            path_delay=self._path_delay,
        )
        try:
            while (blocked := await pacer.run(self._connected())) is not None:
                await self._wait_for_socket(blocked)
                pacer.accepted()
        finally:
            self._due = pacer.due

    async def _wait_for_socket(self, blocked: Blocked) -> None:
        """Wait until the socket has accepted a frame of audio. Raises `Lost`."""
        limit = self.plan.limits.beyond
        try:
            async with asyncio.timeout(limit):
                await blocked()
        except TimeoutError:
            self._time_out(
                f"the server accepted none of the audio for {limit:g} s ({_MORE}); "
                f"{self._reception.summary}"
            )
            raise self._lost() from None
        except Closed as error:
            self._reception.closed(error)
            raise self._lost() from error

    async def _put_audio(self, frame: bytes) -> None:
        await self._put(frame, binary=self._caller.binary)

    async def _send(
        self,
        frame: str | bytes,
        *,
        due: int | None = None,
        raw: bool = False,
        parts: int = 1,
    ) -> None:
        woke = self._recorder.now()
        limit = self.plan.limits.silence
        try:
            async with asyncio.timeout(limit):
                await self._put(frame, binary=isinstance(frame, bytes), parts=parts)
        except TimeoutError:
            self._time_out(
                f"the server did not accept a frame within {limit:g} s ({_MORE}); "
                f"{self._reception.summary}"
            )
            raise self._lost() from None
        self._controls += 1
        self._recorder.sent(
            Sender.CLIENT, frame, due=woke if due is None else due, woke=woke, raw=raw
        )

    async def _put(
        self, frame: str | bytes, *, binary: bool = False, parts: int = 1
    ) -> None:
        wire = self._connected()
        try:
            if parts > 1:
                await wire.send_fragments(fragments(frame, parts))
            elif binary and isinstance(frame, bytes):
                await wire.send_binary(frame)
            else:
                await wire.send(frame)
        except Closed as error:
            self._reception.closed(error)
            raise self._lost() from error

    def _connected(self, awaited: str = "") -> Wire:
        """Return the open connection. Raises `Lost` if no connection is open.

        If a failure of the client itself ended the session, this failure is raised.
        ``awaited`` names what the client waits for, if anything.
        """
        if self._reception.failure is not None:
            raise self._reception.failure
        if self._wire is None or self._recorder.ended is not None:
            raise self._lost(awaited)
        return self._wire

    async def _await(
        self, come: Callable[[], bool], what: str, *, idle: float, total: float
    ) -> None:
        """Wait until ``come()`` is true.

        The session times out after ``idle`` seconds without any event, or after
        ``total`` seconds. ``what`` names the awaited event. Raises `Lost`.
        """
        begun = time.monotonic()
        last = begun
        while True:
            self._reception.changed.clear()
            await self._reception.read()
            if come():
                return
            self._connected(what)
            left = min(last + idle, begun + total) - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self._reception.changed.wait()
                last = time.monotonic()
            except TimeoutError:
                waited = time.monotonic() - begun
                self._time_out(
                    f"waited {waited:.1f} s for {what}; {self._reception.summary}"
                )
                raise self._lost() from None

    def _time_out(self, reason: str) -> None:
        self._recorder.end(Ending.DEADLINE, reason=reason)
        self._abort()

    def _abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def _lost(self, awaited: str = "") -> Lost:
        end = self._recorder.ended
        if end is None:
            return Lost(Loss.CLOSED, "the session is not open; open it first")
        if end.how is Ending.CLOSED_BY_PEER:
            said = f": {self.plan.redactor.message(end.reason)}" if end.reason else ""
            message = f"the server closed {end.coded}{said}"
        elif end.how is Ending.BROKEN:
            code = f"the client closed {end.coded}: " if end.code else ""
            message = f"{code}{end.reason}"
        else:
            return self._loss(LOSSES[end.how], end.reason or end.how.value)
        message += f"; the client waited for {awaited}" if awaited else ""
        return self._loss(LOSSES[end.how], f"{message}; {self._reception.summary}")

    def _loss(self, how: Loss, message: str) -> Lost:
        """Return the `Lost` with this message, from which secrets are removed."""
        return Lost(how, self.plan.redactor.clean(message))
