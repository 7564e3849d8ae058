"""The level of a file before its channels are averaged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.audio.levels import Levels
from tests.audio.test_pcm import steady

ONE, TWO = np.random.default_rng(5).standard_normal((2, 4000)) / 10


def loss(*channels: np.ndarray) -> float | None:
    levels = Levels()
    levels.add(np.stack(channels, axis=1))
    return levels.loss


@steady
@given(st.floats(-1, 1))
def test_channels_cancel_at_a_correlation_below_minus_0_9(correlation: float) -> None:
    other = correlation * ONE + math.sqrt(1 - correlation**2) * TWO
    found = np.corrcoef(ONE, other)[0, 1]
    if found < -0.92:
        assert loss(ONE, other) is not None
    if found > -0.88:
        assert loss(ONE, other) is None


def test_the_loss_by_averaging_channels_is_in_db() -> None:
    assert loss(ONE, -ONE) == math.inf
    assert loss(ONE, -0.8 * ONE) == pytest.approx(-20 * math.log10(0.1 / 0.9055), 0.01)
    assert loss(ONE, ONE) is None
    assert loss(ONE) is None
    assert loss(0 * ONE, 0 * ONE) is None
    assert Levels().loss is None


def test_blocks_are_measured_together() -> None:
    levels = Levels()
    for block in np.array_split(np.stack([ONE, -ONE], axis=1), 7):
        levels.add(block)
    levels.add(np.zeros((0, 2)))
    assert levels.loss == math.inf
    assert levels.peak == np.abs(ONE).max()
