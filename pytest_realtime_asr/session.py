"""One session: a dialect's machine, paced audio and a transport give a trace.

Audio leaves on an absolute schedule, chunk by chunk at the instant at which a speaker
would have finished it, while a task of its own reads and stamps what comes back.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.loop import Loop
from pytest_realtime_asr.rules import Message
from pytest_realtime_asr.timeline import Commit, Final, Refusal, Timeline
from pytest_realtime_asr.trace import (
    Ending,
    Record,
    Recorder,
    Sender,
    Span,
    Trace,
    Vantage,
)
from pytest_realtime_asr.transport import (
    Access,
    Closed,
    Unreachable,
    Wire,
    connect,
)

MAX_EVENTS = 10_000
MAX_TEXT = 2**20  # bytes of text that a session may bring
_BREATH = 64  # frames read in a row before others on the loop get their turn


class Lost(Exception):
    """A session ended, or was ended by us, before it gave what was awaited.

    ``how`` is one word for a table: refused, hung, flooded, closed, broke, cancelled.
    """

    def __init__(self, how: str, message: str) -> None:
        super().__init__(message)
        self.how = how


_HOW = {
    Ending.CLOSED_BY_US: "closed",
    Ending.CLOSED_BY_PEER: "closed",
    Ending.REFUSED: "refused",
    Ending.DEADLINE: "hung",
    Ending.LIMIT: "flooded",
    Ending.BROKEN: "broke",
    Ending.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds.

    ``silence`` is the time without any event once all audio has left; ``beyond`` is
    what an utterance may take beyond the length of its audio.
    """

    connect: float = 10.0
    ready: float = 10.0
    silence: float = 30.0
    beyond: float = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How sessions are held: with whom, and how the audio is handed over.

    ``pace`` is audio seconds per second, 0 as fast as the socket takes it; ``chunk``
    is in seconds. ``secrets`` never get into a trace.
    """

    dialect: Dialect
    access: Access
    model: str
    options: Mapping[str, object]
    pace: float = 1.0
    chunk: float = 0.1
    limits: Limits = Limits()
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Live:
    """A session while it is held. Its coroutines run on the loop of the plugin."""

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self.plan = plan
        self._loop = loop
        self._dialect = plan.dialect
        self._reader = plan.dialect.reader()
        self._recorder = Recorder(
            vantage=Vantage.CLIENT,
            dialect=plan.dialect.name,
            rate=plan.dialect.rate,
            target=plan.access.target.shown,
            secrets=plan.secrets,
        )
        self._began = time.monotonic_ns()
        self._until: int | None = None
        self._wire: Wire | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._heard: list[Message] = []  # what the server said
        self._finals: dict[int, Final] = {}
        self._refusals: list[tuple[int, Refusal]] = []  # (index in _heard, it)
        self._consumed = 0  # how much of _heard an `expect` has passed
        self._since = 0  # the place in _heard from which refusals count
        self._raw = False  # whether a frame was written by hand, which may be refused
        self._failure: Exception | None = None  # of our own, while reading
        self._text = 0
        self.items = 0  # utterances that were begun; the next one has this number
        self._carrier = plan.dialect.append(b"").decode()

    # What a test may ask for

    async def open(self) -> None:
        """Connect and wait until the server is ready. Raises `Lost`."""
        limits = self.plan.limits
        self._recorder.begin()
        self._began = time.monotonic_ns()
        try:
            self._wire = await connect(self.plan.access, timeout=limits.connect)
        except Unreachable as error:
            self._recorder.end(Ending.REFUSED, code=error.status, reason=str(error))
            self._until = time.monotonic_ns()
            raise self._lost() from error
        self._recorder.open()
        self._loop.watch()
        self._reading = asyncio.create_task(self._read())
        await self._await(
            lambda: self._reader.ready is not None,
            "the server to be ready",
            silence=limits.ready,
            total=limits.ready,
        )

    async def configure(self) -> None:
        """Send the model and the options of the plan."""
        for frame in self._dialect.configure(self.plan.model, self.plan.options):
            await self._send(frame)

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame as it is; a mapping is sent as JSON, bytes as a binary frame."""
        if isinstance(message, Mapping):
            message = json.dumps(message)
        self._raw = True
        await self._send(message, raw=True)

    async def expect(self, kind: str, *, timeout: float | None = None) -> Message:
        """The next event of this type after the last one that was expected.

        Raises `Lost` where it does not come within ``timeout`` seconds.
        """
        silence = self.plan.limits.silence if timeout is None else timeout
        found: list[Message] = []

        def come() -> bool:
            while self._consumed < len(self._heard):
                message = self._heard[self._consumed]
                self._consumed += 1
                if kind in (message.move, getattr(message, "type", None)):
                    found.append(message)
                    return True
            return False

        await self._await(come, f"the event {kind}", silence=silence, total=silence)
        return found[0]

    async def transcribe(self, audio: Audio, asset: str) -> int:
        """Hand one utterance over in pace and wait for its final.

        ``audio`` is at the dialect's rate. Gives the number of the item. Raises `Lost`.
        """
        try:
            return await self._transcribe(audio, asset)
        except asyncio.CancelledError:
            # What is left of the audio would be heard as part of the next utterance.
            self._recorder.end(
                Ending.CANCELLED, reason=f"cancelled by the test; {self._arrived()}"
            )
            self._abort()
            raise
        finally:
            self._since = len(self._heard)

    async def close(self) -> None:
        """Close the connection; the trace keeps everything that had arrived."""
        if self._wire is None or self._reading is None:
            self._recorder.end(Ending.CLOSED_BY_US)
            return
        await self._wire.close()
        await asyncio.gather(self._reading, return_exceptions=True)
        if self._wire is not None:  # else another call has come here first
            self._wire = None
            self._until = time.monotonic_ns()
            self._loop.unwatch()

    # What is known of it, at any time and from any thread

    @property
    def trace(self) -> Trace:
        """What was recorded so far."""
        until = self._until or time.monotonic_ns()
        return self._recorder.freeze(lag=self._loop.lag(self._began, until))

    @property
    def timeline(self) -> Timeline:
        """What it means."""
        return dialects.read(self._dialect, self.trace)

    # How it is done

    async def _transcribe(self, audio: Audio, asset: str) -> int:
        limits, pace = self.plan.limits, self.plan.pace
        total = limits.beyond + (audio.seconds / pace if pace else 0.0)
        deadline = self._recorder.now() + round(total * 1e9)
        try:
            async with asyncio.timeout(total):
                item = await self._speak(audio, asset)
        except TimeoutError:
            self._give_up(
                f"the server took the audio of {audio.seconds:.1f} s too slowly; "
                f"gave up after {total:g} s; {self._arrived()}"
            )
            raise self._lost() from None
        await self._await(
            lambda: item in self._finals or self._refused() is not None,
            f"the final of utterance {item} ({asset})",
            silence=limits.silence,
            total=(deadline - self._recorder.now()) / 1e9,
        )
        if item not in self._finals and (refusal := self._refused()):
            raise Lost("refused", f"refused: {refusal.message} ({refusal.code})")
        return item

    async def _speak(self, audio: Audio, asset: str) -> int:
        pace, rate, pcm = self.plan.pace, audio.rate, memoryview(audio.pcm)
        item = self.items
        step = max(1, round(self.plan.chunk * rate))
        for frame in self._dialect.begin():
            await self._send(frame)
        zero = self._recorder.now()
        due = zero
        for start in range(0, audio.samples, step):
            stop = min(start + step, audio.samples)
            if pace:
                due = zero + round(stop / rate / pace * 1e9)
                await self._sleep(due)
            else:
                due = self._recorder.now()
            woke = self._recorder.now()
            await self._put(self._dialect.append(bytes(pcm[2 * start : 2 * stop])))
            record = self._recorder.sent(
                Sender.CLIENT,
                self._carrier,
                due=due,
                woke=woke,
                span=Span(asset, start, stop),
            )
            self._fold(record)
        for frame in self._dialect.finish():
            await self._send(frame, due=due)
        return item

    async def _sleep(self, due: int) -> None:
        # Timers may come early on some loops, so the clock is asked again.
        while (left := due - self._recorder.now()) > 0:
            await asyncio.sleep(left / 1e9)

    async def _send(
        self, frame: str | bytes, *, due: int | None = None, raw: bool = False
    ) -> None:
        woke = self._recorder.now()
        limit = self.plan.limits.silence
        try:
            async with asyncio.timeout(limit):
                await self._put(frame, binary=isinstance(frame, bytes))
        except TimeoutError:
            self._give_up(
                f"the server did not take a frame within {limit:g} s; {self._arrived()}"
            )
            raise self._lost() from None
        record = self._recorder.sent(
            Sender.CLIENT, frame, due=woke if due is None else due, woke=woke, raw=raw
        )
        self._fold(record)

    async def _put(self, frame: str | bytes, *, binary: bool = False) -> None:
        if self._wire is None or self._recorder.ended is not None:
            raise self._lost()
        try:
            if binary:
                assert isinstance(frame, bytes)
                await self._wire.send_binary(frame)
            else:
                await self._wire.send(frame)
        except Closed as error:
            self._closed(error)
            raise self._lost() from error

    async def _read(self) -> None:
        assert self._wire is not None
        try:
            while True:
                frame = await self._wire.receive()
                at = self._recorder.now()
                record = self._recorder.received(Sender.SERVER, at, frame)
                self._fold(record)
                if not self._tolerable(frame):
                    return
                if len(self._heard) % _BREATH == 0:
                    await asyncio.sleep(0)
        except Closed as error:
            self._closed(error)
        except Exception as error:  # ours, such as a dialect's: whoever waits gets it
            self._failure = error
            self._recorder.end(Ending.BROKEN, reason=f"we failed to read: {error!r}")
        finally:
            self._changed.set()

    def _fold(self, record: Record) -> None:
        message = self._dialect.parse(record)
        if record.sender is Sender.SERVER:
            self._heard.append(message)
        for event in self._reader.step(record, message):
            if isinstance(event, Commit):
                self.items = max(self.items, event.item + 1)
            elif isinstance(event, Final):
                self._finals.setdefault(event.item, event)
            elif isinstance(event, Refusal):
                self._refusals.append((len(self._heard) - 1, event))
        self._changed.set()

    def _tolerable(self, frame: str | bytes) -> bool:
        self._text += len(frame)
        if len(self._heard) <= MAX_EVENTS and self._text <= MAX_TEXT:
            return True
        self._recorder.end(
            Ending.LIMIT,
            reason=f"the server flooded the session: more than {MAX_EVENTS} events or "
            f"{MAX_TEXT // 2**20} MiB of text; {self._arrived()}",
        )
        self._abort()
        return False

    def _refused(self) -> Refusal | None:
        """What the server refused of this utterance, or of the set-up before it.

        A frame that was written by hand may be refused, and the utterance go on.
        """
        if self._raw:
            return None
        since = max(self._consumed, self._since)
        return next((it for index, it in self._refusals if index >= since), None)

    async def _await(
        self, come: Callable[[], bool], what: str, *, silence: float, total: float
    ) -> None:
        """Wait until ``come``; without any event for ``silence`` s, or at last after
        ``total`` s, the session is given up and `Lost`."""
        begun = time.monotonic()
        last = begun
        while True:
            self._changed.clear()
            if come():
                return
            if self._failure is not None:
                raise self._failure
            if self._recorder.ended is not None:
                raise self._lost()
            left = min(last + silence, begun + total) - time.monotonic()
            try:
                async with asyncio.timeout(max(0.0, left)):
                    await self._changed.wait()
                last = time.monotonic()
            except TimeoutError:
                waited = time.monotonic() - begun
                self._give_up(f"waited {waited:.1f} s for {what}; {self._arrived()}")
                raise self._lost() from None

    def _give_up(self, reason: str) -> None:
        self._recorder.end(Ending.DEADLINE, reason=reason)
        self._abort()

    def _abort(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def _closed(self, error: Closed) -> None:
        if error.by_us:
            how = Ending.BROKEN if error.code != 1000 else Ending.CLOSED_BY_US
        elif error.code is None:
            how = Ending.BROKEN
        else:
            how = Ending.CLOSED_BY_PEER
        self._recorder.end(how, code=error.code, reason=error.reason)

    def _lost(self) -> Lost:
        end = self._recorder.ended
        if end is None:
            return Lost("closed", "the session is not open")
        if end.how is Ending.CLOSED_BY_PEER:
            said = f": {end.reason}" if end.reason else ""
            message = f"the server closed with code {end.code}{said}"
        elif end.how is Ending.BROKEN:
            code = f"broken off with code {end.code}: " if end.code else ""
            message = f"{code}{end.reason}"
        else:
            return Lost(_HOW[end.how], end.reason or end.how.value)
        return Lost(_HOW[end.how], f"{message}; {self._arrived()}")

    def _arrived(self) -> str:
        """What had arrived, for whoever waited in vain."""
        return arrived(self._heard)


def arrived(messages: Iterable[Message]) -> str:
    """The events that came, counted by type."""
    counts = Counter(message.move for message in messages)
    if not counts:
        return "nothing had arrived"
    listed = ", ".join(f"{count} {move}" for move, count in counts.items())
    return f"had arrived: {listed}"
