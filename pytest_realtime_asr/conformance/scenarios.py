"""What is done to a server so that its requirements show; judging is done elsewhere.

A scenario is held once in a process, and what it gave serves all its requirements. A
session that is lost on the way ends the scenario: the trace says how, and that is what
is judged.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.clips import Clips
from pytest_realtime_asr.conformance.random_session import ROLE
from pytest_realtime_asr.conformance.scenario_run import FUZZ, NotRun, ScenarioRun
from pytest_realtime_asr.conformance.shrinking import search
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.checks.texts import ALONE, usable
from pytest_realtime_asr.requirements.requirement import Harm
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

REPEATS = 5  # of one clip alone, by which the server's own noise is known
CROWD = 8
PAUSE = 4.0  # s without audio in mid-utterance
IDLE = 12.0  # s without a frame
SILENCE = 4.0  # s of an utterance of silence
HUSH = 1.5  # s of silence in an exercise
LEAD = 1.5  # s of silence before a clip
_LONG = ("10s", "35s")
FLOODS = ("huge-json", "big-audio", "oversized", "flood")  # by megabytes
VANISHED = 1.5  # s for which a half-open connection is kept
PONG = 5.0  # s in which a ping is to be answered
FASTER = 4  # times its pace
FREED = 5.0  # s in which what was left is to be freed
LENGTHS = ("0.1s", "0.5s", "1s", "2s", "10s", "35s")
FLOOD = 16  # MiB of audio
_MIB = 2**20
_BIG = 11  # MiB of audio: a frame of 15 MiB, which servers are to take
_OVERSIZED = 13  # MiB of audio: a frame of over 16 MiB, which they may refuse
_HUGE = 4  # MiB in a field that nobody knows
_ERRORS = 4000  # that a client asks for which does not read
_ERROR = 1000  # characters of what each of them may repeat
_TRIES = 3  # to be heard before a final
_UNKNOWN = '{"type":"no.such.event"}'  # which every server refuses
_LOOK = 0.01  # s between two looks at what has come
_TAKEN = 5.0  # s that a server may take to read what it does not want


class Concurrency(enum.Enum):
    """What may run at the same time as a scenario, in the order in which they start.

    FIRST runs before all others and alone. PARALLEL runs with others. LONG_RUNNING does
    too, and goes on while EXCLUSIVE ones run, which otherwise share the server only
    with a bystander session of their own. LAST runs alone after all others.
    """

    FIRST = "first"
    PARALLEL = "parallel"
    LONG_RUNNING = "long"
    EXCLUSIVE = "exclusive"
    LAST = "last"


Action = Callable[[ScenarioRun], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that is done to a server, and what it costs.

    It opens ``sessions`` connections, at most ``streams`` at a time, and speaks a short
    clip ``times`` times and ``seconds`` of audio beside it. A second take is counted
    where it may be needed.
    """

    name: str
    about: str
    act: Action
    harm: Harm = Harm.SAFE
    concurrency: Concurrency = Concurrency.PARALLEL
    sessions: int = 1
    streams: int = 1
    times: float = 1
    seconds: float = 0.0

    def audio(self, spoken: Clips) -> float:
        """The seconds of audio that it speaks at most."""
        return self.times * spoken.seconds + self.seconds


def scenarios(dialect: Dialect) -> Mapping[str, Scenario]:
    """The scenarios of a dialect by name, in the order in which they are held.

    They are those that its requirements name.
    """
    own = (*map(_misuse, dialect.misuses), *map(_exercise, dialect.exercises))
    named = {name for each in dialect.requirements for name in each.scenarios}
    every = (_ALONE, *_LASTING, *own, *_COMMON)
    found = [each for each in every if each.name in named]
    order = list(Concurrency)
    found.sort(key=lambda each: order.index(each.concurrency))
    return {each.name: each for each in found}


# The yardstick


