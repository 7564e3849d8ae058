"""The fixture `realtime` and its sessions, as a test uses them.

`Session` and `AsyncSession` have the same methods and are views of one session, which
runs on the loop of the run: the first blocks the test, the second is awaited by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Plan
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.ledger import Ended, Ledger
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.sampling import Sampling
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.transcription import Begun, Transcription
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline
from pytest_realtime_asr.verdicts.parity import Condition, Parity
from pytest_realtime_asr.verdicts.sequential import MOST_SESSIONS

T = TypeVar("T")


class _TestSession:
    """A session of a test; its coroutines run on the loop of the run."""

    def __init__(self, run: Run, ledger: Ledger, plan: Plan) -> None:
        __tracebackhide__ = True
        self.run = run
        self.live = run.session(ledger, plan)
        self._ledger = ledger

    async def open(self, *, configure: bool) -> None:
        await asyncio.to_thread(self.run.take_turn, self._ledger)
        await self.live.open()
        if configure:
            await self.live.configure()

    async def transcribe(self, utterance: Utterance) -> Transcription:
        audio = await self.live.audio(utterance)
        begun = Begun(
            self.live,
            utterance,
            self.live.items,
            raised=True,
            conditions=self.run.conditions(self.live.plan),
        )
        place = self._ledger.begin(begun)
        lost: Lost | None = None
        try:
            await self.live.transcribe(audio, utterance.id)
        except Lost as error:
            lost = error
        take = await asyncio.to_thread(begun.ended, lost)
        await asyncio.to_thread(self.run.ended, self._ledger, place, take)
        return take


class _View:
    """What a session shows at any time, whether it blocks or is awaited."""

    def __init__(self, session: _TestSession) -> None:
        self._session = session

    @property
    def id(self) -> str:
        """The id that the server gave the session, "" before it did."""
        return self._session.live.id

    @property
    def trace(self) -> Trace:
        """Every frame that was recorded so far."""
        return self._session.live.trace

    @property
    def timeline(self) -> Timeline:
        """What the frames so far mean."""
        return self._session.live.timeline

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The rules that the server has violated so far."""
        live = self._session.live
        return observe(live.plan.rules, Part("", live.recording))


class Session(_View):
    """A connected session; its methods block the test."""

    @property
    def aio(self) -> AsyncSession:
        """The same session, to be awaited."""
        return AsyncSession(self._session)

    def configure(self) -> None:
        """Send the model and the session options, as `connect` does by itself."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.configure())

    def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance in pace and wait for its final. Raises `Lost`."""
        __tracebackhide__ = True
        return _final(_block(self._session.run, self._session.transcribe(utterance)))

    def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame as it is: a mapping as JSON, a text, or bytes as binary."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.send_raw(message))

    def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Wait for the next event of this type after the last one. Raises `Lost`.

        ``timeout`` is in seconds; the default is the idle timeout of the run.
        """
        __tracebackhide__ = True
        return _block(
            self._session.run, self._session.live.expect(type, timeout=timeout)
        )

    def close(self) -> None:
        """Close the connection; may be called twice."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.close())


class AsyncSession(_View):
    """A connected session; its methods are awaited, under asyncio."""

    async def configure(self) -> None:
        """Send the model and the session options, as `connect` does by itself."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.configure())

    async def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance in pace and wait for its final. Raises `Lost`."""
        __tracebackhide__ = True
        return _final(
            await _await(self._session.run, self._session.transcribe(utterance))
        )

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame as it is: a mapping as JSON, a text, or bytes as binary."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.send_raw(message))

    async def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Wait for the next event of this type after the last one. Raises `Lost`.

        ``timeout`` is in seconds; the default is the idle timeout of the run.
        """
        __tracebackhide__ = True
        live = self._session.live
        return await _await(self._session.run, live.expect(type, timeout=timeout))

    async def close(self) -> None:
        """Close the connection; may be called twice."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.close())


class Connect:
    """``with`` gives a `Session`, ``async with`` an `AsyncSession`."""

    def __init__(
        self, run: Run, ledger: Ledger, plan: Plan, *, configure: bool
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._configure = configure
        self._session: _TestSession | None = None

    def open(self) -> Session:
        """Open the session; the end of the test closes it. Raises `Lost`."""
        __tracebackhide__ = True
        self._session = _TestSession(self._run, self._ledger, self._plan)
        _block(self._run, self._session.open(configure=self._configure))
        return Session(self._session)

    def __enter__(self) -> Session:
        __tracebackhide__ = True
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        _block(self._run, self._session.live.close())

    async def __aenter__(self) -> AsyncSession:
        __tracebackhide__ = True
        self._session = _TestSession(self._run, self._ledger, self._plan)
        await _await(self._run, self._session.open(configure=self._configure))
        return AsyncSession(self._session)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await _await(self._run, self._session.live.close())


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
        self,
        what: Iterable[Utterance],
        *,
        concurrency: int = 1,
        until: Literal["decided"] | None = None,
        max_sessions: int = MOST_SESSIONS,
    ) -> list[Transcription]: ...

    async def transcribe(
        self,
        what: Utterance | Iterable[Utterance],
        *,
        concurrency: int = 1,
        until: str | None = None,
        max_sessions: int = MOST_SESSIONS,
    ) -> Transcription | list[Transcription]:
        """As `Realtime.transcribe`."""
        __tracebackhide__ = True
        work = self._realtime._transcribe(what, concurrency, until, max_sessions)
        return _given(what, await _await(self._realtime._run, work))

    async def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """As `Realtime.parity`."""
        __tracebackhide__ = True
        work = self._realtime._parity(what, over)
        return await _await(self._realtime._run, work)


