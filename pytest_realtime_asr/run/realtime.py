"""The fixture `realtime` and its sessions, as a test uses them.

`Session` and `AsyncSession` are two views of a session, with the same methods. The
methods of `Session` block the test; the methods of `AsyncSession` are awaited. In both
cases the session itself runs on the event loop of the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Begun, Transcription
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import arguments
from pytest_realtime_asr.load.arguments import Duration, seconds
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.audio_account import AudioLimit
from pytest_realtime_asr.run.ledger import Ended, Ledger
from pytest_realtime_asr.run.load_generator import LoadGenerator
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.sampling import Sampling
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline
from pytest_realtime_asr.verdicts.parity import Condition, Parity
from pytest_realtime_asr.verdicts.sequential import MOST_SESSIONS

_RAMP = 6  # the part of ``hold`` that the ramp of a load lasts: a sixth

T = TypeVar("T")


class _TestSession:
    """A session of a test; its coroutines run on the event loop of the run."""

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
        with self.run.account.reserved(audio.seconds, "1 utterance") as meter:
            # What is sent leaves the reservation, so that it does not count twice.
            self.live.plan = replace(self.live.plan, meter=meter)
            return await self._transcribe(utterance, audio)

    async def _transcribe(self, utterance: Utterance, audio: Audio) -> Transcription:
        begun = Begun(
            self.live,
            utterance.in_language(self.run.config.language),
            self.live.items,
            raised=True,
            conditions=self.run.conditions(self.live.plan, utterance),
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
    """The properties that `Session` and `AsyncSession` have in common."""

    def __init__(self, session: _TestSession) -> None:
        self._session = session

    @property
    def id(self) -> str:
        """The id that the server gave the session; "" before it gave an id."""
        return self._session.live.id

    @property
    def trace(self) -> Trace:
        """All frames that have been recorded so far."""
        return self._session.live.trace

    @property
    def timeline(self) -> Timeline:
        """The timeline of the frames that have been recorded so far."""
        return self._session.live.timeline

    @property
    def violations(self) -> tuple[Violation, ...]:
        """The server's violations that have been found so far."""
        live = self._session.live
        return observe(live.plan.rules, Part("", live.recording))


