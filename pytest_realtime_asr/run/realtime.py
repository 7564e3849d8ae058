"""The fixture `realtime`, as a test uses it.

The methods of `Realtime` block the test; those of `AsyncRealtime` are awaited.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal, overload

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import arguments
from pytest_realtime_asr.load.arguments import Duration, seconds
from pytest_realtime_asr.load.capacity import Capacity
from pytest_realtime_asr.load.drain import Drain
from pytest_realtime_asr.load.level import Level
from pytest_realtime_asr.load.soak import Soak
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.run.audio_account import NotSent
from pytest_realtime_asr.run.blocking import awaited, block, checked, in_thread
from pytest_realtime_asr.run.capacity_search import CapacitySearch
from pytest_realtime_asr.run.drain import drain
from pytest_realtime_asr.run.ledger import Ended
from pytest_realtime_asr.run.load_generator import LoadGenerator
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.sampling import Sampling
from pytest_realtime_asr.run.session import Connect, final
from pytest_realtime_asr.run.soak import SoakTest
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.verdicts.parity import Condition, Parity
from pytest_realtime_asr.verdicts.sequential import MOST_SESSIONS

_RAMP = 6  # the part of ``hold`` that the ramp of a load lasts: a sixth


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
        return _given(what, await awaited(self._realtime._run, work))

    async def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """Do the same as `Realtime.parity`, without blocking the test."""
        __tracebackhide__ = True
        work = self._realtime._parity(what, over)
        return await awaited(self._realtime._run, work)

    async def soak(
        self,
        corpus: Utterance | Iterable[Utterance],
        *,
        streams: int = 8,
        duration: Duration = "1h",
        talk: float = 0.6,
        seed: int = 0,
    ) -> Soak:
        """Do the same as `Realtime.soak`, without blocking the test."""
        __tracebackhide__ = True
        soak = self._realtime._soak(
            corpus, streams=streams, duration=duration, talk=talk, seed=seed
        )
        return await in_thread(soak.run, soak.interrupt)

    async def drain(
        self,
        what: Utterance | Iterable[Utterance],
        *,
        stop: Callable[[], object],
        streams: int = 8,
        grace: Duration = "30s",
        seed: int = 0,
    ) -> Drain:
        """Do the same as `Realtime.drain`, without blocking the test."""
        __tracebackhide__ = True
        work = self._realtime._drain(
            what, stop=stop, streams=streams, grace=grace, seed=seed
        )
        return await awaited(self._realtime._run, work)

    async def load(
        self,
        corpus: Utterance | Iterable[Utterance],
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
        return await in_thread(lambda: generator.level(wanted), generator.interrupt)

    async def capacity(
        self,
        corpus: Utterance | Iterable[Utterance],
        *,
        between: tuple[int, int] = (1, 500),
        hold: Duration = "60s",
        confirm: Duration = "5min",
        max_time: Duration = "30min",
        ramp: Duration | None = None,
        talk: float = 1.0,
        jitter: Duration = "0ms",
        varied: bool = True,
        seed: int = 0,
        witnesses: int = 1,
        beyond: bool = True,
    ) -> Capacity:
        """Do the same as `Realtime.capacity`, without blocking the test."""
        __tracebackhide__ = True
        search = self._realtime._capacity(
            corpus,
            between=between,
            hold=hold,
            confirm=confirm,
            max_time=max_time,
            ramp=ramp,
            talk=talk,
            jitter=jitter,
            varied=varied,
            seed=seed,
            witnesses=witnesses,
            beyond=beyond,
        )
        return await in_thread(search.search, search.interrupt)


class Realtime:
    """The server under test, with methods that open sessions and send utterances.

    The methods block the test. ``aio`` has methods of the same names that are awaited.
    """

    def __init__(
        self, run: Run, plan: Plan, terms: Terms, *, baseline: Plan | None = None
    ) -> None:
        """Make the fixture for a test with these terms.

        ``baseline`` is the plan for another server; `transcribe` also sends every
        utterance to this server.
        """
        self._run = run
        self._ledger = run.ledger
        self._plan = plan
        self._terms = terms
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
        """Whether the test has a limit on the word error rate."""
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

        For one utterance, return its transcription, or raise `Lost` if there is no
        final. For several, return the list of their transcriptions in the same order.
        The transcription of a lost session has its field ``lost`` set. ``concurrency``
        is the number of sessions that run at a time. Their starts are spread evenly
        over the length of a chunk.

        With ``until="decided"``, the utterances are sent repeatedly in random order.
        The call ends after ``max_sessions`` sessions, or earlier if a sequential test
        has decided all limits that the budgets set for quantiles. It returns the
        transcriptions of all these sessions. A call with ``until="decided"`` must be
        the first call of its test that sends utterances. It raises ValueError before
        the first session if ``max_sessions`` is too small to prove anything.
        """
        __tracebackhide__ = True
        work = self._transcribe(what, concurrency, until, max_sessions)
        return _given(what, block(self._run, work))

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
        return block(self._run, self._parity(what, over))

    def soak(
        self,
        corpus: Utterance | Iterable[Utterance],
        *,
        streams: int = 8,
        duration: Duration = "1h",
        talk: float = 0.6,
        seed: int = 0,
    ) -> Soak:
        """Put a small load on the server for a long time, and judge what grows.

        Each stream runs one session per utterance, in real time, and speaks for the
        share ``talk`` of the time. Beside the streams, the soak runs one long session
        (up to 20 minutes of audio), sessions that open and close without audio, and one
        idle session that stays open. If the server shows its metrics, nothing is sent
        for a short time before and after the load.

        The verdict is applied at the end of the test, like the verdict of a budget. It
        is ``FAIL`` if one of these has provably grown by more than is tolerated: the
        latency of the finals, the share of lost sessions, the memory of the server, the
        number of sessions that it does not free, or the memory of an idle session. It
        is also ``FAIL`` if the long session was lost or fell behind. The markers of the
        test also judge the sessions of the steady part. ``duration`` is a string such
        as ``"1h"`` or a timedelta. ``seed`` determines all random numbers.

        Raises ValueError for a wrong argument, before anything is sent.
        """
        __tracebackhide__ = True
        soak = self._soak(
            corpus, streams=streams, duration=duration, talk=talk, seed=seed
        )
        try:
            return soak.run()
        except (Ended, NotSent) as error:
            raise error.with_traceback(None) from None

    def _soak(
        self, corpus: Utterance | Iterable[Utterance], **properties: Any
    ) -> SoakTest:
        """Return the soak with these arguments of `soak`. Raises ValueError."""
        __tracebackhide__ = True
        return checked(
            lambda: SoakTest(
                self._run, self._ledger, self._plan, _several(corpus), **properties
            )
        )

    def drain(
        self,
        what: Utterance | Iterable[Utterance],
        *,
        stop: Callable[[], object],
        streams: int = 8,
        grace: Duration = "30s",
        seed: int = 0,
    ) -> Drain:
        """Tell the server to stop while ``streams`` sessions are open.

        ``stop`` is called once, in a thread of its own; for example, it sends SIGTERM
        to the server. At this time, half of the streams have just sent all of their
        audio, and the others are speaking. Each session then goes on until the server
        closes it. During this time, new connections are tried.

        The verdict is applied at the end of the test, like the verdict of a budget. It
        is ``FAIL`` if an utterance whose audio was complete gets no final, if a
        connection ends without a close frame or with a close code that does not fit a
        stop, such as 1011, or if a connection is still open after ``grace``. Budgets do
        not count these sessions. ``seed`` determines the order of the clips, and how
        much audio the speaking streams have sent at the stop. Afterwards the server has
        usually ended, so later tests need another server.
        """
        __tracebackhide__ = True
        work = self._drain(what, stop=stop, streams=streams, grace=grace, seed=seed)
        return block(self._run, work)

    def load(
        self,
        corpus: Utterance | Iterable[Utterance],
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

        The budgets of the test judge the sessions of the steady part, which begins at
        the end of the ``ramp`` and lasts ``hold``. Each stream runs one session per
        utterance; it sends in real time, whatever the pace of the test is. Durations
        are strings such as ``"60s"`` or timedeltas. The ramp lasts a sixth of ``hold``
        unless it is given.

        - A closed load keeps ``streams`` streams busy, each of which speaks for the
          share ``talk`` of the time.
        - An open load begins sessions at a ``rate`` such as ``"2/s"``, with
          ``arrivals`` ``"constant"`` or ``"poisson"``, whether or not the server has
          answered. Then ``streams`` is the largest number of open sessions.

        ``jitter`` delays each frame by a random time, as a mobile network does. With
        ``varied``, each session has a lead silence and a dither of its own, so that the
        server cannot answer from a cache. ``seed`` determines all random numbers.
        ``witnesses`` is the number of extra streams that run before, during and after
        the load. Before the load, each clip that it can send is sent once alone, but at
        most two minutes of audio.

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
        except (Ended, NotSent) as error:
            raise error.with_traceback(None) from None

    def capacity(
        self,
        corpus: Utterance | Iterable[Utterance],
        *,
        between: tuple[int, int] = (1, 500),
        hold: Duration = "60s",
        confirm: Duration = "5min",
        max_time: Duration = "30min",
        ramp: Duration | None = None,
        talk: float = 1.0,
        jitter: Duration = "0ms",
        varied: bool = True,
        seed: int = 0,
        witnesses: int = 1,
        beyond: bool = True,
    ) -> Capacity:
        """Search for the largest number of streams for which the test's limits hold.

        The markers `latency_budget`, `budget` and `wer_threshold` set the limits. Each
        limit is proven with a confidence of 95 %, whatever the markers say. The search
        begins with the first number of ``between`` and doubles the streams until a
        limit is no longer met; then it bisects. Each of these levels lasts ``hold``.
        Then further levels confirm the result. They last at least ``confirm``, and the
        limits of the test judge only their sessions. The search takes at most
        ``max_time``. With ``beyond``, the last level has 1.5 times as many streams as
        the capacity, and shows what the server does then. The other arguments are those
        of `load`.

        Raises ValueError for a wrong argument, before anything is sent.
        """
        __tracebackhide__ = True
        search = self._capacity(
            corpus,
            between=between,
            hold=hold,
            confirm=confirm,
            max_time=max_time,
            ramp=ramp,
            talk=talk,
            jitter=jitter,
            varied=varied,
            seed=seed,
            witnesses=witnesses,
            beyond=beyond,
        )
        try:
            return search.search()
        except (Ended, NotSent) as error:
            raise error.with_traceback(None) from None

    def _capacity(
        self, corpus: Utterance | Iterable[Utterance], **arguments: Any
    ) -> CapacitySearch:
        """Return the search with these arguments of `capacity`. Raises ValueError."""
        __tracebackhide__ = True
        return checked(
            lambda: CapacitySearch(
                self._run,
                self._ledger,
                self._plan,
                self._terms,
                _several(corpus),
                **arguments,
            )
        )

    def _load(
        self,
        corpus: Utterance | Iterable[Utterance],
        *,
        hold: Duration,
        ramp: Duration | None,
        seed: int,
        **properties: Any,
    ) -> tuple[LoadGenerator, Load]:
        """Return the load generator, and the load that it runs. Raises ValueError."""
        __tracebackhide__ = True

        def make() -> tuple[LoadGenerator, Load]:
            length = seconds("hold", hold) / _RAMP
            wanted = arguments.load(
                hold=hold,
                ramp=timedelta(seconds=length) if ramp is None else ramp,
                seed=seed,
                **properties,
            )
            self._ledger.refuse_closed()
            generator = LoadGenerator(
                self._run,
                self._ledger,
                self._plan,
                _several(corpus),
                seed=seed,
                terms=self._terms,
            )
            return generator, wanted

        return checked(make)

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

    def _drain(
        self,
        what: Utterance | Iterable[Utterance],
        *,
        stop: Callable[[], object],
        streams: int,
        grace: Duration,
        seed: int,
    ) -> Coroutine[Any, Any, Drain]:
        """Return the coroutine of `drain`.

        Raises ValueError for wrong arguments, before the coroutine is awaited.
        """
        __tracebackhide__ = True
        return checked(
            lambda: drain(
                self._run,
                self._ledger,
                self._plan,
                _several(what),
                streams=streams,
                stop=stop,
                grace=grace,
                seed=seed,
            )
        )


def _several(what: Utterance | Iterable[Utterance]) -> Iterable[Utterance]:
    """Return an iterable of utterances, also if a test gives a single utterance."""
    return [what] if isinstance(what, Utterance) else what


def _given(
    what: Utterance | Iterable[Utterance], takes: Sequence[Transcription]
) -> Transcription | list[Transcription]:
    __tracebackhide__ = True
    return final(takes[0]) if isinstance(what, Utterance) else list(takes)
