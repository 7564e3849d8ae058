"""One session under load: the part that runs on the event loop, and its judging.

The event loop only sends and reads. A session that has ended becomes a `Sent`, which
can be pickled, so that another process can judge it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_decoded
from pytest_realtime_asr.load.clock import Clock
from pytest_realtime_asr.load.executor import Clip
from pytest_realtime_asr.load.row import Found, Opened, Row, refusal_code
from pytest_realtime_asr.load.schedule import Turn
from pytest_realtime_asr.load.workload import Phase
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Trace

STOPPED = "the level was stopped before the session ended"
_BARE = Redactor()


@dataclass(frozen=True, slots=True)
class Sent:
    """A session that has ended and is not yet judged.

    The times have the same meaning as in `Row`. ``trace`` may contain secrets. It has
    no redactor, since the process that judges the session has its own.
    """

    turn: Turn
    phase: Phase
    began: float
    ended: float
    trace: Trace = field(repr=False)
    lost: Loss = Loss.NONE
    reason: str = ""


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
) -> Sent:
    """Run the session that ``turn`` plans; the session sends ``clip``.

    If the task is cancelled while ``stopped()`` is true, the session is cut off and
    counts as cancelled. ``pings`` has the same meaning as in `Live`.
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
    return Sent(
        turn,
        phase,
        began,
        clock.now,
        replace(live.trace, redactor=_BARE),
        Loss.NONE if lost is None else lost.how,
        "" if lost is None else str(lost),
    )


def transcription(sent: Sent, clip: Clip, plan: Plan) -> Transcription:
    """Return the transcription of a session that sent ``clip``, with its recording."""
    trace = replace(sent.trace, redactor=plan.redactor)
    return Transcription(
        utterance=clip.utterance,
        recording=dialects.recording(plan.dialect, trace),
        dialect=plan.dialect,
        rules=plan.rules,
        lost=sent.lost,
        reason=sent.reason,
    )


def row(sent: Sent, take: Transcription, *, clip: str, worker: int = 0) -> Row:
    """Judge a session and return its row, without the trace.

    ``take`` is the transcription of the session, and ``clip`` is the id of its
    utterance before the variation. Judging takes milliseconds of CPU time.
    """
    turn, utterance = sent.turn, take.utterance
    measured, trace = take.measured, take.trace
    timeline = take.timeline
    return Row(
        stream=turn.stream,
        number=turn.number,
        clip=clip,
        perturbation=utterance.perturbation,
        phase=sent.phase,
        due=turn.due,
        began=sent.began,
        speech=turn.due,
        planned=turn.planned,
        ended=sent.ended,
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
        refusal=refusal_code(timeline),
    )
