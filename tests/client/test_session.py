"""Sessions with real servers: what they measure, how they end, what they keep."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import socket
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client import transport
from pytest_realtime_asr.client.inbox import (
    EVENTS_A_SECOND,
    MAX_EVENTS,
    TEXT_A_SECOND,
    flooded,
)
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Limits, Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.client.transport import MAX_MESSAGE, Unreachable
from pytest_realtime_asr.dialects.vllm.events import Delta, Done, Error
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.metrics.pacing import scheduling_delay
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Ping,
    Record,
    Sender,
    Span,
    Trace,
)
from tests.support.servers import (
    BRIEF,
    CLIP,
    CREATED,
    SOUND,
    VLLM,
    Talk,
    bare,
    broken,
    closed,
    faking,
    plain,
    plan,
    quiet,
    serving,
)

MS = 1_000_000
HUSH = Redactor(["hush-hush"])
SLACK = 40.0  # ms; what neither side's own clock sees: the way between two processes


async def _left() -> set[str]:
    """Return the tasks that still run."""
    await asyncio.sleep(0)
    me = asyncio.current_task()
    return {repr(task) for task in asyncio.all_tasks() if task is not me}


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop on which no task may be left."""
    loop = Loop()
    yield loop
    assert loop.run(_left()) == set()
    loop.stop()


@pytest.fixture(scope="module", autouse=True)
def nothing_unclosed() -> Iterator[None]:
    """Collect open sockets: each causes a warning, and a warning is an error."""
    yield
    gc.collect()


def speaker(texts: Mapping[int, str], *, ready: float = 0.0) -> Talk:
    """Return a server that sends each text after the frame of audio of this number.

    The frames are numbered from 1.
    """

    async def talk(connection: ServerConnection) -> None:
        await asyncio.sleep(ready)
        await connection.send(CREATED)
        frames = 0
        async for frame in connection:
            event = json.loads(frame)
            if event["type"] == "input_audio_buffer.append":
                frames += 1
                if frames in texts:
                    await connection.send(_delta(texts[frames]))
            elif event.get("final"):
                text = "".join(texts.values())
                await connection.send(_done(text))

    return talk


def _delta(text: str) -> str:
    return json.dumps({"type": "transcription.delta", "delta": text})


def _done(text: str) -> str:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps({"type": "transcription.done", "text": text, "usage": usage})


def audio_of(trace: Trace) -> list[Record]:
    return [record for record in trace.records if record.span is not None]


def went(loop: Loop, held: Plan) -> Transcription:
    """Return the result of an utterance that must succeed."""
    take = loop.run(run_utterance(Live(loop, held), CLIP))
    assert not take.lost, take.reason
    return take


def lost(loop: Loop, held: Plan, audio: Audio = SOUND) -> tuple[Lost, Live]:
    """Return the error of a session that must be lost, and the session."""
    live = Live(loop, held)

    async def talk() -> None:
        try:
            await live.open()
            await live.configure()
            await live.transcribe(audio, "turn-right")
        finally:
            await live.close()

    with pytest.raises(Lost) as caught:
        loop.run(talk())
    return caught.value, live


# A server of another dialect


def test_the_greeting_of_another_dialect_ends_the_session_at_once(loop: Loop) -> None:
    limits = Limits(connect=5, ready=60, silence=60, beyond=60)
    openai = dialects.load("openai")
    with faking(dialect=openai) as (url, fake):
        begun = time.monotonic()
        error, live = lost(loop, plan(url, limits=limits))
        assert time.monotonic() - begun < 30
        (trace,) = fake.traces()
    where = url.replace("http", "ws")
    said = (
        f"{where}/v1/realtime does not speak vllm: the first event was "
        "session.created, which is the first event of openai; use "
        "--realtime-dialect=openai"
    )
    assert str(error) == live.misfit == live.trace.end.reason == said
    assert error.how == "closed"
    assert not [each for each in trace.records if each.sender is Sender.CLIENT]


def test_a_first_frame_of_no_dialect_does_not_end_the_session(loop: Loop) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.send('{"type":"hello"}')
        await asyncio.sleep(0.2)
        await connection.send(CREATED)
        await connection.wait_closed()

    with serving(talk) as url:
        live = Live(loop, plan(url))

        async def opened() -> None:
            await live.open()
            await live.close()

        loop.run(opened())
    assert live.misfit == ""


# Known delays are read back


@dataclass(frozen=True)
class Measured:
    """Sessions that ran at the same time, with servers of different known delays."""

    near: list[Transcription]
    far: list[Transcription]
    stalls: list[Transcription]
    ready: list[Transcription]
    long: Transcription

    @property
    def late(self) -> float:
        """The largest delay of the client in this run, in ms."""
        every = [*self.near, *self.far, *self.stalls, *self.ready, self.long]
        own = [scheduling_delay(take.timeline) or 0.0 for take in every]
        lag = [late / MS for take in every for late in take.trace.lag.late]
        return max(own + lag)

    def median(self, takes: list[Transcription], metric: str) -> float:
        return statistics.median(value(take, metric) for take in takes)


def value(take: Transcription, metric: str) -> float:
    found = take.metrics[metric]
    assert found is not None
    return found


NEAR = {"word": 200, "final": 250}
FAR = {"word": 500, "final": 600}
STALLS = ((4, 12), (4, 15))  # the frames of audio at which text comes
READY = (0.0, 0.3)


@pytest.fixture(scope="module")
def measured() -> Measured:
    bridge = corpus.load("bundled:english")["prose-bridge"]  # 6.25 s
    loop = Loop()

    def fake(word: int, final: int) -> FakeServer:
        delays = ["--word-delay", f"{word}ms", "--final-delay", f"{final}ms"]
        return FakeServer(["--corpus", "bundled:english", *delays])

    async def session(url: str, wait: float, **changes: object) -> Transcription:
        await asyncio.sleep(wait)
        held = plan(url, model="scripted", pace=1.0, **changes)
        clip = bridge if "chunk" in changes else CLIP
        return await run_utterance(Live(loop, held), clip)

    async def group(*sessions: Awaitable[Transcription]) -> list[Transcription]:
        takes = await asyncio.gather(*sessions)
        assert not [take.reason for take in takes if take.lost]
        return [take for take in takes]

    async def every() -> Measured:
        long, near_, far_, stalls, ready_ = await asyncio.gather(
            group(session(near.url, 0.0, chunk=0.02)),
            group(*(session(near.url, 0.1 + n / 3) for n in range(5))),
            group(*(session(far.url, 0.25 + n / 3) for n in range(5))),
            group(*(session(url, 0.15) for url in halting)),
            group(*(session(url, 0.2) for url in ready)),
        )
        return Measured(near_, far_, stalls, ready_, long[0])

    with (
        fake(**NEAR) as near,
        fake(**FAR) as far,
        serving(speaker({4: "turn", 12: " right"})) as one,
        serving(speaker({4: "turn", 15: " right"})) as two,
        serving(speaker({4: "turn"}), late=0.2) as prompt,
        serving(speaker({4: "turn"}, ready=0.3)) as tardy,
    ):
        halting, ready = (one, two), (prompt, tardy)
        found = loop.run(every())
    loop.stop()
    return found


@pytest.mark.slow  # all audio is sent in real time
def test_all_texts_are_right_and_violate_nothing(measured: Measured) -> None:
    for take in [*measured.near, *measured.far]:
        assert take.text == CLIP.text
        assert take.violations == ()
    assert measured.long.alignment.errors.rate == 0


