"""Replay over a socket, in several dialects and with other chunks than recorded."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.client.transcription import Transcription, run_utterance
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.config import Timing
from pytest_realtime_asr.fake.recorded_session import recorded_session
from pytest_realtime_asr.fake.replay import Recordings
from pytest_realtime_asr.fake.server import Fake
from pytest_realtime_asr.trace.records import NOT_RECORDED, End, Ending, Sender, Trace
from tests.support.recordings import Sent, delta, done, recorded
from tests.support.servers import VLLM, faking, plan

ENGLISH = corpus.load("bundled:english")
RIGHT, LEFT = ENGLISH["turn-right"], ENGLISH["turn-left"]
PACE = 8.0  # the pace of the recording and of the replay
DETECTED = {"turn_detection": "server_vad"}


def converse(
    loop: Loop,
    url: str,
    dialect: Dialect,
    clips: list[Utterance],
    *,
    chunk: float,
    options: dict[str, object],
) -> Live:
    """Run a session with several utterances; raises `Lost`."""
    live = Live(
        loop,
        plan(
            url,
            dialect=dialect,
            rules=dialect.requirements,
            pace=PACE,
            chunk=chunk,
            options=options,
        ),
    )

    async def talk() -> None:
        try:
            await live.open()
            await live.configure()
            for clip in clips:
                await live.speak(clip)
        finally:
            await live.close()

    loop.run(talk())
    return live


def texts(live: Live) -> list[str]:
    return [live.timeline.item(number).text for number in range(live.items)]


def replaying(
    dialect: Dialect, *traces: Trace, timing: Timing = Timing.RECORDED
) -> AbstractContextManager[tuple[str, Fake]]:
    sessions = [recorded_session(trace, dialect) for trace in traces]
    recorded = Recordings(dialect, sessions)
    return faking(recogniser=recorded, dialect=dialect, recordings="DIR", timing=timing)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("vllm", {}),
        ("openai", {}),
        ("openai", DETECTED),
        ("sglang-omni", {}),
        ("deepgram", {}),
    ],
    ids=["vllm", "openai", "openai-vad", "sglang-omni", "deepgram"],
)
def test_chunks_of_another_length(
    loop: Loop, name: str, options: dict[str, object]
) -> None:
    dialect, clips = dialects.load(name), [RIGHT, LEFT]
    with faking(dialect=dialect, word_delay=0.05) as (url, _):
        live = converse(loop, url, dialect, clips, chunk=0.1, options=options)
    trace = replace(live.trace, spoken=tuple(map(described, clips)))
    with replaying(dialect, trace) as (url, _):
        for chunk in (0.02, 1.0):
            again = converse(loop, url, dialect, clips, chunk=chunk, options=options)
            assert texts(again) == texts(live)
            assert again.id == live.id
            frames = [r for r in again.trace.records if r.sender is Sender.SERVER]
            assert [r.text for r in frames] == [
                r.text for r in live.trace.records if r.sender is Sender.SERVER
            ]


def run(
    loop: Loop, url: str, clip: Utterance = RIGHT, **given: object
) -> Transcription:
    live = Live(loop, plan(url, chunk=0.1, **{"pace": 32.0, **given}))
    return loop.run(run_utterance(live, clip))


TRACE = recorded(RIGHT, [Sent(delta("turn"), 0, ms=300), Sent(done("turn"), 400)])


def test_recorded_timing(loop: Loop) -> None:
    with replaying(VLLM, TRACE) as (url, _):
        take = run(loop, url)
    assert take.text == "turn"
    assert (take.metrics["final_from_commit"] or 0) >= 399


def test_no_timing_is_faster(loop: Loop) -> None:
    trace = recorded(RIGHT, [Sent(done("turn"), 60_000)])
    begun = time.monotonic()
    with replaying(VLLM, trace, timing=Timing.NONE) as (url, _):
        assert run(loop, url).text == "turn"
    assert time.monotonic() - begun < 60


def test_utterance_that_was_not_recorded(loop: Loop) -> None:
    with replaying(VLLM, TRACE) as (url, _):
        take = run(loop, url, LEFT)
    assert take.lost is Loss.CLOSED
    assert take.trace.end.code == NOT_RECORDED
    assert "not recorded in DIR: the audio differs from every recording" in take.reason


def test_another_utterance_in_the_session(loop: Loop) -> None:
    with (
        replaying(VLLM, TRACE) as (url, _),
        pytest.raises(Lost, match="not recorded in DIR"),
    ):
        converse(loop, url, VLLM, [RIGHT, LEFT], chunk=0.1, options={})


@pytest.mark.parametrize(
    ("how", "code", "reason"),
    [
        (Ending.CLOSED_BY_PEER, 1011, "overloaded"),
        (Ending.CLOSED_BY_PEER, 1005, ""),
        (Ending.BROKEN, None, ""),
    ],
)
def test_end_by_the_server(
    loop: Loop, how: Ending, code: int | None, reason: str
) -> None:
    trace = recorded(RIGHT, [Sent(delta("turn"), 0, ms=300)])
    end = End(how, trace.records[-1].at + 50_000_000, code, reason)
    with replaying(VLLM, replace(trace, end=end)) as (url, _):
        take = run(loop, url)
    assert take.lost
    assert take.trace.end.how is how
    assert reason in take.trace.end.reason
    assert take.text == "turn"


def ended(fake: Fake) -> tuple[Trace, ...]:
    """Return the traces of a server, when all clients have closed their sessions."""
    for _ in range(500):
        traces = fake.traces()
        if all(each.end.how is not Ending.CLOSED_BY_US for each in traces):
            return traces
        time.sleep(0.01)
    raise AssertionError(f"sessions are open: {[each.end for each in traces]}")


def test_trace_of_the_replaying_server(loop: Loop) -> None:
    with replaying(VLLM, TRACE) as (url, fake):
        take = run(loop, url)
        (trace,) = ended(fake)
    heard = [r.span for r in trace.records if r.span is not None]
    assert heard
    assert heard[-1].stop == RIGHT.audio.resample(VLLM.rate).samples
    sent = [r.text for r in trace.records if r.sender is Sender.SERVER]
    assert sent == [r.text for r in take.trace.records if r.sender is Sender.SERVER]


def test_client_that_vanishes_ends_the_session(loop: Loop) -> None:
    with replaying(VLLM, TRACE) as (url, fake):
        live = Live(loop, plan(url))

        async def leave() -> None:
            await live.open()
            live.reset()
            await live.close()

        loop.run(leave())
        assert run(loop, url).text == "turn"
        first, second = ended(fake)
    assert first.end.how in (Ending.BROKEN, Ending.CLOSED_BY_PEER)
    assert second.end.how is Ending.CLOSED_BY_PEER