class Session(_View):
    """A connected session whose methods block the test."""

    @property
    def aio(self) -> AsyncSession:
        """The same session, with methods that are awaited."""
        return AsyncSession(self._session)

    def configure(self) -> None:
        """Send the model and the session options, as `connect` does by default."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.configure())

    def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance at the pace of the test and return its transcription.

        Raises `Lost` if there is no final.
        """
        __tracebackhide__ = True
        return _final(_block(self._session.run, self._session.transcribe(utterance)))

    def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame unchanged: a mapping as JSON, a string, or bytes as binary."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.send_raw(message))

    def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Return the next event of this type, and wait for it if necessary.

        The search starts after the event that the last call of `expect` returned.
        ``timeout`` is in seconds; the default is the idle timeout of the run. Raises
        `Lost` if no such event comes.
        """
        __tracebackhide__ = True
        return _block(
            self._session.run, self._session.live.expect(type, timeout=timeout)
        )

    def close(self) -> None:
        """Close the connection; this method may be called more than once."""
        __tracebackhide__ = True
        _block(self._session.run, self._session.live.close())


class AsyncSession(_View):
    """A connected session whose methods are awaited, under asyncio."""

    async def configure(self) -> None:
        """Send the model and the session options, as `connect` does by default."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.configure())

    async def transcribe(self, utterance: Utterance) -> Transcription:
        """Send an utterance at the pace of the test and return its transcription.

        Raises `Lost` if there is no final.
        """
        __tracebackhide__ = True
        return _final(
            await _await(self._session.run, self._session.transcribe(utterance))
        )

    async def send_raw(self, message: Mapping[str, object] | str | bytes) -> None:
        """Send a frame unchanged: a mapping as JSON, a string, or bytes as binary."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.send_raw(message))

    async def expect(self, type: str, *, timeout: float | None = None) -> Message:
        """Return the next event of this type, and wait for it if necessary.

        The search starts after the event that the last call of `expect` returned.
        ``timeout`` is in seconds; the default is the idle timeout of the run. Raises
        `Lost` if no such event comes.
        """
        __tracebackhide__ = True
        live = self._session.live
        return await _await(self._session.run, live.expect(type, timeout=timeout))

    async def close(self) -> None:
        """Close the connection; this method may be called more than once."""
        __tracebackhide__ = True
        await _await(self._session.run, self._session.live.close())


class Connect:
    """A context manager that opens a session and closes it.

    ``with`` returns a `Session`, ``async with`` an `AsyncSession`.
    """

    def __init__(
        self, run: Run, ledger: Ledger, plan: Plan, *, configure: bool
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._configure = configure
        self._session: _TestSession | None = None

    def open(self) -> Session:
        """Open the session and return it; it is closed at the end of the test.

        Raises `Lost` if the session cannot be opened.
        """
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
    """The methods of `Realtime`, in an awaitable form."""

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
        """Do the same as `Realtime.transcribe`, without blocking the test."""
        __tracebackhide__ = True
        work = self._realtime._transcribe(what, concurrency, until, max_sessions)
        return _given(what, await _await(self._realtime._run, work))

    async def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """Do the same as `Realtime.parity`, without blocking the test."""
        __tracebackhide__ = True
        work = self._realtime._parity(what, over)
        return await _await(self._realtime._run, work)

    async def load(
        self,
        corpus: Iterable[Utterance],
        *,
        streams: int,
        hold: Duration,
        ramp: Duration | None = None,
        talk: float = 1.0,
        arrivals: str | None = None,
        rate: str | None = None,
        jitter: Duration = "0ms",
        varied: bool = True,
        seed: int = 0,
        witnesses: int = 1,
    ) -> Level:
        """Do the same as `Realtime.load`, without blocking the test."""
        __tracebackhide__ = True
        generator, wanted = self._realtime._load(
            corpus,
            streams=streams,
            hold=hold,
            ramp=ramp,
            talk=talk,
            arrivals=arrivals,
            rate=rate,
            jitter=jitter,
            varied=varied,
            seed=seed,
            witnesses=witnesses,
        )
        work = asyncio.ensure_future(asyncio.to_thread(generator.level, wanted))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            generator.interrupt()
            await asyncio.wait([work])
            raise


class Realtime:
    """The server under test, with methods that open sessions and send utterances.

    ``terms`` are the terms of the running test. ``baseline`` is the plan for another
    server; `transcribe` sends every utterance to this server as well.
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
        """The test run to which this fixture belongs."""
        return self._run

    @property
    def plan(self) -> Plan:
        """The plan by which the sessions of this fixture run."""
        return self._plan

    @property
    def limits_wer(self) -> bool:
        """Whether a limit of the test judges the word error rate."""
        return self._sampling.limits_wer

    @property
    def target(self) -> str:
        """The WebSocket URL of the server, without the query."""
        return self._plan.access.target.shown

    @property
    def model(self) -> str:
        """The name of the model that sessions request."""
        return self._plan.model

    @property
    def dialect(self) -> str:
        """The name of the server's dialect."""
        return self._plan.dialect.name

    def connect(
        self,
        *,
        configure: bool = True,
        model: str | None = None,
        options: Mapping[str, object] | None = None,
    ) -> Connect:
        """Return a context manager for a session, for ``with`` or ``async with``.

        ``configure=False`` leaves out the frames that configure the session. ``model``
        and ``options`` replace the model and the session options of the test.
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
        """Send one utterance or several, each in a session of its own.

        For one utterance, return its transcription; raises `Lost` if there is no final.
        For several, return the list of their transcriptions in the same order; the
        transcription of a lost session has its field ``lost`` set. ``concurrency`` is
        the number of sessions that run at a time. Their starts are spread evenly over
        the length of a chunk.

        With ``until="decided"``, the utterances are sent repeatedly in random order.
        The call ends after ``max_sessions`` sessions, or earlier if a sequential test
        has decided all limits that the budgets set for quantiles. It returns the
        transcriptions of all these sessions. A call with ``until="decided"`` must be
        the first call of its test that sends utterances. It raises ValueError before
        the first session if ``max_sessions`` is too small to prove anything.
        """
        __tracebackhide__ = True
        work = self._transcribe(what, concurrency, until, max_sessions)
        return _given(what, _block(self._run, work))

    def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """Compare the server's solo transcripts to its texts under another condition.

        Each utterance is sent three times alone, and three times under the condition
        that ``over`` names:

        - ``chunk``: a fifth of the test's chunk;
        - ``pace``: four times the test's pace, or pace 1 if the test's pace is 0;
        - ``crowd``: eight sessions at a time;
        - ``repeat``: no change.

        The verdict is applied at the end of the test, like the verdict of a budget.
        Budgets and comparisons with other runs do not count these sessions.
        """
        __tracebackhide__ = True
        return _block(self._run, self._parity(what, over))

    def load(
        self,
        corpus: Iterable[Utterance],
        *,
        streams: int,
        hold: Duration,
        ramp: Duration | None = None,
        talk: float = 1.0,
        arrivals: str | None = None,
        rate: str | None = None,
        jitter: Duration = "0ms",
        varied: bool = True,
        seed: int = 0,
        witnesses: int = 1,
    ) -> Level:
        """Put load on the server for a time and return the level.

        The budgets of the test judge the sessions of the steady part: from the end of
        the ``ramp``, for ``hold``. Each stream runs one session per utterance, in real
        time whatever the pace of the test. Durations are strings such as ``"60s"`` or
        timedeltas. The ramp lasts a sixth of ``hold`` unless it is given.

        - A closed load keeps ``streams`` streams busy, each of which speaks for the
          share ``talk`` of the time.
        - An open load begins sessions at a ``rate`` such as ``"2/s"``, with
          ``arrivals`` ``"constant"`` or ``"poisson"``, whether or not the server has
          answered. Then ``streams`` is the largest number of open sessions.

        ``jitter`` delays each frame by a random time, as a mobile network does. With
        ``varied``, each session has a lead silence and a dither of its own, so that the
        server cannot answer from a cache. ``seed`` determines all random numbers.
        ``witnesses`` streams run beside the load, and also before and after it. Before
        the load, each clip is sent once alone.

        Raises ValueError for a wrong argument, before anything is sent.
        """
        __tracebackhide__ = True
        generator, wanted = self._load(
            corpus,
            streams=streams,
            hold=hold,
            ramp=ramp,
            talk=talk,
            arrivals=arrivals,
            rate=rate,
            jitter=jitter,
            varied=varied,
            seed=seed,
            witnesses=witnesses,
        )
        try:
            return generator.level(wanted)
        except (Ended, AudioLimit) as error:
            raise error.with_traceback(None) from None

    def _load(
        self,
        corpus: Iterable[Utterance],
        *,
        hold: Duration,
        ramp: Duration | None,
        seed: int,
        **properties: Any,
    ) -> tuple[LoadGenerator, Load]:
        """Return what puts load on the server, and the level. Raises ValueError."""
        __tracebackhide__ = True
        if ramp is None:
            ramp = timedelta(seconds=seconds("hold", hold) / _RAMP)
        wanted = arguments.load(hold=hold, ramp=ramp, seed=seed, **properties)
        self._ledger.refuse_closed()
        generator = LoadGenerator(
            self._run, self._ledger, self._plan, corpus, seed=seed
        )
        return generator, wanted

    def _transcribe(
        self,
        what: Utterance | Iterable[Utterance],
        concurrency: int,
        until: str | None,
        most: int,
    ) -> Coroutine[Any, Any, list[Transcription]]:
        """Return the coroutine of `transcribe`.

        Raises ValueError for wrong arguments, before the coroutine is awaited.
        """
        __tracebackhide__ = True
        if concurrency < 1:
            raise ValueError(f"concurrency={concurrency} is below 1; give 1 or more")
        sampling = self._sampling
        if until is None:
            if isinstance(what, Utterance):
                return sampling.each([what], concurrency, alone=True)
            clips = list(what)
            sampling.warn_of_unprovable(clips)
            return sampling.each(clips, concurrency)
        if until != "decided":
            raise ValueError(f"until={until!r} is not known; give 'decided'")
        if isinstance(what, Utterance):
            raise ValueError(
                "until='decided' needs more than one utterance; give a list or a corpus"
            )
        clips = list(what)
        order = sampling.random_order(clips, most)
        return sampling.until_decided(clips, concurrency, order)

    def _parity(
        self, what: Iterable[Utterance], over: str
    ) -> Coroutine[Any, Any, Parity]:
        """Return the coroutine of `parity`.

        Raises ValueError for wrong arguments, before the coroutine is awaited.
        """
        __tracebackhide__ = True
        if over not in list(Condition):
            raise ValueError(
                f"over={over!r} is not known; choose from {', '.join(Condition)}"
            )
        clips = {utterance.id: utterance for utterance in what}
        if not clips:
            raise ValueError("parity has no utterances to compare; give one or more")
        return self._sampling.parity(clips, Condition(over))


def _block(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on the event loop of the run, wait for it, return its result.

    `Lost`, `Ended` and `AudioLimit` are raised without the internal frames of their
    tracebacks.
    """
    __tracebackhide__ = True
    try:
        return run.loop.run(work)
    except (Lost, Ended, AudioLimit) as error:
        raise error.with_traceback(None) from None


async def _await(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Do the same as `_block`, awaited from the test's own event loop."""
    __tracebackhide__ = True
    try:
        return await run.loop.wait(work)
    except (Lost, Ended, AudioLimit) as error:
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
