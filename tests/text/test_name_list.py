"""Tests of the lists of names in messages."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.text.name_list import first_names


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, ""), (1, "0"), (3, "0, 1, 2"), (4, "0, 1, 2 and 1 more")],
)
def test_only_the_first_names_are_shown(count: int, shown: str) -> None:
    assert first_names(range(count)) == shown


def test_the_number_of_names_can_be_chosen() -> None:
    assert first_names(["a", "b"], most=1) == "a and 1 more"
