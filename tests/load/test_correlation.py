"""The number of independent sessions that correlated sessions are worth."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_realtime_asr.load.correlation import SampleUnit, correlation, windows
from pytest_realtime_asr.stats import student_discount

RNG = np.random.default_rng(5)


def test_a_window_is_a_length_of_time() -> None:
    assert windows([9.0, 4.0, 12.1, 8.0], 4.0).tolist() == [1, 0, 2, 1]


@pytest.mark.parametrize("length", [0.0, -1.0, float("inf")])
def test_a_window_without_a_valid_length_is_refused(length: float) -> None:
    with pytest.raises(ValueError, match="length of a window"):
        windows([1.0], length)


def test_values_need_windows() -> None:
    with pytest.raises(ValueError, match="a window for each"):
        correlation([1.0, 2.0], 1.0, 0.95, [0])


def test_equal_values_are_not_correlated() -> None:
    found = correlation([1.0] * 80, 2.0, 0.95, np.arange(80) // 10)
    assert found.unit is SampleUnit.SESSION
    assert found.effective(0.95) == 80
    assert found.inflation == 1


def test_windows_that_are_late_as_a_whole_count_as_one_session_each() -> None:
    number = np.repeat(np.arange(40), 25)
    late = RNG.random(40) < 0.2
    found = correlation(np.where(late[number], 2.0, 1.0), 1.5, 0.95, number)
    assert found.unit is SampleUnit.WINDOW
    assert found.windows == 40
    assert found.inflation > 20
    assert found.effective(0.95) < 50


def test_independent_sessions_keep_most_of_their_number() -> None:
    number = np.repeat(np.arange(40), 25)
    sizes = [
        correlation(RNG.random(1000), 0.95, 0.95, number).effective(0.95)
        for _ in range(40)
    ]
    assert np.median(sizes) > 600
    assert max(sizes) <= 1000


def test_a_slow_drift_shows_although_no_session_is_over_the_limit() -> None:
    number = np.repeat(np.arange(40), 25)
    drift = np.sin(np.arange(40) / 3)[number] + 0.2 * RNG.random(1000)
    assert correlation(drift, 1.5, 0.95, number).inflation > 5


def test_a_drift_far_below_the_limit_does_not_count() -> None:
    number = np.repeat(np.arange(40), 25)
    drift = np.sin(np.arange(40) / 3)[number] + 0.2 * RNG.random(1000)
    assert correlation(drift, 50.0, 0.95, number).inflation == 1


def test_a_correlation_over_several_windows_is_larger_than_within_one() -> None:
    blocks = np.repeat(np.arange(10), 4)
    number = np.repeat(np.arange(40), 25)
    late = (RNG.random(10) < 0.4)[blocks][number]
    values = np.where(late & (RNG.random(1000) < 0.5), 2.0, 1.0)
    found = correlation(values, 1.5, 0.95, number)
    by_blocks = {blocks: effect for effect, blocks in found.effects}
    assert by_blocks[10] > by_blocks[40]


def test_an_estimated_variance_counts_less_with_few_blocks() -> None:
    assert student_discount(3, 0.95) < student_discount(30, 0.95) < 1
    assert student_discount(100_000, 0.95) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("blocks", "confidence"), [(1, 0.95), (9, 0.5), (9, 1.0)])
def test_a_discount_needs_blocks_and_a_confidence(
    blocks: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="a discount needs"):
        student_discount(blocks, confidence)