async def _alone(run: ScenarioRun) -> None:
    """The clips one after the other, until two are recognised; then the first again."""
    good: list[Utterance] = []
    for clip in run.clips.candidates:
        if usable(clip, await _take(run, ALONE, clip)):
            good.append(clip)
        if len(good) == 2:
            break
    for _ in range(REPEATS - 1):
        await _take(run, ALONE, good[0] if good else run.clips.first)


async def _take(
    run: ScenarioRun,
    role: str,
    clip: Utterance,
    *,
    pace: float | None = None,
    chunk: float | None = None,
) -> str:
    """A session with one utterance; gives its text."""
    plan = run.config.plan
    live = await run.open(
        role,
        pace=plan.pace if pace is None else pace,
        chunk=plan.chunk if chunk is None else chunk,
    )
    text = await run.speak(live, clip)
    await live.close()
    return text


# Utterances


async def _utterances(run: ScenarioRun) -> None:
    live = await run.open("utterances")
    for clip in (run.clips.first, run.clips.second, run.clips.first):
        await run.speak(live, clip)
        await run.settle()  # else a second final is that of the next utterance


async def _update_again(run: ScenarioRun) -> None:
    live = await run.open("update-again")
    await live.configure()
    await run.speak(live, run.clips.first)


async def _extra_field(run: ScenarioRun) -> None:
    options = {**run.config.plan.options, "x_no_such_field": {"a": [1]}}
    live = await run.open("extra-field", options=options)
    await run.speak(live, run.clips.first)


async def _early_audio(run: ScenarioRun) -> None:
    live = await run.open("early-audio", configure=False)
    clip = run.clips.first
    await live.stream(await run.audio(clip), clip.id)
    await live.configure()
    item = await run.begin(live, clip)
    await live.finish()
    await run.final(live, item)


async def _lasting(run: ScenarioRun, *, name: str) -> None:
    clip = run.clips.lasting(float(name.removesuffix("s")))
    live = await run.open(name)
    await run.speak(live, clip)
    await run.settle()


async def _empty(run: ScenarioRun) -> None:
    live = await run.open("empty")
    item = await run.begin(live, clips.nothing(0.0))
    await live.finish()
    try:
        await run.final(live, item)
    except Lost as error:
        if error.how is not Loss.REFUSED:  # as it may be
            raise
    await run.speak(live, run.clips.first)


async def _silence(run: ScenarioRun) -> None:
    live = await run.open("silence")
    await run.speak(live, clips.nothing(SILENCE))
    await run.speak(live, run.clips.first)


async def _stray_final(run: ScenarioRun) -> None:
    for _ in range(2):
        live = await run.open("stray-final")
        await live.finish(raw=True)
        await run.settle()
        await run.speak(live, run.clips.first)
        await live.close()


async def _early_final(run: ScenarioRun) -> None:
    for _ in range(2):
        live = await run.open("early-final", configure=False)
        await live.finish(raw=True)
        await live.answered(1, timeout=run.config.answer)
        await live.configure()
        await run.speak(live, run.clips.first)
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
        clip = run.clips.first
        item = await run.begin(live, clip)
        await live.stream(await run.audio(clip), clip.id)
        await live.finish()
        await live.finish(raw=True)
        await run.final(live, item)
        await live.finish(raw=True)
        await run.settle()
    await run.speak(live, run.clips.second)


async def _late_audio(run: ScenarioRun) -> None:
    first, second = run.clips.first, run.clips.second
    for _ in range(_TRIES):
        live = await run.open("late-audio", pace=0.0)
        item = await run.begin(live, first)
        await live.stream(await run.audio(first), first.id)
        await live.finish()
        await live.stream(await run.audio(second), second.id, raw=True)
        await live.send_raw(_UNKNOWN)  # its refusal tells that all was heard by then
        await run.final(live, item)
        in_time = await live.answered(1, timeout=0.0)
        await run.settle()
        await run.speak(live, first)
        await live.close()
        if in_time:
            return


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


