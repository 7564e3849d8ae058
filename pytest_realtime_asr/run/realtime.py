"""What a test holds in its hands: the `realtime` fixture and its sessions.

`Session` and `AsyncSession` have the same methods and are views of one thing, which
lives on the loop of the run: the first blocks the test, the second is awaited by it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import warnings
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live, Plan
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.run.ledger import (
    Order,
    Purpose,
    Transcription,
    decided,
    in_order,
)
from pytest_realtime_asr.run.run import Ended, Ledger, Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.utterances import Take, prepare, run_utterance
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Timeline
from pytest_realtime_asr.verdicts import parity
from pytest_realtime_asr.verdicts.client_delay import tolerance
from pytest_realtime_asr.verdicts.parity import (
    REPEATS,
    Clip,
    Condition,
    LostSession,
    Parity,
)
from pytest_realtime_asr.verdicts.sequential import MOST_SESSIONS, unprovable
from pytest_realtime_asr.verdicts.verdict import UndecidedWarning
from pytest_realtime_asr.verdicts.wer import too_few

CROWD = 8  # sessions at a time, over which parity is looked for
AGAIN = 10  # of so many sessions of a call, one that was disturbed is run again
_FASTER = 4.0  # times the pace, and
_SHORTER = 0.2  # of the chunk, over which it is looked for as well

_NO_SPARES: Iterator[int] = iter(())

T = TypeVar("T")


class _Held:
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

    async def transcribe(self, utterance: Utterance) -> Take:
        audio = await prepare(self.live, utterance)
        take = Take(
            self.live,
            self.live.items,
            utterance,
            raised=True,
            conditions=self.run.conditions(self.live.plan),
        )
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
        __tracebackhide__ = True
        self._held = _Held(self._run, self._ledger, self._plan)
        _block(self._run, self._held.open(configure=self._configure))
        return Session(self._held)

    def __enter__(self) -> Session:
        __tracebackhide__ = True
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
        __tracebackhide__ = True
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
        work = self._realtime._spoken(what, concurrency, until, max_sessions)
        return _given(what, await _await(self._realtime._run, work))

    async def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """As `Realtime.parity`."""
        __tracebackhide__ = True
        work = self._realtime._alike(what, over)
        return await _await(self._realtime._run, work)


class Realtime:
    """The server under test: opens sessions with it and transcribes through it.

    ``terms`` are those of the running test. ``baseline`` is how sessions are held with
    another server, to which each utterance that is transcribed is spoken as well.
    """

    def __init__(
        self, run: Run, plan: Plan, terms: Terms, *, baseline: Plan | None = None
    ) -> None:
        self._run = run
        self._ledger = run.ledger
        self._plan = plan
        self._terms = terms
        self._baseline = baseline
        self._tolerance = tolerance(
            terms.budgets, pace=terms.pace, parallel=terms.parallel
        )
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
        """Speak one utterance, or each of several, in a session of its own.

        One gives a transcription and raises `Lost` where there is no final; several
        give a list in their order, in which a lost one says so. With ``concurrency``,
        so many sessions run at a time, begun evenly over the length of a chunk.

        ``until="decided"`` goes on over the utterances, again and again in an order of
        chance, till every quantile that the budgets of the test limit is decided by a
        sequential test, or ``max_sessions`` were held; it gives a list of all. It is
        the first in its test to speak. Raises ValueError before the first session where
        so few could prove nothing.
        """
        __tracebackhide__ = True
        work = self._spoken(what, concurrency, until, max_sessions)
        return _given(what, _block(self._run, work))

    def parity(self, what: Iterable[Utterance], *, over: str) -> Parity:
        """Whether utterances have the same text under another condition as alone.

        Each is spoken three times alone and three times ``over`` the condition:
        ``chunk`` is a fifth of the test's, ``pace`` four times its own (1 where it is
        unpaced), ``crowd`` eight sessions at a time, and ``repeat`` is nothing but once
        more. The test fails by it at its end, as by a budget; budgets, and what the
        runs are compared by, do not count these sessions.
        """
        __tracebackhide__ = True
        return _block(self._run, self._alike(what, over))

    def _spoken(
        self,
        what: Utterance | Iterable[Utterance],
        concurrency: int,
        until: str | None,
        most: int,
    ) -> Coroutine[Any, Any, list[Take]]:
        """The work of speaking. What is wrong with it is raised at once."""
        __tracebackhide__ = True
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; it should be 1 or more")
        if until is None:
            if isinstance(what, Utterance):
                return self._hold([what], concurrency, alone=True)
            clips = list(what)
            self._doubt(clips)
            return self._hold(clips, concurrency)
        if until != "decided":
            raise ValueError(f"until={until!r} is not known; there is 'decided'")
        if isinstance(what, Utterance):
            raise ValueError(
                "until='decided' goes on over a list or a corpus; give one"
            )
        clips = list(what)
        return self._decide(clips, concurrency, self._order(clips, most))

    def _doubt(self, clips: Sequence[Utterance]) -> None:
        """Warn, before the first session, of what these can never prove.

        Those of a test that has spoken before are not all, and it may speak again.
        """
        if self._ledger.takes:
            return
        found = [
            f"{why}; give more utterances, or until='decided'"
            for budget in self._terms.budgets
            if budget.over is None and (why := unprovable(budget, len(clips)))
        ]
        few = too_few((clip.id, clip.speaker) for clip in clips if clip.text.strip())
        claimed = (each.confidence for each in self._terms.thresholds)
        if few and any(level is not None for level in claimed):
            found.append(f"wer_threshold can never be proven: {few}")
        for text in found:
            warnings.warn(UndecidedWarning(text), stacklevel=4)

    async def _hold(
        self, utterances: Sequence[Utterance], concurrency: int, *, alone: bool = False
    ) -> list[Take]:
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        free = asyncio.Semaphore(concurrency)
        takes: list[Take | None] = [None] * len(utterances)
        spares = _spares(len(utterances))

        async def one(index: int, utterance: Utterance) -> None:
            async with free:
                if index < concurrency:
                    await asyncio.sleep(index * self._plan.chunk / concurrency)
                takes[index] = await self._by_turns(
                    index, utterance, concurrency, spares, raised=alone
                )
                if not alone:
                    ended = sum(take is not None for take in takes)
                    self._run.tell(f"{ended}/{len(takes)} utterances")

        await _together(one(*each) for each in enumerate(utterances))
        self._run.tell("")
        return [take for take in takes if take is not None]

    async def _decide(
        self, clips: Sequence[Utterance], concurrency: int, order: Order
    ) -> list[Take]:
        """Clips by chance, till the budgets of the test are decided."""
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        self._ledger.order = order
        turns = enumerate(islice(_by_chance(clips, order.seed), order.most))
        takes: dict[int, Take] = {}
        known: dict[int, Transcription] = {}
        spares = _spares(order.most)
        over = False

        def enough(ended: Mapping[int, Take]) -> bool:
            for place in ended.keys() - known.keys():
                known[place] = ended[place].transcription
            held = [known[place] for place in ended]
            return decided(held, self._terms, order)

        async def some(index: int) -> None:
            nonlocal over
            await asyncio.sleep(index * self._plan.chunk / concurrency)
            while not over and (each := next(turns, None)) is not None:
                takes[each[0]] = await self._by_turns(*each, concurrency, spares)
                self._run.tell(f"{len(takes)} of at most {order.most} utterances")
                over = over or await asyncio.to_thread(enough, self._ended())

        await _together(some(index) for index in range(concurrency))
        self._run.tell("")
        return [takes[turn] for turn in sorted(takes)]

    def _ended(self) -> dict[int, Take]:
        """What was spoken for the test, by its place, up to the first that goes on."""
        ended: dict[int, Take] = {}
        for place, take in enumerate(self._ledger.takes):
            if take.purpose is Purpose.TEST:
                if place in self._ledger.open:
                    break
                ended[place] = take
        return ended

    def _order(self, clips: Sequence[Utterance], most: int) -> Order:
        """The order of chance of the test. Raises ValueError where it decides nothing.

        It is the same whenever the test runs.
        """
        __tracebackhide__ = True
        budgets = in_order(self._terms)
        if not clips or not budgets:
            wanted = "a budget with a quantile, such as p95=" if clips else "utterances"
            raise ValueError(f"until='decided' has nothing to decide: give {wanted}")
        if self._ledger.takes:
            raise ValueError(
                "until='decided' is the first in its test to speak: what was spoken "
                "before did not come by chance"
            )
        if hopeless := [
            why for each in budgets if (why := unprovable(each, most, in_order=True))
        ]:
            raise ValueError(f"{hopeless[0]}; give max_sessions=, or another budget")
        digest = hashlib.sha256(self._ledger.test.encode()).hexdigest()
        return Order(int(digest[:8], 16), most)

    async def _by_turns(
        self,
        turn: int,
        utterance: Utterance,
        concurrency: int,
        spares: Iterator[int],
        *,
        raised: bool = False,
    ) -> Take:
        """An utterance in a session of its own, and in one with the baseline.

        Which of the two is first changes from turn to turn.
        """

        async def theirs() -> None:
            if self._baseline is not None:
                await self._session(
                    utterance,
                    self._baseline,
                    concurrency,
                    spares,
                    purpose=Purpose.BASELINE,
                )

        if turn % 2:
            await theirs()
        take = await self._session(
            utterance, self._plan, concurrency, spares, raised=raised
        )
        if not turn % 2:
            await theirs()
        return take

    async def _session(
        self,
        utterance: Utterance,
        plan: Plan,
        concurrency: int,
        spares: Iterator[int] = _NO_SPARES,
        *,
        raised: bool = False,
        purpose: Purpose = Purpose.TEST,
        again: bool = False,
    ) -> Take:
        """An utterance in a session of its own.

        One that the instrument disturbed is run once more, with one of the ``spares``,
        whatever it measured: a second try for slow ones alone would flatter the server.
        """
        live = self._run.session(self._ledger, plan)
        begun = Take(
            live,
            0,
            utterance,
            raised=raised,
            conditions=self._run.conditions(plan, concurrency=concurrency),
            purpose=purpose,
            again=again,
        )
        place = self._run.begun(self._ledger, begun)
        held = await run_utterance(live, utterance)
        take = replace(begun, lost=held.lost, reason=held.reason)
        aside = (
            not again
            and self._tolerance is not None
            and await asyncio.to_thread(take.disturbed, self._tolerance)
            and next(spares, None) is not None
        )
        if aside:
            take = replace(take, purpose=Purpose.DISTURBED)
        await asyncio.to_thread(self._run.ended, self._ledger, place, take)
        if not aside:
            return take
        return await self._session(
            utterance, plan, concurrency, raised=raised, purpose=purpose, again=True
        )

    def _alike(
        self, what: Iterable[Utterance], over: str
    ) -> Coroutine[Any, Any, Parity]:
        """The work of looking for parity. What is wrong with it is raised at once."""
        __tracebackhide__ = True
        if over not in list(Condition):
            raise ValueError(
                f"over={over!r} is not known; there are {', '.join(Condition)}"
            )
        clips = {utterance.id: utterance for utterance in what}
        if not clips:
            raise ValueError("parity of no utterances says nothing; give some")
        return self._parity(clips, Condition(over))

    async def _parity(self, clips: Mapping[str, Utterance], over: Condition) -> Parity:
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        alone = await self._texts(clips.values(), self._plan, 1)
        plan, concurrency = self._plan, 1
        match over:
            case Condition.CHUNK:
                plan = replace(plan, chunk=max(0.001, _SHORTER * plan.chunk))
            case Condition.PACE:
                plan = replace(plan, pace=_FASTER * plan.pace or 1.0)
            case Condition.CROWD:
                concurrency = CROWD
        then = await self._texts(clips.values(), plan, concurrency)
        found = parity.judge(
            over,
            [Clip(clip, alone[id], then[id]) for id, clip in clips.items()],
        )
        self._ledger.parities.append(found)
        return found

    async def _texts(
        self, clips: Iterable[Utterance], plan: Plan, concurrency: int
    ) -> dict[str, tuple[str | LostSession, ...]]:
        """The texts that each clip had, spoken several times."""
        free = asyncio.Semaphore(concurrency)
        spoken = [clip for _ in range(REPEATS) for clip in clips]
        ended = 0

        async def one(clip: Utterance) -> tuple[str, str | LostSession]:
            nonlocal ended
            async with free:
                take = await self._session(
                    clip, plan, concurrency, purpose=Purpose.PARITY
                )
            ended += 1
            self._run.tell(f"{ended}/{len(spoken)} utterances")
            text = await asyncio.to_thread(lambda: take.transcription.text)
            text = plan.redactor.clean(text)  # before a normaliser spells it anew
            return clip.id, LostSession(take.lost, take.reason) if take.lost else text

        texts = await _together(map(one, spoken))
        self._run.tell("")
        return {
            clip.id: tuple(text for id, text in texts if id == clip.id)
            for clip in clips
        }


def _spares(sessions: int) -> Iterator[int]:
    """One for each session of a call that may be run again; several may take of it."""
    return iter(range(max(1, sessions // AGAIN)))


def _by_chance(clips: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """All clips again and again, each time in another order."""
    chance = random.Random(seed)
    while True:
        yield from chance.sample(clips, len(clips))


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of these give; the first that raises ends all, and is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(work) for work in works]
    except ExceptionGroup as group:  # such as audio that cannot be decoded
        raise group.exceptions[0] from None
    return [task.result() for task in made]


def _block(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """Run on the loop; errors of a server or a test are raised without our frames."""
    __tracebackhide__ = True
    try:
        return run.loop.run(work)
    except (Lost, Ended) as error:
        raise error.with_traceback(None) from None


async def _await(run: Run, work: Coroutine[Any, Any, T]) -> T:
    """As `_block`, for a test that has a loop of its own."""
    __tracebackhide__ = True
    try:
        return await run.loop.wait(work)
    except (Lost, Ended) as error:
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
