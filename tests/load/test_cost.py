"""The largest cost of a load test."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_realtime_asr.load.cost import (
    LoadCost,
    alone_cost,
    bounded_cost,
    level_cost,
)
from pytest_realtime_asr.load.runner import ALONE
from pytest_realtime_asr.load.schedule import most_audio
from pytest_realtime_asr.load.variation import MOST_LEAD
from pytest_realtime_asr.load.witnesses import CLIPS, RECOVERY
from pytest_realtime_asr.load.workload import Arrivals, Load

LENGTHS = (2.0, 5.0, 3.0, 9.0)
LONGEST = 9.0 + MOST_LEAD / 1000


def plain(streams: int, hold: float, **changes: Any) -> Load:
    """Return a load without witnesses."""
    return Load(streams, hold, **{"witnesses": 0, **changes})


@pytest.mark.parametrize(
    "load",
    [
        plain(10, 60.0, ramp=10.0),
        plain(10, 60.0, talk=0.5),
        plain(10, 60.0, arrivals=Arrivals.POISSON, rate=0.5),
    ],
)
def test_the_streams_send_what_their_schedule_has(load: Load) -> None:
    cost = level_cost(load, LENGTHS)
    assert cost.streams == 10
    assert cost.audio == most_audio(load, LENGTHS)
    assert cost.seconds == pytest.approx(load.planned + LONGEST)


def test_a_stream_sends_no_more_than_real_time() -> None:
    cost = level_cost(plain(10, 60.0), LENGTHS)
    assert 10 * 50.0 < cost.audio <= 10 * (60.0 + LONGEST)


def test_a_witness_speaks_before_through_and_after() -> None:
    without = level_cost(plain(10, 60.0), LENGTHS)
    cost = level_cost(plain(10, 60.0, witnesses=2), LENGTHS)
    assert CLIPS == 3
    before, through, after = 2.0 + 5.0 + 3.0, 60.0 + LONGEST, RECOVERY + LONGEST
    assert cost.streams == 12
    assert cost.audio - without.audio == pytest.approx(2 * (before + through + after))
    assert cost.seconds - without.seconds == pytest.approx(2 * before)


def test_the_first_clips_are_sent_alone() -> None:
    assert alone_cost(LENGTHS) == LoadCost(streams=1, audio=19.0, seconds=19.0)
    assert alone_cost([5.0] * 100).audio == ALONE + 5.0


def test_the_costs_of_consecutive_loads_are_added() -> None:
    both = alone_cost(LENGTHS) + bounded_cost(40, 60.0)
    assert both == LoadCost(streams=40, audio=19.0 + 2400.0, seconds=79.0)


def test_the_cost_as_text() -> None:
    cost = LoadCost(streams=41, audio=3150.0, seconds=510.0)
    assert cost.text == (
        "at most 41 streams at a time and 52.5 min of audio, about 8.5 min"
    )
    assert LoadCost(1, 10.0, 12.0).text == (
        "at most 1 stream at a time and 10.0 s of audio, about 12 s"
    )