async def _pause(run: ScenarioRun) -> None:
    live = await run.open("pause")
    item = await run.begin(live, run.clips.both())
    await live.stream(await run.audio(run.clips.first), run.clips.first.id)
    await run.wait(PAUSE)
    await live.stream(await run.audio(run.clips.second), run.clips.second.id)
    await live.finish()
    await run.final(live, item)


# Misuse


def _misuse(misuse: Misuse) -> Scenario:
    return Scenario(misuse.name, misuse.about, partial(_misused, misuse=misuse))


async def _misused(run: ScenarioRun, *, misuse: Misuse) -> None:
    live = await run.open(misuse.name, configure=misuse.configured)
    clip = run.clips.first
    if not misuse.speaking:
        await _send(run, live, misuse)
        if not misuse.configured:
            await live.configure()
        await run.speak(live, clip)
        return
    before, after = clips.halves(clip)
    item = await run.begin(live, clip)
    await live.stream(before.resample(run.caller.rate), clip.id)
    await _send(run, live, misuse)
    await live.stream(after.resample(run.caller.rate), clip.id)
    await live.finish()
    await run.final(live, item)


async def _send(run: ScenarioRun, live: Live, misuse: Misuse) -> None:
    for number, frame in enumerate(misuse.frames, 1):
        await live.send_raw(frame)
        await live.answered(number, timeout=run.config.answer)


# What a dialect has of its own


def _exercise(exercise: Exercise) -> Scenario:
    spoken = [step.clip for step in exercise.steps if isinstance(step, Speak)]
    silent = spoken.count(Clip.SILENCE)
    return Scenario(
        exercise.name,
        exercise.about,
        partial(_exercised, exercise=exercise),
        times=len(spoken) - silent,
        seconds=silent * HUSH,
    )


async def _exercised(run: ScenarioRun, *, exercise: Exercise) -> None:
    plan = run.config.plan
    live = await run.open(
        exercise.name,
        options={**plan.options, **exercise.options},
        pace=0.0 if exercise.brisk else plan.pace,
    )
    owed: list[int] = []  # the utterances that are complete
    for step in exercise.steps:
        match step:
            case Wait.SETTLED:
                await run.settle()
            case Wait.FINALS:
                while owed:
                    await run.final(live, owed.pop(0))
            case Send(frames=frames, answer=answer):
                for frame in frames:
                    came = _count(live, answer)
                    await live.send_raw(frame)
                    if answer:
                        await _come(run, live, answer, came + 1)
            case Speak(clip=clip, until=Until.FINAL):
                await run.speak(live, _spoken(run, clip))
            case Speak(clip=clip, until=until):
                utterance = _spoken(run, clip)
                audio = await run.audio(utterance, live)
                item = await live.begin()
                await live.stream(audio, utterance.id)
                if until is Until.FINISH:
                    run.spoken(live, item, utterance)
                    await live.finish()
                    owed.append(item)


def _spoken(run: ScenarioRun, clip: Clip) -> Utterance:
    match clip:
        case Clip.FIRST:
            return run.clips.first
        case Clip.SECOND:
            return run.clips.second
        case Clip.SILENCE:
            return clips.nothing(HUSH)


async def _come(run: ScenarioRun, live: Live, move: str, count: int) -> None:
    """Wait until so many such events have come, as long as a refusal is waited for."""
    try:
        async with asyncio.timeout(run.config.answer):
            while _count(live, move) < count:
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        pass  # that it did not come is evidence


def _count(live: Live, move: str) -> int:
    """How many such events the server has sent."""
    return sum(
        record.sender is Sender.SERVER and live.plan.dialect.parse(record).move == move
        for record in live.trace.records
    )


# Frames that are too large, or too many


async def _big_audio(run: ScenarioRun) -> None:
    async with run.among_others():
        live = await run.open("big-audio")
        await live.send_raw(await _audio_frame(run, _BIG))
        await run.settle()
        await live.close()


async def _audio_frame(run: ScenarioRun, size: int) -> str:
    """A frame of so many bytes of silence."""
    return await asyncio.to_thread(
        lambda: run.caller.append(bytes(size * _MIB)).decode()
    )


