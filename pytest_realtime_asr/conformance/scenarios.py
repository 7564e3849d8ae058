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
from pytest_realtime_asr.conformance.scenario_run import FUZZ, NotRun, Stage
from pytest_realtime_asr.conformance.shrinking import search
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.checks import ALONE, usable
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


class Company(enum.Enum):
    """Who else may be there while a scenario is held.

    ALONE has the server for itself. TOGETHER goes with others. THROUGH does too, and is
    so long that it goes on beside scenarios that are held APART, which take the server
    but for a bystander of their own. LAST comes when all is over.
    """

    ALONE = "alone"
    TOGETHER = "together"
    THROUGH = "through"
    APART = "apart"
    LAST = "last"


Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that is done to a server, and what it costs.

    It opens ``sessions`` connections, at most ``streams`` at a time, and speaks a short
    clip ``times`` times and ``seconds`` of audio beside it. A second take is counted
    where it may be needed.
    """

    name: str
    about: str
    act: Act
    harm: Harm = Harm.SAFE
    company: Company = Company.TOGETHER
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
    order = list(Company)
    found.sort(key=lambda each: order.index(each.company))
    return {each.name: each for each in found}


# The yardstick


async def _alone(stage: Stage) -> None:
    """The clips one after the other, until two are recognised; then the first again."""
    good: list[Utterance] = []
    for clip in stage.clips.candidates:
        if usable(clip, await _take(stage, ALONE, clip)):
            good.append(clip)
        if len(good) == 2:
            break
    for _ in range(REPEATS - 1):
        await _take(stage, ALONE, good[0] if good else stage.clips.first)


async def _take(
    stage: Stage,
    role: str,
    clip: Utterance,
    *,
    pace: float | None = None,
    chunk: float | None = None,
) -> str:
    """A session with one utterance; gives its text."""
    plan = stage.venue.plan
    live = await stage.open(
        role,
        pace=plan.pace if pace is None else pace,
        chunk=plan.chunk if chunk is None else chunk,
    )
    text = await stage.speak(live, clip)
    await live.close()
    return text


# Utterances


async def _utterances(stage: Stage) -> None:
    live = await stage.open("utterances")
    for clip in (stage.clips.first, stage.clips.second, stage.clips.first):
        await stage.speak(live, clip)
        await stage.settle()  # else a second final is that of the next utterance


async def _update_again(stage: Stage) -> None:
    live = await stage.open("update-again")
    await live.configure()
    await stage.speak(live, stage.clips.first)


async def _extra_field(stage: Stage) -> None:
    options = {**stage.venue.plan.options, "x_no_such_field": {"a": [1]}}
    live = await stage.open("extra-field", options=options)
    await stage.speak(live, stage.clips.first)


async def _early_audio(stage: Stage) -> None:
    live = await stage.open("early-audio", configure=False)
    clip = stage.clips.first
    await live.stream(await stage.audio(clip), clip.id)
    await live.configure()
    item = await stage.begin(live, clip)
    await live.finish()
    await stage.final(live, item)


async def _lasting(stage: Stage, *, name: str) -> None:
    clip = stage.clips.lasting(float(name.removesuffix("s")))
    live = await stage.open(name)
    await stage.speak(live, clip)
    await stage.settle()


async def _empty(stage: Stage) -> None:
    live = await stage.open("empty")
    item = await stage.begin(live, clips.nothing(0.0))
    await live.finish()
    try:
        await stage.final(live, item)
    except Lost as error:
        if error.how is not Loss.REFUSED:  # as it may be
            raise
    await stage.speak(live, stage.clips.first)


async def _silence(stage: Stage) -> None:
    live = await stage.open("silence")
    await stage.speak(live, clips.nothing(SILENCE))
    await stage.speak(live, stage.clips.first)


async def _stray_final(stage: Stage) -> None:
    for _ in range(2):
        live = await stage.open("stray-final")
        await live.finish(raw=True)
        await stage.settle()
        await stage.speak(live, stage.clips.first)
        await live.close()


async def _early_final(stage: Stage) -> None:
    for _ in range(2):
        live = await stage.open("early-final", configure=False)
        await live.finish(raw=True)
        await live.answered(1, timeout=stage.venue.answer)
        await live.configure()
        await stage.speak(live, stage.clips.first)
        await live.close()


async def _refused_begin(stage: Stage) -> None:
    live = await stage.open("refused-begin", configure=False)
    clip = stage.clips.first
    for frame in stage.caller.begin():
        await live.send_raw(frame)
    await live.answered(1, timeout=stage.venue.answer)
    await live.stream(await stage.audio(clip), clip.id, raw=True)
    await live.finish(raw=True)
    await live.answered(2, timeout=stage.venue.answer)
    await stage.wait(clip.duration)


async def _second_final(stage: Stage) -> None:
    live = await stage.open("second-final")
    for _ in range(2):
        clip = stage.clips.first
        item = await stage.begin(live, clip)
        await live.stream(await stage.audio(clip), clip.id)
        await live.finish()
        await live.finish(raw=True)
        await stage.final(live, item)
        await live.finish(raw=True)
        await stage.settle()
    await stage.speak(live, stage.clips.second)


async def _late_audio(stage: Stage) -> None:
    first, second = stage.clips.first, stage.clips.second
    for _ in range(_TRIES):
        live = await stage.open("late-audio", pace=0.0)
        item = await stage.begin(live, first)
        await live.stream(await stage.audio(first), first.id)
        await live.finish()
        await live.stream(await stage.audio(second), second.id, raw=True)
        await live.send_raw(_UNKNOWN)  # its refusal tells that all was heard by then
        await stage.final(live, item)
        in_time = await live.answered(1, timeout=0.0)
        await stage.settle()
        await stage.speak(live, first)
        await live.close()
        if in_time:
            return


async def _second_begin(stage: Stage) -> None:
    for _ in range(2):
        live = await stage.open("second-begin")
        clip = stage.clips.first
        before, after = clips.halves(clip)
        item = await stage.begin(live, clip)
        await live.stream(before.resample(stage.caller.rate), clip.id)
        for frame in stage.caller.begin():
            await live.send_raw(frame)
        await live.stream(after.resample(stage.caller.rate), clip.id)
        await live.finish()
        await stage.final(live, item)
        await live.close()


async def _pause(stage: Stage) -> None:
    live = await stage.open("pause")
    item = await stage.begin(live, stage.clips.both())
    await live.stream(await stage.audio(stage.clips.first), stage.clips.first.id)
    await stage.wait(PAUSE)
    await live.stream(await stage.audio(stage.clips.second), stage.clips.second.id)
    await live.finish()
    await stage.final(live, item)


# Misuse


def _misuse(misuse: Misuse) -> Scenario:
    return Scenario(misuse.name, misuse.about, partial(_misused, misuse=misuse))


async def _misused(stage: Stage, *, misuse: Misuse) -> None:
    live = await stage.open(misuse.name, configure=misuse.configured)
    clip = stage.clips.first
    if not misuse.speaking:
        await _send(stage, live, misuse)
        if not misuse.configured:
            await live.configure()
        await stage.speak(live, clip)
        return
    before, after = clips.halves(clip)
    item = await stage.begin(live, clip)
    await live.stream(before.resample(stage.caller.rate), clip.id)
    await _send(stage, live, misuse)
    await live.stream(after.resample(stage.caller.rate), clip.id)
    await live.finish()
    await stage.final(live, item)


async def _send(stage: Stage, live: Live, misuse: Misuse) -> None:
    for number, frame in enumerate(misuse.frames, 1):
        await live.send_raw(frame)
        await live.answered(number, timeout=stage.venue.answer)


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


async def _exercised(stage: Stage, *, exercise: Exercise) -> None:
    plan = stage.venue.plan
    live = await stage.open(
        exercise.name,
        options={**plan.options, **exercise.options},
        pace=0.0 if exercise.brisk else plan.pace,
    )
    owed: list[int] = []  # the utterances that are complete
    for step in exercise.steps:
        match step:
            case Wait.SETTLED:
                await stage.settle()
            case Wait.FINALS:
                while owed:
                    await stage.final(live, owed.pop(0))
            case Send(frames=frames, answer=answer):
                for frame in frames:
                    came = _count(live, answer)
                    await live.send_raw(frame)
                    if answer:
                        await _come(stage, live, answer, came + 1)
            case Speak(clip=clip, until=Until.FINAL):
                await stage.speak(live, _spoken(stage, clip))
            case Speak(clip=clip, until=until):
                utterance = _spoken(stage, clip)
                audio = await stage.audio(utterance, live)
                item = await live.begin()
                await live.stream(audio, utterance.id)
                if until is Until.FINISH:
                    stage.spoken(live, item, utterance)
                    await live.finish()
                    owed.append(item)


def _spoken(stage: Stage, clip: Clip) -> Utterance:
    match clip:
        case Clip.FIRST:
            return stage.clips.first
        case Clip.SECOND:
            return stage.clips.second
        case Clip.SILENCE:
            return clips.nothing(HUSH)


async def _come(stage: Stage, live: Live, move: str, count: int) -> None:
    """Wait until so many such events have come, as long as a refusal is waited for."""
    try:
        async with asyncio.timeout(stage.venue.answer):
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


async def _big_audio(stage: Stage) -> None:
    async with stage.among_others():
        live = await stage.open("big-audio")
        await live.send_raw(await _audio_frame(stage, _BIG))
        await stage.settle()
        await live.close()


async def _audio_frame(stage: Stage, size: int) -> str:
    """A frame of so many bytes of silence."""
    return await asyncio.to_thread(
        lambda: stage.caller.append(bytes(size * _MIB)).decode()
    )


async def _huge_json(stage: Stage) -> None:
    async with stage.among_others():
        live = await stage.open("huge-json")
        await live.send_raw(f'{{"type":"no.such.event","a":"{"a" * _HUGE * _MIB}"}}')
        await live.answered(1, timeout=stage.venue.answer)
        await live.close()


async def _oversized(stage: Stage) -> None:
    async with stage.among_others():
        live = await stage.open("oversized")
        await live.send_raw(await _audio_frame(stage, _OVERSIZED))
        await live.answered(1, timeout=stage.venue.answer)
        await live.close()


async def _flood(stage: Stage) -> None:
    async with stage.among_others():
        live = await stage.open("flood")
        frame = await _audio_frame(stage, 1)
        for _ in range(FLOOD):
            await live.send_raw(frame)
        await stage.settle()
        await live.close()


async def _slow_reader(stage: Stage) -> None:
    async with stage.among_others():
        # It stays there for longer than others wait.
        limits = stage.venue.plan.limits
        patient = replace(limits, silence=limits.silence + _TAKEN)
        live = await stage.open("slow-reader", limits=patient)
        live.deafen()
        long = "x" * _ERROR
        frame = f'{{"type":"{long}","event_id":"{long}"}}'
        try:
            async with asyncio.timeout(_TAKEN):
                for _ in range(_ERRORS):
                    await live.send_raw(frame)
        except TimeoutError:
            pass  # the server reads no more from whom it cannot answer, as it may
        await stage.speak_afresh()
        live.reset()


# The life of a connection


async def _idle(stage: Stage) -> None:
    live = await stage.open("idle")
    await live.ping(timeout=PONG)
    await stage.wait(IDLE)
    await live.ping(timeout=PONG)
    await stage.speak(live, stage.clips.first)


async def _fragments(stage: Stage) -> None:
    live = await stage.open("fragments", configure=False)
    for frame in stage.caller.configure():
        await live.send_fragments(frame, parts=3)
    await stage.speak(live, stage.clips.first)


async def _close(stage: Stage) -> None:
    live = await stage.open("close")
    await stage.settle()
    await live.close()


async def _cut(stage: Stage) -> None:
    live = await _half(stage, "cut")
    await live.close()
    await stage.look()
    fresh = await stage.open("fresh")
    await stage.speak(fresh, stage.clips.first)


async def _half(stage: Stage, role: str) -> Live:
    """A session in the middle of an utterance."""
    live = await stage.open(role)
    clip = stage.clips.first
    await live.begin()
    await live.stream(clips.halves(clip)[0].resample(stage.caller.rate), clip.id)
    return live


async def _reset(stage: Stage) -> None:
    async with stage.among_others():
        lives = await asyncio.gather(*(_half(stage, "reset") for _ in range(3)))
        for live in lives:
            live.reset()


async def _half_open(stage: Stage) -> None:
    async with stage.among_others():
        live = await _half(stage, "half-open")
        live.deafen()
        await stage.wait(VANISHED)
        await stage.speak_afresh()
    live.reset()


async def _empty_reset(stage: Stage) -> None:
    async with stage.among_others():
        for _ in range(3):
            live = await stage.open("empty-reset")
            await live.begin()
            await live.finish()
            live.reset()


async def _abandoned(stage: Stage) -> None:
    before = await stage.look()
    async with stage.among_others():
        lives = await asyncio.gather(*(_half(stage, "abandoned") for _ in range(3)))
        for live in lives:
            await live.close()
    deadline = asyncio.get_running_loop().time() + FREED
    while asyncio.get_running_loop().time() < deadline:
        now = await stage.look()
        if all(
            now.get(name, 0.0) <= before[name] for name in before if "active" in name
        ):
            break
        await asyncio.sleep(stage.venue.settle)


async def _random(stage: Stage) -> None:
    venue = stage.venue
    if not venue.fuzz:
        raise NotRun("--realtime-fuzz=N plays N random sessions")
    clip = stage.clips.first
    speech = replace(clip, source=await stage.audio(clip))
    async with stage.among_others():
        found = await search(venue, speech)
    stage.take(found)


async def _wrong_path(stage: Stage) -> None:
    access = stage.venue.plan.access
    where = access.target.websocket.partition("?")[0]
    other = Target(f"{where}/no/such/path", access.target.http)
    await _knock(stage, "wrong-path", replace(access, target=other))


async def _wrong_key(stage: Stage) -> None:
    access = stage.venue.plan.access
    wrong = stage.dialect.headers("this-is-no-key")
    keys = {name for name, value in wrong.items() if "this-is-no-key" in value}
    if not keys & access.headers.keys():
        return
    headers = {**access.headers, **wrong}
    await _knock(stage, "wrong-key", replace(access, headers=headers))


async def _knock(stage: Stage, role: str, access: Access) -> None:
    """Open a session that the server should turn away, which is the evidence."""
    try:
        live = await stage.open(role, access=access)
        await live.close()
    except Lost as error:
        cause = error.__cause__
        if isinstance(cause, Unreachable) and cause.status is None:
            raise


async def _plain_http(stage: Stage) -> None:
    await stage.get("plain-http", stage.dialect.path)


async def _last(stage: Stage) -> None:
    await stage.look()
    live = await stage.open("last", pace=0.0)
    await stage.speak(live, stage.clips.first)


# Many connections


async def _crowd(stage: Stage) -> None:
    async def one(number: int) -> None:
        await asyncio.sleep(number * stage.venue.plan.chunk / CROWD)
        live = await stage.open("crowd")
        spoken = stage.clips.second if number % 2 else stage.clips.first
        speaking = asyncio.create_task(stage.speak(live, spoken))
        try:
            await stage.wait(spoken.duration / 2)
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
    stage: Stage,
    *,
    role: str,
    change: Callable[[Utterance], Utterance] = lambda clip: clip,
    chunk: float | None = None,
    faster: int = 1,
) -> None:
    """Two takes of a clip under another condition, and a third one to be sure."""
    clip = await asyncio.to_thread(change, stage.clips.first)
    pace = stage.venue.plan.pace * faster
    texts = [await _take(stage, role, clip, pace=pace, chunk=chunk) for _ in range(2)]
    if len(set(texts)) > 1:
        await _take(stage, role, clip, pace=pace, chunk=chunk)


async def _again(stage: Stage) -> None:
    live = await stage.open("again")
    for clip in (stage.clips.second, stage.clips.first, stage.clips.first):
        await stage.speak(live, clip)
        await stage.settle()


_ALONE = Scenario(
    ALONE,
    "clips one after the other, each in a session of its own; the first five times",
    _alone,
    company=Company.ALONE,
    sessions=clips.CANDIDATES + REPEATS - 1,
    times=clips.CANDIDATES + REPEATS - 1,
)
_LASTING = tuple(
    Scenario(
        name,
        f"an utterance of {name}",
        partial(_lasting, name=name),
        company=Company.THROUGH if name in _LONG else Company.TOGETHER,
        times=0,
        seconds=float(name.removesuffix("s")),
    )
    for name in LENGTHS
)


def _among_others(name: str, about: str, act: Act, harm: Harm, **cost: int) -> Scenario:
    """A scenario that has a bystander while it goes on, and a fresh session then."""
    cost = {"sessions": 3, "streams": 2, "times": 5, **cost}
    return Scenario(name, about, act, harm, Company.APART, **cost)


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
        company=Company.THROUGH,
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
    Scenario("last", "one more session at the end", _last, company=Company.LAST),
)
