"""Sessions under load and levels, as values, for tests without a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Measured
from pytest_realtime_asr.load.behaviour import Behaviour, Beyond
from pytest_realtime_asr.load.capacity import (
    Capacity,
    Edge,
    LimitedBy,
    Setting,
    Tried,
)
from pytest_realtime_asr.load.decision import Decision, LimitDecision
from pytest_realtime_asr.load.error_budget import ANY_RISK
from pytest_realtime_asr.load.level import Level, Witness
from pytest_realtime_asr.load.row import Found, Opened, Row
from pytest_realtime_asr.load.trials import Step, Task, Trial
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.metrics import CATALOGUE
from pytest_realtime_asr.metrics.pacing import ClientState, Counts
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.servers import CLIP

BEGAN = datetime(2026, 11, 29, 12, tzinfo=UTC)
HELD = Load(streams=4, hold=10.0, ramp=1.0, seed=3)


def row(number: int = 0, final: float | None = 300.0, **changes: Any) -> Row:
    """Return a session that began ``number`` s after the level did.

    ``final`` is its ``final_from_commit`` in ms; with ``None``, the session hung.
    """
    lost = Loss.HUNG if final is None else Loss.NONE
    values: Mapping[str, float | None] = dict.fromkeys(CATALOGUE)
    given: dict[str, Any] = {
        "stream": number % 4,
        "number": number,
        "clip": CLIP.id,
        "perturbation": "",
        "phase": Phase.STEADY,
        "due": float(number),
        "began": float(number),
        "speech": number + 0.1,
        "planned": number + 1.8,
        "ended": number + 2.1,
        "opened": Opened(BEGAN, 5_000_000, End(Ending.CLOSED_BY_US, 2_000_000_000)),
        "measured": Measured(
            session=f"sess-{number}",
            text="" if lost else CLIP.text,
            metrics={**values, "final_from_commit": final},
            premature={},
            counts=Counts(26_720, 1.67, 53_440, None, None, None),
            usage=None,
            client_state=ClientState(),
            scheduling_delay=0.0,
            audio=CLIP.audio.digest,
        ),
        "lost": lost,
        "reason": "no event for 30 s" if lost else "",
    }
    return Row(**{**given, **changes})


def level(rows: Sequence[Row], load: Load = HELD, **changes: Any) -> Level:
    """Return a level of these sessions."""
    given: dict[str, Any] = {"number": 1, "started": BEGAN, "seconds": 12.0}
    return Level(load=load, rows=tuple(rows), **{**given, **changes})


def broken(requirement: str) -> tuple[Found, ...]:
    """Return the violation of a requirement, as a session under load has it."""
    return (Found(requirement, "it is violated", 1, None),)


def decided(level: Level, verdict: Verdict = Verdict.PASS, over: int = 0) -> Decision:
    """Return the decision of a limit of the latency on a level."""
    limit = LimitDecision(
        "final_from_commit p95",
        800.0,
        verdict,
        n=60,
        observed=300.0 + 100 * over,
        excess=over / 3,
        over=over,
    )
    return Decision(level.streams, verdict, limits=(limit,))


def tried(
    streams: int,
    verdict: Verdict = Verdict.PASS,
    over: int = 0,
    *,
    step: Step = Step.CONFIRM,
    final: float = 300.0,
) -> Tried:
    """Return a level of a search."""
    seen = Witness(before=(row(0, 210.0),), through=(row(1, final),))
    made = level([row(0, final)], replace(HELD, streams=streams), witness=seen)
    task = Task(step, streams, 10.0, ANY_RISK)
    return Tried(Trial(task, decided(made, verdict, over)), made)


SETTING = Setting(
    talk=0.6, clip=2.7, longest=4.1, chunk=0.1, ramp=10.0, hold=60.0, confirm=300.0
)


def capacity(**changes: Any) -> Capacity:
    """Return a capacity of 37 streams, with a level there and one above."""
    missed = tried(40, Verdict.FAIL, 9, step=Step.ABOVE, final=1200.0)
    given: dict[str, Any] = {
        "streams": 37,
        "interval": (37, 40),
        "confirmed": True,
        "binding": missed.decision.binding,
        "limited_by": LimitedBy.SERVER,
        "setting": SETTING,
        "levels": (tried(37, final=640.0), missed),
        "beyond": Beyond(56, 37, (Behaviour.QUEUES,), recovery=4200.0),
        "edge": Edge.SLOPE,
    }
    return Capacity(**{**given, **changes})
