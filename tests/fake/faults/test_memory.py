"""The faults of the memory that the fake server shows."""

from __future__ import annotations

import asyncio

import pytest

from pytest_realtime_asr.fake.faults import Faults, memory
from pytest_realtime_asr.fake.server_state import ServerState
from tests.support.letters import Place, place
from tests.support.servers import VLLM

NAMES = ("memory-grows", "idle-holds-memory")
SHOWN = "process_resident_memory_bytes"
SIZE = 2**28


async def memory_of_sessions(it: Place) -> list[float]:
    """Return the memory before, between and after two sessions."""
    found = [await it.metric(SHOWN)]
    for _ in range(2):
        talk = await it.open()
        await talk.link.close()
        async with asyncio.timeout(5):
            while await it.metric("vllm:websocket_connections_active"):
                await asyncio.sleep(0.005)
        found.append(await it.metric(SHOWN))
    return found


def test_memory_of_ended_sessions_is_kept() -> None:
    async def run(*faults: str) -> list[float]:
        async with place(*faults) as it:
            return await memory_of_sessions(it)

    first, *others = asyncio.run(run("memory-grows"))
    assert others == [first + memory.LEAK, first + 2 * memory.LEAK]
    assert len(set(asyncio.run(run()))) == 1


def test_an_idle_session_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    state = ServerState(VLLM)
    faults = Faults(["idle-holds-memory"], state)
    assert faults.resident_memory(SIZE) == SIZE
    numbers = []
    servers = []
    for _ in range(2):
        numbers.append(state.open_session())
        servers.append(faults.wrap(VLLM.server(["m"])))
    now += memory.IDLE
    assert faults.resident_memory(SIZE) == SIZE  # no session is idle yet
    now += 10
    assert faults.resident_memory(SIZE) == SIZE + 20 * memory.HELD
    servers[0].hear("{}")
    assert faults.resident_memory(SIZE) == SIZE + 10 * memory.HELD
    state.close_session(numbers[1])
    assert faults.resident_memory(SIZE) == SIZE
    now += 5 + memory.IDLE
    assert faults.resident_memory(SIZE) == SIZE + 5 * memory.HELD


def test_an_idle_socket_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "IDLE", 0.0)

    async def run(*faults: str) -> float:
        async with place(*faults) as it:
            await it.open()
            before = await it.metric(SHOWN)
            await asyncio.sleep(0.1)
            return await it.metric(SHOWN) - before

    assert asyncio.run(run("idle-holds-memory")) >= 0.1 * memory.HELD
    assert asyncio.run(run()) == 0
