"""One session under load: it runs on the event loop and is judged on a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import (
    Begun,
    Transcription,
    run_decoded,
)
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.executor import Clip
from pytest_realtime_asr.load.row import Found, Opened, Row
from pytest_realtime_asr.load.schedule import Turn
from pytest_realtime_asr.load.workload import Phase

STOPPED = "the level was stopped before the session ended"


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that has ended and is not yet judged.

    ``clip`` is the clip as it was sent. The times are those of `Row`.
    """

    turn: Turn
    phase: Phase
    clip: Clip
    live: Live = field(repr=False)
    lost: Lost | None
    began: float
    ended: float


async def run(
    loop: Loop,
    plan: Plan,
    turn: Turn,
    clip: Clip,
    *,
    phase: Phase,
    clock: Clock,
    stopped: Callable[[], bool] = lambda: False,
    pings: bool = False,
) -> Ended:
    """Run the session of a turn, which sends ``clip``.

    If the task is cancelled while ``stopped()`` is true, the session is cut off and
    counts as cancelled. ``pings`` is as in `Live`.
    """
    live = Live(loop, plan, pings=pings)
    began = clock.now
    try:
        lost = await run_decoded(live, clip.audio, clip.utterance.id)
    except asyncio.CancelledError:
        await live.close()
        task = asyncio.current_task()
        if task is None or not stopped():
            raise
        task.uncancel()
        lost = Lost(Loss.CANCELLED, STOPPED)
    return Ended(turn, phase, clip, live, lost, began, clock.now)


def transcription(ended: Ended) -> Transcription:
    """Return the transcription of a session, with its recording."""
    return Begun(ended.live, ended.clip.utterance).ended(ended.lost)


def row(ended: Ended, take: Transcription, *, worker: int = 0) -> Row:
    """Judge a session and return its row, without the trace.

    ``take`` is the transcription of the session. This takes milliseconds of CPU time.
    """
    turn, utterance = ended.turn, ended.clip.utterance
    measured, trace = take.measured, take.trace
    timeline = take.timeline
    return Row(
        stream=turn.stream,
        number=turn.number,
        clip=utterance.clip,
        perturbation=utterance.perturbation,
        phase=ended.phase,
        due=turn.due,
        began=ended.began,
        speech=turn.due,
        planned=turn.planned,
        ended=ended.ended,
        opened=Opened(trace.started, trace.opened, trace.end, trace.port),
        measured=replace(measured, violations=()),
        lost=take.lost,
        reason=take.reason,
        partials=len(timeline.edits) - (timeline.final is not None),
        found=tuple(
            Found(
                each.requirement.id,
                each.message,
                each.count,
                each.record,
                ours=each.ours,
            )
            for each in measured.violations
        ),
        worker=worker,
    )