@pytest.mark.slow  # all audio is sent in real time
def test_no_latency_is_below_the_delay_of_the_server(measured: Measured) -> None:
    for takes, delays in ((measured.near, NEAR), (measured.far, FAR)):
        for take in takes:
            timeline, (first, *_) = take.timeline, CLIP.words
            spoken, onset = timeline.due(first.end), timeline.due(first.start)
            begun = timeline.heard[0].due
            assert spoken is not None
            assert onset is not None
            word, final = delays["word"], delays["final"]
            assert value(take, "final_from_commit") >= final
            from_onset = (spoken - onset) / MS + word
            assert value(take, "first_partial_from_speech") >= from_onset
            from_audio = (spoken - begun) / MS + word
            assert value(take, "first_partial_from_audio") >= from_audio


@pytest.mark.parametrize(
    ("metric", "apart"),
    [
        ("final_from_commit", FAR["final"] - NEAR["final"]),
        ("final_from_speech_end", FAR["final"] - NEAR["final"]),
        ("first_partial_from_speech", FAR["word"] - NEAR["word"]),
        ("first_partial_from_audio", FAR["word"] - NEAR["word"]),
    ],
)
@pytest.mark.slow  # all audio is sent in real time
def test_known_delays_are_read_back(
    measured: Measured, metric: str, apart: int
) -> None:
    near, far = (measured.median(t, metric) for t in (measured.near, measured.far))
    assert far - near == pytest.approx(apart, abs=SLACK + measured.late)


@pytest.mark.slow  # all audio is sent in real time
def test_stalls_are_read_back(measured: Measured) -> None:
    for take, (first, second) in zip(measured.stalls, STALLS, strict=True):
        heard = take.timeline.heard
        known = (heard[second - 1].due - heard[first - 1].due) / MS
        assert known == (second - first) * 100
        known = min(known, (heard[-1].due - heard[first - 1].due) / MS)
        stop = take.timeline.due(CLIP.speech_end or 0)
        assert stop is not None
        known = min(known, (stop - heard[first - 1].due) / MS)
        found = value(take, "longest_stall")
        assert found == pytest.approx(known, abs=SLACK + measured.late)


@pytest.mark.slow  # all audio is sent in real time
def test_connect_and_ready_are_read_back(measured: Measured) -> None:
    prompt, tardy = measured.ready
    assert value(prompt, "connect") >= 200  # it answers the handshake so late
    # It counts from when its answer leaves, and we from when that has come.
    assert value(tardy, "connect") + value(tardy, "session_ready") >= 300
    near = measured.median(measured.near, "connect")
    wide = SLACK + measured.late
    assert value(prompt, "connect") - near == pytest.approx(200, abs=wide)
    apart = value(tardy, "session_ready") - value(prompt, "session_ready")
    assert apart == pytest.approx(300, abs=wide)


@pytest.mark.slow  # all audio is sent in real time
def test_no_drift_over_six_seconds(measured: Measured) -> None:
    records = audio_of(measured.long.trace)
    zero = records[0].due
    assert zero is not None
    own = []
    for number, record in enumerate(records[:-1]):
        assert record.due == zero + number * 20 * MS
        assert record.woke is not None
        own.append((record.woke - record.due) / MS)
    assert min(own) >= 0
    # Pacing by sleep(chunk) would be some 100 ms late by now.
    drift = statistics.median(own[-50:]) - statistics.median(own[:50])
    assert abs(drift) <= 20 + measured.late / 2
    error = value(measured.long, "pacing_error")
    assert abs(error) <= value(measured.long, "sender_lateness_max") / 6000 + 0.001


# Pacing


@pytest.fixture(scope="module")
def sound() -> Iterator[str]:
    with faking() as (url, _):
        yield url


@pytest.mark.parametrize(
    ("pace", "chunk"), [(8.0, 0.02), (8.0, 0.1), (8.0, 1.0), (4.0, 0.0333), (8.0, 60.0)]
)
def test_due_times(loop: Loop, sound: str, pace: float, chunk: float) -> None:
    take = went(loop, plan(sound, pace=pace, chunk=chunk))
    records, step = audio_of(take.trace), round(chunk * 16000)
    first = records[0]
    assert first.due is not None
    assert first.span is not None
    zero = first.due - round(first.span.stop / 16000 / pace * 1e9)
    position = 0
    for record in records:
        assert record.span is not None
        assert record.woke is not None
        assert record.due is not None
        assert record.span.start == position
        position = min(position + step, SOUND.samples)
        assert record.span.stop == position
        assert record.due == zero + round(position / 16000 / pace * 1e9)
        assert record.due <= record.woke <= record.at
    assert position == SOUND.samples
    commit = take.timeline.commit
    assert commit is not None
    assert commit.due == records[-1].due
    assert take.timeline.heard[-1].samples == SOUND.samples
    assert take.text == CLIP.text


def test_pace_two_halves_the_duration(loop: Loop, sound: str) -> None:
    take = went(loop, plan(sound, pace=2.0))
    heard = take.timeline.heard
    assert heard[-1].due - heard[0].due == round((SOUND.seconds - 0.1) / 2 * 1e9)
    assert value(take, "pacing_error") < 0


def test_pace_zero_does_not_wait(loop: Loop, sound: str) -> None:
    take = went(loop, plan(sound, pace=0.0))
    heard = take.timeline.heard
    assert heard[-1].sent - heard[0].due < SOUND.seconds * 1e9
    assert len(heard) == 17
    for frame in heard:
        assert 0 <= frame.woke - frame.due < 1000 * MS
    commit = take.timeline.commit
    assert commit is not None
    assert commit.due == heard[-1].due
    assert take.text == CLIP.text


