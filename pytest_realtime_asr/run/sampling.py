"""Sends the utterances of a test to a server, each in a session of its own.

The coroutines of this module run on the event loop of the run. None of them raises
`Lost`: a lost session becomes a transcription whose field ``lost`` is set.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import warnings
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from pytest_realtime_asr.client.meter import Meter
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import (
    Begun,
    Purpose,
    Transcription,
    run_session,
)
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.run.audio_account import AudioLimit
from pytest_realtime_asr.run.forecast import CallProgress, expected, reporting
from pytest_realtime_asr.run.ledger import Ledger, RandomOrder
from pytest_realtime_asr.run.results import decided, sequential_budgets
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.verdicts import parity
from pytest_realtime_asr.verdicts.client_delay import tolerance
from pytest_realtime_asr.verdicts.parity import (
    REPEATS,
    Clip,
    Condition,
    LostSession,
    Parity,
)
from pytest_realtime_asr.verdicts.recall import missing_keywords
from pytest_realtime_asr.verdicts.sequential import unprovable
from pytest_realtime_asr.verdicts.verdict import UndecidedWarning
from pytest_realtime_asr.verdicts.wer import too_few

CROWD = 8  # concurrent sessions of parity over a crowd
RETRY_SHARE = 10  # sessions of a call for each retry of a disturbed session
_FASTER = 4.0  # the factor for the pace of the test, for parity over pace
_SHORTER = 0.2  # the factor for the chunk of the test, for parity over chunk

_NO_RETRIES: Iterator[int] = iter(())

T = TypeVar("T")


class Sampling:
    """Sends the utterances of one test.

    ``baseline`` is the plan for another server. `each` and `until_decided` also send
    their utterances to this server.
    """

    def __init__(
        self, run: Run, plan: Plan, terms: Terms, *, baseline: Plan | None = None
    ) -> None:
        self._run = run
        self._ledger: Ledger = run.ledger
        self._plan = plan
        self._terms = terms
        self._baseline = baseline
        self._tolerance = tolerance(
            terms.budgets, pace=terms.pace, parallel=terms.parallel
        )

    @property
    def limits_wer(self) -> bool:
        """Whether the test has a limit on the word error rate."""
        return bool(self._terms.thresholds)

    def warn_of_unprovable(self, clips: Sequence[Utterance]) -> None:
        """Warn of limits that this number of utterances cannot prove.

        There is no warning if the test has already sent utterances, since those count
        for its limits too.
        """
        if self._ledger.begun:
            return
        found = [
            f"{why}; give more utterances, or until='decided'"
            for budget in self._terms.budgets
            if budget.over is None and (why := unprovable(budget, len(clips)))
        ]
        few = too_few((each.clip, each.speaker) for each in clips if each.text.strip())
        claimed = (each.confidence for each in self._terms.thresholds)
        if few is not None and any(level is not None for level in claimed):
            of = "speakers" if few.speakers else "utterances"
            found.append(
                f"these utterances cannot prove wer_threshold: at least {few.least} "
                f"{of} are needed; give more {of}"
            )
        found += [
            "these utterances cannot prove keyword_recall: "
            f"{several(missing, 'more keyword')} must be said; give more utterances"
            for threshold in self._terms.recalls
            if (missing := missing_keywords(threshold, clips))
        ]
        for text in found:
            warnings.warn(UndecidedWarning(text), stacklevel=4)

    def random_order(self, clips: Sequence[Utterance], most: int) -> RandomOrder:
        """Return the random order of the test; it is the same in every run.

        Raises ValueError if this order cannot decide the budgets of the test.
        """
        __tracebackhide__ = True
        budgets = sequential_budgets(self._terms)
        if not clips or not budgets:
            wanted = "a budget with a quantile, such as p95=" if clips else "utterances"
            raise ValueError(f"until='decided' has nothing to decide: give {wanted}")
        if self._ledger.begun:
            raise ValueError(
                "a call with until='decided' must be the first call of its test that "
                "sends utterances, since other calls do not use a random order"
            )
        if hopeless := [
            why for each in budgets if (why := unprovable(each, most, in_order=True))
        ]:
            raise ValueError(
                f"{hopeless[0]}; give a larger max_sessions=, or another budget"
            )
        digest = hashlib.sha256(self._ledger.test.encode()).hexdigest()
        return RandomOrder(int(digest[:8], 16), most)

    async def each(
        self, utterances: Sequence[Utterance], concurrency: int, *, alone: bool = False
    ) -> list[Transcription]:
        """Send each utterance once and return the transcriptions in the same order.

        ``concurrency`` is the number of sessions that run at a time. Their starts are
        spread evenly over the length of a chunk. ``alone`` says that there is only one
        utterance, and that the caller raises `Lost` if this utterance is lost.
        """
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        free = asyncio.Semaphore(concurrency)
        takes: list[Transcription | None] = [None] * len(utterances)
        retries = _retries(len(utterances))
        progress = await asyncio.to_thread(self._progress, utterances, concurrency)

        async def one(index: int, utterance: Utterance, meter: Meter) -> None:
            async with free:
                if index < concurrency:
                    await asyncio.sleep(index * self._plan.chunk / concurrency)
                takes[index] = await self._in_turns(
                    index, utterance, concurrency, retries, meter, raised=alone
                )
                progress.end(index)

        with self._reserved(utterances) as meter:
            sending = _together(one(*each, meter) for each in enumerate(utterances))
            if alone:
                await sending
            else:
                async with reporting(self._run.progress, lambda: str(progress)):
                    await sending
        return [take for take in takes if take is not None]

    async def until_decided(
        self, clips: Sequence[Utterance], concurrency: int, order: RandomOrder
    ) -> list[Transcription]:
        """Send clips in random order until the budgets of the test are decided.

        Return the transcriptions in the order in which their sessions were started.
        """
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        self._ledger.order = order
        turns = enumerate(islice(_shuffled(clips, order.seed), order.most))
        takes: dict[int, Transcription] = {}
        retries = _retries(order.most)
        over = False

        async def some(index: int) -> None:
            nonlocal over
            await asyncio.sleep(index * self._plan.chunk / concurrency)
            while not over and (each := next(turns, None)) is not None:
                try:
                    with self._reserved(each[1:]) as meter:
                        takes[each[0]] = await self._in_turns(
                            *each, concurrency, retries, meter
                        )
                except AudioLimit as error:
                    if not takes:
                        raise
                    self._run.warn(f"{self._ledger.test}: {error}")
                    over = True
                    return
                self._run.progress(f"{len(takes)} of at most {order.most} utterances")
                ended = [take for _, take in self._ledger.sequence]
                enough = await asyncio.to_thread(decided, ended, self._terms, order)
                over = over or enough

        await _together(some(index) for index in range(concurrency))
        self._run.progress("")
        return [takes[turn] for turn in sorted(takes)]

    async def parity(self, clips: Mapping[str, Utterance], over: Condition) -> Parity:
        """Compare the solo transcripts of clips to their texts under a condition."""
        await asyncio.to_thread(self._run.take_turn, self._ledger)
        sent = list(clips.values())
        with self._reserved(sent, times=2 * REPEATS, baseline=False) as meter:
            return await self._parity(clips, sent, over, meter)

    async def _parity(
        self,
        clips: Mapping[str, Utterance],
        sent: Sequence[Utterance],
        over: Condition,
        meter: Meter,
    ) -> Parity:
        plan, concurrency = replace(self._plan, meter=meter), 1
        alone = await self._texts(sent, plan, concurrency)
        match over:
            case Condition.CHUNK:
                plan = replace(plan, chunk=max(0.001, _SHORTER * plan.chunk))
            case Condition.PACE:
                plan = replace(plan, pace=_FASTER * plan.pace or 1.0)
            case Condition.CROWD:
                concurrency = CROWD
        then = await self._texts(sent, plan, concurrency)
        found = parity.judge(
            over,
            [Clip(clip, alone[id], then[id]) for id, clip in clips.items()],
        )
        self._ledger.parities.append(found)
        return found

    async def _texts(
        self, clips: Sequence[Utterance], plan: Plan, concurrency: int
    ) -> dict[str, tuple[str | LostSession, ...]]:
        """Send each clip `REPEATS` times and return the texts by clip id."""
        free = asyncio.Semaphore(concurrency)
        sent = [clip for _ in range(REPEATS) for clip in clips]
        ended = 0

        async def one(clip: Utterance) -> tuple[str, str | LostSession]:
            nonlocal ended
            async with free:
                take = await self._session(
                    clip, plan, concurrency, purpose=Purpose.PARITY
                )
            ended += 1
            self._run.progress(f"{ended}/{len(sent)} utterances")
            if take.lost:
                return clip.id, LostSession(take.lost, take.reason)
            text = await asyncio.to_thread(lambda: take.text)
            return clip.id, plan.redactor.clean(text)  # before a normaliser changes it

        texts = await _together(map(one, sent))
        self._run.progress("")
        return {
            clip.id: tuple(text for id, text in texts if id == clip.id)
            for clip in clips
        }

    def _progress(
        self, utterances: Sequence[Utterance], concurrency: int
    ) -> CallProgress:
        """Return the progress of sending utterances; their lengths are read first."""
        servers = 1 if self._baseline is None else 2
        seconds = expected(utterances, pace=self._plan.pace, servers=servers)
        return CallProgress(len(utterances), seconds, at_once=concurrency)

    @contextmanager
    def _reserved(
        self,
        utterances: Sequence[Utterance],
        *,
        times: int = 1,
        baseline: bool = True,
    ) -> Iterator[Meter]:
        """Reserve the audio of utterances, and return the meter of their sessions.

        Without an audio limit, nothing is reserved, so that no audio file is opened
        early. Raises `AudioLimit`.
        """
        account = self._run.account
        if account.limit is None:
            yield account.meter
            return
        servers = 2 if baseline and self._baseline is not None else 1
        seconds = times * servers * sum(each.duration for each in utterances)
        what = several(times * servers * len(utterances), "utterance")
        with account.reserved(seconds, what) as meter:
            yield meter

    def _may_repeat(self, utterance: Utterance) -> bool:
        """Return whether an utterance can be sent once more within the audio limit."""
        try:
            with self._reserved([utterance], baseline=False):
                return True
        except AudioLimit:
            return False

    async def _in_turns(
        self,
        turn: int,
        utterance: Utterance,
        concurrency: int,
        retries: Iterator[int],
        meter: Meter,
        *,
        raised: bool = False,
    ) -> Transcription:
        """Send an utterance to the target and, if there is a baseline, to the baseline.

        Return the transcription of the target. The turns are counted from 0. In even
        turns, the target is first; in odd turns, the baseline is first.
        """

        async def baseline() -> None:
            if self._baseline is not None:
                await self._session(
                    utterance,
                    replace(self._baseline, meter=meter),
                    concurrency,
                    retries,
                    purpose=Purpose.BASELINE,
                )

        if turn % 2:
            await baseline()
        plan = replace(self._plan, meter=meter)
        take = await self._session(utterance, plan, concurrency, retries, raised=raised)
        if not turn % 2:
            await baseline()
        return take

    async def _session(
        self,
        utterance: Utterance,
        plan: Plan,
        concurrency: int,
        retries: Iterator[int] = _NO_RETRIES,
        *,
        raised: bool = False,
        purpose: Purpose = Purpose.TEST,
        again: bool = False,
    ) -> Transcription:
        """Send an utterance in a session of its own and return its transcription.

        If the previous session was cut off, the method first waits for the server.

        The session is run once more, and the second transcription is returned, in two
        cases. In the first, the client disturbed the session and one of the ``retries``
        is left. In the second, the server refused the key, and the key was renewed.
        Whether a session is retried does not depend on the measured latency: to retry
        only slow sessions would favour the server.
        """
        recovery = self._run.servers.recovery
        await recovery.wait(plan.access)
        begun = Begun(
            self._run.session(self._ledger, plan),
            utterance.in_language(self._run.config.language),
            raised=raised,
            conditions=self._run.conditions(plan, utterance, concurrency=concurrency),
            purpose=purpose,
            again=again,
        )
        place = self._ledger.begin(begun)
        lost = await run_session(begun.live, utterance)
        take = await asyncio.to_thread(begun.ended, lost)
        recovery.note(plan.access, take.trace)
        retry = (
            not again
            and (
                begun.live.key_renewed
                or (
                    await asyncio.to_thread(self._disturbed, take)
                    and next(retries, None) is not None
                )
            )
            and self._may_repeat(utterance)
        )
        if retry:
            take = replace(take, purpose=Purpose.DISTURBED)
        await asyncio.to_thread(self._run.ended, self._ledger, place, take)
        if not retry:
            return take
        return await self._session(
            utterance, plan, concurrency, raised=raised, purpose=purpose, again=True
        )

    def _disturbed(self, take: Transcription) -> bool:
        """Return whether the client's own delay was above the tolerance of the budgets.

        A lost session does not count as disturbed, since a delay postpones an answer
        but does not lose it.
        """
        if self._tolerance is None or take.lost:
            return False
        return take.client_state.disturbed(self._tolerance)


def _retries(sessions: int) -> Iterator[int]:
    """Return an iterator over the retries that the sessions of a call share."""
    return iter(range(max(1, sessions // RETRY_SHARE)))


def _shuffled(clips: Sequence[Utterance], seed: int) -> Iterator[Utterance]:
    """Yield all clips repeatedly, without end, each time in a new random order."""
    source = random.Random(seed)
    while True:
        yield from source.sample(clips, len(clips))


async def _together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run the coroutines concurrently and return their results in the same order.

    The first error cancels all other coroutines and is raised.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            made = [tasks.create_task(work) for work in works]
    except ExceptionGroup as group:  # such as audio that cannot be decoded
        raise group.exceptions[0] from None
    return [task.result() for task in made]