async def _huge_json(run: ScenarioRun) -> None:
    async with run.among_others():
        live = await run.open("huge-json")
        await live.send_raw(f'{{"type":"no.such.event","a":"{"a" * _HUGE * _MIB}"}}')
        await live.answered(1, timeout=run.config.answer)
        await live.close()


async def _oversized(run: ScenarioRun) -> None:
    async with run.among_others():
        live = await run.open("oversized")
        await live.send_raw(await _audio_frame(run, _OVERSIZED))
        await live.answered(1, timeout=run.config.answer)
        await live.close()


async def _flood(run: ScenarioRun) -> None:
    async with run.among_others():
        live = await run.open("flood")
        frame = await _audio_frame(run, 1)
        for _ in range(FLOOD):
            await live.send_raw(frame)
        await run.settle()
        await live.close()


async def _slow_reader(run: ScenarioRun) -> None:
    async with run.among_others():
        # It stays there for longer than others wait.
        limits = run.config.plan.limits
        patient = replace(limits, silence=limits.silence + _TAKEN)
        live = await run.open("slow-reader", limits=patient)
        live.deafen()
        long = "x" * _ERROR
        frame = f'{{"type":"{long}","event_id":"{long}"}}'
        try:
            async with asyncio.timeout(_TAKEN):
                for _ in range(_ERRORS):
                    await live.send_raw(frame)
        except TimeoutError:
            pass  # the server reads no more from whom it cannot answer, as it may
        await run.speak_afresh()
        live.reset()


# The life of a connection


async def _idle(run: ScenarioRun) -> None:
    live = await run.open("idle")
    await live.ping(timeout=PONG)
    await run.wait(IDLE)
    await live.ping(timeout=PONG)
    await run.speak(live, run.clips.first)


async def _fragments(run: ScenarioRun) -> None:
    live = await run.open("fragments", configure=False)
    for frame in run.caller.configure():
        await live.send_fragments(frame, parts=3)
    await run.speak(live, run.clips.first)


async def _close(run: ScenarioRun) -> None:
    live = await run.open("close")
    await run.settle()
    await live.close()


async def _cut(run: ScenarioRun) -> None:
    live = await _half(run, "cut")
    await live.close()
    await run.look()
    fresh = await run.open("fresh")
    await run.speak(fresh, run.clips.first)


async def _half(run: ScenarioRun, role: str) -> Live:
    """A session in the middle of an utterance."""
    live = await run.open(role)
    clip = run.clips.first
    await live.begin()
    await live.stream(clips.halves(clip)[0].resample(run.caller.rate), clip.id)
    return live


async def _reset(run: ScenarioRun) -> None:
    async with run.among_others():
        lives = await asyncio.gather(*(_half(run, "reset") for _ in range(3)))
        for live in lives:
            live.reset()


async def _half_open(run: ScenarioRun) -> None:
    async with run.among_others():
        live = await _half(run, "half-open")
        live.deafen()
        await run.wait(VANISHED)
        await run.speak_afresh()
    live.reset()


async def _empty_reset(run: ScenarioRun) -> None:
    async with run.among_others():
        for _ in range(3):
            live = await run.open("empty-reset")
            await live.begin()
            await live.finish()
            live.reset()


async def _abandoned(run: ScenarioRun) -> None:
    before = await run.look()
    async with run.among_others():
        lives = await asyncio.gather(*(_half(run, "abandoned") for _ in range(3)))
        for live in lives:
            await live.close()
    deadline = asyncio.get_running_loop().time() + FREED
    while asyncio.get_running_loop().time() < deadline:
        now = await run.look()
        if all(
            now.get(name, 0.0) <= before[name] for name in before if "active" in name
        ):
            break
        await asyncio.sleep(run.config.settle)


async def _random(run: ScenarioRun) -> None:
    config = run.config
    if not config.fuzz:
        raise NotRun("--realtime-fuzz=N plays N random sessions")
    clip = run.clips.first
    speech = replace(clip, source=await run.audio(clip))
    async with run.among_others():
        found = await search(config, speech)
    run.take(found)


