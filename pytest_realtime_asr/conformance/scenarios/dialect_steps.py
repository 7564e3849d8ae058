"""The scenarios that a dialect describes as data: misuses and exercises."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.scenario import Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.scenario_steps import (
    Clip,
    Exercise,
    Misuse,
    Send,
    Speak,
    Until,
    Wait,
)
from pytest_realtime_asr.trace.records import Sender

HUSH = 1.5  # s of each silence in an exercise
LONGEST_IDLE = 14.0  # s that an exercise waits for the server to end a session
_LOOK = 0.01  # s between two checks for new records


def scenarios(dialect: Dialect) -> Iterator[Scenario]:
    """Yield the scenarios of the misuses and exercises of a dialect."""
    for misuse in dialect.misuses:
        yield Scenario(misuse.name, misuse.about, partial(_misuse, misuse=misuse))
    for exercise in dialect.exercises:
        sent = [step.clip for step in exercise.steps if isinstance(step, Speak)]
        silent = sent.count(Clip.SILENCE)
        sessions = 1 if exercise.beside is None else 2
        yield Scenario(
            exercise.name,
            exercise.about,
            partial(_exercise, exercise=exercise),
            sessions=sessions,
            streams=sessions,
            times=len(sent) - silent,
            seconds=silent * HUSH,
        )


async def _misuse(run: ScenarioRun, *, misuse: Misuse) -> None:
    live = await run.open(misuse.name, configure=misuse.configured)
    clip = run.clips.first
    if not misuse.speaking:
        await _send(run, live, misuse)
        if not misuse.configured:
            await live.configure()
        await run.transcribe(live, clip)
        return
    before, after = clips.halves(clip)
    item = await run.begin(live, clip)
    await live.stream(before.resample(run.caller.rate), clip.id)
    await _send(run, live, misuse)
    await live.stream(after.resample(run.caller.rate), clip.id)
    await live.finish()
    await run.final(live, item)


async def _send(run: ScenarioRun, live: Live, misuse: Misuse) -> None:
    for frame in misuse.frames:
        before = len(live.timeline.refusals)
        await live.send_raw(frame)
        await live.answered(before + 1, timeout=run.config.answer)


async def _exercise(run: ScenarioRun, *, exercise: Exercise) -> None:
    plan = run.config.plan
    try:
        live = await run.open(
            exercise.name,
            options={**plan.options, **exercise.options},
            pace=0.0 if exercise.brisk else plan.pace,
            keepalive=plan.keepalive and exercise.keepalive,
        )
    except Lost:
        if exercise.steps:
            raise
        return  # without steps, how the server refuses the session is the evidence
    if exercise.beside is not None:
        beside = {**plan.options, **exercise.beside}
        await run.open(f"{exercise.name}-beside", options=beside)
        await run.settle()  # for its set-up to arrive before the next frame
    unfinished: list[int] = []  # items that have no final yet
    for step in exercise.steps:
        match step:
            case Wait.SETTLED:
                await run.settle()
            case Wait.END:
                await run.wait_for_end(live, LONGEST_IDLE)
            case Wait.FINALS:
                while unfinished:
                    await run.final(live, unfinished.pop(0))
            case Send(frames=frames, answer=answer):
                for frame in frames:
                    before = _count(live, answer) if answer else 0
                    await live.send_raw(frame)
                    if answer:
                        await _wait_for(run, live, answer, before + 1)
            case Speak(clip=clip, until=Until.FINAL):
                live = await run.next(live)
                await run.transcribe(live, _utterance(run, clip))
            case Speak(clip=clip, until=until):
                live = await run.next(live)
                utterance = _utterance(run, clip)
                audio = await run.audio(utterance, live)
                item = await live.begin()
                await live.stream(audio, utterance.id)
                if until is Until.FINISH:
                    run.assign(live, item, utterance)
                    await live.finish()
                    unfinished.append(item)


def _utterance(run: ScenarioRun, clip: Clip) -> Utterance:
    match clip:
        case Clip.FIRST:
            return run.clips.first
        case Clip.SECOND:
            return run.clips.second
        case Clip.SILENCE:
            return clips.nothing(HUSH)


async def _wait_for(run: ScenarioRun, live: Live, move: str, count: int) -> None:
    """Wait until the server has sent ``count`` events of the type ``move``.

    The wait also ends when the session ends, or after the longest time that a scenario
    waits for a refusal.
    """
    try:
        async with asyncio.timeout(run.config.answer):
            while _count(live, move) < count and live.is_open:
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        pass  # the absence of the event is evidence


def _count(live: Live, move: str) -> int:
    """Return how many events of the type ``move`` the server has sent."""
    return sum(
        record.sender is Sender.SERVER and live.plan.dialect.parse(record).move == move
        for record in live.trace.records
    )
