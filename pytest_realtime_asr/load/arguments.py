"""Checks the arguments of a user for a level of load, and makes a `Load` of them."""

from __future__ import annotations

from datetime import timedelta

from pytest_realtime_asr.load.workload import Arrivals, Load
from pytest_realtime_asr.text.inputs import InputError, shown, within
from pytest_realtime_asr.text.quantities import quantity
from pytest_realtime_asr.verdicts.limits import parse_duration

MOST_STREAMS = 100_000
MOST_WITNESSES = 3
MOST_SEED = 2**32 - 1
_RATES = {"s": 1.0, "min": 60.0}

Duration = str | timedelta


def seconds(name: str, value: Duration, *, least: float = 0.0) -> float:
    """Return a duration such as ``"60s"`` in s.

    Raises ValueError if ``value`` is not a duration, or shorter than ``least`` seconds;
    the message names the argument by ``name``.
    """
    try:
        found = parse_duration(value) / 1000
    except InputError as error:
        raise ValueError(f"{name}: {error}") from None
    if found < least:
        raise ValueError(f"{name}={value!r} is too short; give at least {least:g}s")
    return found


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return ``value`` if it is a whole number from ``low`` to ``high``.

    Raises ValueError otherwise; the message names the argument by ``name``.
    """
    if not isinstance(value, int) or not within(value, low, high):
        raise ValueError(
            f"{name}={shown(value)} cannot be used; give a whole number from {low} to "
            f"{high}"
        )
    return value


def load(
    *,
    streams: int,
    hold: Duration,
    ramp: Duration = "0s",
    talk: float = 1.0,
    arrivals: str | None = None,
    rate: str | None = None,
    jitter: Duration = "0ms",
    varied: bool = True,
    seed: int = 0,
    most_errors: float = 0.2,
    witnesses: int = 1,
) -> Load:
    """Return the level of load with these properties, which `Load` explains.

    Durations are strings such as ``"60s"``, and ``rate`` is a string such as ``"2/s"``.
    Raises ValueError for a value that cannot be used; the message names the argument.
    """
    if isinstance(talk, bool) or not isinstance(talk, int | float) or not 0 < talk <= 1:
        raise ValueError(
            f"talk={shown(talk)} is not a share; give a number above 0, at most 1"
        )
    if arrivals is None:
        if rate is not None:
            raise ValueError(
                "rate is for open loads only; add arrivals='poisson' or "
                "arrivals='constant', or leave rate out"
            )
    elif arrivals not in list(Arrivals):
        raise ValueError(
            f"arrivals={shown(arrivals)} is not known; choose from "
            f"{', '.join(Arrivals)}"
        )
    elif rate is None:
        raise ValueError(
            "an open load needs the rate of its sessions; give rate='2/s' for two "
            "sessions per second"
        )
    elif talk != 1:
        raise ValueError(
            "talk is for closed loads only: a stream of an open load never pauses; "
            "leave out talk, or leave out arrivals"
        )
    return Load(
        streams=whole("streams", streams, 1, MOST_STREAMS),
        hold=seconds("hold", hold, least=0.1),
        ramp=seconds("ramp", ramp),
        talk=float(talk),
        arrivals=None if arrivals is None else Arrivals(arrivals),
        rate=0.0 if rate is None else _per_second(rate),
        jitter=seconds("jitter", jitter),
        varied=bool(varied),
        seed=whole("seed", seed, 0, MOST_SEED),
        most_errors=most_errors,
        witnesses=whole("witnesses", witnesses, 0, MOST_WITNESSES),
    )


def _per_second(rate: str) -> float:
    number, slash, unit = rate.partition("/") if isinstance(rate, str) else ("", "", "")
    found = quantity(f"{number.strip()}{unit.strip()}", _RATES) if slash else None
    if found is None or not found[0]:
        raise ValueError(
            f"rate={shown(rate)} is not a rate; write a number of sessions above 0 and "
            "a unit, such as '2/s' or '30/min'"
        )
    return found[0] / _RATES[found[1]]
