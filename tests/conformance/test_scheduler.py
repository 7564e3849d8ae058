"""The scheduler: what runs in parallel, what does not run, and harness errors."""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.conformance import clips, session_limit
from pytest_realtime_asr.conformance.results import Result, Status, judge
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario
from pytest_realtime_asr.conformance.scenario_run import RunConfig, ScenarioRun
from pytest_realtime_asr.conformance.scenarios import scenarios
from pytest_realtime_asr.conformance.scheduler import (
    OVERHEAD,
    Bounds,
    EarlyStop,
    Obstacle,
    ObstacleKind,
    ScenarioResult,
    Scheduler,
)
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.faults import registry
from pytest_realtime_asr.fake.faults.registry import FAULTS, fault
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.fake.server_wrappers import ServerWrapper
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import Harm, Requirement
from pytest_realtime_asr.trace.records import Span
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.project import SOON
from tests.support.servers import (
    BRIEF,
    VLLM,
    closed,
    faking,
    plain,
    plan,
    script,
    serving,
)

ALL = Bounds(frozenset(Harm), 16, math.inf)
KNOWN = scenarios(VLLM)
SPOKEN = clips.choose(corpus.load("bundled:english"))
ENOUGH = math.ceil(sum(each.audio(SPOKEN) for each in KNOWN.values()))  # s
REQUIREMENTS = {each.id: each for each in VLLM.requirements}
Action = Callable[[ScenarioRun], Awaitable[None]]


def config(loop: Loop, url: str, **changes: Any) -> RunConfig:
    return RunConfig(loop, plan(url, **changes), SPOKEN, answer=2.0, settle=0.05)


def ran(
    loop: Loop,
    url: str,
    *names: str,
    known: Mapping[str, Scenario] = KNOWN,
    bounds: Bounds = ALL,
    overhead: float = OVERHEAD,
    **changes: Any,
) -> dict[str, ScenarioResult]:
    """Return the results of these scenarios."""
    it = Scheduler(config(loop, url, **changes), known, bounds, overhead=overhead)
    over = threading.Event()
    it.start(names, over=over.set)
    found = {name: it.collect([name]) for name in names}
    assert over.wait(30)
    return found


def made(**acts: Action) -> dict[str, Scenario]:
    """Return a scenario for each action; its name begins with its concurrency."""
    found = {}
    for name, act in acts.items():
        concurrency = Concurrency(name.partition("_")[0])
        harm = Harm.DISRUPTIVE if concurrency is Concurrency.EXCLUSIVE else Harm.SAFE
        found[name] = Scenario(name, name, act, harm, concurrency, times=0)
    return found


async def short(run: ScenarioRun) -> None:
    live = await run.open(run.name)
    await run.transcribe(live, run.clips.first)


# What a scenario costs


@pytest.mark.slow
def test_no_scenario_costs_more_than_declared(loop: Loop) -> None:
    with faking(key="a-key-of-eight") as (url, _):
        headers = {"Authorization": "Bearer a-key-of-eight"}
        found = ran(loop, url, *KNOWN, headers=headers)
    spoken = config(loop, url).clips
    for name, each in found.items():
        parts = each.evidence.parts
        audio = sum(
            part.timeline.heard[-1].size for part in parts if part.timeline.heard
        )
        assert audio >= 0
        seconds = sum(
            sum(event.size for event in part.timeline.heard) for part in parts
        ) / (2 * VLLM.rate)
        scenario = KNOWN[name]
        if scenario.concurrency is Concurrency.EXCLUSIVE:
            # Its bystander transcribes as long as the others take.
            parts = tuple(part for part in parts if part.role != "bystander")
        else:
            assert seconds <= scenario.audio(spoken) + 0.01, name
        assert len(parts) <= scenario.sessions + (name != "wrong-key"), name


def test_a_scenario_runs_once(loop: Loop) -> None:
    count = 0

    async def counted(run: ScenarioRun) -> None:
        nonlocal count
        count += 1
        await short(run)

    known = made(parallel_a=counted)
    with faking() as (url, _):
        it = Scheduler(config(loop, url), known, ALL)
        ends: list[str] = []
        for _ in range(2):
            it.start(known, before=lambda: ends.append("started"))
            first = it.collect(["parallel_a"])
        assert it.everything == first.evidence
    assert count == 1
    assert ends == ["started"]


