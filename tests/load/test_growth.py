"""Growth during a long load, in three simulated minutes.

The false positive rate of one quantity is at most 2.5 %: one side of a 95 % interval.
The tolerance makes it smaller still. Of 200 seeds, more than 12 would be false with a
probability of 0.2 %.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.load.growth import (
    Growth,
    Point,
    Quantity,
    failures,
    idle_memory,
    line,
    trend,
)
from pytest_realtime_asr.verdicts.verdict import Verdict

SECONDS = 180.0
SEEDS = 200
MOST_FALSE = 12
MEGABYTE = 1e6


def correlated(source: random.Random, count: int, *, lasting: float) -> list[float]:
    """Noise with a deviation of 1 that lasts for this many steps."""
    kept = math.exp(-1 / lasting)
    value, found = source.gauss(), []
    for _ in range(count):
        value = kept * value + math.sqrt(1 - kept**2) * source.gauss()
        found.append(value)
    return found


def memory(seed: int, *, grown: float = 0.0) -> list[Point]:
    """500 MB, collected each 20 s, with noise that lasts 5 s; ``grown`` is added."""
    source = random.Random(seed)
    noise = correlated(source, int(SECONDS), lasting=5)
    return [
        (
            float(at),
            MEGABYTE
            * (500 + 10 * (at % 20) / 20 + 5 * noise[at] + grown * at / SECONDS),
        )
        for at in range(int(SECONDS))
    ]


def open_sessions(seed: int, *, grown: float = 0.0) -> list[Point]:
    """The sessions that only the server holds: one more or less while they change."""
    source = random.Random(seed)
    return [
        (float(at), source.choice((-1, 0, 0, 0, 1)) + int(grown * at / SECONDS))
        for at in range(int(SECONDS))
    ]


def latencies(seed: int, *, grown: float = 0.0) -> list[Point]:
    """About 300 ms, skewed, with a busy server for some seconds at a time."""
    source = random.Random(seed)
    busy = correlated(source, int(SECONDS) + 1, lasting=4)
    times = sorted(source.uniform(0, SECONDS) for _ in range(400))
    return [
        (
            at,
            200
            + 100 * math.exp(0.5 * source.gauss())
            + 40 * abs(busy[int(at)])
            + grown * at / SECONDS,
        )
        for at in times
    ]


def failed(seed: int, *, early: float = 0.02, late: float = 0.02) -> Growth:
    source = random.Random(seed)
    events = []
    for _ in range(400):
        at = source.uniform(0, SECONDS)
        share = early if at < SECONDS / 2 else late
        events.append((at, source.random() < share))
    return failures(events, 0.0, SECONDS)


def idle(seed: int, *, per_s: float = 0.0) -> Growth:
    """Memory in 15 s without a session and 15 s with one, before and after a load."""
    source = random.Random(seed)
    noise = correlated(source, int(SECONDS), lasting=3)
    held, points = 0.0, []
    for at in range(int(SECONDS)):
        if 15 <= at < SECONDS - 15:
            held += per_s
        points.append((float(at), MEGABYTE * (500 + noise[at] + held)))
    alone = ((15, 30), (SECONDS - 30, SECONDS - 15))
    return idle_memory(points, alone, ((0, 15), (SECONDS - 15, SECONDS)))


def memory_growth(seed: int, grown: float) -> Growth:
    return trend(Quantity.MEMORY, memory(seed, grown=grown), 0, SECONDS)


def session_growth(seed: int, grown: float) -> Growth:
    points = open_sessions(seed, grown=grown)
    return trend(Quantity.OPEN_SESSIONS, points, 0, SECONDS)


def latency_growth(seed: int, grown: float) -> Growth:
    points = latencies(seed, grown=grown)
    return trend(Quantity.LATENCY, points, 0, SECONDS)


@pytest.mark.parametrize(
    "judged",
    [
        lambda seed: memory_growth(seed, 0),
        lambda seed: session_growth(seed, 0),
        lambda seed: latency_growth(seed, 0),
        failed,
        idle,
    ],
    ids=["memory", "sessions", "latency", "failures", "idle"],
)
def test_a_correct_server_rarely_fails(judged: Callable[[int], Growth]) -> None:
    found = [judged(seed).verdict for seed in range(SEEDS)]
    assert set(found) <= {Verdict.PASS, Verdict.FAIL}
    assert found.count(Verdict.FAIL) <= MOST_FALSE


@pytest.mark.parametrize(
    "judged",
    [
        lambda seed: memory_growth(seed, 60),
        lambda seed: session_growth(seed, 10),
        lambda seed: latency_growth(seed, 90),
        lambda seed: failed(seed, late=0.15),
        lambda seed: idle(seed, per_s=1.0),
    ],
    ids=["memory", "sessions", "latency", "failures", "idle"],
)
def test_growth_is_found_in_three_minutes(judged: Callable[[int], Growth]) -> None:
    found = [judged(seed).verdict for seed in range(SEEDS)]
    assert found.count(Verdict.FAIL) >= 0.95 * SEEDS


@pytest.mark.parametrize(
    ("quantity", "points", "true"),
    [
        (Quantity.MEMORY, memory, 60 * MEGABYTE),
        (Quantity.LATENCY, latencies, 60.0),
    ],
)
def test_the_interval_contains_the_true_slope(
    quantity: Quantity, points: Callable[..., list[Point]], true: float
) -> None:
    slope = true / SECONDS * 3600
    grown = true / MEGABYTE if quantity is Quantity.MEMORY else true
    inside = 0
    for seed in range(SEEDS):
        low, high = trend(quantity, points(seed, grown=grown), 0, SECONDS).interval
        inside += low <= slope <= high
    assert inside >= 0.92 * SEEDS  # 95 % less three standard deviations of 200 seeds


def test_small_growth_is_tolerated_even_if_it_is_proven() -> None:
    points = [(float(at), 500.0 + 0.01 * at) for at in range(180)]
    found = trend(Quantity.MEMORY, points, 0, 180)
    assert found.interval[0] > 0
    assert found.verdict is Verdict.PASS
    assert found.grown == pytest.approx(1.8)
    assert found.allowed == pytest.approx(25)
    assert found.excluded
    assert found.start == pytest.approx(500, abs=0.1)


def test_a_step_is_no_trend() -> None:
    points = [(float(at), 500.0 + 200 * (at > 60)) for at in range(180)]
    assert trend(Quantity.MEMORY, points, 0, 180).verdict is Verdict.PASS


@given(st.integers(0, 5), st.floats(-100, 100))
def test_few_windows_prove_nothing(count: int, slope: float) -> None:
    points = [(30.0 * at, slope * at) for at in range(count)]
    found = trend(Quantity.LATENCY, points, 0, 180)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.n == count


def test_points_outside_the_time_do_not_count() -> None:
    sound = [(float(at), 5.0) for at in range(20, 80)]
    wild = [(float(at), 1e6 * at) for at in (*range(20), *range(81, 100))]
    found = trend(Quantity.LATENCY, [*sound, *wild], 20, 80)
    assert (found.n, found.slope) == (60, 0)


@given(st.floats(-10, 10), st.floats(0, 1000))
def test_the_line_fitted_to_points_on_a_line_is_that_line(
    slope: float, start: float
) -> None:
    points = [(10.0 + at, start + slope * at) for at in range(120)]
    found = line(points, 10, 130)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.start == pytest.approx(start, abs=1e-3)
    assert found.low <= found.slope + 1e-9
    assert found.slope - 1e-9 <= found.high


def test_failures_of_one_half_prove_nothing() -> None:
    assert failures([(1.0, True)] * 9, 0, 100).verdict is Verdict.INCONCLUSIVE
    early = [(1.0, False)] * 60
    found = failures([*early, *[(99.0, True)] * 6, *[(99.0, False)] * 54], 0, 100)
    assert found.verdict is Verdict.FAIL
    assert found.p == pytest.approx(0.0136, abs=0.001)
    assert found.start == 0
    assert found.grown == pytest.approx(0.1)
    assert found.slope == pytest.approx(0.1 / 50 * 3600)
    low, high = found.interval
    assert low < found.slope < high


def test_memory_that_grows_without_a_session_does_not_count() -> None:
    points = [(float(at), MEGABYTE * (500 + at)) for at in range(180)]
    periods = ((15, 30), (150, 165)), ((0, 15), (165, 180))
    assert idle_memory(points, *periods).verdict is Verdict.PASS
    assert idle_memory(points, (), ()).verdict is Verdict.INCONCLUSIVE
    assert idle_memory(points[:20], *periods).verdict is Verdict.INCONCLUSIVE
