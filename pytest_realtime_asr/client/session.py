"""One session: a dialect's machine, paced audio and a transport give a trace.

Audio leaves on an absolute schedule, chunk by chunk at the instant at which a speaker
would have finished it, while a task of its own reads and stamps what comes back.
"""

from __future__ import annotations

import asyncio
import json
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio, silence
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.transport import (
    LONGEST,
    MAX_MESSAGE,
    Access,
    Closed,
    Unreachable,
    Wire,
    connect,
)
from pytest_realtime_asr.dialects import Caller, Dialect
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.text.privacy import public
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.observation import Message
from pytest_realtime_asr.trace.records import (
    TAIL,
    Ending,
    Record,
    Recorder,
    Sender,
    Span,
    Trace,
    Vantage,
)
from pytest_realtime_asr.trace.timeline import Commit, Final, Refusal, Timeline

# What a session may bring: so much, and so much more for each second of audio that was
# sent. It is enough for 5 partials a second that each repeat the whole text of an hour.
MAX_EVENTS, EVENTS_A_SECOND = 10_000, 100
TEXT_A_SECOND = 2**18  # bytes, beside the largest event that we read
REFUSED = "refused"  # the word for a session or an utterance that the server refused
BEAT = 1.0  # s between two pings that measure the way to the server
PONG = 5.0  # s after which a ping of these is given up, and none is sent any more
_MORE = "--realtime-timeout=SECONDS gives more"
_BREATH = 64  # frames read in a row before others on the loop get their turn


class OptionsError(ValueError):
    """Session options that the dialect cannot put into a set-up."""


class Lost(Exception):
    """A session ended, or was ended by us, before it gave what was awaited.

    ``how`` is one word for a table: refused, hung, flooded, closed, broke, cancelled.
    """

    def __init__(self, how: str, message: str) -> None:
        super().__init__(shortened(printable(message), LONGEST))
        self.how = how


