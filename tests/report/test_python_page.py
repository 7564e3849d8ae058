"""Tests of the page of the Python names: it agrees with the docstrings."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest_realtime_asr
from pytest_realtime_asr.report import python_page
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/python.md").read_text()
NAMES = pytest_realtime_asr.__all__


@dataclass
class Sample:
    """A sample of a class.

    ``one`` is a field.
    """

    one: int
    _two: int = 0

    @property
    def three(self) -> int:
        """The third."""
        return self.one

    def four(self, five: int, *, six: str = "6") -> None:
        """Do the fourth:

        - with a list;
        - of two items.
        """

    def _hidden(self) -> None: ...


def function(a: int, *, b: float = 0.5) -> None:
    """Do nothing."""


def test_the_page_of_the_names_is_current() -> None:
    assert python_page.page([getattr(pytest_realtime_asr, n) for n in NAMES]) == PAGE
    assert sorted(re.findall(r"^### `(\w+)`$", PAGE, re.M)) == sorted(NAMES)


def test_each_name_and_member_has_a_text() -> None:
    assert not re.search(r"^- `[^`]+`: *$", PAGE, re.M)
    entries = re.findall(r"^### `\w+`\n\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert len(entries) == len(NAMES)
    assert all(re.search(r"^[A-Z]", entry, re.M) for entry in entries)


def test_the_entry_of_a_class_and_of_a_function() -> None:
    lines = python_page.page([Sample, function]).partition("## Classes")[2].splitlines()
    assert [line for line in lines if line] == [
        "### `Sample`",
        "A sample of a class.",
        "``one`` is a field.",
        "Fields: `one`.",
        "- `three`: The third.",
        "- `four(five, *, six='6')`: Do the fourth:",
        "  - with a list;",
        "  - of two items.",
        "## Functions",
        "### `function`",
        "`function(a, *, b=0.5)`",
        "Do nothing.",
    ]
