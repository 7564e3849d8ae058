"""The event loop on its own thread, and its scheduling delay."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec
from itertools import pairwise

import pytest
import trio

from pytest_realtime_asr.client import loop as loops
from pytest_realtime_asr.client.loop import KEPT, TICK, TOLERATED, Loop
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.trace.records import Lag

MS = 1_000_000
FAST = pytest.mark.skipif(find_spec("uvloop") is None, reason="needs uvloop")


@pytest.fixture(params=[False, pytest.param(True, marks=FAST)])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(fast=request.param)
    assert loop.fast is request.param
    yield loop
    loop.stop()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def fail() -> None:
    raise LookupError("no such thing")


class Work:
    """A coroutine that never ends, and that notes its start and its cancellation."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self) -> None:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


def test_runs_on_a_thread_of_its_own(loop: Loop) -> None:
    async def where() -> threading.Thread:
        return threading.current_thread()

    assert loop.run(double(21)) == 42
    assert loop.run(where()) is not threading.current_thread()
    assert loop.run(where()).daemon
    with pytest.raises(LookupError, match="no such thing"):
        loop.run(fail())


def test_is_awaited_from_another_loop(loop: Loop) -> None:
    async def test() -> None:
        assert await loop.wait(double(21)) == 42
        with pytest.raises(LookupError, match="no such thing"):
            await loop.wait(fail())

    asyncio.run(test())


def test_the_waiting_loop_goes_on(loop: Loop) -> None:
    async def test() -> list[str]:
        done: list[str] = []

        async def other() -> None:
            done.append("other")

        async def slow() -> None:
            await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(loop.wait(slow()))
            waiting.add_done_callback(lambda task: done.append("slow"))
            tasks.create_task(other())
        return done

    assert asyncio.run(test()) == ["other", "slow"]


def test_cancelling_the_waiter_cancels_the_work(loop: Loop) -> None:
    work = Work()

    async def test() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await loop.wait(work())

    asyncio.run(test())
    assert work.cancelled.wait(5)


def test_interrupt_cancels_the_work(loop: Loop) -> None:
    work = Work()

    def interrupt() -> None:
        assert work.begun.wait(5)
        time.sleep(0.05)  # by now the main thread waits
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        loop.run(work())
    thread.join()
    assert work.cancelled.wait(5)


def test_a_forked_process_is_refused(loop: Loop) -> None:
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            loop.run(double(21))
        except RuntimeError as error:
            os.write(write, str(error).encode())
        finally:
            loop.stop()  # does nothing, and does not wait
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert b"cannot be used in a forked process; use it in" in os.read(read, 500)
    assert loop.run(double(21)) == 42


