"""What a test holds in its hands: the `realtime` fixture and its sessions.

`Session` and `AsyncSession` have the same methods and are views of one thing, which
lives on the loop of the run: the first blocks the test, the second is awaited by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar, overload

from pytest_realtime_asr import dialects
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.evidence import Message
from pytest_realtime_asr.ledger import Transcription
from pytest_realtime_asr.rules import Violation, observe
from pytest_realtime_asr.run import Ledger, Run, Take, hold, prepare
from pytest_realtime_asr.session import Live, Lost, Plan
from pytest_realtime_asr.timeline import Timeline
from pytest_realtime_asr.trace import Trace

T = TypeVar("T")


class _Held:
    """A session of a test; its coroutines run on the loop of the run."""

    def __init__(self, run: Run, ledger: Ledger, plan: Plan) -> None:
        self.run = run
        self.live = run.session(ledger, plan)
        self._ledger = ledger

    async def open(self, *, configure: bool) -> None:
        await asyncio.to_thread(self.run.take_turn, self._ledger)
        await self.live.open()
        if configure:
            await self.live.configure()

    async def transcribe(self, utterance: Utterance) -> Take:
        audio = await prepare(self.live, utterance)
        take = Take(self.live, self.live.items, utterance, raised=True)
        place = self.run.begun(self._ledger, take)
        try:
            await self.live.transcribe(audio, utterance.id)
        except Lost as error:
            take = replace(take, lost=error.how, reason=str(error))
        await asyncio.to_thread(self.run.ended, self._ledger, place, take)
        return take


class _View:
    """What a session shows at any time, whichever way it is driven."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    @property
    def id(self) -> str:
        """The id that the server gave the session."""
        return self.timeline.session

    @property
    def trace(self) -> Trace:
        """Every frame so far."""
        return self._held.live.trace

    @property
    def timeline(self) -> Timeline:
        """What the frames mean."""
        return self._held.live.timeline

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The rules that the server broke so far."""
        live: Live = self._held.live
        part = dialects.part(live.plan.dialect, live.trace)
        return observe(live.plan.rules, part)


class Session(_View):
    """A connected session; its methods block the test."""

    @property
    def aio(self) -> AsyncSession:
        """The same session, to be awaited."""
        return AsyncSession(self._held)

    def configure(self) -> None:
        """Send the model and the session options, as `connect` does by itself."""
        __tracebackhide__ = True
        _block(self._held.run, self._held.live.configure())

    def transcribe(self, utterance: Utterance) -> Transcription:
        """Speak an utterance in pace and wait for its final. Raises `Lost`."""
        __tracebackhide__ = True
        return _final(_block(self._held.run, self._held.transcribe(utterance)))

    def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame as it is: a mapping as JSON, a text, or bytes as binary."""
        __tracebackhide__ = True
        _block(self._held.run, self._held.live.send_raw(message))

    def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """The next event of this type after the last one expected. Raises `Lost`.

        ``timeout`` is in seconds; by default it is that of the run.
        """
        __tracebackhide__ = True
        return _block(self._held.run, self._held.live.expect(type, timeout=timeout))

    def close(self) -> None:
        """Close the connection; may be called twice."""
        __tracebackhide__ = True
        _block(self._held.run, self._held.live.close())