async def _wrong_path(run: ScenarioRun) -> None:
    access = run.config.plan.access
    where = access.target.websocket.partition("?")[0]
    other = Target(f"{where}/no/such/path", access.target.http)
    await _knock(run, "wrong-path", replace(access, target=other))


async def _wrong_key(run: ScenarioRun) -> None:
    access = run.config.plan.access
    wrong = run.dialect.headers("this-is-no-key")
    keys = {name for name, value in wrong.items() if "this-is-no-key" in value}
    if not keys & access.headers.keys():
        return
    headers = {**access.headers, **wrong}
    await _knock(run, "wrong-key", replace(access, headers=headers))


async def _knock(run: ScenarioRun, role: str, access: Access) -> None:
    """Open a session that the server should turn away, which is the evidence."""
    try:
        live = await run.open(role, access=access)
        await live.close()
    except Lost as error:
        cause = error.__cause__
        if isinstance(cause, Unreachable) and cause.status is None:
            raise


async def _plain_http(run: ScenarioRun) -> None:
    await run.get("plain-http", run.dialect.path)


async def _last(run: ScenarioRun) -> None:
    await run.look()
    live = await run.open("last", pace=0.0)
    await run.speak(live, run.clips.first)


# Many connections


async def _crowd(run: ScenarioRun) -> None:
    async def one(number: int) -> None:
        await asyncio.sleep(number * run.config.plan.chunk / CROWD)
        live = await run.open("crowd")
        spoken = run.clips.second if number % 2 else run.clips.first
        speaking = asyncio.create_task(run.speak(live, spoken))
        try:
            await run.wait(spoken.duration / 2)
            await live.ping(timeout=PONG)
        finally:
            await speaking
        await live.close()

    outcomes = await asyncio.gather(*map(one, range(CROWD)), return_exceptions=True)
    for outcome in outcomes:  # all of them are heard out, whatever becomes of one
        if isinstance(outcome, BaseException):
            raise outcome


# Relations


async def _related(
    run: ScenarioRun,
    *,
    role: str,
    change: Callable[[Utterance], Utterance] = lambda clip: clip,
    chunk: float | None = None,
    faster: int = 1,
) -> None:
    """Two takes of a clip under another condition, and a third one to be sure."""
    clip = await asyncio.to_thread(change, run.clips.first)
    pace = run.config.plan.pace * faster
    texts = [await _take(run, role, clip, pace=pace, chunk=chunk) for _ in range(2)]
    if len(set(texts)) > 1:
        await _take(run, role, clip, pace=pace, chunk=chunk)


async def _again(run: ScenarioRun) -> None:
    live = await run.open("again")
    for clip in (run.clips.second, run.clips.first, run.clips.first):
        await run.speak(live, clip)
        await run.settle()


_ALONE = Scenario(
    ALONE,
    "clips one after the other, each in a session of its own; the first five times",
    _alone,
    concurrency=Concurrency.FIRST,
    sessions=clips.CANDIDATES + REPEATS - 1,
    times=clips.CANDIDATES + REPEATS - 1,
)
_LASTING = tuple(
    Scenario(
        name,
        f"an utterance of {name}",
        partial(_lasting, name=name),
        concurrency=Concurrency.LONG_RUNNING if name in _LONG else Concurrency.PARALLEL,
        times=0,
        seconds=float(name.removesuffix("s")),
    )
    for name in LENGTHS
)


def _among_others(
    name: str, about: str, act: Action, harm: Harm, **cost: int
) -> Scenario:
    """A scenario that has a bystander while it goes on, and a fresh session then."""
    cost = {"sessions": 3, "streams": 2, "times": 5, **cost}
    return Scenario(name, about, act, harm, Concurrency.EXCLUSIVE, **cost)


