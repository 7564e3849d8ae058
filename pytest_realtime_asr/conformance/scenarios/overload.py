"""The scenarios with many sessions at once, or with too large or too many frames."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from pytest_realtime_asr.conformance.scenario import exclusive
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.requirement import Harm
from pytest_realtime_asr.trace.records import Frame

CROWD = 8  # sessions
FLOODS = ("huge-json", "big-audio", "oversized", "flood")  # scenarios with megabytes
FLOOD = 16  # MiB of audio
PONG = 5.0  # s within which a ping has to be answered
_MIB = 2**20
_BIG = 14.7  # MiB of a frame, which servers have to accept
_OVERSIZED = 17.3  # MiB of a frame, which they may refuse
_HUGE = 4  # MiB of text in an unknown field
_ERRORS = 4000  # errors that the client causes and does not read
_ERROR = 1000  # characters of the frame that each error may repeat
_TYPED = frozenset({Capability.TYPED_EVENTS})
_ACCEPTED = 5.0  # s that a server may take to read these frames


async def _crowd(run: ScenarioRun) -> None:
    async def one(number: int) -> None:
        await asyncio.sleep(number * run.config.plan.chunk / CROWD)
        live = await run.open("crowd")
        clip = run.clips.second if number % 2 else run.clips.first
        sending = asyncio.create_task(run.transcribe(live, clip))
        try:
            await run.wait(clip.duration / 2)
            await live.ping(timeout=PONG)
        finally:
            await sending
        await live.close()

    outcomes = await asyncio.gather(*map(one, range(CROWD)), return_exceptions=True)
    for outcome in outcomes:  # raised only here, so that all sessions can end normally
        if isinstance(outcome, BaseException):
            raise outcome


async def _slow_reader(run: ScenarioRun) -> None:
    async with run.with_bystander():
        # This session must outlast the timeouts of the other sessions.
        limits = run.config.plan.limits
        patient = replace(limits, silence=limits.silence + _ACCEPTED)
        live = await run.open("slow-reader", limits=patient)
        live.deafen()
        long = "x" * _ERROR
        frame = f'{{"type":"{long}","event_id":"{long}"}}'
        try:
            async with asyncio.timeout(_ACCEPTED):
                for _ in range(_ERRORS):
                    await live.send_raw(frame)
        except TimeoutError:
            pass  # a server may stop reading from a client that reads no answers
        await run.fresh_session()
        live.reset()


async def _huge_json(run: ScenarioRun) -> None:
    async with run.with_bystander():
        live = await run.open("huge-json")
        await live.send_raw(f'{{"type":"no.such.event","a":"{"a" * _HUGE * _MIB}"}}')
        await live.answered(1, timeout=run.config.answer)
        await live.close()


async def _big_audio(run: ScenarioRun) -> None:
    async with run.with_bystander():
        live = await run.open("big-audio")
        await live.send_raw(await _audio_frame(run, _BIG))
        if run.dialect.traits.most:  # the server may have to refuse so much audio
            await live.answered(1, timeout=run.config.answer)
        else:
            await run.settle()
        await live.close()


async def _audio_frame(run: ScenarioRun, size: float) -> Frame:
    """Return a frame of about ``size`` MiB with silent audio.

    In a text frame the audio is encoded, so a text frame has less audio than a binary
    frame of the same size.
    """
    growth = len(audio_frame(run.caller, bytes(_MIB))) / _MIB
    samples = round(size * _MIB / growth) // 2
    return await asyncio.to_thread(audio_frame, run.caller, bytes(2 * samples))


async def _oversized(run: ScenarioRun) -> None:
    async with run.with_bystander():
        live = await run.open("oversized")
        await live.send_raw(await _audio_frame(run, _OVERSIZED))
        await live.answered(1, timeout=run.config.answer)
        await live.close()


async def _flood(run: ScenarioRun) -> None:
    async with run.with_bystander():
        live = await run.open("flood")
        frame = await asyncio.to_thread(audio_frame, run.caller, bytes(_MIB))
        for _ in range(FLOOD):
            await live.send_raw(frame)
        await run.settle()
        await live.close()


SCENARIOS = (
    exclusive(
        "crowd",
        f"{CROWD} sessions at the same time",
        _crowd,
        Harm.HEAVY,
        sessions=CROWD,
        streams=CROWD,
        times=CROWD,
    ),
    exclusive(
        "slow-reader",
        "a client that reads none of the errors that it causes",
        _slow_reader,
        Harm.HEAVY,
        fits=_TYPED,
    ),
    exclusive(
        "huge-json", f"an event of {_HUGE} MiB", _huge_json, Harm.HEAVY, fits=_TYPED
    ),
    exclusive("big-audio", "audio in a frame of 15 MiB", _big_audio, Harm.HEAVY),
    exclusive("oversized", "audio in a frame of over 16 MiB", _oversized, Harm.HEAVY),
    exclusive("flood", f"{FLOOD} MiB of audio without a commit", _flood, Harm.HEAVY),
)