def reluctant(pause: float) -> Talk:
    """Return a server that stops reading for ``pause`` s when an utterance starts."""

    async def talk(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for frame in connection:
            event = json.loads(frame)
            if event.get("final"):
                await connection.send(_done(""))
            elif event["type"] == "input_audio_buffer.commit":
                connection.transport.pause_reading()
                await asyncio.sleep(pause)
                connection.transport.resume_reading()

    return talk


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [600, 0.5])
def test_unpaced_audio_has_the_time_that_it_lasts(loop: Loop, seconds: float) -> None:
    """The limit for all frames together is the length of the audio plus ``beyond``."""
    sound = Audio(bytes(2 * round(16000 * seconds)), 16000)
    limits = Limits(connect=5, ready=5, silence=5, beyond=0.6)
    chunk = seconds / 60

    async def slow(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for frame in connection:
            await asyncio.sleep(0.03)
            if '"final":true' in str(frame):
                await connection.send(_done(""))

    with serving(slow) as url:
        live = opened(loop, plan(url, pace=0.0, chunk=chunk, limits=limits))
        begun = time.monotonic()
        if seconds > 1:
            loop.run(live.transcribe(sound, "silence"))
            assert time.monotonic() - begun > 2 * limits.beyond
        else:
            with pytest.raises(Lost, match="waited "):
                loop.run(live.transcribe(sound, "silence"))
        loop.run(live.close())


def test_a_server_that_does_not_read_causes_no_client_delay(loop: Loop) -> None:
    minutes = Audio(bytes(2 * 16000 * 600), 16000)  # more than any socket buffers

    async def session(url: str) -> Live:
        live = Live(loop, plan(url, pace=0.0, chunk=10.0))
        try:
            await live.open()
            await live.configure()
            await live.transcribe(minutes, "silence")
        finally:
            await live.close()
        return live

    async def both() -> list[Live]:
        return list(await asyncio.gather(session(short), session(long)))

    with (
        serving(reluctant(0.3), max_size=2**22) as short,
        serving(reluctant(0.9), max_size=2**22) as long,
    ):
        lives = loop.run(both())
    blocked = []
    for live in lives:
        timeline = live.timeline
        blocked.append(max(frame.sent - frame.woke for frame in timeline.heard) / MS)
        assert (scheduling_delay(timeline) or 0.0) < 200 + max(
            (late / MS for late in timeline.lag.late), default=0.0
        )
    lag = max((x / MS for live in lives for x in live.timeline.lag.late), default=0.0)
    assert blocked[1] - blocked[0] == pytest.approx(600, abs=200 + lag)


# What blocks the test does not bend the numbers


def test_blocked_loop_of_the_test(loop: Loop) -> None:
    async def test() -> Transcription:
        held = plan(url, pace=4.0)
        waiting = asyncio.create_task(loop.wait(run_utterance(Live(loop, held), CLIP)))
        await asyncio.sleep(0.05)
        time.sleep(1.0)  # a test that blocks its own loop
        return await waiting

    with faking(final_delay=0.25) as (url, _):
        take = asyncio.run(test())
    final, late = (
        value(take, "final_from_commit"),
        scheduling_delay(take.timeline) or 0.0,
    )
    assert final >= 250
    assert final - 250 <= SLACK + 2 * late
    heard = take.timeline.heard
    assert (heard[-1].woke - heard[-1].due) / MS <= SLACK + late


@pytest.mark.slow
def test_the_effect_of_a_busy_thread_is_measured(loop: Loop) -> None:
    """Other processes delay the server too, so the least disturbed utterance counts."""
    over = threading.Event()

    def burn() -> None:
        number = 0
        while not over.is_set():
            number += 1

    delays = ["--final-delay", "250ms", "--corpus", "bundled:english"]
    with FakeServer(delays) as fake:
        thread = threading.Thread(target=burn)
        thread.start()
        try:
            held = plan(fake.url, model="scripted", pace=4.0)
            takes = [went(loop, held) for _ in range(4)]
        finally:
            over.set()
            thread.join()
    unexplained = []
    for take in takes:
        final = value(take, "final_from_commit")
        late = scheduling_delay(take.timeline) or 0.0
        lag = max((late / MS for late in take.trace.lag.late), default=0.0)
        assert final >= 250
        assert late > 0
        unexplained.append(final - 250 - 2 * max(late, lag))
    assert min(unexplained) <= SLACK


@pytest.mark.slow
def test_held_interpreter_is_reported(loop: Loop, sound: str) -> None:
    slow = re.compile(r"(a+)+b")
    held = plan(sound, pace=2.0)
    future = loop.submit(run_utterance(Live(loop, held), CLIP))
    time.sleep(0.2)
    begun = time.monotonic()
    assert slow.match("a" * 24) is None  # holds the interpreter lock all the while
    spent = (time.monotonic() - begun) * 1e3
    take = future.result(20)
    assert max(take.trace.lag.late) / MS >= spent / 2
    assert (scheduling_delay(take.timeline) or 0.0) >= spent / 4


# Ends


def test_refused_port(loop: Loop) -> None:
    with closed() as port:
        error, live = lost(loop, plan(f"http://127.0.0.1:{port}"))
    assert error.how == "refused"
    assert "no server was there: " in str(error)
    assert live.trace.end.how is Ending.REFUSED
    assert live.trace.opened is None
    assert live.trace.records == ()


@pytest.mark.parametrize("status", [401, 404, 503])
def test_refused_handshake(loop: Loop, status: int) -> None:
    held = {"headers": {"Authorization": "Bearer hush-hush"}, "redactor": HUSH}
    with serving(answer=lambda request: plain(status)) as url:
        error, live = lost(loop, plan(url + "/?token=hidden", **held))
    assert error.how == "refused"
    assert f"HTTP {status}: " in str(error)
    end = live.trace.end
    assert (end.how, end.code) == (Ending.REFUSED, status)
    for text in (str(error), live.trace.dumps().decode()):
        assert "hush" not in text
        assert "hidden" not in text


def test_a_refused_handshake_quotes_the_server(loop: Loop) -> None:
    body = b'{"err_msg":"no model for hush-hush"}'
    for redactor, said in (
        (Redactor(), '; the server says: {"err_msg":"no model for hush-hush"}'),
        (HUSH, '; the server says: {"err_msg":"no model for [removed]"}'),
        (Redactor(private=True), ": HTTP 400: the server refused the request"),
    ):
        with serving(answer=lambda request: plain(400, body)) as url:
            error, live = lost(loop, plan(url, redactor=redactor))
        assert live.trace.end.reason.endswith(said)
        assert said in str(error)
        assert ("err_msg" in str(error)) is (not redactor.private)


def test_a_refused_handshake_reports_retry_after(loop: Loop) -> None:
    later = plain(429)
    later.headers["Retry-After"] = "7"
    with serving(answer=lambda request: later) as url:
        error, _ = lost(loop, plan(url))
    cause = error.__cause__
    assert isinstance(cause, Unreachable)
    assert (cause.status, cause.retry_after) == (429, 7.0)


def test_fake_asks_for_its_key_and_route(loop: Loop) -> None:
    with faking(key="right") as (url, _):
        error, live = lost(loop, plan(url))
        assert live.trace.end.code == 401
        wrong = {"Authorization": "Bearer wrong"}
        error, live = lost(loop, plan(url, headers=wrong))
        assert live.trace.end.code == 401
        given = {"Authorization": "Bearer right"}
        error, live = lost(loop, plan(f"{url}/other".replace("http", "ws")))
        assert live.trace.end.code in (401, 404)
        held = plan(f"{url}/other".replace("http", "ws"), headers=given)
        error, live = lost(loop, held)
        assert live.trace.end.code == 404
        assert "is the path right" in str(error)
        assert went(loop, plan(url, headers=given)).text == CLIP.text


HASTY = Limits(connect=5, ready=0.2, silence=0.3, beyond=3)


@pytest.mark.parametrize(
    ("fault", "how", "end", "said"),
    [
        (
            "mute",
            "hung",
            Ending.DEADLINE,
            r"waited 0\.\d s for the server to be ready; no event was received",
        ),
        (
            "no-final",
            "hung",
            Ending.DEADLINE,
            r"waited 0\.\d s for the final of utterance 0 \(turn-right\): "
            r"transcription\.done; events received: 1 session.created, 4 transcription",
        ),
        (
            "close",
            "closed",
            Ending.CLOSED_BY_PEER,
            r"the server closed with code 1011; events received: 1 session.created",
        ),
        (
            "reset",
            "broke",
            Ending.BROKEN,
            r"the connection broke without a close frame; events received: 1 ses",
        ),
        (
            "flood",
            "flooded",
            Ending.LIMIT,
            r"the server flooded the session: it sent more than 10,\d+ events "
            r"\(the limit is 10,000, plus 100 for each of the \d\.\d s of audio "
            r"sent\); events received: 1 session.created, \d+ transcription.delta",
        ),
    ],
)
def test_each_fault_is_reported_as_its_own_kind_of_loss(
    loop: Loop, fault: str, how: str, end: Ending, said: str
) -> None:
    limits = HASTY if how == "hung" else BRIEF  # only a silence needs to be short
    with faking(fault) as (url, fake):
        begun = time.monotonic()
        error, live = lost(loop, plan(url, limits=limits))
        spent = time.monotonic() - begun
    (theirs,) = fake.traces()
    assert error.how == how
    assert re.match(said, str(error))
    trace = live.trace
    assert trace.end.how is end
    assert spent < limits.connect + limits.beyond + 2  # every limit, and a close
    ours = [r.text for r in trace.records if r.sender is Sender.SERVER]
    sent = [r.text for r in theirs.records if r.sender is Sender.SERVER]
    if fault == "flood":
        heard = sum(each.size for each in live.timeline.heard) / 2 / trace.rate
        assert 0 < len(ours) - MAX_EVENTS <= EVENTS_A_SECOND * heard + 100
    else:
        assert ours == sent
    with pytest.raises(Lost) as again:
        loop.run(live.send_raw("more"))
    assert again.value.how == how


def test_final_that_comes_after_the_silence(loop: Loop) -> None:
    with faking(final_delay=1.0) as (url, _):
        error, live = lost(loop, plan(url, limits=HASTY))
    assert error.how == "hung"
    trace = live.trace
    asked = max(each.at for each in trace.records if each.sender is Sender.CLIENT)
    spent = (trace.end.at - asked) / 1e9
    waited = float(str(error).split()[1])
    assert 0.3 <= waited <= spent + 0.05  # the message has one decimal


def test_a_frame_without_json_is_a_violation_and_no_loss(loop: Loop) -> None:
    with faking("no-json") as (url, _):
        take = went(loop, plan(url))
    assert take.text == CLIP.text
    assert {v.requirement.id for v in take.violations} == {"well-formed"}


@pytest.mark.slow
def test_server_dies(loop: Loop) -> None:
    with FakeServer(["--fault", "die", "--corpus", "bundled:english"]) as fake:
        error, live = lost(loop, plan(fake.url, model="scripted"))
    assert error.how == "broke"
    assert live.trace.end.how is Ending.BROKEN
    assert "events received: 1 session.created" in str(error)
    assert len(audio_of(live.trace)) >= 5


@pytest.mark.slow
def test_server_is_killed(loop: Loop) -> None:
    with FakeServer(["--corpus", "bundled:english"]) as fake:
        held = plan(fake.url, model="scripted", pace=1.0)
        live = Live(loop, held)
        future = loop.submit(run_utterance(live, CLIP))
        while not any(r.span for r in live.trace.records):
            time.sleep(0.02)
        fake.kill()
        take = future.result(10)
    assert take.lost == "broke"
    assert "the connection broke without a close frame" in take.reason
    assert take.metrics["final_from_commit"] is None
    with pytest.raises(Lost) as caught:
        loop.run(live.transcribe(SOUND, "again"))
    assert caught.value.how == "broke"


@pytest.mark.slow
def test_a_server_that_accepts_no_audio_is_lost(loop: Loop) -> None:
    minutes = Audio(bytes(2 * 16000 * 600), 16000)
    limits = Limits(connect=5, ready=5, silence=5, beyond=0.5)

    async def talk(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()
        await quiet(connection)

    with serving(talk) as url:
        held = plan(url, pace=0.0, chunk=10.0, limits=limits)
        error, live = lost(loop, held, minutes)
    assert error.how == "hung"
    assert str(error) == (
        "the server accepted none of the audio for 0.5 s (--realtime-timeout=SECONDS "
        "allows more); events received: 1 session.created"
    )
    assert live.trace.end.how is Ending.DEADLINE


def test_unknown_model_is_refused(loop: Loop, sound: str) -> None:
    error, live = lost(loop, plan(sound, model="other"))
    assert error.how == "refused"
    assert "`other` does not exist (model_not_found)" in str(error)
    assert live.trace.end.how is Ending.CLOSED_BY_US


def sends(*frames: str | bytes, text: bool | None = None) -> Talk:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        for frame in frames:
            await connection.send(frame, text=text)
        await quiet(connection)

    return talk


def test_an_invalid_frame_breaks_the_session(loop: Loop) -> None:
    with serving(sends(b"\xff\xfe", text=True)) as url:
        error, live = lost(loop, plan(url))
    assert error.how == "broke"
    end = live.trace.end
    assert (end.how, end.code) == (Ending.BROKEN, 1007)
    assert "code 1007" in str(error)
    assert "events received: 1 session.created" in str(error)


def test_an_event_over_our_limit_is_no_fault_of_the_server(loop: Loop) -> None:
    with serving(sends(b"x" * (2**20 + 1), text=True)) as url:
        error, live = lost(loop, plan(url))
    end = live.trace.end
    assert (error.how, end.how, end.code) == ("cancelled", Ending.CANCELLED, 1009)
    assert str(error) == end.reason
    assert end.reason == (
        "an event of the server is larger than the client's limit of 1 MiB; raise "
        "this limit with "
        "--realtime-max-message=SIZE; events received: 1 session.created"
    )
    assert {v.requirement.id for v in broken(live.trace)} == {"created-now"}


def test_bytes_of_an_incomplete_event_are_counted(loop: Loop) -> None:
    begun = b"\x01\x7e" + (60_000).to_bytes(2)  # a fragment that does not end

    def then(taken: socket.socket) -> None:
        taken.sendall(begun + b"x" * 60_000)
        while taken.recv(4096):
            pass

    with bare(then) as url:
        error, live = lost(loop, plan(url, limits=HASTY))
    assert live.trace.end.how is Ending.DEADLINE
    assert str(error).endswith("; 60004 bytes were received, but no complete event")


def test_a_close_frame_does_not_count_as_an_incomplete_event(loop: Loop) -> None:
    def then(taken: socket.socket) -> None:
        reason = b"wrong key"
        taken.sendall(bytes([0x88, 2 + len(reason)]) + (4401).to_bytes(2) + reason)
        taken.recv(4096)  # the answer to the close frame

    with bare(then) as url:
        error, live = lost(loop, plan(url, limits=HASTY))
    assert live.trace.end.code == 4401
    assert "wrong key" in str(error)
    assert "bytes were received" not in str(error)


def test_an_invalid_frame_is_no_close_by_the_client(loop: Loop) -> None:
    """The session is broken even if the server answers the close frame as usual."""

    def then(taken: socket.socket) -> None:
        taken.sendall(b"\x81\x02\xff\xfe")
        while taken.recv(4096)[:1] != b"\x88":
            pass
        taken.sendall(b"\x88\x02\x03\xe8")

    with bare(then) as url:
        error, live = lost(loop, plan(url))
    assert error.how == "broke"
    said = "the client closed with code 1007: the server sent text that is not UTF-8"
    assert str(error).startswith(said)
    assert (live.trace.end.how, live.trace.end.code) == (Ending.BROKEN, 1007)


@pytest.mark.parametrize(
    ("reply", "code"), [(b"\x88\x00", 1005), (b"\x88\x02\x03\xf3", 1011)]
)
def test_a_close_by_the_client_is_attributed_to_it(
    loop: Loop, reply: bytes, code: int
) -> None:
    def then(taken: socket.socket) -> None:
        created = CREATED.encode()
        taken.sendall(b"\x81" + bytes([len(created)]) + created)
        assert taken.recv(4096)[:1] == b"\x88"
        taken.sendall(reply)

    with bare(then) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.close())
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_US, code)


