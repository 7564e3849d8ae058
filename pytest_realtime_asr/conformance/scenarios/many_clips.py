"""Scenarios that send many clips under conditions that must not change their texts.

The clips are cut to their speech. Otherwise, a server that loses the start or the end
of a clip would lose only silence. A scenario divides its utterances between `_STREAMS`
sessions, which are open at the same time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.corpus.joined import between_silence, cut_to_speech, joined
from pytest_realtime_asr.requirements.checks.lost_words import (
    CHUNKS,
    CUT,
    JITTERED,
    JOINED,
    PROTECTED,
)

FAST = "60s-fast"
_FAST_SECONDS, _FASTER = 60.0, 4
_STREAMS = 2
_SILENCE = 0.8  # s on both sides of a clip
_PAUSE = 0.5  # s between joined clips
_TOGETHER = 4  # clips of a joined utterance
_BURST = 0.3  # s of audio that comes at once
_ODD = 0.03  # s, the length of a chunk of a burst: no multiple of usual frames

Send = Callable[[ScenarioRun, Live, Utterance], Awaitable[None]]


def _cut(clips: Sequence[Utterance]) -> list[Utterance]:
    return [cut_to_speech(each) for each in clips]


def _protected(clips: Sequence[Utterance]) -> list[Utterance]:
    return [between_silence(each, _SILENCE) for each in _cut(clips)]


def _joined(clips: Sequence[Utterance]) -> list[Utterance]:
    """Return utterances of about equal length, each made of several joined clips.

    ``clips`` are sorted by length.
    """
    cut = _cut(clips)
    number = math.ceil(len(cut) / _TOGETHER)
    return [joined(cut[at::number], _PAUSE) for at in range(number)]


async def _plain(run: ScenarioRun, live: Live, utterance: Utterance) -> None:
    await run.transcribe(live, utterance)


async def _in_bursts(run: ScenarioRun, live: Live, utterance: Utterance) -> None:
    """Send the audio of an utterance in bursts of chunks; each burst comes late."""
    live = await run.next(live)
    audio = await run.audio(utterance, live)
    item = await run.begin(live, utterance)
    for number in range(math.ceil(audio.seconds / _BURST)):
        start, stop = number * _BURST, min((number + 1) * _BURST, audio.seconds)
        await run.wait(stop - start)
        await live.stream(audio.cut(start, stop), f"{utterance.id} from {start:.1f} s")
    await live.finish()
    await run.final(live, item)


async def _in_lanes(
    run: ScenarioRun,
    *,
    role: str,
    made: Callable[[Clips], Sequence[Utterance]],
    chunk: float | None = None,
    pace: float | None = None,
    send: Send = _plain,
) -> None:
    """Send utterances in several sessions; a lost session does not end the others."""
    utterances = await asyncio.to_thread(made, run.clips)
    plan = run.config.plan

    async def lane(its: Sequence[Utterance]) -> None:
        live = await run.open(
            role,
            chunk=plan.chunk if chunk is None else chunk,
            pace=plan.pace if pace is None else pace,
        )
        for each in its:
            await send(run, live, each)
        await live.close()

    lanes = [utterances[at::_STREAMS] for at in range(min(_STREAMS, len(utterances)))]
    ended = await asyncio.gather(*map(lane, lanes), return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException):
            raise error


async def _fast(run: ScenarioRun) -> None:
    clip = await asyncio.to_thread(run.clips.lasting, _FAST_SECONDS)
    plan = run.config.plan
    # A server that is slower than the audio needs more time for the rest of it.
    more = run.config.wall_seconds(_FAST_SECONDS) / _FASTER
    limits = replace(plan.limits, silence=plan.limits.silence + more)
    live = await run.open(FAST, pace=plan.pace * _FASTER, limits=limits)
    await run.transcribe(live, clip)
    await live.close()


def _spoken(clips: Sequence[Utterance], beside: float = 0.0) -> float:
    """Return the seconds of speech in all clips, plus ``beside`` seconds for each clip.

    If a clip has no word times, its whole length counts, since its audio would have to
    be decoded to find the speech.
    """
    return sum(
        beside
        + (each.words[-1].end - each.words[0].start if each.words else each.duration)
        for each in clips
    )


def _scenario(
    role: str,
    about: str,
    made: Callable[[Clips], Sequence[Utterance]],
    seconds: Callable[[Clips], float],
    **how: Any,
) -> Scenario:
    return Scenario(
        role,
        about,
        partial(_in_lanes, role=role, made=made, **how),
        sessions=_STREAMS,
        streams=_STREAMS,
        times=0,
        of_clips=seconds,
    )


SCENARIOS = (
    _scenario(
        CUT,
        "many clips, cut to their speech",
        lambda clips: _cut(clips.many),
        lambda clips: _spoken(clips.many),
    ),
    _scenario(
        PROTECTED,
        f"clips with {_SILENCE:g} s of silence before and after each",
        lambda clips: _protected(clips.few),
        lambda clips: _spoken(clips.few, 2 * _SILENCE),
    ),
    *(
        _scenario(
            role,
            f"clips in chunks of {chunk * 1000:g} ms",
            lambda clips: _cut(clips.few),
            lambda clips: _spoken(clips.few),
            chunk=chunk,
        )
        for role, chunk in CHUNKS.items()
    ),
    _scenario(
        JITTERED,
        f"clips that come late and in bursts, in chunks of {_ODD * 1000:g} ms",
        lambda clips: _cut(clips.many),
        lambda clips: _spoken(clips.many),
        chunk=_ODD,
        pace=0.0,
        send=_in_bursts,
    ),
    _scenario(
        JOINED,
        f"up to {_TOGETHER} clips at a time, joined with pauses",
        lambda clips: _joined(clips.many),
        lambda clips: _spoken(clips.many, _PAUSE),
    ),
    Scenario(
        FAST,
        f"an utterance of {_FAST_SECONDS:g} s, sent at {_FASTER} times the usual pace",
        _fast,
        concurrency=Concurrency.LONG_RUNNING,
        times=0,
        seconds=_FAST_SECONDS,
    ),
)
