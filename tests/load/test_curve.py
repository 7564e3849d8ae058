"""The curves of the share over a limit."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_realtime_asr.load.curve import Point, isotonic, logistic

POINTS = st.lists(
    st.builds(Point, st.integers(1, 50), st.floats(0, 1), st.floats(1, 100)),
    min_size=1,
    max_size=12,
)


def test_violators_are_pooled_by_their_weight() -> None:
    found = isotonic([Point(1, 0.0, 5), Point(2, 0.4, 1), Point(3, 0.1, 3)])
    assert [each.streams for each in found] == [1, 2, 3]
    assert [each.share for each in found] == pytest.approx([0, 0.175, 0.175])
    assert [each.weight for each in found] == [5, 1, 3]


def test_the_levels_of_equal_streams_are_one_point() -> None:
    found = isotonic([Point(4, 0.2, 1), Point(4, 0.4, 3)])
    assert [(each.streams, each.weight) for each in found] == [(4, 4)]
    assert found[0].share == pytest.approx(0.35)


@given(POINTS)
def test_the_isotonic_curve_rises_and_keeps_the_mean(points: list[Point]) -> None:
    found = isotonic(points)
    shares = [each.share for each in found]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(shares))
    assert sum(each.share * each.weight for each in found) == pytest.approx(
        sum(each.share * each.weight for each in points)
    )


def test_the_logistic_curve_finds_the_shares_it_was_made_of() -> None:
    shares = {30: 0.02, 35: 0.1, 40: 0.38, 45: 0.77}
    curve = logistic([Point(n, share, 2000) for n, share in shares.items()], 40)
    for streams, share in shares.items():
        assert curve.share(streams) == pytest.approx(share, abs=0.03)
    assert curve.share(20) < 0.005


def test_a_cliff_has_a_steep_curve() -> None:
    curve = logistic([Point(20, 0.0, 500), Point(21, 1.0, 500)], 21)
    assert curve.share(19) < 0.05
    assert curve.share(23) > 0.9


@given(POINTS)
def test_the_logistic_curve_always_rises(points: list[Point]) -> None:
    curve = logistic(points, 20)
    shares = [curve.share(streams) for streams in range(1, 60)]
    assert all(0 <= a <= b <= 1 for a, b in itertools.pairwise(shares))


def test_without_levels_the_curve_is_flat() -> None:
    assert logistic([], 10).share(1) == logistic([], 10).share(100)