def test_binary_frame_is_kept(loop: Loop) -> None:
    with serving(sends(b"\x00\xff", _done(""))) as url:
        live = Live(loop, plan(url))

        async def talk() -> Done:
            await live.open()
            done = await live.expect("transcription.done")
            await live.close()
            assert isinstance(done, Done)
            return done

        loop.run(talk())
    assert [r.data for r in live.trace.records if r.data is not None] == [b"\x00\xff"]
    assert "well-formed" in {v.requirement.id for v in broken(live.trace)}


def test_no_secret_is_written_or_raised(loop: Loop) -> None:
    async def leak(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        assert connection.request is not None
        key = connection.request.headers["Authorization"]
        await connection.send(json.dumps({"type": "error", "error": f"no {key}"}))
        async for frame in connection:
            if json.loads(frame).get("final"):
                break
        await connection.close(4000, f"bye {key}")

    held = {"headers": {"Authorization": "Bearer hush-hush"}, "redactor": HUSH}
    with serving(leak) as url:
        error, live = lost(loop, plan(url, **held))
        trace = live.trace
    for text in (str(error), trace.dumps().decode()):
        assert "hush" not in text
    assert "hush" not in repr(live.plan)
    assert "no Bearer [removed]" in str(error)


# What a test can do with a session


def opened(loop: Loop, held: Plan) -> Live:
    live = Live(loop, held)
    loop.run(live.open())
    loop.run(live.configure())
    return live


def test_several_utterances_on_one_connection(loop: Loop, sound: str) -> None:
    english = corpus.load("bundled:english")
    clips = [english[name] for name in ("turn-right", "digits-four", "turn-right")]
    live = opened(loop, plan(sound))
    try:
        items = [loop.run(live.transcribe(c.audio, c.id)) for c in clips]
    finally:
        loop.run(live.close())
    assert items == [0, 1, 2]
    timeline = live.timeline
    texts = [timeline.item(number).text for number in items]
    assert texts == [clip.text for clip in clips]
    for number, clip in enumerate(clips):
        heard = timeline.item(number).heard
        assert heard[-1].samples == clip.audio.samples
    assert broken(live.trace) == ()
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_US, 1000)
    with pytest.raises(Lost, match="closed by us"):
        loop.run(live.transcribe(SOUND, "late"))


