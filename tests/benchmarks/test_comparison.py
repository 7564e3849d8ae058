"""Two ways of doing one thing, measured in turns."""

from __future__ import annotations

from benchmarks.comparison import Comparison, in_turns


def test_the_ratio_is_the_median_of_those_of_the_rounds() -> None:
    """A round in which the machine was slow for both ways changes no ratio."""
    found = Comparison("frame", "us", [2, 20, 3], [4, 40, 3], limit="at most 1")
    assert found.ratio == 0.5
    assert found.as_dict() == {
        "name": "frame",
        "unit": "us",
        "own": [2, 20, 3],
        "plain": [4, 40, 3],
        "limit": "at most 1",
        "ratio": 0.5,
    }
    name, *numbers = found.row.split(")")
    assert name == "frame (us"
    assert numbers[0].split() == ["3.00", "4.00", "0.50", "wanted:", "at", "most", "1"]


def test_a_round_without_a_plain_figure_has_no_ratio() -> None:
    assert Comparison("streams", "streams", [4, 6], [0, 3]).ratio == 2
    nothing = Comparison("streams", "streams", [4], [0])
    assert nothing.ratio is None
    assert nothing.row.split()[-1] == "none"


def test_both_ways_are_measured_in_turns() -> None:
    order: list[str] = []

    def measure(name: str) -> float:
        order.append(name)
        return len(order)

    own, plain = in_turns(lambda: measure("own"), lambda: measure("plain"), rounds=2)
    assert order == ["own", "plain"] * 2
    assert (own, plain) == ([1, 3], [2, 4])
