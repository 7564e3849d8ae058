"""The largest cost of a load test."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.load.cost import (
    LEAD,
    RECOVERY,
    LoadCost,
    alone_cost,
    bounded_cost,
    level_cost,
)
from pytest_realtime_asr.load.workload import Arrivals, Load

CLIPS = (2.0, 5.0)


def plain(streams: int, hold: float, **changes: Any) -> Load:
    """Return a load without witnesses whose clips are not varied."""
    return Load(streams, hold, **{"varied": False, "witnesses": 0, **changes})


def test_a_stream_speaks_and_finishes_its_last_session() -> None:
    cost = level_cost(plain(10, 60.0, ramp=10.0), CLIPS)
    assert cost == LoadCost(streams=10, audio=10 * (70 + 5.0), seconds=75.0)


def test_pauses_are_not_sent() -> None:
    assert level_cost(plain(10, 60.0, talk=0.5), CLIPS).audio == 10 * (30.0 + 5.0)


def test_a_witness_speaks_before_through_and_after() -> None:
    clips = (1.0, *CLIPS, 4.0)
    without = level_cost(plain(10, 60.0), clips)
    cost = level_cost(plain(10, 60.0, witnesses=2), clips)
    assert cost.streams == 12
    before, through, after = 1.0 + 2.0 + 4.0, 65.0, RECOVERY + 5.0
    assert cost.audio - without.audio == 2 * (before + through + after)
    assert cost.seconds - without.seconds == 2 * before


def test_a_variation_makes_a_session_longer() -> None:
    fixed = level_cost(plain(3, 60.0), CLIPS)
    varied = level_cost(plain(3, 60.0, varied=True), CLIPS)
    assert varied.audio - fixed.audio == pytest.approx(3 * LEAD)


def test_arrivals_limit_the_audio_of_an_open_load() -> None:
    load = plain(100, 60.0, arrivals=Arrivals.CONSTANT, rate=0.5)
    assert level_cost(load, CLIPS).audio == 31 * 5.0


def test_random_arrivals_may_be_more_than_their_mean() -> None:
    load = plain(100, 100.0, arrivals=Arrivals.POISSON, rate=1.0)
    assert level_cost(load, CLIPS).audio == (100 + 5 * 10 + 1) * 5.0


def test_streams_limit_the_audio_of_an_open_load() -> None:
    load = plain(2, 60.0, arrivals=Arrivals.CONSTANT, rate=50.0)
    assert level_cost(load, CLIPS).audio == 2 * 65.0


def test_the_costs_of_one_test_after_the_other() -> None:
    both = alone_cost(CLIPS) + bounded_cost(40, 60.0)
    assert both == LoadCost(streams=40, audio=7.0 + 2400.0, seconds=67.0)
    assert alone_cost(()) == LoadCost(0, 0.0, 0.0)


def test_the_text() -> None:
    cost = LoadCost(streams=41, audio=3150.0, seconds=510.0)
    assert cost.text == (
        "at most 41 streams at a time and 52.5 min of audio, about 8.5 min"
    )
    assert LoadCost(1, 10.0, 12.0).text == (
        "at most 1 stream at a time and 10.0 s of audio, about 12 s"
    )
