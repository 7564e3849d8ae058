"""Sends one utterance in one session, and keeps what became of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.metrics.pacing import client_state
from pytest_realtime_asr.run.ledger import Purpose, Transcription
from pytest_realtime_asr.verdicts.utterance_record import Conditions


@dataclass(frozen=True, slots=True)
class Take:
    """An utterance that was started in a session, as its item ``item``."""

    live: Live
    item: int
    utterance: Utterance
    lost: str = ""
    reason: str = ""
    raised: bool = False
    conditions: Conditions = field(default=Conditions())
    purpose: Purpose = Purpose.TEST
    again: bool = False

    @property
    def transcription(self) -> Transcription:
        """What became of the utterance so far."""
        trace = self.live.trace
        dialect = self.live.plan.dialect
        timeline = dialects.read(dialect, trace).item(self.item)
        return Transcription(
            utterance=self.utterance,
            timeline=timeline,
            trace=trace,
            dialect=dialect,
            rules=self.live.plan.rules,
            found=self.live.plan.found,
            item=self.item,
            lost=self.lost,
            reason=self.reason,
            raised=self.raised,
            conditions=self.conditions,
            purpose=self.purpose,
            again=self.again,
        )

    def disturbed(self, tolerance: float) -> bool:
        """Whether the instrument was later in it than ``tolerance`` ms, or overloaded.

        A lost session is not: lateness delays an answer, it does not take one away.
        """
        if self.lost:
            return False
        return client_state(self.transcription.timeline).disturbed(tolerance)


async def run_utterance(live: Live, utterance: Utterance) -> Take:
    """Run one session with one utterance; a loss is recorded and not raised."""
    audio = await prepare(live, utterance)
    lost = reason = ""
    try:
        await live.open()
        await live.configure()
        await live.transcribe(audio, utterance.id)
    except Lost as error:
        lost, reason = error.how, str(error)
    finally:
        await live.close()
    return Take(live, 0, utterance, lost, reason)


async def prepare(live: Live, utterance: Utterance) -> Audio:
    """Return the audio at the rate of the session, decoded outside the event loop."""
    rate = live.plan.caller.rate
    return await asyncio.to_thread(lambda: utterance.audio.resample(rate))
