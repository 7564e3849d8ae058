"""The faults that make words or finals late."""

from __future__ import annotations

import asyncio
import time

import pytest

from pytest_realtime_asr.fake.capacity import Capacity, CapacityMode
from pytest_realtime_asr.fake.faults import Faults, lateness
from pytest_realtime_asr.fake.server_state import ServerState
from tests.support.letters import COMMIT, LONG, Place, audio_of, place
from tests.support.servers import VLLM

NAMES = ("starves-one", "slow-recovery", "latency-grows")
LATE = 0.2  # s; the final of a sound server comes long before
TEXT = Capacity(1, CapacityMode.TEXT)  # it does not make the finals late


async def final_takes(it: Place, text: str = "a b") -> float:
    """Return the s from the end of the audio of an utterance to its final."""
    talk = await it.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of(text))
    begun = time.monotonic()
    assert await talk.finish() == text
    return time.monotonic() - begun


async def fastest(it: Place) -> float:
    """Return the fastest of some finals, so that a busy machine has no influence."""
    return min([await final_takes(it) for _ in range(3)])


def delays(faults: Faults, session: int) -> tuple[float, float]:
    return (
        faults.word_delay(0.5, position=1.0, session=session),
        faults.final_delay(0.25, session=session),
    )


def test_one_open_session_of_twenty_is_starved() -> None:
    state = ServerState(VLLM)
    faults = Faults(["starves-one"], state)

    def opened() -> int:
        number = state.open_session()
        faults.wrap(VLLM.server(["m"]))
        return number

    sound, late = (0.5, 0.25), (0.5 + lateness.STARVED, 0.25 + lateness.STARVED)
    sessions = [opened() for _ in range(40)]
    starved = [each for each in sessions if delays(faults, each) == late]
    assert starved == [8, 28]
    assert all(delays(faults, s) == sound for s in sessions if s not in starved)
    state.close_session(8)
    state.close_session(3)
    assert delays(faults, opened()) == sound  # in the place of the third session
    assert delays(faults, opened()) == late  # in the starved place
    assert delays(faults, opened()) == sound


def test_a_starved_session_is_late_on_the_wire(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lateness, "STARVED", LATE)

    async def run(*faults: str) -> tuple[float, float, float]:
        """Return the delays of the finals of the first, eighth and later sessions."""
        async with place(*faults) as it:
            first = await fastest(it)
            for _ in range(4):
                await it.open()
            return first, await final_takes(it), await fastest(it)

    first, eighth, later = asyncio.run(run("starves-one"))
    assert eighth >= LATE
    assert max(first, later) < LATE


def test_a_correct_server_starves_no_session() -> None:
    async def run() -> float:
        async with place() as it:
            for _ in range(7):
                await it.open()
            return await final_takes(it)

    assert min(asyncio.run(run()) for _ in range(2)) < LATE


def test_finals_stay_late_until_10_s_after_an_overload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    state = ServerState(VLLM, capacity=TEXT)
    faults = Faults(["slow-recovery"], state)
    sound, late = (0.5, 0.25), (0.5, 0.25 + lateness.UNRECOVERED)
    first = state.workload.begin()
    assert delays(faults, 1) == sound
    second = state.workload.begin()
    assert delays(faults, 1) == late
    now += 60
    assert delays(faults, 1) == late
    state.workload.end(second)
    now += 9.9
    assert delays(faults, 1) == late
    now += 0.2
    assert delays(faults, 1) == sound
    state.workload.end(first)
    assert delays(faults, 1) == sound


def test_finals_stay_late_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "UNRECOVERED", LATE)

    async def run(*faults: str) -> tuple[float, float]:
        """Return the delays of finals just after and long after an overload."""
        monkeypatch.setattr(lateness, "RECOVERY", 3600.0)
        async with place(*faults, capacity=TEXT) as it:
            talks = [await it.open() for _ in range(2)]
            for talk in talks:
                await talk.send(COMMIT)
            async with asyncio.timeout(LONG):
                while await it.metric("vllm:num_requests_running") < len(talks):
                    await asyncio.sleep(0.005)
            for talk in talks:
                await talk.finish()
            after = await final_takes(it)
            monkeypatch.setattr(lateness, "RECOVERY", 0.0)  # as if time had passed
            return after, await fastest(it)

    after, later = asyncio.run(run("slow-recovery"))
    assert after >= LATE
    assert later < LATE
    assert min(asyncio.run(run())) < LATE


def test_a_server_without_an_overload_needs_no_recovery() -> None:
    faults = Faults(["slow-recovery"], ServerState(VLLM))
    assert delays(faults, 1) == (0.5, 0.25)


def test_finals_are_later_from_minute_to_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    faults = Faults(["latency-grows"], ServerState(VLLM))
    assert delays(faults, 1) == (0.5, 0.25)
    now += 60
    assert delays(faults, 1) == pytest.approx((0.5, 0.25 + 0.06))
    now += 60
    assert delays(faults, 1) == pytest.approx((0.5, 0.25 + 0.12))


def test_the_latency_grows_on_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "GROWTH", 1.0)

    async def run(*faults: str) -> float:
        async with place(*faults) as it:
            await asyncio.sleep(LATE)
            return await (final_takes if faults else fastest)(it)

    assert asyncio.run(run("latency-grows")) >= LATE
    assert asyncio.run(run()) < LATE
