"""Utterances of various lengths, and silent, empty, repeated and changed ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements.checks.texts import ALONE, usable
from pytest_realtime_asr.requirements.shared.keeping_up import (
    SPEECH_ALONE,
    falls_behind,
)

REPEATS = 5  # solo sessions of one clip, to show how much its texts vary
PAUSE = 4.0  # s without audio in the middle of an utterance
SILENCE = 4.0  # s, the length of an utterance of silence
LEAD = 1.5  # s of silence before a clip
FASTER = 4  # times the pace of the plan
LENGTHS = ("0.1s", "0.5s", "1s", "2s", "10s", "35s")
_LONG = ("10s", "35s")


async def _alone(run: ScenarioRun) -> None:
    """Send clips until two are recognised, then repeat the first recognised clip."""
    good: list[Utterance] = []
    for clip in run.clips.candidates:
        if usable(clip, await _in_new_session(run, ALONE, clip)):
            good.append(clip)
        if len(good) == 2:
            break
    for _ in range(REPEATS - 1):
        await _in_new_session(run, ALONE, good[0] if good else run.clips.first)


async def _in_new_session(
    run: ScenarioRun,
    role: str,
    clip: Utterance,
    *,
    pace: float | None = None,
    chunk: float | None = None,
) -> str:
    """Transcribe a clip in a new session; return the text of its final."""
    plan = run.config.plan
    live = await run.open(
        role,
        pace=plan.pace if pace is None else pace,
        chunk=plan.chunk if chunk is None else chunk,
    )
    text = await run.transcribe(live, clip)
    await live.close()
    return text


async def _utterances(run: ScenarioRun) -> None:
    live = await run.open("utterances")
    for clip in (run.clips.first, run.clips.second, run.clips.first):
        await run.transcribe(live, clip)
        # A second final must not be counted as the final of the next utterance.
        await run.settle()


def _seconds(name: str) -> float:
    """Return the length in s of the utterance, taken from the scenario's name."""
    return float(name.partition("s")[0])


async def _lasting(run: ScenarioRun, *, name: str) -> None:
    clip = run.clips.lasting(_seconds(name))
    live = await run.open(name)
    await run.transcribe(live, clip)
    await run.settle()


async def _empty(run: ScenarioRun) -> None:
    live = await run.open("empty")
    item = await run.begin(live, clips.nothing(0.0))
    await live.finish()
    try:
        await run.final(live, item)
    except Lost as error:
        if error.how is not Loss.REFUSED:  # refusing an empty utterance is allowed
            raise
    await run.transcribe(live, run.clips.first)


async def _silence(run: ScenarioRun) -> None:
    live = await run.open("silence")
    await run.transcribe(live, clips.nothing(SILENCE))
    await run.transcribe(live, run.clips.first)


async def _pause(run: ScenarioRun) -> None:
    live = await run.open("pause")
    item = await run.begin(live, run.clips.both())
    await live.stream(await run.audio(run.clips.first), run.clips.first.id)
    await run.wait(PAUSE)
    await live.stream(await run.audio(run.clips.second), run.clips.second.id)
    await live.finish()
    await run.final(live, item)


async def _related(
    run: ScenarioRun,
    *,
    role: str,
    change: Callable[[Utterance], Utterance] = lambda clip: clip,
    chunk: float | None = None,
    faster: int = 1,
) -> None:
    """Send a changed clip twice, and a third time if the first two texts differ."""
    clip = await asyncio.to_thread(change, run.clips.first)
    pace = run.config.plan.pace * faster
    texts = [
        await _in_new_session(run, role, clip, pace=pace, chunk=chunk) for _ in range(2)
    ]
    if len(set(texts)) > 1:
        await _in_new_session(run, role, clip, pace=pace, chunk=chunk)


async def _again(run: ScenarioRun) -> None:
    live = await run.open("again")
    for clip in (run.clips.second, run.clips.first, run.clips.first):
        await run.transcribe(live, clip)
        await run.settle()


ALONE_FIRST = Scenario(
    ALONE,
    "clips that are sent one after the other, each in a session of its own; one of "
    "them is sent five times",
    _alone,
    concurrency=Concurrency.FIRST,
    sessions=clips.CANDIDATES + REPEATS - 1,
    times=clips.CANDIDATES + REPEATS - 1,
)
OF_LENGTH = tuple(
    Scenario(
        name,
        f"an utterance of {name}",
        partial(_lasting, name=name),
        concurrency=Concurrency.LONG_RUNNING if name in _LONG else Concurrency.PARALLEL,
        times=0,
        seconds=_seconds(name),
    )
    for name in LENGTHS
)
IF_FALLING_BEHIND = Scenario(
    SPEECH_ALONE,
    "an utterance of 35 s while no other session is open; it is sent only if the text "
    "fell behind while other sessions were open",
    partial(_lasting, name=SPEECH_ALONE),
    concurrency=Concurrency.CONFIRMATION,
    times=0,
    seconds=_seconds(SPEECH_ALONE),
    is_needed=falls_behind,
)
SCENARIOS = (
    Scenario(
        "utterances",
        "three utterances, one after the other, in one session",
        _utterances,
        times=3,
    ),
    Scenario("empty", "an utterance without audio, then one with audio", _empty),
    Scenario(
        "silence",
        "an utterance of silence, then one of speech",
        _silence,
        seconds=SILENCE,
    ),
    Scenario(
        "pause",
        f"an utterance with a pause of {PAUSE:g} s in its audio",
        _pause,
        times=2,
    ),
    *(
        Scenario(
            role,
            f"a clip in chunks of {chunk * 1000:g} ms",
            partial(_related, role=role, chunk=chunk),
            sessions=3,
            times=3,
        )
        for role, chunk in (
            ("20ms-chunks", 0.02),
            ("100ms-chunks", 0.1),
            ("1s-chunks", 1.0),
        )
    ),
    Scenario(
        "fast",
        f"a clip sent at {FASTER} times the usual pace",
        partial(_related, role="fast", faster=FASTER),
        sessions=3,
        times=3,
    ),
    Scenario(
        "after-silence",
        f"a clip after {LEAD:g} s of silence",
        partial(
            _related,
            role="after-silence",
            change=partial(clips.after_silence, seconds=LEAD),
        ),
        sessions=3,
        times=3,
        seconds=3 * LEAD,
    ),
    Scenario(
        "half-gain",
        "a clip at half the gain",
        partial(_related, role="half-gain", change=clips.quieter),
        sessions=3,
        times=3,
    ),
    Scenario("again", "a clip that is repeated in one session", _again, times=3),
)
