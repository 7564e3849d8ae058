"""The arguments of a load, and the error for each that cannot be used."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pytest_realtime_asr.load import arguments
from pytest_realtime_asr.load.workload import Arrivals, Load

GIVEN: dict[str, Any] = {"streams": 3, "hold": "60s"}


def test_a_closed_load() -> None:
    found = arguments.load(
        streams=3, hold="1min", ramp="500ms", talk=0.6, jitter="30ms", seed=4
    )
    assert found == Load(3, hold=60.0, ramp=0.5, talk=0.6, jitter=0.03, seed=4)


@pytest.mark.parametrize(
    ("rate", "per_second"), [("2/s", 2.0), ("30/min", 0.5), ("0.5 / s", 0.5)]
)
def test_an_open_load(rate: str, per_second: float) -> None:
    found = arguments.load(**GIVEN, arrivals="poisson", rate=rate)
    assert (found.arrivals, found.rate) == (Arrivals.POISSON, per_second)


def test_a_timedelta_is_a_duration() -> None:
    assert arguments.load(streams=1, hold=timedelta(minutes=2)).hold == 120.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"streams": 0}, "streams=0 cannot be used; give a whole number from 1"),
        ({"streams": 2.5}, r"streams=2\.5 cannot be used"),
        ({"streams": True}, "streams=True cannot be used"),
        ({"hold": "long"}, "hold: 'long' is not a duration"),
        ({"hold": 60}, "hold: 60 is not a duration"),
        ({"hold": "0s"}, "hold='0s' is too short; give at least 0.1s"),
        ({"ramp": "-1s"}, "ramp: '-1s' is not a duration"),
        ({"ramp": timedelta(-1)}, "ramp: .* is negative"),
        ({"jitter": "fast"}, "jitter: 'fast' is not a duration"),
        ({"talk": 0}, "talk=0 is not a share; give a number above 0, at most 1"),
        ({"talk": 1.1}, r"talk=1\.1 is not a share"),
        ({"talk": float("nan")}, "talk=nan is not a share"),
        ({"talk": "60%"}, "talk='60%' is not a share"),
        ({"seed": -1}, "seed=-1 cannot be used"),
        ({"witnesses": 4}, "witnesses=4 cannot be used; give a whole .* from 0 to 3"),
        ({"rate": "2/s"}, "rate is for open loads only; add arrivals='poisson' or"),
        ({"arrivals": "random"}, "arrivals='random' is not known; choose from poisson"),
        ({"arrivals": "constant"}, "needs the rate of its sessions; give rate='2/s'"),
        ({"arrivals": "constant", "rate": "2"}, "rate='2' is not a rate; write"),
        ({"arrivals": "constant", "rate": "0/s"}, "rate='0/s' is not a rate"),
        ({"arrivals": "constant", "rate": "2/h"}, "rate='2/h' is not a rate"),
        ({"arrivals": "constant", "rate": 2}, "rate=2 is not a rate"),
        (
            {"arrivals": "constant", "rate": "2/s", "talk": 0.5},
            "talk is for closed loads only",
        ),
    ],
)
def test_an_argument_that_cannot_be_used_is_named(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        arguments.load(**{**GIVEN, **wrong})
