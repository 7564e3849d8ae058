"""Scenarios with connections that are idle, broken, abandoned or refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.target import Target
from pytest_realtime_asr.client.transport import Access, Unreachable
from pytest_realtime_asr.conformance import clips
from pytest_realtime_asr.conformance.scenario import Concurrency, Scenario, exclusive
from pytest_realtime_asr.conformance.scenario_run import ScenarioRun
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.requirement import Harm

IDLE = 12.0  # s without a frame
PONG = 5.0  # s within which a ping has to be answered
VANISHED = 1.5  # s for which a half-open connection is kept
FREED = 5.0  # s within which the server has to free abandoned sessions


async def _idle(run: ScenarioRun) -> None:
    live = await run.open("idle")
    await live.ping(timeout=PONG)
    await run.wait(IDLE)
    await live.ping(timeout=PONG)
    await run.transcribe(live, run.clips.first)


async def _fragments(run: ScenarioRun) -> None:
    live = await run.open("fragments", configure=False)
    for frame in run.caller.configure():
        await live.send_fragments(frame, parts=3)
    await run.transcribe(live, run.clips.first)


async def _close(run: ScenarioRun) -> None:
    live = await run.open("close")
    await run.settle()
    await live.close()


async def _cut(run: ScenarioRun) -> None:
    live = await _half_sent(run, "cut")
    await live.close()
    await run.check_server()
    fresh = await run.open("fresh")
    await run.transcribe(fresh, run.clips.first)


async def _half_sent(run: ScenarioRun, role: str, **changes: Any) -> Live:
    """Open a session, send half an utterance, and return the session.

    ``changes`` are fields of the session's plan with their new values.
    """
    live = await run.open(role, **changes)
    clip = run.clips.first
    await live.begin()
    await live.stream(clips.halves(clip)[0].resample(run.caller.rate), clip.id)
    return live


async def _wrong_path(run: ScenarioRun) -> None:
    access = run.config.plan.access
    where = access.target.websocket.partition("?")[0]
    other = Target(f"{where}/no/such/path", access.target.http)
    await _refused(run, "wrong-path", replace(access, target=other))


async def _wrong_key(run: ScenarioRun) -> None:
    access = run.config.plan.access
    wrong = run.dialect.headers("this-is-no-key")
    keys = {name for name, value in wrong.items() if "this-is-no-key" in value}
    if not keys & access.headers.keys():
        return
    headers = {**access.headers, **wrong}
    await _refused(run, "wrong-key", replace(access, headers=headers))


async def _refused(run: ScenarioRun, role: str, access: Access) -> None:
    """Open a session that the server should refuse; the refusal is the evidence.

    A server may refuse a session by a close frame after the WebSocket is open.
    """
    try:
        live = await run.open(role, access=access)
        await run.wait_for_end(live, run.config.answer)
        await live.close()
    except Lost as error:
        cause = error.__cause__
        if isinstance(cause, Unreachable) and cause.status is None:
            raise


async def _plain_http(run: ScenarioRun) -> None:
    await run.get("plain-http", run.dialect.path)


async def _reset(run: ScenarioRun) -> None:
    async with run.with_bystander():
        lives = await asyncio.gather(*(_half_sent(run, "reset") for _ in range(3)))
        for live in lives:
            live.reset()


async def _half_open(run: ScenarioRun) -> None:
    async with run.with_bystander():
        live = await _half_sent(run, "half-open", keepalive=False)
        live.deafen()
        await run.wait(VANISHED)
        await run.fresh_session()
    live.reset()


async def _empty_reset(run: ScenarioRun) -> None:
    async with run.with_bystander():
        for _ in range(3):
            live = await run.open("empty-reset")
            await live.begin()
            await live.finish()
            live.reset()


async def _abandoned(run: ScenarioRun) -> None:
    before = await run.check_server()
    async with run.with_bystander():
        lives = await asyncio.gather(*(_half_sent(run, "abandoned") for _ in range(3)))
        for live in lives:
            await live.close()
    shown = run.dialect.traits.operations
    counts = before.keys() & {shown.gauge, shown.running}
    deadline = asyncio.get_running_loop().time() + FREED
    while asyncio.get_running_loop().time() < deadline:
        now = await run.check_server()
        if all(now.get(name, 0.0) <= before[name] for name in counts):
            break
        await asyncio.sleep(run.config.settle)


async def _last(run: ScenarioRun) -> None:
    await run.check_server()
    live = await run.open("last", pace=0.0)
    await run.transcribe(live, run.clips.first)


SCENARIOS = (
    Scenario(
        "idle",
        f"a session that sends nothing for {IDLE:g} s",
        _idle,
        concurrency=Concurrency.LONG_RUNNING,
    ),
    Scenario(
        "fragments",
        "a message in three fragments",
        _fragments,
        fits=frozenset({Capability.SET_UP}),
    ),
    Scenario("close", "a session that the client closes normally", _close, times=0),
    Scenario(
        "cut",
        "a session that the client closes in the middle of an utterance",
        _cut,
        sessions=2,
        times=2,
    ),
    Scenario("wrong-path", "a WebSocket on an unknown path", _wrong_path, times=0),
    Scenario("wrong-key", "a session with a wrong key", _wrong_key, times=0),
    Scenario(
        "plain-http",
        "a plain HTTP request on the path of the WebSocket",
        _plain_http,
        sessions=0,
        times=0,
    ),
    exclusive(
        "reset",
        "three connections that are reset in the middle of an utterance",
        _reset,
        Harm.DISRUPTIVE,
        sessions=5,
        streams=4,
    ),
    exclusive(
        "half-open",
        f"a client that neither sends nor reads for {VANISHED:g} s",
        _half_open,
        Harm.DISRUPTIVE,
    ),
    exclusive(
        "empty-reset",
        "empty utterances whose connections are reset immediately",
        _empty_reset,
        Harm.DISRUPTIVE,
        sessions=5,
    ),
    exclusive(
        "abandoned",
        "three sessions that are closed in the middle of an utterance",
        _abandoned,
        Harm.DISRUPTIVE,
        sessions=5,
        streams=4,
    ),
    Scenario(
        "last", "one more session after all others", _last, concurrency=Concurrency.LAST
    ),
)
