"""Servers that limit their sessions: what is tried again, left out, or a violation."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.session_refusal import TRY_AGAIN_LATER
from pytest_realtime_asr.conformance import session_limit
from pytest_realtime_asr.conformance.results import Findings, Status, judge
from pytest_realtime_asr.conformance.scenario import Action, Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.conformance.scheduler import (
    Bounds,
    ObstacleKind,
    ScenarioResult,
    Scheduler,
)
from pytest_realtime_asr.conformance.session_limit import RateLimited
from pytest_realtime_asr.fake.faults.limits import CAP
from pytest_realtime_asr.requirements.requirement import Harm
from tests.conformance.test_scheduler import ALL, KNOWN, REQUIREMENTS, config
from tests.support.project import Project
from tests.support.servers import BRIEF, VLLM, faking, plan, serving

CAPS = ("caps-by-error", "caps-by-close", "caps-by-429", "caps-by-503")


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_limit, "RETRY", 0.05)


async def _transcribed(run: ScenarioRun) -> None:
    live = await run.open(run.name)
    await run.transcribe(live, run.clips.first)


async def _wide(run: ScenarioRun) -> None:
    for _ in range(CAP + 1):
        await run.open(run.name)


class Held:
    """Scenarios that hold their sessions until the server has refused one of them."""

    def __init__(self) -> None:
        self._refused = asyncio.Event()

    async def act(self, run: ScenarioRun) -> None:
        try:
            live = await run.open(run.name)
        except RateLimited:
            self._refused.set()
            raise
        await run.transcribe(live, run.clips.first)
        async with asyncio.timeout(20):
            await self._refused.wait()


async def _beside(run: ScenarioRun) -> None:
    async with run.with_bystander():
        await run.open(run.name)


def scenario(name: str, act: Action = _transcribed, *, streams: int = 1) -> Scenario:
    """A scenario of one session."""
    return Scenario(name, name, act, streams=streams, times=0)


def all_run(
    loop: Loop, url: str, *known: Scenario, bounds: Bounds = ALL
) -> tuple[Scheduler, dict[str, ScenarioResult]]:
    """Return the scheduler of these scenarios and their results."""
    it = Scheduler(config(loop, url), {each.name: each for each in known}, bounds)
    over = threading.Event()
    names = [each.name for each in known]
    it.start(names, over=over.set)
    found = {name: it.collect([name]) for name in names}
    assert over.wait(30)
    return it, found


@pytest.mark.parametrize("fault", CAPS)
def test_a_limited_server_is_judged_within_its_limit(loop: Loop, fault: str) -> None:
    held = Held()
    many = [scenario(f"s{number}", held.act) for number in range(CAP + 2)]
    with faking(fault) as (url, _):
        it, found = all_run(loop, url, *many, scenario("wide", _wide, streams=CAP + 1))
    obstacle = found.pop("wide").obstacle
    assert it.session_limit is not None
    assert it.session_limit.sessions == CAP
    for each in found.values():
        (part,) = each.evidence.parts  # a refused session is no evidence
        assert part.text(0) == "turn right and stop"
        assert each.obstacle is None
    assert obstacle is not None
    assert obstacle.kind is ObstacleKind.LIMITED
    assert obstacle.violation is None
    assert obstacle.message.startswith(
        f"the scenario needs {CAP + 1} sessions at the same time, but the server "
        f"accepted {CAP} and refused the next: "
    )
    assert obstacle.message.endswith(
        f"; --realtime-max-streams={CAP} leaves the scenario out"
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            "caps-by-error",
            "Maximum concurrent sessions reached (4). (too_many_sessions)",
        ),
        ("caps-by-close", "the server closed with code 1013: too many sessions"),
        ("caps-by-429", "HTTP 429"),
        ("caps-by-503", "HTTP 503"),
        ("one-session", "Maximum concurrent sessions reached (1). (too_many_sessions)"),
    ],
)
def test_the_limit_is_measured(loop: Loop, fault: str, reason: str) -> None:
    with faking(fault) as (url, _):
        found = loop.run(session_limit.measure(loop, plan(url), most=8))
        assert found is not None
        assert found.sessions == (1 if fault == "one-session" else CAP)
        assert found.reason == reason
        assert found.is_lawful == (fault != "one-session")
        few = session_limit.measure(loop, plan(url), most=found.sessions)
        assert loop.run(few) is None


def test_a_correct_server_has_no_limit(loop: Loop) -> None:
    with faking() as (url, _):
        assert loop.run(session_limit.measure(loop, plan(url), most=8)) is None


def test_a_session_lost_for_another_reason_shows_no_limit(loop: Loop) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(1011)

    with serving(talk) as url:
        live = Live(loop, plan(url))
        with pytest.raises(Lost) as error:
            loop.run(live.open())
        assert session_limit.retry_after(live, error.value) is None
        loop.run(live.close())


def test_a_refusal_by_an_error_needs_no_close(loop: Loop) -> None:
    """The close may come after the client has stopped waiting for the server."""

    async def talk(connection: ServerConnection) -> None:
        refusal = {"type": "error", "error": "full", "code": "too_many_sessions"}
        await connection.send(json.dumps(refusal))
        await connection.wait_closed()

    limits = replace(BRIEF, ready=0.5)
    with serving(talk) as url:
        found = loop.run(session_limit.measure(loop, plan(url, limits=limits), most=8))
    assert found is not None
    assert found.sessions == 0
    assert found.reason == "full (too_many_sessions)"


def test_a_refused_bystander_is_tried_again(loop: Loop) -> None:
    wide = Scenario(
        "wide",
        "wide",
        _beside,
        Harm.HEAVY,
        Concurrency.EXCLUSIVE,
        streams=2,
        times=0,
    )
    long = replace(scenario("long"), concurrency=Concurrency.LONG_RUNNING)
    with faking("one-session") as (url, _):
        it, found = all_run(loop, url, long, wide)
    assert found["long"].obstacle is None
    assert it.session_limit is not None
    assert not it.session_limit.is_lawful
    obstacle = found["wide"].obstacle
    assert obstacle is not None
    assert obstacle.violation is it.session_limit.refused


def test_one_session_is_one_violation(loop: Loop) -> None:
    with faking("one-session") as (url, _):
        it = Scheduler(config(loop, url), KNOWN, ALL)
        over = threading.Event()
        it.start(["alone", "crowd"], over=over.set)
        findings = Findings()
        found = {
            name: findings.add(judge(REQUIREMENTS[name], it, VLLM))
            for name in ("same-text-crowd", "crowd-finishes", "crowd-kept-apart")
        }
        assert over.wait(30)
    assert found["same-text-crowd"].status is Status.LIMITED  # a SHOULD
    assert found["crowd-finishes"].status is Status.VIOLATED
    assert found["crowd-kept-apart"].status is Status.SAME_CAUSE
    reason = found["crowd-finishes"].reason
    assert reason is not None
    assert reason.startswith("the server refused a second session while only one was")
    assert reason.endswith("set --realtime-max-streams=1")


def test_a_named_limit_of_one_session_is_no_violation(loop: Loop) -> None:
    with faking("one-session") as (url, _):
        bounds = Bounds(frozenset(Harm), 1, math.inf)
        it, found = all_run(
            loop,
            url,
            scenario("a"),
            scenario("b"),
            scenario("c", streams=2),
            bounds=bounds,
        )
    assert it.session_limit is None
    assert found["a"].obstacle is None
    assert found["b"].obstacle is None
    obstacle = found["c"].obstacle
    assert obstacle is not None
    assert obstacle.kind is ObstacleKind.NOT_RUN


def test_a_server_that_is_full_stops_the_run(project: Project) -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(TRY_AGAIN_LATER, "come back later")

    asked = ("--realtime-conformance", "-k", "first-utterance or created-now")
    with serving(talk) as url:
        result = project.run(*asked, "--realtime-model=m", target=url)
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["skipped"]) == (1, 1)
    result.stdout.fnmatch_lines(
        [
            "first-utterance ?MUST? stopped: the first utterance of the run failed: "
            "the server closed with code 1013: come back later"
        ]
    )


@pytest.mark.slow  # the whole suite runs
def test_the_summary_names_the_limit(project: Project) -> None:
    asked = ("--realtime-conformance", "-k", "crowd-finishes or first-event")
    more = ("--realtime-pace=4", "--realtime-report=conformance:out.json")
    with faking("caps-by-error") as (url, _):
        result = project.run(*asked, *more, target=url)
    outcomes = result.parseoutcomes()
    assert (outcomes["passed"], outcomes["skipped"]) == (1, 1)
    result.stdout.fnmatch_lines(
        [
            "ws://*, accepts at",
            "*most 4 sessions at the same time",
            "2 requirements: 1 satisfied, 1 limited",
            "",
            "limited:",
            "  1 x the scenario needs 8 sessions at the same time, but the server *",
        ]
    )
    assert '"max_sessions": 4' in (project.path / "out.json").read_text()