class AsyncSession(_View):
    """A connected session; its methods are awaited, under asyncio."""

    async def configure(self) -> None:
        """Send the model and the session options, as `connect` does by itself."""
        __tracebackhide__ = True
        await _await(self._held.run, self._held.live.configure())

    async def transcribe(self, utterance: Utterance) -> Transcription:
        """Speak an utterance in pace and wait for its final. Raises `Lost`."""
        __tracebackhide__ = True
        return _final(await _await(self._held.run, self._held.transcribe(utterance)))

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame as it is: a mapping as JSON, a text, or bytes as binary."""
        __tracebackhide__ = True
        await _await(self._held.run, self._held.live.send_raw(message))

    async def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """The next event of this type after the last one expected. Raises `Lost`.

        ``timeout`` is in seconds; by default it is that of the run.
        """
        __tracebackhide__ = True
        live = self._held.live
        return await _await(self._held.run, live.expect(type, timeout=timeout))

    async def close(self) -> None:
        """Close the connection; may be called twice."""
        __tracebackhide__ = True
        await _await(self._held.run, self._held.live.close())


class Connect:
    """``with`` gives a `Session`, ``async with`` an `AsyncSession`."""

    def __init__(
        self, run: Run, ledger: Ledger, plan: Plan, *, configure: bool
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._configure = configure
        self._held: _Held | None = None

    def open(self) -> Session:
        """Open the session; the end of the test closes it. Raises `Lost`."""
        self._held = _Held(self._run, self._ledger, self._plan)
        _block(self._run, self._held.open(configure=self._configure))
        return Session(self._held)

    def __enter__(self) -> Session:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._held is not None
        _block(self._run, self._held.live.close())

    async def __aenter__(self) -> AsyncSession:
        self._held = _Held(self._run, self._ledger, self._plan)
        await _await(self._run, self._held.open(configure=self._configure))
        return AsyncSession(self._held)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._held is not None
        await _await(self._run, self._held.live.close())


class AsyncRealtime:
    """The awaited side of `Realtime`."""

    def __init__(self, realtime: Realtime) -> None:
        self._realtime = realtime

    @overload
    async def transcribe(
        self, what: Utterance, *, concurrency: int = 1
    ) -> Transcription: ...

    @overload
    async def transcribe(
        self, what: Iterable[Utterance], *, concurrency: int = 1
    ) -> list[Transcription]: ...

    async def transcribe(
        self, what: Utterance | Iterable[Utterance], *, concurrency: int = 1
    ) -> Transcription | list[Transcription]:
        """As `Realtime.transcribe`."""
        __tracebackhide__ = True
        run = self._realtime._run
        takes = await _await(run, self._realtime._hold(what, concurrency))
        return _given(what, takes)


class Realtime:
    """The server under test: opens sessions with it and transcribes through it."""

    def __init__(self, run: Run, plan: Plan) -> None:
        self._run = run
        self._ledger = run.ledger
        self._plan = plan
        self.aio = AsyncRealtime(self)

    @property
    def run(self) -> Run:
        """The run that this is part of."""
        return self._run

    @property
    def plan(self) -> Plan:
        """How its sessions are held."""
        return self._plan

    @property
    def target(self) -> str:
        """The WebSocket URL, without its query."""
        return self._plan.access.target.shown

    @property
    def model(self) -> str:
        """The model that sessions ask for."""
        return self._plan.model

    @property
    def dialect(self) -> str:
        """The name of the protocol."""
        return self._plan.dialect.name

    def connect(
        self,
        *,
        configure: bool = True,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Connect:
        """A session for ``with`` or ``async with``.

        ``configure=False`` leaves out the frames that set the session up; ``model`` and
        ``options`` stand in for those of the run.
        """
        plan = replace(
            self._plan,
            model=self._plan.model if model is None else model,
            options=self._plan.options if options is None else options,
        )
        return Connect(self._run, self._ledger, plan, configure=configure)

    @overload
    def transcribe(self, what: Utterance, *, concurrency: int = 1) -> Transcription: ...

    @overload
    def transcribe(
        self, what: Iterable[Utterance], *, concurrency: int = 1
    ) -> list[Transcription]: ...

    def transcribe(
        self, what: Utterance | Iterable[Utterance], *, concurrency: int = 1
    ) -> Transcription | list[Transcription]:
        """Speak one utterance, or each of several, in a session of its own.

        One gives a transcription and raises `Lost` where there is no final; several
        give a list in their order, in which a lost one says so. With ``concurrency``,
        so many sessions run at a time, begun evenly over the length of a chunk.
        """
        __tracebackhide__ = True
        takes = _block(self._run, self._hold(what, concurrency))
        return _given(what, takes)

    async def _hold(
        self, what: Utterance | Iterable[Utterance], concurrency: int
    ) -> list[Take]:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; it should be 1 or more")
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        alone = isinstance(what, Utterance)
        utterances = [what] if isinstance(what, Utterance) else list(what)
        free = asyncio.Semaphore(concurrency)
        takes: list[Take | None] = [None] * len(utterances)

        async def one(index: int, utterance: Utterance) -> None:
            async with free:
                if index < concurrency:
                    await asyncio.sleep(index * self._plan.chunk / concurrency)
                live = self._run.session(self._ledger, self._plan)
                begun = Take(live, 0, utterance, raised=alone)
                place = self._run.begun(self._ledger, begun)
                take = replace(await hold(live, utterance), raised=alone)
                takes[index] = take
                await asyncio.to_thread(self._run.ended, self._ledger, place, take)
                if not alone:
                    ended = sum(take is not None for take in takes)
                    self._run.tell(f"{ended}/{len(takes)} utterances")

        try:
            async with asyncio.TaskGroup() as tasks:
                for index, utterance in enumerate(utterances):
                    tasks.create_task(one(index, utterance))
        except ExceptionGroup as group:  # such as audio that cannot be decoded
            raise group.exceptions[0] from None
        self._run.tell("")
        return [take for take in takes if take is not None]


def _block(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Run on the loop; what the server did wrong is told without our inner frames."""
    __tracebackhide__ = True
    try:
        return run.loop.run(work)
    except Lost as error:
        raise error.with_traceback(None) from None


async def _await(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """As `_block`, for a test that has a loop of its own."""
    __tracebackhide__ = True
    try:
        return await run.loop.wait(work)
    except Lost as error:
        raise error.with_traceback(None) from None


def _given(
    what: Utterance | Iterable[Utterance], takes: Sequence[Take]
) -> Transcription | list[Transcription]:
    __tracebackhide__ = True
    if isinstance(what, Utterance):
        return _final(takes[0])
    return [take.transcription for take in takes]


def _final(take: Take) -> Transcription:
    __tracebackhide__ = True
    if take.lost:
        raise Lost(take.lost, take.reason)
    return take.transcription