_HOW = {
    Ending.CLOSED_BY_US: "closed",
    Ending.CLOSED_BY_PEER: "closed",
    Ending.REFUSED: REFUSED,
    Ending.DEADLINE: "hung",
    Ending.LIMIT: "flooded",
    Ending.BROKEN: "broke",
    Ending.CANCELLED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds.

    ``silence`` is the time without any event once all audio has left; ``beyond`` is
    what an utterance may take beyond the length of its audio, and what the server may
    take for a single frame of it.
    """

    connect: float = 10.0
    ready: float = 10.0
    silence: float = 30.0
    beyond: float = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How sessions are held: with whom, and how the audio is handed over.

    ``pace`` is audio seconds per second, 0 as fast as the socket takes it; ``chunk``
    is in seconds. ``redactor`` knows what no file may hold. ``rules`` are those by
    which the server is judged, ``version`` is what it says of itself. ``found`` says
    how the dialect was found, empty where it was named.
    """

    dialect: Dialect
    access: Access
    model: str
    options: Mapping[str, object]
    pace: float = 1.0
    chunk: float = 0.1
    limits: Limits = Limits()
    redactor: Redactor = field(default=Redactor(), repr=False)
    rules: tuple[Requirement, ...] = field(default=(), repr=False)
    version: str = ""
    found: str = ""

    @property
    def caller(self) -> Caller:
        """Our side of a new session. Raises `OptionsError`."""
        return caller(self.dialect, self.model, self.options)


def caller(dialect: Dialect, model: str, options: Mapping[str, object]) -> Caller:
    """The client's side of a new session. Raises `OptionsError`."""
    try:
        inputs.sendable(options)
        return dialect.caller(model, options)
    except ValueError as error:
        raise OptionsError(
            f"the session options do not fit the dialect {dialect.name}: {error}"
        ) from error


class Live:
    """A session while it is held. Its coroutines run on the loop of the plugin.

    With ``pings`` it pings the server each second, to know how far away it is.
    ``misfit`` says that the server speaks another dialect, and which; else it is empty.
    """

    def __init__(self, loop: Loop, plan: Plan, *, pings: bool = False) -> None:
        self.plan = plan
        self._pings = pings
        self._loop = loop
        self._dialect = plan.dialect
        self._caller = plan.caller
        self._reader = plan.dialect.reader()
        self._recorder = Recorder(
            vantage=Vantage.CLIENT,
            dialect=plan.dialect.name,
            rate=self._caller.rate,
            target=plan.access.target.shown,
            version=plan.version,
            redactor=plan.redactor,
        )
        self._began = time.monotonic_ns()
        self._until: int | None = None
        self._wire: Wire | None = None
        self._reading: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._heard: list[Message] = []  # what the server said
        self._finals: dict[int, Final] = {}
        self._refusals: list[tuple[int, Refusal]] = []  # (index in _heard, it)
        self._consumed = 0  # how much of _heard an `expect` has passed
        self._since = 0  # the place in _heard from which refusals count
        self._deaf = False  # whether we read no more
        self._raw = False  # whether a frame was written by hand, which may be refused
        self._failure: Exception | None = None  # of our own, while reading
        self._text = 0  # bytes that the server sent
        self._handed = 0.0  # s of audio that were sent to it
        self._due: int | None = None  # when the last audio was due
        self.items = 0  # utterances that were completed; the next one has this number
        self.misfit = ""
        carrier = self._caller.append(b"")
        self._carrier = carrier if self._caller.binary else carrier.decode()

    # What a test may ask for

    async def open(self) -> None:
        """Connect and wait until the server is ready. Raises `Lost`."""
        limits = self.plan.limits
        self._recorder.begin()
        self._began = time.monotonic_ns()
        try:
            self._wire = await connect(self.plan.access, timeout=limits.connect)
        except Unreachable as error:
            how = Ending.CANCELLED if error.local else Ending.REFUSED
            self._recorder.end(how, code=error.status, reason=str(error))
            self._until = time.monotonic_ns()
            raise self._lost() from error
        self._recorder.open()
        self._loop.watch()
        self._reading = asyncio.create_task(self._read())
        if self._pings:
            self._beating = asyncio.create_task(self._beat(self._wire))
        await self._await(
            lambda: self._reader.ready is not None and not self.misfit,
            "the server to be ready",
            silence=limits.ready,
            total=limits.ready,
        )

    async def configure(self) -> None:
        """Send the model and the options of the plan."""
        for frame in self._caller.configure():
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

    # The same step by step, for whoever leaves the usual way

    async def begin(self) -> int:
        """Say that an utterance begins; gives its number. Raises `Lost`."""
        item = self.items
        self._due = None
        for frame in self._caller.begin():
            await self._send(frame)
        return item

    async def stream(self, audio: Audio, asset: str, *, raw: bool = False) -> None:
        """Hand audio over in pace; ``raw`` where none should come now. Raises `Lost`.

        The audio is an ``asset`` of its own, counted from its first sample.
        """
        self._raw |= raw
        total = self._patience(audio)
        try:
            async with asyncio.timeout(total):
                await self._stream(audio, asset, raw=raw)
        except TimeoutError:
            self._give_up(
                f"the server took the audio of {audio.seconds:.1f} s too slowly; gave "
                f"up after {total:g} s, {self.plan.limits.beyond:g} s beyond its length"
                f" ({_MORE}); {self._arrived()}"
            )
            raise self._lost() from None

    async def finish(self, *, raw: bool = False) -> None:
        """Say that its audio is complete; ``raw`` where none is open. Raises `Lost`.

        To a server that ends utterances by itself, it is said by silence.
        """
        self._raw |= raw
        for frame in self._caller.finish():
            await self._send(frame, due=None if raw else self._due, raw=raw)
        if self._caller.tail and not raw:
            item, self.items = self.items, self.items + 1
            await self._trail(item)

    async def final(self, item: int, what: str, *, total: float) -> None:
        """Wait ``total`` seconds at most for the final of an item. Raises `Lost`."""
        await self._await(
            lambda: self._ended(item),
            f"the final of utterance {item} ({what})",
            silence=self.plan.limits.silence,
            total=total,
        )
        if item not in self._finals and (refusal := self._refused()):
            self._since = len(self._heard)  # what was told is not told again
            told = f"{refusal}"
            if self.plan.redactor.private:
                told = f"({public(refusal.code)})"
            raise self._loss(REFUSED, f"refused: {shortened(told)}")

    async def answered(self, count: int, *, timeout: float) -> bool:
        """Whether the server has refused ``count`` things of this session by now.

        It is waited for within ``timeout`` seconds. Where they do not come, the session
        goes on; that it has ended is told by what is done next.
        """
        deadline = time.monotonic() + timeout
        while len(self._refusals) < count and self._recorder.ended is None:
            self._changed.clear()
            try:
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._changed.wait()
            except TimeoutError:
                break
        return len(self._refusals) >= count

    async def ping(self, *, timeout: float) -> bool:
        """Whether the server answers a ping within ``timeout`` seconds.

        The session goes on where it does not. Raises `Lost`.
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
            self._closed(error)
            raise self._lost() from error
        self._recorder.pinged(sent, self._recorder.now())
        return True

    async def send_fragments(self, frame: str, *, parts: int) -> None:
        """Send a text frame in so many fragments. Raises `Lost`."""
        await self._send(frame, parts=parts)

    def deafen(self) -> None:
        """Read nothing more, and answer no ping; an end that follows is our doing."""
        self._deaf = True
        if self._wire is not None:
            self._wire.stop_reading()

    def reset(self) -> None:
        """Vanish: the connection is cut with a reset and no close frame."""
        self._recorder.end(Ending.CLOSED_BY_US, reason="we reset the connection")
        if self._wire is not None:
            self._wire.reset()

    async def close(self) -> None:
        """Close the connection; the trace keeps everything that had arrived."""
        if self._wire is None or self._reading is None:
            self._recorder.end(Ending.CLOSED_BY_US)
            return
        if self._beating is not None:
            self._beating.cancel()
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
        deadline = time.monotonic() + self._patience(audio)
        item = await self.begin()
        await self.stream(audio, asset)
        await self.finish()
        await self.final(item, asset, total=deadline - time.monotonic())
        return item

    def _patience(self, audio: Audio) -> float:
        """The seconds that an utterance may take: ``beyond`` and its length.

        That is its length at the pace. As fast as the socket takes it, it may still
        take as long as it was spoken, by a server that just keeps up with speech.
        """
        return self.plan.limits.beyond + audio.seconds / (self.plan.pace or 1.0)

    async def _trail(self, item: int) -> None:
        """Hand silence over until the server has ended the utterance.

        Some of it in any case: it tells this utterance from the next one.
        """
        rate = self._caller.rate
        tail = silence(self._caller.tail, rate=rate)
        await self._stream(tail, TAIL, raw=False, until=lambda: self._ended(item))

    def _ended(self, item: int) -> bool:
        return item in self._finals or self._refused() is not None

    async def _stream(
        self,
        audio: Audio,
        asset: str,
        *,
        raw: bool,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        # Silence at once ends nothing for a server that is still busy with the speech.
        pace = self.plan.pace or (1.0 if asset == TAIL else 0.0)
        rate, pcm = audio.rate, memoryview(audio.pcm)
        append, binary = self._caller.append, self._caller.binary
        step = max(1, round(self.plan.chunk * rate))
        # What follows without a break keeps to the clock of what came before.
        zero = self._recorder.now()
        if asset == TAIL and self._due is not None:
            zero = self._due
        self._due = zero
        for start in range(0, audio.samples, step):
            stop = min(start + step, audio.samples)
            if pace:
                self._due = zero + round(stop / rate / pace * 1e9)
                await self._sleep(self._due)
            else:
                self._due = self._recorder.now()
            woke = self._recorder.now()
            frame = append(bytes(pcm[2 * start : 2 * stop]))
            try:
                async with asyncio.timeout(self.plan.limits.beyond):
                    await self._put(frame, binary=binary)
            except TimeoutError:
                self._give_up(
                    f"the server took none of the audio for {self.plan.limits.beyond:g}"
                    f" s ({_MORE}); {self._arrived()}"
                )
                raise self._lost() from None
            record = self._recorder.sent(
                Sender.CLIENT,
                self._carrier,
                due=self._due,
                woke=woke,
                span=Span(asset, start, stop),
                raw=raw,
            )
            self._handed += (stop - start) / rate
            self._fold(record)
            if until():
                return

    async def _sleep(self, due: int) -> None:
        # Timers may come early on some loops, so the clock is asked again.
        while (left := due - self._recorder.now()) > 0:
            await asyncio.sleep(left / 1e9)

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
            self._give_up(
                f"the server did not take a frame within {limit:g} s; {self._arrived()}"
            )
            raise self._lost() from None
        record = self._recorder.sent(
            Sender.CLIENT, frame, due=woke if due is None else due, woke=woke, raw=raw
        )
        self._fold(record)

    async def _put(
        self, frame: str | bytes, *, binary: bool = False, parts: int = 1
    ) -> None:
        wire = self._connected()
        try:
            if binary and isinstance(frame, bytes):
                await wire.send_binary(frame)
            elif parts > 1 and isinstance(frame, str):
                await wire.send_fragments(_cut(frame, parts))
            else:
                await wire.send(frame)
        except Closed as error:
            self._closed(error)
            raise self._lost() from error

    def _connected(self) -> Wire:
        """The connection. Raises `Lost` where there is none, or none any more.

        A failure of our own that ended it is raised as it is.
        """
        if self._failure is not None:
            raise self._failure
        if self._wire is None or self._recorder.ended is not None:
            raise self._lost()
        return self._wire

    async def _beat(self, wire: Wire) -> None:
        """Ping each second for as long as the peer answers; nobody waits for this.

        One ping is under way at a time: to a peer that is busy, they do not pile up.
        """
        while True:
            sent = self._recorder.now()
            try:
                async with asyncio.timeout(PONG):
                    await wire.ping()
            except TimeoutError:
                self._recorder.pinged(sent, None)
                return
            except Closed:  # whether it would have been answered, nobody knows
                return
            answered = self._recorder.now()
            self._recorder.pinged(sent, answered)
            await asyncio.sleep(max(0.0, BEAT - (answered - sent) / 1e9))

    async def _read(self) -> None:
        assert self._wire is not None
        try:
            while True:
                frame = await self._wire.receive()
                at = self._recorder.now()
                record = self._recorder.received(Sender.SERVER, at, frame)
                misfits = self._misfits(record)
                self._fold(record)
                if misfits or not self._tolerable(frame):
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

    def _misfits(self, record: Record) -> bool:
        """Whether this is the greeting of another dialect, which ends the session."""
        if self._heard:
            return False
        mine = self._dialect
        names = () if mine.greets(record) else dialects.greeted(record)
        if not names:
            return False
        said = dialects.load(names[0]).parse(record).move
        self.misfit = (
            f"{self.plan.access.target.shown} does not speak {mine.name}: it said "
            f"{said} first, as a server of {' or '.join(names)} does; "
            f"--realtime-dialect={names[0]} would fit"
        )
        self._recorder.end(Ending.CLOSED_BY_US, reason=self.misfit)
        self._abort()
        return True

    def _tolerable(self, frame: str | bytes) -> bool:
        self._text += len(frame)
        most = self.plan.access.max_message
        flood = flooded(len(self._heard), self._text, self._handed, most=most)
        if not flood:
            return True
        self._recorder.end(Ending.LIMIT, reason=f"{flood}; {self._arrived()}")
        self._abort()
        return False

    def _refused(self) -> Refusal | None:
        """What the server refused of this utterance, or of the set-up before it.

        A frame that was written by hand may be refused, and the utterance go on.
        """
        if self._raw:
            return None
        since = max(self._consumed, self._since)
        place = bisect_left(self._refusals, since, key=lambda each: each[0])
        return self._refusals[place][1] if place < len(self._refusals) else None

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
            self._connected()
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
        if self._deaf:
            how = Ending.CLOSED_BY_US
        elif error.too_large:
            how = Ending.CANCELLED
        elif error.protocol_error:
            how = Ending.BROKEN
        elif error.by_client:
            how = Ending.CLOSED_BY_US
        elif error.code is None:
            how = Ending.BROKEN
        else:
            how = Ending.CLOSED_BY_PEER
        reason = error.reason
        if error.too_large:
            reason = f"{reason}; {self._arrived()}"
        self._recorder.end(how, code=error.code, reason=reason)

    def _lost(self) -> Lost:
        end = self._recorder.ended
        if end is None:
            return Lost("closed", "the session is not open")
        if end.how is Ending.CLOSED_BY_PEER:
            said = f": {self.plan.redactor.message(end.reason)}" if end.reason else ""
            message = f"the server closed {end.coded}{said}"
        elif end.how is Ending.BROKEN:
            code = f"broken off with code {end.code}: " if end.code else ""
            message = f"{code}{end.reason}"
        else:
            return self._loss(_HOW[end.how], end.reason or end.how.value)
        return self._loss(_HOW[end.how], f"{message}; {self._arrived()}")

    def _loss(self, how: str, message: str) -> Lost:
        """Return what a test gets; it may print or log the message by itself."""
        return Lost(how, self.plan.redactor.clean(message))

    def _arrived(self) -> str:
        """What had arrived, for a message that says what was awaited in vain."""
        received = 0 if self._wire is None else self._wire.received
        if received and not self._heard:
            return f"{received} bytes had arrived, but no whole event"
        return arrived(self._heard)


def _cut(frame: str, parts: int) -> list[str]:
    """A text in so many parts of about the same length."""
    cuts = [len(frame) * n // parts for n in range(parts + 1)]
    return [frame[start:stop] for start, stop in pairwise(cuts)]


def flooded(events: int, text: int, seconds: float, *, most: int = MAX_MESSAGE) -> str:
    """Say why a session is flooded, with so much text in bytes; empty if it is not.

    ``seconds`` is the audio that was sent, ``most`` our limit in bytes for one event.
    A session may bring `MAX_EVENTS` and `EVENTS_A_SECOND` for each second of audio, and
    ``most`` and `TEXT_A_SECOND` for each second.
    """
    limit = MAX_EVENTS + int(EVENTS_A_SECOND * seconds)
    longest = most + int(TEXT_A_SECOND * seconds)
    if events <= limit and text <= longest:
        return ""
    return (
        f"the server flooded the session: more than {limit:,} events or "
        f"{longest / 2**20:.1f} MiB of text (our limit is {MAX_EVENTS:,} events and "
        f"{most / 2**20:g} MiB, which --realtime-max-message raises, and for each of "
        f"the {seconds:.1f} s of audio sent {EVENTS_A_SECOND} events and "
        f"{TEXT_A_SECOND // 2**10} KiB more)"
    )


def arrived(messages: Iterable[Message]) -> str:
    """The events that came, counted by type."""
    counts = Counter(message.move for message in messages)
    if not counts:
        return "nothing had arrived"
    listed = ", ".join(f"{count} {move}" for move, count in counts.items())
    return f"had arrived: {listed}"