# What does not run


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (
            Bounds(frozenset({Harm.SAFE}), 16, math.inf),
            "the scenario is heavy; add --realtime-allow=heavy to run it",
        ),
        (
            Bounds(frozenset(Harm), 4, math.inf),
            "the scenario needs 8 sessions at the same time; "
            "set --realtime-max-streams=8 to run it",
        ),
        (
            Bounds(frozenset(Harm), 16, 10.0),
            "the scenario does not fit in --realtime-max-audio=10s; "
            f"--realtime-max-audio={ENOUGH}s is enough for all scenarios",
        ),
    ],
)
def test_a_scenario_that_does_not_run_says_why(
    loop: Loop, bounds: Bounds, reason: str
) -> None:
    with faking() as (url, fake):
        (found,) = ran(loop, url, "crowd", bounds=bounds).values()
        assert fake.traces() == ()
    assert found.obstacle is not None
    assert (found.obstacle.kind, found.obstacle.message) == (
        ObstacleKind.NOT_RUN,
        reason,
    )
    requirement = REQUIREMENTS["crowd-finishes"]
    assert judged(loop, url, requirement, bounds=bounds).status is Status.NOT_RUN


def judged(
    loop: Loop,
    url: str,
    requirement: Requirement,
    *,
    dialect: Dialect = VLLM,
    bounds: Bounds = ALL,
    known: Mapping[str, Scenario] = KNOWN,
) -> Result:
    it = Scheduler(config(loop, url, dialect=dialect), known, bounds)
    over = threading.Event()
    it.start(requirement.scenarios, over=over.set)
    found = judge(requirement, it, dialect)
    assert over.wait(30)
    return found


@pytest.mark.parametrize("needed", [False, True])
def test_a_confirmation_runs_alone_and_only_if_it_is_needed(
    loop: Loop, needed: bool
) -> None:
    roles: list[set[str]] = []

    def is_needed(evidence: Evidence) -> bool:
        roles.append({part.role for part in evidence.parts})
        return needed

    known = made(
        parallel_a=short,
        long_b=short,
        exclusive_c=short,
        confirmation_d=short,
        last_e=short,
    )
    name = "confirmation_d"
    known[name] = replace(known[name], is_needed=is_needed)
    with faking() as (url, _):
        found = ran(loop, url, *known, known=known)
    assert roles == [{"parallel_a", "long_b", "exclusive_c"}]
    assert found[name].obstacle is None
    assert len(found[name].evidence.parts) == needed
    if needed:
        (alone,) = found[name].evidence.parts
        begin, end = span(alone)
        for other in known.keys() - {name}:
            (part,) = found[other].evidence.parts
            start, stop = span(part)
            assert stop <= begin or end <= start


def span(part: Part) -> tuple[float, float]:
    """Return the first and the last time of a session, in unix seconds."""
    start = part.trace.started.timestamp()
    return start, start + part.trace.end.at / 1e9


# What is not the server's fault


class Misspelt:
    """The dialect with a mistake in its audio frames."""

    def __getattr__(self, name: str) -> Any:
        return getattr(VLLM, name)

    def caller(self, model: str, options: Mapping[str, object]) -> Any:
        caller: Any = VLLM.caller(model, options)
        append = caller.append
        caller.append = lambda pcm: append(pcm).replace(b'"audio"', b'"sound"')
        return caller


def test_an_invalid_frame_of_the_client_is_a_harness_error(loop: Loop) -> None:
    with faking() as (url, _):
        ours: Any = Misspelt()
        found = judged(loop, url, REQUIREMENTS["one-final"], dialect=ours)
    assert found.status is Status.HARNESS
    assert found.fails(strict=False)
    assert str(found.reason).startswith(
        "the suite's own client sent an invalid frame, so the server is not judged: "
        "client-well-formed [MUST]: "
    )


def test_a_check_that_raises_is_a_harness_error(loop: Loop) -> None:
    def failing(_: object) -> Any:
        raise ZeroDivisionError

    requirement = replace(REQUIREMENTS["one-final"], check=failing)
    with faking() as (url, _):
        found = judged(loop, url, requirement)
    assert found.status is Status.HARNESS
    assert found.reason == (
        "the check raised ZeroDivisionError(); this is an error of the check, not of "
        "the server"
    )


def test_a_scenario_that_raises_or_times_out_is_a_harness_error(loop: Loop) -> None:
    async def failing(run: ScenarioRun) -> None:
        raise LookupError("ours")

    async def endless(run: ScenarioRun) -> None:
        await asyncio.sleep(3600)

    limits = replace(BRIEF, beyond=0.1)
    with faking() as (url, _):
        found = ran(
            loop,
            url,
            "parallel_a",
            "parallel_b",
            known=made(parallel_a=failing, parallel_b=endless),
            limits=limits,
            overhead=0.1,
        )
    reasons = [each.obstacle.message for each in found.values() if each.obstacle]
    assert reasons == [
        "the scenario parallel_a raised LookupError('ours')",
        "the scenario parallel_b timed out after 0 s",
    ]