_COMMON = (
    Scenario(
        "utterances",
        "three utterances, one after the other, in one session",
        _utterances,
        times=3,
    ),
    Scenario("update-again", "a session that is set up twice", _update_again),
    Scenario("extra-field", "a set-up with a field that no server knows", _extra_field),
    Scenario("early-audio", "audio before the set-up", _early_audio),
    Scenario("empty", "an utterance without audio, and one with", _empty),
    Scenario(
        "silence",
        "an utterance of silence, and one of speech",
        _silence,
        seconds=SILENCE,
    ),
    Scenario(
        "stray-final",
        "a final commit with nothing begun, and an utterance after it",
        _stray_final,
        sessions=2,
        times=2,
    ),
    Scenario(
        "early-final",
        "a final commit before the set-up, and an utterance after it",
        _early_final,
        sessions=2,
        times=2,
    ),
    Scenario(
        "refused-begin",
        "an utterance whose begin, before the set-up, is refused",
        _refused_begin,
    ),
    Scenario(
        "second-final",
        "two final commits for one utterance, and one after its final",
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
        "second-begin",
        "a second commit in the middle of an utterance",
        _second_begin,
        sessions=2,
        times=2,
    ),
    Scenario(
        "pause",
        f"an utterance in which no audio comes for {PAUSE:g} s",
        _pause,
        times=2,
    ),
    Scenario(
        "idle",
        f"a session that says nothing for {IDLE:g} s",
        _idle,
        concurrency=Concurrency.LONG_RUNNING,
    ),
    Scenario("fragments", "a message in three fragments", _fragments),
    Scenario("close", "a session that is closed as it should be", _close, times=0),
    Scenario(
        "cut",
        "a session that is closed in the middle of an utterance",
        _cut,
        sessions=2,
        times=2,
    ),
    Scenario("wrong-path", "a WebSocket on no known path", _wrong_path, times=0),
    Scenario("wrong-key", "a session with a wrong key", _wrong_key, times=0),
    Scenario(
        "plain-http",
        "plain HTTP on the path of the WebSocket",
        _plain_http,
        sessions=0,
        times=0,
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
        f"a clip at {FASTER} times its pace",
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
    Scenario("again", "a clip for the second and third time", _again, times=3),
    _among_others(
        "crowd",
        f"{CROWD} sessions at once",
        _crowd,
        Harm.HEAVY,
        sessions=CROWD,
        streams=CROWD,
        times=CROWD,
    ),
    _among_others(
        "slow-reader",
        "a client that reads nothing of what it asks for",
        _slow_reader,
        Harm.HEAVY,
    ),
    _among_others("huge-json", f"an event of {_HUGE} MiB", _huge_json, Harm.HEAVY),
    _among_others("big-audio", "audio in a frame of 15 MiB", _big_audio, Harm.HEAVY),
    _among_others(
        "oversized", "audio in a frame of over 16 MiB", _oversized, Harm.HEAVY
    ),
    _among_others(
        "flood", f"{FLOOD} MiB of audio that no commit asks for", _flood, Harm.HEAVY
    ),
    _among_others(
        "reset",
        "three connections that break off in mid-utterance",
        _reset,
        Harm.DISRUPTIVE,
        sessions=5,
        streams=4,
    ),
    _among_others(
        "half-open",
        f"a client that neither speaks nor hears for {VANISHED:g} s",
        _half_open,
        Harm.DISRUPTIVE,
    ),
    _among_others(
        "empty-reset",
        "empty utterances whose connections break off at once",
        _empty_reset,
        Harm.DISRUPTIVE,
        sessions=5,
    ),
    _among_others(
        "abandoned",
        "three sessions that are closed in mid-utterance",
        _abandoned,
        Harm.DISRUPTIVE,
        sessions=5,
        streams=4,
    ),
    _among_others(
        ROLE,
        "random sessions, whose frames are legal, just illegal, or malformed",
        _random,
        Harm.HEAVY,
        sessions=2 * FUZZ + 3,
        streams=3,
        times=FUZZ + 5,
    ),
    Scenario(
        "last", "one more session at the end", _last, concurrency=Concurrency.LAST
    ),
)
