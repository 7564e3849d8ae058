"""The sessions that a test opens before a shutdown, or beside the load of a soak."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Begun, Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.run.ledger import CUT_OFF, Ledger
from pytest_realtime_asr.run.run import Run


class LoadSessions:
    """Makes sessions of a test, and records the utterance of each session.

    ``concurrency`` is the number of sessions that run at a time.
    """

    def __init__(
        self,
        run: Run,
        ledger: Ledger,
        plan: Plan,
        *,
        purpose: Purpose,
        concurrency: int,
    ) -> None:
        self._run = run
        self._ledger = ledger
        self._plan = plan
        self._purpose = purpose
        self._concurrency = concurrency

    def silent(self) -> Live:
        """Return a session that sends no audio; it is closed at the end of the test."""
        return self._run.session(self._ledger, self._plan)

    @asynccontextmanager
    async def speaking(self, utterance: Utterance) -> AsyncIterator[Live]:
        """Make a session in which an ``async with`` block sends one utterance.

        The block opens the session. At the end of the block, the session is closed and
        its result is recorded. If the block raises `Lost`, the utterance is recorded as
        lost and the error is suppressed.
        """
        run, plan = self._run, self._plan
        begun = Begun(
            run.session(self._ledger, plan),
            utterance.in_language(run.config.language),
            conditions=run.conditions(plan, utterance, concurrency=self._concurrency),
            purpose=self._purpose,
        )
        place = self._ledger.begin(begun)
        lost: Lost | None = None
        try:
            yield begun.live
        except Lost as error:
            lost = error
        except asyncio.CancelledError:
            if begun.live.timeline.item(begun.item).final is None:
                lost = CUT_OFF
            raise
        finally:
            await begun.live.close()
            take = await asyncio.to_thread(begun.ended, lost)
            await asyncio.to_thread(run.ended, self._ledger, place, take)
