"""The preflight of a load: what the machine, the workers and the server lack for it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.load.cost import LoadCost
from pytest_realtime_asr.load.machine import this_machine
from pytest_realtime_asr.load.permission import load_refusal
from pytest_realtime_asr.load.preflight import Finding, preflight
from pytest_realtime_asr.load.runner import PER_WORKER
from pytest_realtime_asr.load.server_metrics import Gauge, Unreadable, read
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.run.audio_account import NotSent
from pytest_realtime_asr.run.run import Run


class LoadRefused(NotSent):
    """The error for a load that the options of the run do not allow."""


def findings(
    run: Run, plan: Plan, load: Load, clips: Sequence[float]
) -> tuple[Finding, ...]:
    """Return what the machine, the workers or the server lack for a load.

    The first findings are those that would make the results of the load worthless.
    ``clips`` has the lengths of the clips in s. This client must not have an open
    session. Blocks for the time of one HTTP request.
    """
    return preflight(
        load,
        machine=this_machine(),
        clips=clips,
        workers=-(-load.streams // PER_WORKER),
        slots=run.executor.slots,
        sessions=_open_sessions(run, plan),
    )


def _open_sessions(run: Run, plan: Plan) -> float | None:
    """Return how many sessions the server has open; ``None`` if it does not say."""
    source = run.servers.metrics(plan)
    if source is None:
        return None
    try:
        return read(source).get(Gauge.SESSIONS)
    except Unreadable:  # the levels tell it
        return None


def refuse(run: Run, plan: Plan, cost: LoadCost, *, whole: bool = True) -> None:
    """Raise `LoadRefused` if the options of the run do not allow a load.

    ``whole`` says whether the load needs all the audio that ``cost`` states. If it is
    false, the load may end earlier.
    """
    why = load_refusal(
        cost,
        here=plan.access.target.loopback,
        allowed=run.config.load.allow,
        max_audio=run.config.max_audio,
        whole=whole,
    )
    if why is not None:
        raise LoadRefused(why)