def test_a_burst_is_sent_in_its_order(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    begin, finish = live.plan.caller.begin(), live.plan.caller.finish()
    try:
        loop.run(live.burst(begin, SOUND, "turn-right", finish))
        loop.run(live.expect("transcription.done"))
    finally:
        loop.run(live.close())
    sent = [each for each in live.trace.records if each.sender is Sender.CLIENT][1:]
    assert [each.text for each in (sent[0], sent[-1])] == [*begin, *finish]
    spans = [each.span for each in sent[1:-1] if each.span is not None]
    assert len(spans) == len(sent) - 2
    assert {span.asset for span in spans} == {"turn-right"}
    assert (spans[0].start, spans[-1].stop) == (0, SOUND.samples)
    assert all(each.raw for each in sent)
    assert live.timeline.text == CLIP.text


def test_a_burst_needs_an_open_session(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    loop.run(live.close())
    with pytest.raises(Lost, match="closed by us"):
        loop.run(live.burst((), SOUND, "turn-right", ()))


def test_expect_continues_after_the_last_event(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    try:
        loop.run(live.send_raw({"type": "novelty.one"}))
        loop.run(live.send_raw('{"type": "novelty.two"}'))
        loop.run(live.send_raw(b"binary"))
        loop.run(live.send_raw("no JSON"))
        answers = [loop.run(live.expect("error")) for _ in range(4)]
        said = [answer for answer in answers if isinstance(answer, Error)]
        assert [error.code for error in said] == [
            "unknown_event",
            "unknown_event",
            "invalid_frame",
            "invalid_json",
        ]
        assert "novelty.one" in said[0].error
        # What was expected is dealt with, and what was passed over stays recorded.
        item = loop.run(live.transcribe(SOUND, "turn-right"))
        assert live.timeline.item(item).text == CLIP.text
        delta = loop.run(live.expect("transcription.delta"))
        assert isinstance(delta, Delta)
        assert delta.delta == "turn"
        assert isinstance(loop.run(live.expect("transcription.done")), Done)
        with pytest.raises(Lost) as caught:
            loop.run(live.expect("session.created", timeout=0.1))
        assert caught.value.how == "hung"
        assert " s for the event session.created" in str(caught.value)
        assert "1 session.created, 4 error, 4 transcription.delta" in str(caught.value)
    finally:
        loop.run(live.close())
    raw = [r for r in live.trace.records if r.raw]
    assert [r.text or r.data for r in raw] == [
        '{"type": "novelty.one"}',
        '{"type": "novelty.two"}',
        b"binary",
        "no JSON",
    ]
    assert all(r.sender is Sender.CLIENT for r in raw)


def test_raw_utterance_counts_as_an_item(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    try:
        loop.run(live.send_raw({"type": "input_audio_buffer.commit"}))
        loop.run(live.send_raw({"type": "input_audio_buffer.commit", "final": True}))
        loop.run(live.expect("transcription.done"))
        assert live.items == 1
        assert loop.run(live.transcribe(SOUND, "turn-right")) == 1
    finally:
        loop.run(live.close())
    assert live.timeline.item(1).text == CLIP.text


def test_expect_of_a_session_that_was_closed(loop: Loop) -> None:
    async def bye(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        await connection.close(1001, "going away")

    with serving(bye) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        with pytest.raises(Lost) as caught:
            loop.run(live.expect("error"))
        loop.run(live.close())
    assert caught.value.how == "closed"
    assert "the server closed with code 1001: going away" in str(caught.value)


def test_cancelled_utterance_keeps_the_events_that_arrived(
    loop: Loop, sound: str
) -> None:
    live = opened(loop, plan(sound, pace=1.0))
    future = loop.submit(live.transcribe(SOUND, "turn-right"))
    while not live.timeline.item(0).text:
        time.sleep(0.02)
    future.cancel()
    with pytest.raises(CancelledError):
        future.result()
    before = len(audio_of(live.trace))
    assert 0 < before < 17
    loop.run(live.close())
    trace = live.trace
    assert len(audio_of(trace)) <= before + 1
    assert trace.end.how is Ending.CANCELLED
    with pytest.raises(Lost, match="cancelled by the test"):
        loop.run(live.transcribe(SOUND, "again"))
    assert dialects.read(VLLM, trace).item(0).text


def test_cancelled_open_leaves_nothing(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        live = Live(loop, plan(f"http://127.0.0.1:{silent.getsockname()[1]}"))
        future = loop.submit(live.open())
        time.sleep(0.1)
        future.cancel()
        loop.run(live.close())
    assert live.trace.end.how is Ending.CLOSED_BY_US
    with serving() as url:
        live = Live(loop, plan(url))
        future = loop.submit(live.open())
        time.sleep(0.1)
        future.cancel()
        loop.run(live.close())
        assert live.trace.opened is not None


def test_never_opened(loop: Loop) -> None:
    live = Live(loop, plan("http://127.0.0.1:9"))
    with pytest.raises(Lost, match="the session is not open") as caught:
        loop.run(live.send_raw("too early"))
    assert caught.value.how == "closed"
    loop.run(live.close())
    trace = live.trace
    assert (trace.end.how, trace.opened) == (Ending.CLOSED_BY_US, None)
    assert live.recording is live.recording
    with pytest.raises(Lost, match="closed by us"):
        loop.run(live.open())
    loop.run(live.close())
    assert (live.trace.end, live.trace.lag) == (trace.end, trace.lag)


def test_closed_while_it_connects(loop: Loop, sound: str) -> None:
    async def both() -> BaseException | None:
        opening = asyncio.create_task(live.open())
        await asyncio.sleep(0)
        await live.close()
        ends.append(live.trace.end)
        (found,) = await asyncio.gather(opening, return_exceptions=True)
        return found

    ends: list[End] = []
    live = Live(loop, plan(sound))
    assert isinstance(loop.run(both()), Lost)
    assert (live.trace.opened, live.trace.records) == (None, ())
    assert [live.trace.end] == ends
    assert live.recording is live.recording


def test_closed_twice_at_a_time(loop: Loop, sound: str) -> None:
    async def twice() -> None:
        await asyncio.gather(live.close(), live.close())

    live = opened(loop, plan(sound))
    loop.run(twice())
    loop.run(live.close())
    live = opened(loop, plan(sound))
    loop.run(live.close())
    assert loop.run(_left()) == set()  # its ticker has ended too


@pytest.mark.slow
def test_peer_that_does_not_answer_a_close(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.2)

    async def deaf(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()
        await asyncio.to_thread(over.wait, 20)
        connection.transport.resume_reading()
        await quiet(connection)

    over = threading.Event()  # the server answers only after the close is over
    with serving(deaf) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        begun = time.monotonic()
        loop.run(live.close())
        assert time.monotonic() - begun >= 0.2
        over.set()
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_US, None)
    assert end.reason == "the server did not answer the client's close frame"


def test_lag_ends_with_the_session(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound, limits=BRIEF))
    loop.run(live.close())
    first = live.trace.lag
    time.sleep(0.1)
    assert live.trace.lag == first


def test_a_trace_names_the_version(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound, version="0.33.0"))
    loop.run(live.close())
    assert live.trace.version == "0.33.0"
    assert "rules" not in repr(live.plan)


# Step by step


def stepwise(loop: Loop, live: Live, *pieces: Audio) -> int:
    """Send an utterance in pieces, wait for its final, and return its number."""

    async def talk() -> int:
        item = await live.begin()
        for piece in pieces:
            await live.stream(piece, "piece")
        await live.finish()
        await live.final(item, "pieces", total=10)
        return item

    return loop.run(talk())


def halves(audio: Audio) -> tuple[Audio, Audio]:
    middle = audio.samples // 2 * 2
    return Audio(audio.pcm[:middle], audio.rate), Audio(audio.pcm[middle:], audio.rate)


def test_an_utterance_step_by_step(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    whole = loop.run(live.transcribe(SOUND, "turn-right"))
    pieces = stepwise(loop, live, *halves(SOUND))
    loop.run(live.close())
    assert (whole, pieces) == (0, 1)
    timeline = live.timeline
    assert timeline.item(0).text == timeline.item(1).text == CLIP.text
    spans = [record.span for record in audio_of(live.trace)[17:]]
    first, second = (piece.samples for piece in halves(SOUND))
    assert spans[0] == Span("piece", 0, 1600)
    assert spans[9] == Span("piece", 0, 1600)  # each is counted from its own begin
    assert (spans[8], spans[-1]) == (
        Span("piece", 12800, first),
        Span("piece", 12800, second),
    )
    heard = timeline.item(1).heard
    assert heard[-1].samples == SOUND.samples
    commit = timeline.item(1).commit
    assert commit is not None
    assert commit.due == heard[-1].due
    assert broken(live.trace) == ()


def test_each_stream_keeps_its_own_pace(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound, pace=4.0))
    stepwise(loop, live, *halves(SOUND))
    loop.run(live.close())
    heard = live.timeline.item(0).heard
    for part, piece in zip((heard[:9], heard[9:]), halves(SOUND), strict=True):
        lasted = (piece.seconds - 0.1) / 4
        assert part[-1].due - part[0].due == round(lasted * 1e9)
    assert heard[9].due >= heard[8].sent + round(0.1 / 4 * 1e9)


def test_a_commit_without_audio_is_due_when_it_leaves(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))
    loop.run(live.transcribe(SOUND, "turn-right"))
    item = stepwise(loop, live)
    loop.run(live.close())
    commit = live.timeline.item(item).commit
    assert commit is not None
    assert commit.due == commit.woke
    assert live.timeline.item(item).heard == ()


def test_a_frame_out_of_turn_is_marked(loop: Loop) -> None:
    """A refusal of such a frame does not end the utterance."""

    async def strict(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        finals = 0
        async for frame in connection:
            event = json.loads(frame)
            if finals and event["type"] == "input_audio_buffer.append":
                await connection.send('{"type":"error","error":"too late"}')
            if event.get("final"):
                finals += 1
                if finals == 2:
                    await connection.send(_done("x"))

    async def talk() -> None:
        item = await live.begin()
        await live.stream(SOUND, "first")
        await live.finish()
        await live.stream(SOUND, "late", raw=True)
        assert await live.answered(17, timeout=10)
        await live.finish(raw=True)
        await live.final(item, "first", total=10)

    with serving(strict) as url:
        live = opened(loop, plan(url, pace=0.0))
        loop.run(talk())
        loop.run(live.close())
    records = live.trace.records
    by_hand = [record for record in records if record.raw]
    assert [record.span.asset for record in by_hand if record.span] == ["late"] * 17
    stray = by_hand[-1]
    assert stray.span is None
    assert stray.text == VLLM.caller("m", {}).finish()[0]
    assert stray.due == stray.woke
    assert [r.raw for r in audio_of(live.trace)] == [False] * 17 + [True] * 17


def test_a_stray_end_that_is_refused_ends_no_utterance(loop: Loop) -> None:
    async def strict(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        begun = False
        async for frame in connection:
            event = json.loads(frame)
            if event["type"] == "input_audio_buffer.commit":
                if event.get("final"):
                    no = '{"type":"error","error":"nothing to end"}'
                    await connection.send(_done("fine") if begun else no)
                begun = not event.get("final")

    async def talk() -> None:
        await live.finish(raw=True)
        assert await live.answered(1, timeout=10)
        assert await live.transcribe(SOUND, "turn-right") == 0

    with serving(strict) as url:
        live = opened(loop, plan(url))
        loop.run(talk())
        loop.run(live.close())
    assert live.timeline.item(0).text == "fine"


def test_a_final_is_waited_for_within_its_time(loop: Loop) -> None:
    with faking("no-final") as (url, _):
        live = opened(loop, plan(url))

        async def talk() -> None:
            item = await live.begin()
            await live.stream(SOUND, "turn-right")
            await live.finish()
            await live.final(item, "this one", total=0.3)

        with pytest.raises(Lost) as caught:
            loop.run(talk())
        loop.run(live.close())
    assert caught.value.how == "hung"
    said = (
        r"waited (0\.\d) s for the final of utterance 0 \(this one\): "
        r"transcription\.done; events received: "
    )
    match = re.match(said, str(caught.value))
    assert match is not None
    assert float(match[1]) >= 0.3
    assert live.trace.end.how is Ending.DEADLINE


@pytest.mark.parametrize(
    ("redactor", "said"),
    [
        (Redactor(), "; the first error: no model hush-hush (no_model)"),
        (HUSH, "; the first error: no model [removed] (no_model)"),
        (Redactor(private=True), "; the first error: (no_model)"),
    ],
    ids=["plain", "secret", "private"],
)
def test_a_session_that_ends_after_an_error_quotes_it(
    loop: Loop, redactor: Redactor, said: str
) -> None:
    async def refusing(connection: ServerConnection) -> None:
        error = {"type": "error", "error": "no model hush-hush", "code": "no_model"}
        await connection.send(json.dumps(error))
        await connection.close(1008, "")

    with serving(refusing) as url:
        error, _ = lost(loop, plan(url, redactor=redactor))
    assert error.how == "closed"
    assert str(error) == (
        "the server closed with code 1008; the client waited for the server to be "
        f"ready; events received: 1 error{said}"
    )


def test_a_refused_utterance_is_reported_once(loop: Loop) -> None:
    async def moody(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        utterances = 0
        async for frame in connection:
            if json.loads(frame).get("final"):
                utterances += 1
                if utterances == 1:
                    error = {"type": "error", "error": "not this one", "code": "no"}
                    await connection.send(json.dumps(error))
                else:
                    await connection.send(_done("fine"))

    with serving(moody) as url:
        live = opened(loop, plan(url))
        with pytest.raises(Lost, match=r"refused: not this one \(no\)") as caught:
            stepwise(loop, live, SOUND)
        assert caught.value.how == "refused"
        item = stepwise(loop, live, SOUND)
        loop.run(live.close())
    assert item == 1
    assert live.timeline.item(1).text == "fine"
    assert live.trace.end.how is Ending.CLOSED_BY_US


@pytest.mark.slow
def test_each_step_reports_a_server_that_reads_too_slowly(loop: Loop) -> None:
    minutes = Audio(bytes(2 * 16000 * 600), 16000)
    limits = Limits(connect=5, ready=5, silence=5, beyond=0.5)

    async def talk(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()
        await quiet(connection)

    with serving(talk) as url:
        live = opened(loop, plan(url, pace=0.0, chunk=10.0, limits=limits))
        with pytest.raises(Lost, match=r"accepted none of the audio for 0\.5 s "):
            loop.run(live.stream(minutes, "silence"))
        for step in (live.begin, live.finish):
            with pytest.raises(Lost) as caught:
                loop.run(step())
            assert caught.value.how == "hung"
        loop.run(live.close())
    assert live.trace.end.how is Ending.DEADLINE


def test_refusals_are_counted_and_waited_for(loop: Loop) -> None:
    async def late(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for frame in connection:
            if json.loads(frame)["type"] == "later":
                await asyncio.sleep(0.3)
            await connection.send('{"type":"error","error":"no"}')
            if json.loads(frame)["type"] == "leave":
                return

    with serving(late) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        assert loop.run(live.answered(0, timeout=0))
        begun = time.monotonic()
        loop.run(live.send_raw({"type": "later"}))
        assert loop.run(live.answered(1, timeout=20))
        assert 0.3 <= time.monotonic() - begun < 15
        assert loop.run(live.answered(1, timeout=0))
        begun = time.monotonic()
        assert not loop.run(live.answered(2, timeout=0.2))
        assert time.monotonic() - begun >= 0.2
        assert not loop.run(live.answered(2, timeout=-1))
        loop.run(live.send_raw({"type": "now"}))  # the session has not ended by that
        assert loop.run(live.answered(2, timeout=20))
        loop.run(live.send_raw({"type": "leave"}))
        begun = time.monotonic()
        assert not loop.run(live.answered(4, timeout=20))  # nor is a dead one awaited
        assert time.monotonic() - begun < 15
        assert loop.run(live.answered(3, timeout=0))
        loop.run(live.close())
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_PEER, 1000)


# Below the frames


class Pausing:
    """A server that stops reading after each frame until ``go_on`` is set."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.resumed = 0.0

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for _ in connection:
            connection.transport.pause_reading()
            await connection.send('{"type":"paused"}')
            await asyncio.to_thread(self.go_on.wait, 20)
            self.resumed = time.monotonic()
            connection.transport.resume_reading()
            await connection.send('{"type":"resumed"}')


def test_a_ping_and_its_pong_are_recorded(loop: Loop) -> None:
    server = Pausing()

    async def late() -> bool:
        waiting = asyncio.create_task(live.ping(timeout=20))
        await asyncio.sleep(0.1)
        server.go_on.set()
        return await waiting

    with serving(server) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        assert loop.run(live.ping(timeout=20))
        loop.run(live.send_raw("pause"))
        loop.run(live.expect("paused"))
        assert loop.run(late())
        after = time.monotonic()
        loop.run(live.close())
    assert 0 < server.resumed < after
    prompt, late_one = live.trace.pings
    assert prompt.answered is not None
    assert late_one.answered is not None
    assert 0 < prompt.sent < prompt.answered < late_one.sent
    assert late_one.answered - late_one.sent >= 100 * MS


def test_a_ping_that_is_not_answered_ends_nothing(loop: Loop) -> None:
    server = Pausing()
    with serving(server) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.send_raw("pause"))
        loop.run(live.expect("paused"))
        begun = time.monotonic()
        assert not loop.run(live.ping(timeout=0.2))
        assert time.monotonic() - begun >= 0.2
        server.go_on.set()
        loop.run(live.expect("resumed"))
        assert loop.run(live.ping(timeout=20))
        loop.run(live.close())
    lost_one, found = live.trace.pings
    assert lost_one == Ping(lost_one.sent, None)
    assert found.answered is not None
    assert live.trace.end.how is Ending.CLOSED_BY_US


def test_a_ping_fails_if_the_server_disconnects(loop: Loop) -> None:
    async def gone(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        await connection.recv()
        connection.transport.pause_reading()
        await connection.send('{"type":"paused"}')
        await asyncio.to_thread(asked.wait, 20)
        connection.transport.abort()

    async def ping() -> None:
        waiting = asyncio.create_task(live.ping(timeout=20))
        await asyncio.sleep(0)
        asked.set()
        await waiting

    asked = threading.Event()
    with serving(gone) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.send_raw("pause"))
        loop.run(live.expect("paused"))
        for _ in range(2):
            with pytest.raises(Lost) as caught:
                loop.run(ping())
            assert caught.value.how == "broke"
        loop.run(live.close())
    assert [ping.answered for ping in live.trace.pings] == [None]
    assert live.trace.end.how is Ending.BROKEN


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 200])
def test_a_message_is_sent_in_the_given_number_of_fragments(
    loop: Loop, parts: int
) -> None:
    seen: list[str] = []

    async def collect(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for part in connection.recv_streaming():
            assert isinstance(part, str)
            seen.append(part)
        await connection.send('{"type":"collected"}')
        await quiet(connection)

    frame = '{"type":"änything","with":"a length of its own"}'
    with serving(collect) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(live.send_fragments(frame, parts=parts))
        loop.run(live.expect("collected"))
        loop.run(live.close())
    assert "".join(seen) == frame
    pieces = seen if parts == 1 else seen[:-1]  # the last one only says that it ends
    assert len(pieces) == parts
    assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    (record,) = (r for r in live.trace.records if r.sender is Sender.CLIENT)
    assert (record.text, record.raw) == (frame, False)
    assert record.due == record.woke


def test_the_server_reads_fragments_as_one_message(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound))

    async def talk() -> None:
        for frame in VLLM.caller("m", {}).begin():
            await live.send_fragments(frame, parts=3)
        await live.stream(SOUND, "turn-right")
        await live.finish()
        await live.final(0, "turn-right", total=10)

    loop.run(talk())
    loop.run(live.close())
    assert live.items == 1
    assert live.timeline.item(0).text == CLIP.text
    assert broken(live.trace) == ()


def test_long_frames_are_sent_whole_and_shortened_in_the_trace(loop: Loop) -> None:
    async def measure(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for frame in connection:
            await connection.send(json.dumps({"type": "length", "is": len(frame)}))

    long = "x" * 2_000_000
    with serving(measure, max_size=None) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        for frame in (long, long.encode()):
            loop.run(live.send_raw(frame))
            loop.run(live.expect("length"))
        loop.run(live.close())
    by_us = [r for r in live.trace.records if r.sender is Sender.CLIENT]
    said = "x" * 100 + "... [1999900 more]"
    assert [(r.text, r.data) for r in by_us] == [(said, None), (None, said.encode())]
    lengths = [r.text for r in live.trace.records if "length" in (r.text or "")]
    assert lengths == ['{"type": "length", "is": 2000000}'] * 2


@pytest.mark.parametrize("parts", [1, 3])
def test_sending_fails_if_the_server_disconnects(loop: Loop, parts: int) -> None:
    async def goes(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()
        await asyncio.to_thread(begun.wait, 20)
        connection.transport.abort()

    async def send() -> None:
        sending = asyncio.create_task(
            live.send_fragments("x" * 50_000_000, parts=parts)
        )
        await asyncio.sleep(0.05)
        begun.set()
        await sending

    begun = threading.Event()
    with serving(goes) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        with pytest.raises(Lost) as caught:
            loop.run(send())
        loop.run(live.close())
    assert caught.value.how == "broke"
    assert live.trace.end.how is Ending.BROKEN
    assert [r.sender for r in live.trace.records] == [Sender.SERVER]


def test_a_session_that_stops_reading_receives_nothing_more(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CLOSE_TIMEOUT", 0.2)
    sent = threading.Event()

    async def chatty(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        await connection.recv()
        await connection.send('{"type":"anything"}')
        sent.set()
        await quiet(connection)

    with serving(chatty) as url:
        live = Live(loop, plan(url))
        live.deafen()  # before it is open this says nothing
        loop.run(live.open())
        loop.run(apply(live.deafen))
        loop.run(live.send_raw("say something"))
        assert sent.wait(20)
        with pytest.raises(Lost, match=r"the event anything; events received: 1 "):
            loop.run(live.expect("anything", timeout=0.2))
        loop.run(live.close())
        live = Live(loop, plan(url))
        loop.run(live.open())
        loop.run(apply(live.deafen))
        loop.run(live.close())
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_US, None)


async def apply(work: Callable[[], None]) -> None:
    """Call ``work`` on the event loop."""
    work()


def test_a_reset_is_seen_by_the_server(loop: Loop) -> None:
    causes: list[BaseException | None] = []

    async def listen(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        try:
            async for _ in connection:
                pass
        except ConnectionClosed as error:
            causes.append(error.__cause__)

    with serving(listen) as url:
        live = opened(loop, plan(url))
        loop.run(apply(live.reset))
        with pytest.raises(Lost, match="the client reset the connection") as caught:
            loop.run(live.transcribe(SOUND, "turn-right"))
        loop.run(live.close())
    assert caught.value.how == "closed"
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_US, None)
    assert end.reason == "the client reset the connection"
    assert [type(cause) for cause in causes] == [ConnectionResetError]


def test_deafen_and_reset_do_nothing_after_a_close_by_the_server(loop: Loop) -> None:
    async def bye(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        await connection.close(4001, "enough")

    with serving(bye) as url:
        live = Live(loop, plan(url))
        loop.run(live.open())
        with pytest.raises(Lost, match="code 4001: enough"):
            loop.run(live.expect("anything"))
        loop.run(apply(live.deafen))
        loop.run(apply(live.reset))
        loop.run(live.close())
    end = live.trace.end
    assert (end.how, end.code) == (Ending.CLOSED_BY_PEER, 4001)


def test_a_reset_in_the_middle_of_an_utterance(loop: Loop, sound: str) -> None:
    live = opened(loop, plan(sound, pace=1.0))
    future = loop.submit(live.transcribe(SOUND, "turn-right"))
    while not audio_of(live.trace):
        time.sleep(0.02)
    loop.run(apply(live.reset))
    with pytest.raises(Lost, match="the client reset the connection"):
        future.result(10)
    loop.run(live.close())
    assert 0 < len(audio_of(live.trace)) < 17


def test_each_step_fails_without_a_connection(loop: Loop) -> None:
    def steps(live: Live) -> list[Coroutine[Any, Any, object]]:
        return [
            live.begin(),
            live.stream(SOUND, "x"),
            live.finish(),
            live.final(0, "x", total=5),
            live.expect("x", timeout=5),
            live.ping(timeout=5),
            live.send_fragments("x", parts=2),
        ]

    live = Live(loop, plan("http://127.0.0.1:9"))
    for step in steps(live):
        with pytest.raises(Lost, match="the session is not open"):
            loop.run(step)
    live.reset()
    for step in steps(live):
        with pytest.raises(Lost, match="the client reset the connection"):
            loop.run(step)
    loop.run(live.close())
    assert live.trace.records == ()
    assert live.trace.pings == ()


# Not the server's doing


def test_a_refused_frame_of_ours_does_not_end_an_utterance(
    loop: Loop, sound: str
) -> None:
    live = opened(loop, plan(sound))
    loop.run(live.send_raw({"type": "nope"}))
    assert loop.run(live.transcribe(SOUND, "turn-right")) == 0
    assert live.timeline.text == CLIP.text
    loop.run(live.close())


@pytest.mark.parametrize("sides", [(Sender.SERVER,), tuple(Sender)])
def test_an_exception_of_the_dialect_is_not_attributed_to_the_server(
    loop: Loop, sound: str, monkeypatch: pytest.MonkeyPatch, sides: tuple[Sender, ...]
) -> None:
    live = opened(loop, plan(sound))

    def buggy(record: Record) -> object:
        if record.sender in sides:
            raise KeyError("delta")
        return VLLM.parse(record)

    class Broken:
        """A dialect that fails to parse every record."""

        parse = staticmethod(buggy)

        def __getattr__(self, name: str) -> object:
            return getattr(VLLM, name)

    monkeypatch.setattr(live._inbox, "_dialect", Broken())
    with pytest.raises(KeyError, match="delta"):
        loop.run(live.transcribe(SOUND, "turn-right"))
    loop.run(live.close())


def test_audio_is_decoded_off_the_loop(loop: Loop, sound: str) -> None:
    threads: list[str] = []

    def noted(utterance: object) -> Audio:
        threads.append(threading.current_thread().name)
        return SOUND

    class Clip:
        """An utterance that notes on which thread its audio is decoded."""

        id, text, language = CLIP.id, CLIP.text, CLIP.language
        audio = property(noted)

    loop.run(run_utterance(Live(loop, plan(sound)), Clip()))  # type: ignore[arg-type]
    assert threads
    assert "realtime-asr" not in threads


@pytest.mark.slow
def test_sending_and_closing_do_not_wait_for_a_server_that_does_not_read(
    loop: Loop,
) -> None:
    """The sending of a frame and the close of the session end in bounded time."""

    async def stopped(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()
        await asyncio.sleep(4)  # longer than we wait, and than we take to close
        connection.transport.abort()

    with serving(stopped) as url:
        limits = Limits(connect=5, ready=5, silence=0.5, beyond=5)
        live = opened(loop, plan(url, limits=limits))
        with pytest.raises(Lost, match=r"did not accept a frame within 0\.5 s") as told:
            loop.run(live.send_raw("x" * 50_000_000))
        assert told.value.how == "hung"
        loop.run(live.close())
        live = opened(loop, plan(url, limits=limits))
        with pytest.raises(Lost, match=r"did not accept a frame within 0\.5 s"):
            loop.run(live.send_fragments("x" * 50_000_000, parts=3))
        loop.run(live.close())


# A key that expires


def test_a_failed_renewal_is_reported_and_does_not_block_the_loop(loop: Loop) -> None:
    async def refusing(connection: ServerConnection) -> None:
        error = {"type": "error", "error": "expired", "code": "invalid_api_key"}
        await connection.send(CREATED)
        await connection.send(json.dumps(error))
        await connection.wait_closed()

    ran = threading.Event()

    def renew(used: Mapping[str, str]) -> bool:
        ran.clear()
        loop.submit(asyncio.to_thread(ran.set))
        assert ran.wait(10)  # the loop runs other tasks in the meantime
        raise InputError("the command ended with exit code 3")

    with serving(refusing) as url:
        held = plan(url)
        held = replace(held, access=replace(held.access, renew=renew))
        live = Live(loop, held)
        take = loop.run(run_utterance(live, CLIP))
    assert take.lost == "refused"
    assert "expired" in take.reason
    assert take.reason.endswith("; the command ended with exit code 3")
    assert not live.key_renewed


# What is a flood


def test_an_hour_with_five_partials_a_second_is_no_flood() -> None:
    repeated = 0  # bytes of text of a server that repeats all of it in each partial
    for partials in range(18_001):
        seconds = partials / 5
        text = round(15 * seconds)  # characters that are spoken by then
        repeated += text + 100
        assert not flooded(partials, repeated, seconds), partials


@pytest.mark.parametrize("seconds", [0.0, 1.5, 3600.0])
def test_beyond_its_limit_a_session_is_flooded(seconds: float) -> None:
    most = MAX_EVENTS + int(EVENTS_A_SECOND * seconds)
    longest = MAX_MESSAGE + int(TEXT_A_SECOND * seconds)
    assert flooded(most, longest, seconds) is None
    counted, long = f"{most:,} events", f"{longest / 2**20:.1f} MiB of text"
    for events, size, said in (
        (most + 1, longest, f"it sent more than {counted} (the limit is 10,000, plus"),
        (most, longest + 1, f"it sent more than {long} (the limit is 1 MiB, plus"),
    ):
        found = flooded(events, size, seconds)
        assert found is not None
        assert said in found
        assert f"for each of the {seconds:.1f} s of audio sent" in found
        assert ("--realtime-max-message" in found) == (size > longest)
        assert (counted in found) != (long in found)
    both = flooded(most + 1, longest + 1, seconds)
    assert both is not None
    assert f"{counted} (" in both
    assert f"and more than {long}" in both