def test_a_server_that_refuses_every_session_gets_few_requests(
    loop: Loop,
) -> None:
    asked = 0

    def answer(request: Any) -> Any:
        nonlocal asked
        if request.path == VLLM.path:
            asked += 1
            return plain(429, b"", **{"Retry-After": "0"})
        return plain(HTTPStatus.OK)

    with serving(answer=answer) as url:
        (found,) = ran(loop, url, "update-again").values()
    assert found.obstacle is not None
    assert found.obstacle.kind is ObstacleKind.LIMITED
    assert "HTTP 429" in found.obstacle.message
    assert asked == 2 * session_limit.TRIES  # by the scenario, and for the limit


@pytest.mark.slow
def test_a_server_that_limits_its_clients_once_is_judged(loop: Loop) -> None:
    with faking("limits") as (url, _):
        (found,) = ran(loop, url, "stray-final").values()
    assert found.obstacle is None
    assert len(found.evidence.parts) == 2


def test_an_unreachable_server_is_a_missing_prerequisite(loop: Loop) -> None:
    with closed() as port:
        url = f"http://127.0.0.1:{port}"
        found = judged(loop, url, REQUIREMENTS["first-event"])
    assert found.status is Status.MISSING
    assert "no server was there" in str(found.reason)
    assert found.fails(strict=False)


# What overlaps


def test_a_long_scenario_that_an_exclusive_one_broke_runs_again(loop: Loop) -> None:
    takes: list[str] = []
    through = asyncio.Event()

    async def long(run: ScenarioRun) -> None:
        first = not takes
        takes.append("through")
        live = await run.open("through")
        if first:
            run.assign(live, 0, run.clips.first)
            await through.wait()
            return
        await run.transcribe(live, run.clips.first)

    async def harm(run: ScenarioRun) -> None:
        while not takes:  # it has started as well
            await asyncio.sleep(0.01)
        takes.append("apart")
        await short(run)
        through.set()

    with faking() as (url, _):
        known = made(long_a=long, exclusive_a=harm)
        found = ran(loop, url, "long_a", "exclusive_a", known=known)
    assert takes == ["through", "apart", "through"]
    (part,) = found["long_a"].evidence.parts
    assert part.text(0) == "turn right and stop"


def test_first_exclusive_and_last_scenarios_run_alone(loop: Loop) -> None:
    here: list[str] = []
    seen: list[tuple[str, ...]] = []

    async def noted(run: ScenarioRun) -> None:
        here.append(run.name)
        await short(run)
        seen.append(tuple(here))
        here.remove(run.name)

    names = ("parallel_a", "parallel_b", "first_a", "last_a", "exclusive_a")
    with faking() as (url, _):
        ran(loop, url, *names, known=made(**dict.fromkeys(names, noted)))
    assert [each for each in seen if len(each) > 1] == [("parallel_a", "parallel_b")]
    assert seen[0] == ("first_a",)
    assert seen[-2:] == [("exclusive_a",), ("last_a",)]


def test_an_unreachable_server_is_the_reason_for_all_later_scenarios(
    loop: Loop,
) -> None:
    async def kill(run: ScenarioRun) -> None:
        await short(run)
        await asyncio.to_thread(over)

    with faking() as (url, _):
        pass  # its port is free again
    manager = faking()
    url, _ = manager.__enter__()

    def over() -> None:
        manager.__exit__(None, None, None)

    names = ("exclusive_a", "exclusive_b", "last_a")
    known = made(exclusive_a=kill, exclusive_b=short, last_a=short)
    found = ran(loop, url, *names, known=known)
    assert found["exclusive_a"].obstacle is None
    for name in names[1:]:
        obstacle = found[name].obstacle
        assert obstacle is not None
        assert obstacle.kind is ObstacleKind.MISSING
        assert "the server was lost at " in obstacle.message
        assert " UTC in the scenario exclusive_a: " in obstacle.message