def test_a_clock_that_jumps_delays_nothing(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    year = 365 * 86_400 * 10**9
    begun = time.monotonic_ns()

    async def watch() -> None:
        loop.watch()
        await asyncio.sleep(0.03)
        monkeypatch.setattr(
            "pytest_realtime_asr.client.loop.monotonic_ns",
            lambda: time.monotonic_ns() + year,
        )
        await asyncio.sleep(0.03)

    loop.run(watch())  # 3e9 ticks were missed
    lag = loop.lag(begun, time.monotonic_ns() + year)
    loop.run(ended(loop))
    assert KEPT / 2 < len(lag.late) <= KEPT


async def ended(loop: Loop) -> None:
    loop.unwatch()


def test_a_stopped_clock_does_not_break_the_load(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic_ns()
    monkeypatch.setattr(
        "pytest_realtime_asr.client.loop.monotonic_ns", lambda: now + TICK
    )

    async def watch() -> None:
        loop.watch()
        await asyncio.sleep(0.25)  # more than two looks
        loop.unwatch()

    loop.run(watch())
    assert loop.lag(now, now + 2 * TICK).load >= 0


def test_trio_gets_advice(loop: Loop) -> None:
    async def test() -> None:
        with pytest.raises(RuntimeError, match="with trio, use the blocking"):
            await loop.wait(double(21))
        assert await trio.to_thread.run_sync(lambda: loop.run(double(21))) == 42

    trio.run(test)


def test_stop_cancels_running_tasks() -> None:
    loop, work = Loop(), Work()
    future = loop.submit(work())
    assert work.begun.wait(5)
    loop.stop()
    assert work.cancelled.is_set()
    assert future.cancelled()
    assert not any(t.name == "realtime-asr" for t in threading.enumerate())
    loop.stop()


# The implementation


def test_without_uvloop_the_loop_of_asyncio_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(loops, "version", missing)
    loop = Loop(fast=True)
    assert not loop.fast
    assert loop.run(double(21)) == 42
    loop.stop()


@pytest.mark.parametrize("old", ["0.22.1", "0.9"])
def test_an_uvloop_version_that_mixes_sessions_up_is_refused(
    monkeypatch: pytest.MonkeyPatch, old: str
) -> None:
    monkeypatch.setattr(loops, "version", lambda name: old)
    with pytest.raises(InputError, match=rf"uvloop {old} may .* install uvloop 0\.23"):
        Loop(fast=True)
    loop = Loop()  # nobody asked for it
    assert loop.run(double(21)) == 42
    loop.stop()


# Lateness


def test_the_loop_has_no_ticks_while_it_is_not_watched(loop: Loop) -> None:
    async def tasks() -> int:
        return len(asyncio.all_tasks()) - 1

    async def watch(times: int) -> None:
        for _ in range(times):
            loop.watch()

    async def unwatch() -> None:
        loop.unwatch()
        await asyncio.sleep(0)

    assert loop.run(tasks()) == 0
    loop.run(watch(2))
    assert loop.run(tasks()) == 1
    loop.run(unwatch())
    assert loop.run(tasks()) == 1
    loop.run(unwatch())
    assert loop.run(tasks()) == 0
    loop.run(watch(1))
    assert loop.run(tasks()) == 1
    loop.run(unwatch())


def watched(loop: Loop, seconds: float, *, disturb: float = 0.0) -> tuple[int, ...]:
    """Return the delays of the late ticks while the loop is blocked."""

    async def measure() -> tuple[int, int]:
        loop.watch()
        since = time.monotonic_ns()
        await asyncio.sleep(0.05)
        time.sleep(disturb)
        await asyncio.sleep(seconds)
        until = time.monotonic_ns()
        loop.unwatch()
        return since, until

    since, until = loop.run(measure())
    lag = loop.lag(since, until)
    assert lag.ticks == (until - since) // TICK
    assert all(late > TOLERATED for late in lag.late)
    assert loop.lag(until, since).ticks == 0
    return lag.late


def test_each_tick_missed_in_a_stall_is_counted(loop: Loop) -> None:
    late = watched(loop, 0.05, disturb=0.2)
    # At 10 ms a tick, 200 ms swallow 19 or more, each 10 ms less late than the last.
    worst = late.index(max(late))
    stall = late[worst : worst + 19]
    assert max(late) >= 190 * MS - TOLERATED
    assert [a - b for a, b in pairwise(stall)] == [TICK] * 18


def test_a_held_interpreter_lock_is_measured(loop: Loop) -> None:
    held: list[tuple[int, int]] = []
    slow = re.compile(r"(a+)+b")

    def hold() -> None:
        # One call into C that never gives the interpreter lock away.
        begun = time.monotonic_ns()
        assert slow.match("a" * 23) is None
        held.append((begun, time.monotonic_ns()))

    async def measure() -> tuple[int, int]:
        loop.watch()
        since = time.monotonic_ns()
        await asyncio.sleep(0.05)
        thread = threading.Thread(target=hold)
        thread.start()
        while not held:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.02)
        until = time.monotonic_ns()
        thread.join()
        loop.unwatch()
        return since, until

    lag = loop.lag(*loop.run(measure()))
    (begun, ended) = held[0]
    assert ended - begun > 50 * MS
    assert max(lag.late) >= (ended - begun) / 2


def test_ticks_are_selected_by_their_time(loop: Loop) -> None:
    watched(loop, 0.02, disturb=0.1)
    now = time.monotonic_ns()
    assert loop.lag(now, now + 10**9).late == ()


# What holds a loop up


def spent(loop: Loop, work: Callable[[], object]) -> Lag:
    """Return the lag of a loop that repeats ``work`` for at least 0.4 s."""

    async def measure() -> tuple[int, int]:
        loop.watch()
        since = time.monotonic_ns()
        while time.monotonic_ns() - since < 400 * MS:
            work()
            await asyncio.sleep(0)
        until = time.monotonic_ns()
        loop.unwatch()
        return since, until

    return loop.lag(*loop.run(measure()))


def test_the_loop_measures_its_cpu_load(loop: Loop) -> None:
    before = time.process_time_ns(), time.monotonic_ns()
    busy = spent(loop, lambda: sum(range(1000)))
    core = (time.process_time_ns() - before[0]) / (time.monotonic_ns() - before[1])

    async def sleep() -> tuple[int, int]:
        loop.watch()
        since = time.monotonic_ns()
        await asyncio.sleep(0.4)
        until = time.monotonic_ns()
        loop.unwatch()
        return since, until

    idle = loop.lag(*loop.run(sleep()))
    # All that the process did was the loop's work, as far as the machine let it.
    assert busy.load == pytest.approx(core, rel=0.25)
    assert idle.load < busy.load / 4


@pytest.mark.slow
def test_a_pause_of_the_garbage_collector_is_measured(loop: Loop) -> None:
    rings: list[object] = []
    for _ in range(200_000):
        ring: list[object] = []
        ring.append(ring)
        rings.append(ring)
    took: list[int] = []

    def collect() -> None:
        if not took:
            begun = time.monotonic_ns()
            gc.collect()
            took.append(time.monotonic_ns() - begun)

    lag = spent(loop, collect)
    assert took[0] / 2 < lag.paused <= took[0]
    now = time.monotonic_ns()
    assert loop.lag(now, now + 1).paused == 0
    del rings


def test_no_callback_is_left_in_the_garbage_collector(loop: Loop) -> None:
    before = list(gc.callbacks)
    spent(loop, lambda: None)
    assert gc.callbacks == before
