"""Soaks: long loads that are judged by what grows."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Measured
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load import soak_run
from pytest_realtime_asr.load.growth import Growth, Quantity
from pytest_realtime_asr.load.level import Level, Sampled
from pytest_realtime_asr.load.row import Opened, Row
from pytest_realtime_asr.load.soak import (
    Beside,
    LongSession,
    SilentSession,
    Soak,
    judge,
    latency,
    unknown_sessions,
)
from pytest_realtime_asr.load.workload import Load
from pytest_realtime_asr.metrics.pacing import ClientState, Counts
from pytest_realtime_asr.report import soak as wording
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.runs import ENGLISH, Start, options, realtime

LOAD = Load(streams=8, hold=180, ramp=10, talk=0.6, witnesses=0)
PAIR = [ENGLISH["turn-right"], ENGLISH["open-door"]]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
CLIPS = {"short": 150.0, "long": 400.0}  # each with its own latency in ms
MEASURED = Measured(
    session="",
    text="",
    metrics={},
    premature={},
    counts=Counts(0, 0.0, 0, None, None, None),
    usage=None,
    client_state=ClientState(),
    scheduling_delay=0.0,
)


def row(
    at: float,
    value: float | None = 200.0,
    *,
    clip: str = "short",
    lost: Loss = Loss.NONE,
    delay: float = 0.0,
    cpu: float = 0.0,
) -> Row:
    measured = replace(
        MEASURED,
        metrics={"final_from_commit": value},
        scheduling_delay=delay,
        client_state=ClientState(cpu=cpu),
    )
    return Row(
        stream=0,
        number=0,
        clip=clip,
        perturbation="",
        phase=LOAD.phase(at, at + 2),
        due=at,
        began=at,
        speech=at,
        planned=at + 2,
        ended=at + 2.3,
        opened=Opened(BEGAN, 0, End(Ending.CLOSED_BY_US, 0, 1000)),
        measured=measured,
        lost=lost,
    )


def rows(seed: int, *, grown: float = 0.0, own: float = 0.0) -> list[Row]:
    """400 sessions; the server or the client itself gets later by so many ms."""
    source = random.Random(seed)
    found = []
    for _ in range(400):
        at = source.uniform(10, 185)
        clip = source.choice(list(CLIPS))
        part = (at - 10) / 180
        value = CLIPS[clip] + source.uniform(0, 50) + (grown + own) * part
        found.append(row(at, value, clip=clip, delay=own * part))
    return sorted(found, key=lambda each: each.ended)


def level(found: list[Row]) -> Level:
    return Level(LOAD, 1, BEGAN, 192.0, tuple(found))


def memory(grown: float) -> tuple[tuple[float, float], ...]:
    return tuple((float(at), 5e8 + grown * at / 190) for at in range(-40, 240))


def sessions(found: list[Row], leaked: float) -> tuple[tuple[float, float], ...]:
    """What the server shows: the open sessions, and those that it did not free."""
    return tuple(
        (
            float(at),
            sum(each.began <= at < each.ended for each in found)
            + int(leaked * max(0, at) / 190),
        )
        for at in range(-40, 240)
    )


def by_quantity(soak: Soak) -> dict[Quantity, Growth]:
    return {each.quantity: each for each in soak.growths}


QUIET = Beside(
    alone=((-15.0, -2.0), (195.0, 210.0)), empty=((-40.0, -25.0), (212.0, 230.0))
)


def soak(seed: int = 1, *, grown: float = 0, leaked: float = 0, ms: float = 0) -> Soak:
    found = rows(seed, grown=ms)
    values = {"memory": memory(grown), "sessions": sessions(found, leaked)}
    return judge(level(found), QUIET, Sampled(values))


def test_a_correct_server_shows_no_growth() -> None:
    found = soak()
    assert {each.verdict for each in found.growths} == {Verdict.PASS}
    assert set(by_quantity(found)) == set(Quantity)
    assert found.verdict is Verdict.PASS
    assert found.grown == ()
    assert found.unmeasured == {}
    assert found.left_open == 0


@pytest.mark.parametrize(
    ("given", "quantity"),
    [
        ({"grown": 1e8}, Quantity.MEMORY),
        ({"leaked": 20}, Quantity.OPEN_SESSIONS),
        ({"ms": 100}, Quantity.LATENCY),
    ],
)
def test_each_growth_is_named(given: dict[str, float], quantity: Quantity) -> None:
    found = soak(**given)  # type: ignore[arg-type]
    assert [each.quantity for each in found.grown] == [quantity]
    assert found.verdict is Verdict.FAIL
    if quantity is Quantity.OPEN_SESSIONS:
        assert found.left_open == 25


def test_the_clips_are_compared_with_themselves() -> None:
    """More of the slow clip at the end is no growth."""
    early = [row(10 + at, 150.0 + at % 3) for at in range(90)]
    early += [row(10 + at, 400.0 + at % 5, clip="long") for at in range(0, 90, 9)]
    late = [row(100 + at, 400.0 + at % 5, clip="long") for at in range(85)]
    late += [row(100 + at, 150.0 + at % 3) for at in range(0, 85, 9)]
    found = latency([*early, *late], 10, 190)
    assert found.verdict is Verdict.PASS
    assert abs(found.grown) < 5


def test_a_delay_of_the_client_is_not_attributed_to_the_server() -> None:
    assert latency(rows(1, own=100), 10, 190).verdict is Verdict.INVALID
    assert latency(rows(1, own=100, grown=100), 10, 190).verdict is Verdict.FAIL
    busy = [
        replace(each, measured=replace(each.measured, client_state=ClientState(cpu=1)))
        for each in rows(1, grown=100)
    ]
    assert latency(busy, 10, 190).verdict is Verdict.INVALID


def test_lost_sessions_count_as_failures_only() -> None:
    sound = rows(3)
    lost = [
        replace(each, lost=Loss.HUNG, measured=MEASURED)
        if each.began > 100 and index % 5 == 0
        else each
        for index, each in enumerate(sound)
    ]
    found = by_quantity(judge(level(lost), Beside(), Sampled()))
    assert found[Quantity.FAILURES].verdict is Verdict.FAIL
    assert found[Quantity.LATENCY].verdict is Verdict.PASS
    cut = [replace(each, lost=Loss.CANCELLED) if each.lost else each for each in lost]
    found = by_quantity(judge(level(cut), Beside(), Sampled()))
    assert found[Quantity.FAILURES].verdict is Verdict.PASS
    short = tuple(
        SilentSession(float(at), at + 0.1, "refused: busy" if at > 100 else "")
        for at in range(10, 190)
    )
    found = by_quantity(judge(level(sound), Beside(short=short), Sampled()))
    assert found[Quantity.FAILURES].verdict is Verdict.FAIL


def test_the_sessions_of_the_client_are_subtracted() -> None:
    beside = Beside(
        long_period=(0, 50),
        short=(SilentSession(5, 6),),
        idle=(SilentSession(-10, 60),),
    )
    shown = ((-20.0, 1.0), (1.0, 3.0), (5.5, 5.0), (20.0, 4.0), (70.0, 1.0))
    assert unknown_sessions(shown, [row(4)], beside) == (
        *((-20.0, 1.0), (1.0, 1.0), (5.5, 1.0), (20.0, 2.0), (70.0, 1.0)),
    )


def test_metrics_that_the_server_does_not_show_are_named() -> None:
    found = judge(level(rows(1)), QUIET, Sampled(failed="HTTP 404"))
    assert found.unmeasured == {
        Quantity.MEMORY: "HTTP 404",
        Quantity.OPEN_SESSIONS: "HTTP 404",
    }
    assert found.verdict is Verdict.PASS
    assert "memory of the server not measured: HTTP 404" in wording.summary(found)
    half = judge(level(rows(1)), QUIET, Sampled({"memory": memory(0)}))
    assert list(half.unmeasured) == [Quantity.OPEN_SESSIONS]


@pytest.mark.parametrize(
    ("long", "verdict"),
    [
        (LongSession("s", 1200), Verdict.PASS),
        (LongSession("s", 1200, drift=0.001), Verdict.PASS),
        (LongSession("s", 1200, drift=0.03), Verdict.FAIL),
        (LongSession("s", 20, drift=0.03), Verdict.PASS),  # 0.6 s in all
        (LongSession("s", 900, Loss.HUNG, "no final"), Verdict.FAIL),
        (LongSession("s", 900, Loss.CLOSED, "with code 1011"), Verdict.FAIL),
        (LongSession("s", 300, Loss.REFUSED, "invalid_audio"), Verdict.PASS),
    ],
)
def test_the_long_session(long: LongSession, verdict: Verdict) -> None:
    assert long.verdict is verdict
    found = judge(level(rows(1)), Beside(long=long), Sampled())
    assert found.verdict is verdict
    assert "the long session s" in wording.details(found)


def test_the_wording() -> None:
    first, *rest = wording.details(soak(grown=1e8)).splitlines()
    assert first.startswith(
        "soak: memory of the server grew (+90.3 MiB in 3.0 min from 481.9 MiB; 95% "
        "interval 90.3 MiB to 90.3 MiB; 24.1 MiB allowed; n=181) (8 streams; hold "
        "3.0 min; talk 0.6; "
    )
    assert first.endswith(" sessions); FAIL")
    assert len(rest) == 6
    assert rest[-1] == "  0 sessions opened and closed without audio"
    few = judge(level(rows(1)[:3]), Beside(), Sampled())
    assert few.verdict is Verdict.INCONCLUSIVE
    assert wording.summary(few).startswith(
        "soak: final_from_commit: too few values; give a longer duration"
    )


@pytest.mark.parametrize(
    ("seconds", "sampled", "quiet", "hold", "ramp", "long"),
    [
        (3600, True, 60, 3350, 10, 1200),
        (180, True, 12, 122, 10, 132),
        (20, True, 4 / 3, 13.2, 22 / 15, 44 / 3),
        (20, False, 0, 18, 2, 20),
    ],
)
def test_the_times_add_up(
    seconds: float, sampled: bool, quiet: float, hold: float, ramp: float, long: float
) -> None:
    plan = soak_run.plan(seconds, streams=8, talk=0.6, seed=1, sampled=sampled)
    assert plan.quiet == pytest.approx(quiet)
    assert plan.load.hold == pytest.approx(hold)
    assert plan.load.ramp == pytest.approx(ramp)
    assert plan.long == pytest.approx(long)
    assert 4 * plan.quiet + plan.load.planned == pytest.approx(seconds)
    assert plan.load.witnesses == 0


def test_the_clips_are_joined() -> None:
    clips = [ENGLISH["turn-right"], ENGLISH["open-door"]]
    plan = soak_run.plan(3600, streams=8, talk=0.6, seed=1, sampled=True)
    found = soak_run.clips(clips, plan)
    assert found[:2] == clips
    assert [each.id for each in found[2:]] == ["joined clips"]
    assert 25 < found[2].duration <= 30
    assert found[2].words
    brief = soak_run.plan(10, streams=8, talk=0.6, seed=1, sampled=True)
    assert soak_run.clips(clips, brief) == clips
    speech = soak_run.speech(clips, 60, "long session")
    assert 55 < speech.duration <= 60
    assert soak_run.speech(clips, 0.1, "long session").text == clips[0].text


def test_wrong_arguments(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    clips = [ENGLISH["turn-right"]]
    with pytest.raises(ValueError, match="no utterances"):
        server.soak([])
    with pytest.raises(ValueError, match="duration='1s' is too short"):
        server.soak(clips, duration="1s")
    with pytest.raises(ValueError, match="duration: 'long' is not a duration"):
        server.soak(clips, duration="long")
    with pytest.raises(ValueError, match="streams=0"):
        server.soak(clips, streams=0)
    with pytest.raises(ValueError, match="talk=2"):
        server.soak(clips, talk=2)


@pytest.mark.slow
def test_a_soak_of_a_correct_server(start: Start, clips: str) -> None:
    with FakeServer(("--corpus", clips, "--final-delay", "50ms")) as fake:
        run = start(options(pace="1"))
        run.begin("test")
        found = realtime(run, fake.url).soak(PAIR, duration="12s", streams=4)
        ledger = run.finish()
    grown = by_quantity(found)
    for quantity in (Quantity.MEMORY, Quantity.OPEN_SESSIONS):
        assert grown[quantity].verdict is Verdict.PASS, wording.details(found)
        assert grown[quantity].n >= 12
    assert grown[Quantity.IDLE_MEMORY].verdict is not Verdict.FAIL
    assert set(grown) == set(Quantity)
    assert found.left_open == 0
    beside = found.beside
    assert beside.long is not None
    assert not beside.long.lost, beside.long
    assert beside.long.seconds > 7
    assert len(beside.short) > 10
    assert [each.lost for each in beside.idle] == [""]
    assert len(beside.alone) == len(beside.empty) == 2
    assert ledger is not None
    assert ledger.load_findings == [found]
    assert ledger.levels == (found.level,)
    purposes = [take.purpose.value for take in ledger.takes]
    assert purposes.count("test") == len(found.level.steady) > 0
    assert purposes.count("witness") == 1
    assert "alone" not in purposes
    assert not any(take.lost for take in ledger.takes)
    assert ledger.violations == ()


@pytest.mark.slow
def test_a_soak_finds_growth(start: Start, clips: str) -> None:
    faults = ("--fault", "memory-grows", "--fault", "leaks")
    with FakeServer(("--corpus", clips, "--final-delay", "50ms", *faults)) as fake:
        run = start(options(pace="1"))
        run.begin("test")
        found = realtime(run, fake.url).soak(PAIR, duration="12s", streams=4)
    grown = by_quantity(found)
    for quantity in (Quantity.MEMORY, Quantity.OPEN_SESSIONS):
        assert grown[quantity].verdict is Verdict.FAIL, wording.details(found)
    assert grown[Quantity.IDLE_MEMORY].verdict is not Verdict.FAIL
    assert found.verdict is Verdict.FAIL
    assert found.left_open == len(found.level.rows) + len(found.beside.short) + 2


@pytest.mark.slow
def test_a_soak_can_be_interrupted(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)

    async def soak() -> None:
        soaking = asyncio.create_task(server.aio.soak(PAIR, duration="20s", streams=1))
        while len(run.ledger.sessions) < 2:  # the long one and a silent one
            await asyncio.sleep(0.01)
        soaking.cancel()
        await asyncio.wait([soaking])
        assert soaking.cancelled()

    asyncio.run(soak())
    ledger = run.finish()
    assert ledger is not None
    assert ledger.load_findings == []
    assert ledger.open == {}
