"""The search for the largest number of streams."""

from __future__ import annotations

import pytest

from benchmarks.capacity import MOST, search


def found(true: int, *, start: int, factor: float = 2.0, near: float = 1.1) -> int:
    """Search where numbers up to ``true`` hold; return the result."""
    searching = search(start=start, factor=factor, near=near)
    number = next(searching)
    for _ in range(100):
        try:
            number = searching.send(number <= true)
        except StopIteration as end:
            return int(end.value)
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("true", [1, 2, 7, 40, 399, 400, 401, 1234, MOST])
@pytest.mark.parametrize("start", [1, 50, 400, 5000])
@pytest.mark.parametrize("factor", [1.25, 2.0])
def test_the_result_is_near_the_largest_number_that_holds(
    true: int, start: int, factor: float
) -> None:
    number = found(true, start=start, factor=factor)
    assert number <= true
    assert true <= 1.1 * number or number + 1 > true


def test_the_result_is_0_if_no_number_holds() -> None:
    assert found(0, start=400) == 0
    assert found(0, start=1) == 0


def test_the_search_stops_at_a_largest_number() -> None:
    assert MOST <= found(10**9, start=400) <= 2 * MOST