class Realtime:
    """The server under test: opens sessions with it and transcribes through it.

    ``terms`` are those of the running test. ``baseline`` is the plan for another
    server, to which each utterance that is transcribed is sent as well.
    """

    def __init__(
        self, run: Run, plan: Plan, terms: Terms, *, baseline: Plan | None = None
    ) -> None:
        self._run = run
        self._ledger = run.ledger
        self._plan = plan
        self._sampling = Sampling(run, plan, terms, baseline=baseline)
        self.aio = AsyncRealtime(self)

    @property
    def run(self) -> Run:
        """The test run that this belongs to."""
        return self._run

    @property
    def plan(self) -> Plan:
        """How its sessions run."""
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
        """Return a session for ``with`` or ``async with``.

        ``configure=False`` leaves out the frames that set the session up; ``model`` and
        ``options`` replace those of the run.
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
        self,
        what: Iterable[Utterance],
        *,
        concurrency: int = 1,
        until: Literal["decided"] | None = None,
        max_sessions: int = MOST_SESSIONS,
    ) -> list[Transcription]: ...

    def transcribe(
        self,
        what: Utterance | Iterable[Utterance],
        *,
        concurrency: int = 1,
        until: str | None = None,
        max_sessions: int = MOST_SESSIONS,
    ) -> Transcription | list[Transcription]:
        """Send one utterance, or each of several, in a session of its own.

        One utterance gives a transcription and raises `Lost` where there is no final;
        several give a list in their order, in which a lost one says so. With
        ``concurrency``, so many sessions run at a time, started evenly over the length
        of a chunk.

        ``until="decided"`` sends the utterances again and again in random order until
        every quantile that the budgets of the test limit is decided by a sequential
        test, or ``max_sessions`` were run; it returns a list of all. It must be the
        first call of its test that sends utterances. Raises ValueError before the first
        session where so few sessions could prove nothing.
        """
        __tracebackhide__ = True
        work = self._transcribe(what, concurrency, until, max_sessions)
        return _given(what, _block(self._run, work))

    def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """Compare the texts of utterances under a condition with those sent alone.

        Each utterance is sent three times alone and three times ``over`` the condition:
        ``chunk`` is a fifth of the test's, ``pace`` four times its own (1 where it is
        unpaced), ``crowd`` eight sessions at a time, and ``repeat`` changes nothing.
        The verdict counts at the end of the test, like that of a budget; budgets and
        comparisons with other runs do not count these sessions.
        """
        __tracebackhide__ = True
        return _block(self._run, self._parity(what, over))

    def _transcribe(
        self,
        what: Utterance | Iterable[Utterance],
        concurrency: int,
        until: str | None,
        most: int,
    ) -> Coroutine[Any, Any, list[Transcription]]:
        """Return the work of `transcribe`. Raises at once what is wrong with it."""
        __tracebackhide__ = True
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; it should be 1 or more")
        sampling = self._sampling
        if until is None:
            if isinstance(what, Utterance):
                return sampling.each([what], concurrency, alone=True)
            clips = list(what)
            sampling.warn_of_unprovable(clips)
            return sampling.each(clips, concurrency)
        if until != "decided":
            raise ValueError(f"until={until!r} is not known; there is 'decided'")
        if isinstance(what, Utterance):
            raise ValueError("until='decided' needs a list or a corpus; give one")
        clips = list(what)
        order = sampling.random_order(clips, most)
        return sampling.until_decided(clips, concurrency, order)

    def _parity(
        self, what: Iterable[Utterance], over: str
    ) -> Coroutine[Any, Any, Parity]:
        """Return the work of `parity`. Raises at once what is wrong with it."""
        __tracebackhide__ = True
        if over not in list(Condition):
            raise ValueError(
                f"over={over!r} is not known; choose from {', '.join(Condition)}"
            )
        clips = {utterance.id: utterance for utterance in what}
        if not clips:
            raise ValueError("parity needs at least one utterance; give some")
        return self._sampling.parity(clips, Condition(over))


def _block(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Run on the loop of the run; raise `Lost` and `Ended` without internal frames."""
    __tracebackhide__ = True
    try:
        return run.loop.run(work)
    except (Lost, Ended) as error:
        raise error.with_traceback(None) from None


async def _await(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Do the same as `_block`, for a test that has a loop of its own."""
    __tracebackhide__ = True
    try:
        return await run.loop.wait(work)
    except (Lost, Ended) as error:
        raise error.with_traceback(None) from None


def _given(
    what: Utterance | Iterable[Utterance], takes: Sequence[Transcription]
) -> Transcription | list[Transcription]:
    __tracebackhide__ = True
    return _final(takes[0]) if isinstance(what, Utterance) else list(takes)


def _final(take: Transcription) -> Transcription:
    __tracebackhide__ = True
    if take.lost:
        raise Lost(take.lost, take.reason)
    return take
