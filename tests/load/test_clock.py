"""The clock of a level."""

from __future__ import annotations

import asyncio
import time

import pytest

from pytest_realtime_asr.load.clock import Clock


def test_the_time_counts_from_the_start() -> None:
    begun = time.monotonic()
    found = Clock(begun - 5.0).now
    assert 5.0 <= found <= 5.0 + time.monotonic() - begun


def test_the_start_is_given_on_the_system_clock() -> None:
    before = time.monotonic()
    clock = Clock.at(time.time() + 100.0)
    assert before + 99.9 <= clock.start <= time.monotonic() + 100.1


def test_a_step_of_the_system_clock_has_no_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock.at(time.time())
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert abs(clock.now) < 60.0


def test_the_wait_ends_at_the_time_and_not_before() -> None:
    clock = Clock(time.monotonic())
    asyncio.run(clock.until(0.05))
    assert clock.now >= 0.05
    asyncio.run(clock.until(-1.0))  # past: no wait
