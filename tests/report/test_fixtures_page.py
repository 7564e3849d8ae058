"""Tests of the page of the fixtures: it agrees with the code of the fixtures."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_realtime_asr.plugin import fixtures
from pytest_realtime_asr.report import fixtures_page
from pytest_realtime_asr.report.fixtures_page import Fixture
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/fixtures.md").read_text()
SOURCE = Path(fixtures.__file__).read_text()
CODE = '''
def helper() -> int:
    """No fixture."""

@pytest.fixture
def one(request: object) -> str:
    """First.

    Second.
    """

@pytest.fixture(scope="module")
def two() -> Iterator[Callable[[int], str]]:
    """Yields."""
    yield str
'''


def test_the_page_of_the_fixtures_is_current() -> None:
    assert fixtures_page.page(SOURCE, internal=fixtures.INTERNAL) == PAGE


def test_the_page_has_the_public_fixtures() -> None:
    names = [each.name for each in fixtures_page.fixtures(SOURCE)]
    listed = re.findall(r"^## `(\w+)`$", PAGE, re.M)
    assert listed == [name for name in names if name not in fixtures.INTERNAL]
    assert set(names) >= fixtures.INTERNAL


def test_a_fixture_has_its_scope_type_and_docstring() -> None:
    assert fixtures_page.fixtures(CODE) == [
        Fixture("one", "function", "str", "First.\n\nSecond."),
        Fixture("two", "module", "Callable[[int], str]", "Yields."),
    ]


def test_the_entry_of_a_fixture() -> None:
    page = fixtures_page.page(CODE, internal=["two"])
    _, entry = page.split("## ")
    assert entry.splitlines() == [
        "`one`",
        *("", "First."),
        *("", "Second."),
        "",
        "- **Scope**: function",
        "- **Type**: `str`",
    ]
