"""The client's own delay: it is measured and shown, and fails no server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client import pings
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transcription import (
    Purpose,
    Transcription,
    run_utterance,
)
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.plugin.judging import Case, Judging
from pytest_realtime_asr.plugin.settings import ComparisonConfig, settings
from pytest_realtime_asr.report import messages
from pytest_realtime_asr.report.messages import headline
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.results import Results
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.records import Ending, Ping
from pytest_realtime_asr.verdicts.budgets import Budget, budget, latency_budget
from pytest_realtime_asr.verdicts.client_delay import tolerance
from pytest_realtime_asr.verdicts.fixed_sample import judge
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.sequential import judge_in_order
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.servers import CLIP, CREATED, faking, plain, plan, relay, serving

PASS, FAIL, INVALID = Verdict.PASS, Verdict.FAIL, Verdict.INVALID
ENGLISH = corpus.load("bundled:english")
CLIPS = [ENGLISH["turn-right"], ENGLISH["open-door"]]
BIT = corpus.Utterance("bit", "x", silence(0.3))
AWAY = 0.06  # s for which a relay keeps each byte, on its way there and back
BLOCKED = 0.5  # s for which a test blocks the loop


# Verdicts


def one(made: Budget, *given: Sample) -> tuple[Verdict, str]:
    (finding,) = judge(made, given).findings
    return finding.verdict, headline(finding)


def p50(limit: str) -> Budget:
    return latency_budget("final_from_commit", p50=limit)


BUSY = ClientState(send=1, cpu=0.8)
LATE = ClientState(send=90, loop=80, pause=70, cpu=0.1)


def test_the_tolerance_depends_on_the_smallest_latency_limit() -> None:
    both = [
        latency_budget("final_from_commit", p50="800ms", max="2s"),
        latency_budget("connect", p95="1s"),
        budget("word_coverage", at_least=0.5),
    ]
    assert tolerance(both) == 40
    assert tolerance([p50("20ms")]) == 5
    assert tolerance(both[2:]) is tolerance([]) is None
    assert tolerance(both, pace=2) is tolerance(both, parallel=True) is None


def test_the_scheduling_delay_is_reported_with_numbers() -> None:
    slow = Sample("s1", 840, late_ms=90, own=LATE)
    verdict, line = one(p50("800ms"), slow)
    assert verdict is INVALID
    assert "not attributed to the server: the client was delayed in 1 of 1" in line
    assert line.endswith(
        "in s1: send delay p99 90.0 ms, loop lag p99 80.0 ms, GC pause 70.0 ms, "
        "CPU 10% of a core"
    )


def test_an_overloaded_loop_makes_no_latency_exceed_a_budget() -> None:
    busy = Sample("s1", 5000, own=BUSY)
    verdict, line = one(p50("800ms"), busy)
    assert verdict is INVALID
    assert "the client used more than two thirds of a core in 1 of 1 sessions" in line
    # It can only enlarge a latency, and does not decide what others decide.
    assert one(p50("800ms"), replace(busy, value=700))[0] is PASS
    slow = [Sample(f"s{n}", 900) for n in range(3)]
    assert one(p50("800ms"), busy, *slow)[0] is FAIL
    assert one(p50("800ms"), replace(busy, lost="hung"))[0] is FAIL
    mean = latency_budget("final_from_commit", mean="800ms")
    assert one(mean, busy, Sample("x", None, lost="hung", own=BUSY))[0] is FAIL
    (found,) = judge_in_order(
        latency_budget("final_from_commit", p95="800ms"), [busy] * 100
    ).findings
    assert found.verdict is INVALID


def test_metrics_that_are_not_durations_are_judged_under_load() -> None:
    made = budget("word_coverage", at_least=0.5)
    assert one(made, Sample("s1", 0.4, own=BUSY, late_ms=900))[0] is FAIL


def test_a_server_that_does_not_read_is_reported() -> None:
    verdict, line = one(p50("800ms"), Sample("s1", 3000, blocked_ms=2500))
    assert verdict is FAIL
    assert "; send_blocked 2500 ms: audio waited until the connection took it)" in line
    assert "send_blocked" not in one(p50("800ms"), Sample("s1", 900, blocked_ms=40))[1]


def test_the_round_trip_is_shown_beside_a_latency() -> None:
    near = [Sample(f"s{n}", 100, path_ms=1.2) for n in range(3)]
    assert "; path 1.2 ms)" in one(p50("800ms"), *near)[1]
    assert "path" not in one(p50("800ms"), Sample("s1", 900))[1]
    verdict, line = one(p50("800ms"), Sample("s1", 900, path_ms=160))
    assert verdict is FAIL
    assert "; server, not client (client delay 0 ms)" in line
    verdict, line = one(p50("800ms"), Sample("s1", 900, path_ms=161))
    assert verdict is FAIL  # it is never taken off
    assert "; server or path, not client" in line
    assert "path_round_trip 161 ms, more than a fifth of the limit)" in line


def test_retries_are_counted() -> None:
    given = [Sample(f"s{n}", 100, again=n < 3) for n in range(60)]
    assert "(n=60, 3 retried, 0 over;" in one(p50("800ms"), *given)[1].replace(
        "95% CI 100-100; ", ""
    )


# Pings


def pinged(loop: Loop, url: str, *, pace: float = 1.0) -> Transcription:
    """Run a session that sends pings."""
    return loop.run(run_utterance(Live(loop, plan(url, pace=pace), pings=True), CLIP))


@pytest.mark.slow
def test_the_round_trip_of_a_relay_is_measured(loop: Loop) -> None:
    with faking() as (url, _), relay(url, AWAY) as far:
        near, away = pinged(loop, url, pace=8), pinged(loop, far)
    assert not near.lost
    assert not away.lost
    trips = [take.metrics["path_round_trip"] for take in (near, away)]
    assert trips[0] is not None
    assert trips[1] is not None
    assert 2e3 * AWAY <= trips[1] <= 2e3 * AWAY + 200
    assert trips[0] < trips[1]
    # One at once, and one each second.
    assert len(away.trace.pings) == 2


def test_a_session_without_pings_sends_none(loop: Loop) -> None:
    with faking() as (url, _):
        take = loop.run(run_utterance(Live(loop, plan(url)), CLIP))
    assert take.trace.pings == ()


@pytest.mark.slow
def test_a_server_that_answers_no_pings_is_not_harmed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faking("no-pong") as (url, _):
        brief = pinged(loop, url, pace=8)
        monkeypatch.setattr(pings, "PONG_TIMEOUT", 0.2)
        longer = pinged(loop, url)
    for take in (brief, longer):
        assert (take.lost, take.trace.end.how) == ("", Ending.CLOSED_BY_US)
        assert take.text == CLIP.text
    # Whether it would have been answered is known of one alone; no more are sent.
    assert brief.trace.pings == ()
    (ping,) = longer.trace.pings
    assert ping.answered is None
    assert longer.metrics["path_round_trip"] is None


def test_a_ping_without_an_answer_at_the_end_is_left_out(loop: Loop) -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send(CREATED)
        connection.transport.pause_reading()  # of the ping, nothing is heard
        await asyncio.sleep(0.2)
        connection.transport.abort()

    with serving(leave) as url:
        take = pinged(loop, url)
    assert take.lost
    assert [ping for ping in take.trace.pings if ping.answered is None] == []
    assert Ping(0).answered is None


# Sessions that are run again


def judging() -> Judging:
    """Return the object that judges the tests of a run without pytest."""
    given = {"warmup": "0", "recover": "0", "dialect": "vllm"}
    made = settings(
        lambda option: given.get(option.name.replace("-", "_")),
        lambda option: None,
        {},
    )
    run = Run(made.run, lambda: Corpus("warm", (CLIP,)), shared=None)
    return Judging(
        run,
        folder=lambda: None,
        origin=Path(),
        given=lambda option: None,
        comparison=ComparisonConfig(),
    )


@pytest.fixture
def room() -> Iterator[Judging]:
    room = judging()
    yield room
    room.run.stop()


def judged(
    room: Judging,
    url: str,
    *budgets: Budget,
    clips: Sequence[corpus.Utterance] = (BIT,),
    concurrency: int = 1,
) -> Results:
    """Return the results of a test that transcribes these clips."""
    terms = Terms("vllm", "", 1.0, 0.1, budgets=budgets)
    room.begin("test_it")
    realtime = Realtime(room.run, room.run.servers.plan(url, terms, {}), terms)
    realtime.transcribe(clips, concurrency=concurrency)
    done = room.judge(Case("test_it", lambda: terms, ()), failed=False, pooled=False)
    assert done is not None
    return done


class Blocking:
    """A server that blocks the client's event loop at each of the first commits.

    It blocks ``times`` times. It answers each commit at once with a final or, if it
    ``closes``, by closing the connection.
    """

    def __init__(self, room: Judging, times: int, *, closes: bool = False) -> None:
        self._loop = room.run.loop
        self._left = times
        self._closes = closes
        self._begun = threading.Event()  # set while the loop is blocked

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send(CREATED)
        async for frame in connection:
            if '"final":true' not in str(frame):
                continue
            if self._left:
                self._left -= 1
                self._loop.submit(self._block())
                await asyncio.to_thread(self._begun.wait, 10)
                self._begun.clear()
            if self._closes:
                await connection.close(1011, "no memory")
                return
            await connection.send('{"type":"transcription.done","text":"x"}')

    async def _block(self) -> None:
        self._begun.set()
        time.sleep(BLOCKED)


@contextmanager
def blocking(room: Judging, times: int, *, closes: bool = False) -> Iterator[str]:
    """Run a `Blocking` server that lists one model; yield its URL."""

    def answer(request: Request) -> Response | None:
        if request.path == "/v1/models":
            return plain(200, b'{"data":[{"id":"fake"}]}')
        return None if request.path.startswith("/v1/realtime") else plain(404)

    with serving(Blocking(room, times, closes=closes), answer=answer) as url:
        yield url


@pytest.mark.slow
def test_a_disturbed_session_is_run_again_and_counted(room: Judging) -> None:
    rows: list[tuple[Purpose, bool]] = []
    room.run.sinks.append(lambda test, take: rows.append((take.purpose, take.again)))
    with blocking(room, 1) as url:
        found = judged(room, url, p50("300ms"))
    assert found.findings[0].verdict is PASS, messages.lines(found)
    assert rows == [(Purpose.DISTURBED, False), (Purpose.TEST, True)]
    assert found.planned == 1
    assert "n=1, 1 retried, 0 over" in messages.lines(found)[0]


@pytest.mark.slow
def test_a_loop_that_stays_blocked_is_invalid_and_says_why(room: Judging) -> None:
    with blocking(room, 9) as url:
        found = judged(room, url, p50("300ms"))
    assert found.findings[0].verdict is INVALID, messages.lines(found)
    (line,) = messages.lines(found)
    assert "n=1, 1 retried, 1 over" in line
    assert "not attributed to the server: the client was delayed in 1 of 1" in line
    assert "loop lag p99" in line


@pytest.mark.slow
def test_at_most_a_tenth_of_the_sessions_is_retried(room: Judging) -> None:
    takes: list[Purpose] = []
    room.run.sinks.append(lambda test, take: takes.append(take.purpose))
    with blocking(room, 9) as url:
        found = judged(room, url, p50("300ms"), clips=[BIT] * 3, concurrency=3)
    assert sorted(takes) == [Purpose.DISTURBED, *[Purpose.TEST] * 3]
    assert found.findings[0].verdict is INVALID, messages.lines(found)
    assert "n=3" in messages.lines(found)[0]
    assert ", 1 retried" in messages.lines(found)[0]


@pytest.mark.slow
def test_without_a_latency_budget_or_after_a_loss_there_is_no_retry(
    room: Judging,
) -> None:
    with blocking(room, 1) as url:
        found = judged(room, url)
    assert (found.planned, found.takes[0].again) == (1, False)
    # A lost session stays lost, whatever the instrument did.
    with blocking(room, 1, closes=True) as url:
        found = judged(room, url, p50("300ms"))
    assert found.verdict is FAIL
    assert "1 closed" in messages.lines(found)[0]
    assert "again" not in messages.lines(found)[0]


# On a busy machine


@contextmanager
def burning(processes: int = 2) -> Iterator[None]:
    """Keep the cores busy with other processes."""
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(processes)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


@pytest.fixture(scope="module")
def sound() -> Iterator[str]:
    """Start a correct fake server in its own process; yield its URL."""
    with FakeServer(["--corpus", "bundled:english", "--final-delay", "250ms"]) as fake:
        yield fake.url


HONEST = (
    latency_budget("final_from_commit", p95="800ms"),
    latency_budget("first_partial_from_speech", p95="1200ms"),
)


def blamed(room: Judging, url: str, repeats: int) -> list[Results]:
    with burning():
        return [
            judged(room, url, *HONEST, clips=CLIPS * 3, concurrency=6)
            for _ in range(repeats)
        ]


@pytest.mark.slow
def test_a_correct_server_does_not_fail_on_a_busy_machine(
    room: Judging, sound: str
) -> None:
    for found in blamed(room, sound, 1):
        assert found.verdict in (PASS, INVALID), messages.lines(found)


@pytest.mark.slow
def test_a_correct_server_does_not_fail_in_four_repeated_tests(
    room: Judging, sound: str
) -> None:
    for found in blamed(room, sound, 4):
        assert found.verdict in (PASS, INVALID), messages.lines(found)


@pytest.mark.slow
def test_a_server_that_stops_reading_fails_on_a_busy_machine(room: Judging) -> None:
    arguments = ["--corpus", "bundled:english", "--fault", "deaf"]
    with FakeServer(arguments) as fake, burning():
        found = judged(room, fake.url, HONEST[0], clips=CLIPS, concurrency=2)
    assert (found.verdict, found.lost) == (FAIL, 0), messages.lines(found)
    assert "server, not client" in messages.lines(found)[0]