def test_evidence_from_before_a_loss_is_kept(loop: Loop) -> None:
    ready = threading.Event()
    fake = FakeServer(["--corpus", "bundled:english", *SOON])

    async def cut(run: ScenarioRun) -> None:
        before = await run.open("before")
        await run.transcribe(before, run.clips.first)
        await before.close()
        live = await run.open("cut off")
        ready.set()
        await run.transcribe(live, run.clips.first)

    async def kill(run: ScenarioRun) -> None:
        await short(run)
        await asyncio.to_thread(ready.wait, 60)
        fake.kill()

    names = ("parallel_a", "parallel_b", "last_a")
    known = made(parallel_a=cut, parallel_b=kill, last_a=short)
    with fake:
        found = ran(loop, fake.url, *names, known=known, model="scripted")
    # The scenario that had ended is judged, and so is what another one did before.
    assert found["parallel_b"].obstacle is None
    assert [part.role for part in found["parallel_a"].evidence.parts] == ["before"]
    for name in ("parallel_a", "last_a"):
        obstacle = found[name].obstacle
        assert obstacle is not None
        assert obstacle.kind is ObstacleKind.MISSING
        assert obstacle.message.endswith(
            " UTC in the scenario parallel_a: Connection refused"
        )


def test_an_interrupted_run_leaves_no_test_waiting() -> None:
    own = Loop()

    async def endless(run: ScenarioRun) -> None:
        await asyncio.sleep(3600)

    known = made(parallel_a=endless)
    with faking() as (url, _):
        it = Scheduler(config(own, url), known, ALL)
        ended: list[int] = []
        it.start(known, over=lambda: ended.append(1))
        own.stop()
        found = it.collect(["parallel_a"])
    assert found.obstacle is not None
    assert found.obstacle.kind is ObstacleKind.HARNESS
    assert ended == [1]


def test_a_frame_too_large_for_a_trace_is_shortened(loop: Loop) -> None:
    with faking() as (url, _):
        (found,) = ran(loop, url, "big-audio").values()
    (part,) = found.evidence.role("big-audio")
    frames = [record.text or "" for record in part.trace.records if record.raw]
    assert len(frames) == 1
    assert frames[0].endswith(" more]")
    assert len(part.trace.dumps()) < 10_000


