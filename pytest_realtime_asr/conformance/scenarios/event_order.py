"""Events of the protocol in an unusual or illegal order."""

from __future__ import annotations

import asyncio

from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.scenario import Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.dialects import can
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.trace.timeline import Final

UNBEGUN = "unbegun"
EARLY_BEGIN = "early-begin"

_TRIES = 6  # attempts to make frames arrive before a final
_SET_UP = frozenset({Capability.SET_UP})
_UNKNOWN = '{"type":"no.such.event"}'  # an event that every server refuses
_LOOK = 0.01  # s between two checks for new events


async def _update_again(run: ScenarioRun) -> None:
    live = await run.open("update-again")
    await live.configure()
    await run.transcribe(live, run.clips.first)


async def _extra_field(run: ScenarioRun) -> None:
    options = {**run.config.plan.options, "x_no_such_field": {"a": [1]}}
    live = await run.open("extra-field", options=options)
    await run.transcribe(live, run.clips.first)


async def _early_audio(run: ScenarioRun) -> None:
    live = await run.open("early-audio", configure=False)
    clip = run.clips.first
    await live.stream(await run.audio(clip), clip.id)
    await live.configure()
    item = await run.begin(live, clip)
    await live.finish()
    await run.final(live, item)


async def _stray_final(run: ScenarioRun) -> None:
    for _ in range(2):
        live = await run.open("stray-final")
        await live.finish(raw=True)
        await run.settle()
        await run.transcribe(live, run.clips.first)
        await live.close()


async def _early_final(run: ScenarioRun) -> None:
    for _ in range(2):
        live = await run.open("early-final", configure=False)
        await live.finish(raw=True)
        await live.answered(1, timeout=run.config.answer)
        await live.configure()
        await run.transcribe(live, run.clips.first)
        await live.close()


async def _refused_begin(run: ScenarioRun) -> None:
    live = await run.open("refused-begin", configure=False)
    clip = run.clips.first
    for frame in run.caller.begin():
        await live.send_raw(frame)
    await live.answered(1, timeout=run.config.answer)
    await live.stream(await run.audio(clip), clip.id, raw=True)
    await live.finish(raw=True)
    await live.answered(2, timeout=run.config.answer)
    await run.wait(clip.duration)


async def _second_final(run: ScenarioRun) -> None:
    live = await run.open("second-final")
    for _ in range(2):
        live = await run.next(live)
        clip = run.clips.first
        item = await run.begin(live, clip)
        await live.stream(await run.audio(clip), clip.id)
        await live.finish()
        await live.finish(raw=True)
        await run.final(live, item)
        await live.finish(raw=True)
        await run.settle()
    await run.transcribe(live, run.clips.second)


async def _late_audio(run: ScenarioRun) -> None:
    first, second = run.clips.first, run.clips.second
    audio, late = await run.audio(first), await run.audio(second)
    typed = can(run.dialect, Capability.TYPED_EVENTS)
    fence = (_UNKNOWN,) if typed else ()
    for _ in range(_TRIES):
        live = await run.open("late-audio", pace=0.0)
        item = await run.begin(live, first)
        await live.stream(audio, first.id)
        # The refusal of the unknown event shows that the server has read all audio. A
        # server that gets all of this at once can read it before it sends the final.
        await live.burst(run.caller.finish(), late, second.id, fence)
        await run.final(live, item)
        received_before_final = await live.answered(1, timeout=0.0)
        await run.settle()
        await run.transcribe(live, first)
        await live.close()
        if received_before_final:
            return


async def _unbegun(run: ScenarioRun) -> None:
    live = await run.open(UNBEGUN)
    clip = run.clips.first
    await live.stream(await run.audio(clip), clip.id, raw=True)
    await live.finish(raw=True)
    await _answers(run, live, finals=1)


async def _early_begin(run: ScenarioRun) -> None:
    first, second = run.clips.first, run.clips.second
    audio, early = await run.audio(first), await run.audio(second)
    before = (*run.caller.finish(), *run.caller.begin())
    for _ in range(_TRIES):
        live = await run.open(EARLY_BEGIN, pace=0.0)
        item = await run.begin(live, first)
        await live.stream(audio, first.id)
        await live.burst(before, early, second.id, run.caller.finish())
        await run.final(live, item)
        await _answers(run, live, finals=2)
        await live.close()
        if _finals(live) < 2:
            return  # the second utterance began before the final of the first one


async def _answers(run: ScenarioRun, live: Live, *, finals: int) -> None:
    """Wait until the server has sent ``finals`` finals or an error.

    The wait also ends after the longest time that a scenario waits for a refusal.
    """
    try:
        async with asyncio.timeout(run.config.answer):
            while _finals(live) < finals and not live.timeline.refusals:
                if live.trace.end.how is not Ending.CLOSED_BY_US:
                    return
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        pass  # the absence of an answer is evidence


def _finals(live: Live) -> int:
    return sum(isinstance(event, Final) for event in live.timeline.events)


async def _second_begin(run: ScenarioRun) -> None:
    for _ in range(2):
        live = await run.open("second-begin")
        clip = run.clips.first
        before, after = clips.halves(clip)
        item = await run.begin(live, clip)
        await live.stream(before.resample(run.caller.rate), clip.id)
        for frame in run.caller.begin():
            await live.send_raw(frame)
        await live.stream(after.resample(run.caller.rate), clip.id)
        await live.finish()
        await run.final(live, item)
        await live.close()


SCENARIOS = (
    Scenario(
        "update-again",
        "a session that is configured twice",
        _update_again,
        fits=_SET_UP,
    ),
    Scenario(
        "extra-field", "a session configuration with an unknown field", _extra_field
    ),
    Scenario(
        "early-audio",
        "audio before the session configuration",
        _early_audio,
        fits=_SET_UP,
    ),
    Scenario(
        "stray-final",
        "a final commit outside any utterance, then an utterance",
        _stray_final,
        sessions=2,
        times=2,
    ),
    Scenario(
        "early-final",
        "a final commit before the session configuration, then an utterance",
        _early_final,
        sessions=2,
        times=2,
        fits=_SET_UP,
    ),
    Scenario(
        "refused-begin",
        "an utterance that is refused because it starts before the configuration",
        _refused_begin,
        fits=_SET_UP,
    ),
    Scenario(
        "second-final",
        "two final commits for one utterance, and a third final commit after the final",
        _second_final,
        times=3,
    ),
    Scenario(
        "late-audio",
        "audio between the final commit and the final",
        _late_audio,
        sessions=_TRIES,
        times=3 * _TRIES,
    ),
    Scenario(
        UNBEGUN,
        "audio and a final commit, without a commit that starts the utterance",
        _unbegun,
    ),
    Scenario(
        EARLY_BEGIN,
        "an utterance that begins before the previous utterance has its final",
        _early_begin,
        sessions=_TRIES,
        times=2 * _TRIES,
    ),
    Scenario(
        "second-begin",
        "a second starting commit in the middle of an utterance",
        _second_begin,
        sessions=2,
        times=2,
    ),
)
