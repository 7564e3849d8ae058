"""The method `Realtime.drain`: its arguments and its plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import arguments, drain_run
from pytest_realtime_asr.load.arguments import Duration
from pytest_realtime_asr.load.cost import LoadCost
from pytest_realtime_asr.load.drain import Drain
from pytest_realtime_asr.run import load_preflight
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.run.load_sessions import LoadSessions
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.text.number_format import several


def drain(
    run: Run,
    ledger: Ledger,
    plan: Plan,
    what: Iterable[Utterance],
    *,
    streams: int,
    stop: Callable[[], object],
    grace: Duration,
    seed: int,
) -> Coroutine[Any, Any, Drain]:
    """Return the coroutine of `Realtime.drain`.

    Raises ValueError for wrong arguments, before the coroutine is awaited. The
    coroutine raises `LoadRefused` if the options of the run do not allow the load.
    """
    clips = list(what)
    if not clips:
        raise ValueError("drain has no utterances to send; give one or more")
    if not callable(stop):
        raise ValueError(
            f"stop={stop!r} cannot be called; give a function that tells the server to "
            "stop, such as one that sends SIGTERM to the server process"
        )
    return _drain(
        run,
        ledger,
        plan,
        clips,
        arguments.whole("streams", streams, 1, arguments.MOST_STREAMS),
        stop,
        arguments.seconds("grace", grace, least=0.1),
        arguments.whole("seed", seed, 0, arguments.MOST_SEED),
    )


async def _drain(
    run: Run,
    ledger: Ledger,
    plan: Plan,
    clips: list[Utterance],
    streams: int,
    stop: Callable[[], object],
    grace: float,
    seed: int,
) -> Drain:
    await asyncio.to_thread(run.take_turn, ledger)
    # A server may be silent for the whole grace before it closes a session.
    silence = max(plan.limits.silence, grace)
    plan = replace(plan, limits=replace(plan.limits, silence=silence))
    longest = await asyncio.to_thread(lambda: max(clip.duration for clip in clips))
    audio = streams * longest
    load_preflight.refuse(run, plan, LoadCost(streams, audio, longest + grace))
    with run.account.reserved(audio, several(streams, "stream")) as meter:
        plan = replace(plan, meter=meter)
        sessions = LoadSessions(
            run, ledger, plan, purpose=Purpose.DRAIN, concurrency=streams
        )
        found = await drain_run.run(
            clips,
            sessions.speaking,
            plan.access,
            rate=plan.caller.rate,
            streams=streams,
            stop=stop,
            grace=grace,
            seed=seed,
        )
    ledger.load_findings.append(found)
    return found