def test_audio_is_a_span_in_the_traces(loop: Loop) -> None:
    with faking() as (url, _):
        (found,) = ran(loop, url, "10s").values()
    (part,) = found.evidence.parts
    spans = [record.span for record in part.trace.records if record.span]
    assert spans[0] == Span("10 s of speech", 0, VLLM.rate // 10)
    assert script() is script()


# How a run ends early


def stopping(
    loop: Loop, url: str, known: Mapping[str, Scenario], rules: EarlyStop
) -> dict[str, ScenarioResult]:
    """Return the results of these scenarios in a run that may end early."""
    brief = replace(plan(url).limits, ready=0.3, silence=0.3)
    it = Scheduler(config(loop, url, limits=brief), known, ALL, early_stop=rules)
    over = threading.Event()
    it.start(known, over=over.set)
    found = {name: it.collect([name]) for name in known}
    assert over.wait(30)  # or its last health check would meet a closing server
    return found


async def gate(run: ScenarioRun) -> None:
    live = await run.open("gate")
    await run.transcribe(live, run.clips.first)
    await live.close()


def why_not(evidence: Evidence) -> str | None:
    return None if evidence.role("gate")[0].text(0) else "no final came"


def test_no_scenario_runs_after_the_gate_has_stopped_the_run(loop: Loop) -> None:
    known = made(gate_a=gate, first_b=short, parallel_c=short, exclusive_d=short)
    with faking("no-final") as (url, fake):
        found = stopping(loop, url, known, EarlyStop(why_not))
        assert len(fake.traces()) == 1
    assert found["gate_a"].obstacle is None
    for name in ("first_b", "parallel_c", "exclusive_d"):
        obstacle = found[name].obstacle
        assert obstacle == Obstacle(ObstacleKind.STOPPED, "no final came")
    with faking() as (url, _):
        found = stopping(loop, url, known, EarlyStop(why_not))
    assert not any(each.obstacle for each in found.values())


def test_the_gate_runs_even_if_no_test_requests_it(loop: Loop) -> None:
    known = made(gate_a=gate, parallel_b=short)
    with faking() as (url, _):
        it = Scheduler(config(loop, url), known, ALL, early_stop=EarlyStop(why_not))
        it.start(["parallel_b"])
        assert it.stop_reason() is None
        assert it.collect(["gate_a"]).evidence.role("gate")
        without = Scheduler(config(loop, url), known, ALL)
        without.start(["parallel_b"])
        assert without.stop_reason() is None
        assert not without.collect(["parallel_b"]).evidence.role("gate")


def test_no_scenario_starts_after_two_have_waited_for_the_same_event(
    loop: Loop,
) -> None:
    known = made(gate_a=gate, first_b=short, first_c=short, exclusive_d=short)
    rules = EarlyStop(lambda evidence: None, silences=2)
    for name, event in (
        ("no-final", "a final"),
        ("no-greeting", "the first event of the server"),
    ):
        with faking(name) as (url, fake):
            found = stopping(loop, url, known, rules)
            assert len(fake.traces()) == 2
        for later in ("first_c", "exclusive_d"):
            assert found[later].obstacle == Obstacle(
                ObstacleKind.UNDECIDED,
                f"not tried, since {event} did not arrive in the scenarios gate_a and "
                "first_b; --realtime-keep-going tries it",
            )


def losing(*numbers: int) -> type[ServerWrapper]:
    """Return a fault that loses the finals of these numbers, counted from 1."""
    due = itertools.count(1)

    class Loses(ServerWrapper):
        def final(self, text: str, usage: Usage, item: int) -> Iterable[str | bytes]:
            lost = next(due) in numbers
            return () if lost else self._server.final(text, usage, item)

    return Loses


@pytest.fixture
def own_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the faults that a test declares from the other tests."""
    monkeypatch.setattr(registry, "FAULTS", dict(FAULTS))


@pytest.mark.slow
@pytest.mark.usefixtures("own_faults")
def test_losses_between_finals_do_not_end_the_run(loop: Loop) -> None:
    names = [f"exclusive_{number}" for number in range(5)]
    known = made(**dict.fromkeys(names, short))
    rules = EarlyStop(lambda evidence: None)
    fault("loses-some", "loses some finals")(losing(1, 3))
    with faking("loses-some") as (url, _):
        found = stopping(loop, url, known, rules)
    assert not any(each.obstacle for each in found.values())
    fault("loses-two", "loses two finals in a row")(losing(2, 3))
    with faking("loses-two") as (url, _):
        found = stopping(loop, url, known, rules)
    assert [bool(found[name].obstacle) for name in names] == [False] * 3 + [True] * 2


@pytest.mark.usefixtures("own_faults")
@pytest.mark.parametrize(
    ("numbers", "sessions"),
    [
        ((), 4),
        ((1,), 4),  # a single loss is not repeated
        ((1, 2), 6),  # both are repeated, and lose nothing
        ((1, 2, 5), 7),  # one of them loses again
        (range(1, 99), 16),  # as often as is allowed
    ],
)
def test_scenarios_that_lose_are_repeated(
    loop: Loop, numbers: Iterable[int], sessions: int
) -> None:
    known = made(**{f"parallel_{name}": short for name in "abcd"})
    fault("loses-some", "loses some finals")(losing(*numbers))
    with faking("loses-some") as (url, _):
        brief = replace(plan(url).limits, silence=0.8)
        it = Scheduler(config(loop, url, limits=brief), known, ALL, repeats=3)
        it.start(known)
        parts = it.whole().parts
    assert len(parts) == sessions
    lost = sum(part.text(0) is None for part in parts)
    assert lost == sum(number <= sessions for number in numbers)


def test_only_a_run_that_waited_in_vain_has_a_time_limit(loop: Loop) -> None:
    known = made(gate_a=gate, first_b=short)
    rules = EarlyStop(lambda evidence: None, silences=9, seconds=0.0)
    with faking("no-final") as (url, _):
        found = stopping(loop, url, known, rules)
    obstacle = found["first_b"].obstacle
    assert obstacle is not None
    assert obstacle.kind is ObstacleKind.UNDECIDED
    assert "more than its limit of 0 s" in obstacle.message
    with faking() as (url, _):
        found = stopping(loop, url, known, rules)
    assert not any(each.obstacle for each in found.values())


# Errors that answer something else


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ((), Status.SATISFIED),
        (("late-setup-error",), Status.SATISFIED),
        (("tolerant", "late-setup-error"), Status.VIOLATED),
    ],
)
def test_an_error_to_the_set_up_does_not_answer_a_hand_written_frame(
    loop: Loop, faults: tuple[str, ...], status: Status
) -> None:
    with faking(*faults) as (url, _):
        it = Scheduler(replace(config(loop, url), answer=0.3), KNOWN, ALL)
        requirement = REQUIREMENTS["unknown-event-refused"]
        it.start(["first-utterance", *requirement.scenarios])
        it.whole()
        found = judge(requirement, it, VLLM)
    assert found.status is status, found.reason
    if status is Status.VIOLATED:
        assert "got no error" in str(found.reason)
        assert "1 error answered other frames" in str(found.reason)
