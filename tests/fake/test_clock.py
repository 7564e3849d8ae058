"""The clock of a fake server: its rate, and the order and the times of its timers."""

from __future__ import annotations

import asyncio
import time

import pytest

from pytest_realtime_asr.fake import clock as module
from pytest_realtime_asr.fake.clock import Clock

MS = 10**6  # ns


class Real:
    """A stand-in for the module ``time``, whose time the test sets (ns)."""

    def __init__(self) -> None:
        self.at = 10**15

    def monotonic_ns(self) -> int:
        return self.at


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Real:
    real = Real()
    monkeypatch.setattr(module, "time", real)
    return real


async def rung(clock: Clock, *dues: int) -> list[int]:
    """Return the due times, counted from now, in the order in which timers ring."""
    order: list[int] = []
    every = asyncio.Event()

    def ring(due: int) -> None:
        order.append(due)
        if len(order) == len(dues):
            every.set()

    begun = clock.now()
    for due in dues:
        clock.call_at(begun + due, lambda due=due: ring(due))  # type: ignore[misc]
    async with asyncio.timeout(10):
        await every.wait()
    return order


def test_a_new_rate_changes_the_speed_of_a_clock(real: Real) -> None:
    async def run() -> None:
        clock = Clock()
        begun = clock.now()
        real.at += 100
        assert clock.now() - begun == 100
        clock.rate = 0.5
        assert clock.now() - begun == 100  # a new rate does not move the time
        real.at += 100
        assert clock.now() - begun == 150
        clock.rate = 0
        real.at += 100
        assert clock.now() - begun == 150
        clock.rate = 1
        real.at += 100
        assert clock.now() - begun == 250
        assert clock.rate == 1

    asyncio.run(run())


def test_timers_ring_in_the_order_of_their_times() -> None:
    async def run() -> list[int]:
        return await rung(Clock(), 20 * MS, 5 * MS, 10 * MS, 5 * MS, -MS)

    assert asyncio.run(run()) == [-MS, 5 * MS, 5 * MS, 10 * MS, 20 * MS]


def test_no_timer_rings_early() -> None:
    async def run() -> None:
        for rate in (1.0, 0.5, 0.3):
            clock = Clock(rate)
            begun = clock.now()
            await rung(clock, 10 * MS)
            assert clock.now() - begun >= 10 * MS

    asyncio.run(run())


def test_a_slow_clock_rings_late() -> None:
    async def run() -> int:
        begun = time.monotonic_ns()
        await rung(Clock(0.2), 10 * MS)
        return time.monotonic_ns() - begun

    assert asyncio.run(run()) >= 50 * MS


def test_a_clock_that_stands_still_rings_when_it_goes_on() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        clock = Clock(0)
        ringing = asyncio.create_task(rung(clock, 5 * MS))
        await asyncio.sleep(0.03)
        told.append("rung" if ringing.done() else "silent")
        clock.rate = 1
        await ringing
        return [*told, "rung"]

    assert asyncio.run(run()) == ["silent", "rung"]


def test_a_faster_clock_rings_earlier_than_was_planned() -> None:
    async def run() -> None:
        clock = Clock(1e-6)
        ringing = asyncio.create_task(rung(clock, MS))  # due in a quarter of an hour
        await asyncio.sleep(0)
        clock.rate = 1
        await ringing

    asyncio.run(run())


def test_a_cancelled_timer_does_not_ring() -> None:
    async def run() -> None:
        clock = Clock()
        timer = clock.call_at(clock.now() + MS, lambda: pytest.fail("it rang"))
        timer.cancel()
        await rung(clock, 2 * MS)
        timer.cancel()

    asyncio.run(run())
