"""A plain page: complete, escaped, readable without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr.report import signoff as signoff_view
from pytest_realtime_asr.report import trend_page
from pytest_realtime_asr.report.plain_page import (
    markdown,
    markdown_table,
    page,
    table,
    text,
)
from pytest_realtime_asr.verdicts.signoff import Release, signoff
from pytest_realtime_asr.verdicts.trend import trend
from tests.support.nights import nights
from tests.support.pages import complaints, hidden_columns, opened

CUT = """[...document.querySelectorAll(".wide")].map(
    (each) => each.scrollWidth - each.clientWidth)"""
HOSTILE = '<img src=x onerror="a">\x1b[31m'


def test_a_page_has_its_title_twice_and_escaped() -> None:
    found = page(HOSTILE, "<p>body</p>\n")
    assert "<img" not in found
    assert found.count(text(HOSTILE)) == 2
    assert found.endswith("<p>body</p>\n</main>\n</body>\n</html>\n")


def test_text_has_no_markup_and_no_control_characters() -> None:
    assert text(HOSTILE) == "&lt;img src=x onerror=&quot;a&quot;&gt;\\x1b[31m"


def test_a_markdown_text_is_not_formatted() -> None:
    assert markdown("a|b *c* _d_ `e` <f>") == (r"a\|b \*c\* \_d\_ \`e\` \<f\>")


def test_a_table_has_heads_of_columns_and_rows() -> None:
    found = table("t", ["a<", "b"], [["1", "2"]])
    assert re.findall(r'<th role="\w+" scope="(\w+)">([^<]+)</th>', found) == [
        ("col", "a&lt;"),
        ("col", "b"),
        ("row", "1"),
    ]
    assert 'data-name="b">2</td>' in found


def test_a_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of a trend and the page of a sign-off."""
    folder = tmp_path_factory.mktemp("pages")
    runs = nights(0.2)
    (folder / "trend.html").write_text(trend_page.html(trend(runs)))
    old, new = Release("old", tuple(runs[:5])), Release("new", tuple(runs[5:]))
    (folder / "signoff.html").write_text(signoff_view.html(signoff(old, new)))
    return folder


@pytest.mark.parametrize(
    "scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("name", ["trend", "signoff"])
def test_axe_finds_nothing_serious(
    browser: Any, pages: Path, name: str, scheme: str
) -> None:
    path = pages / f"{name}.html"
    with opened(
        browser, path, ready="main", color_scheme=scheme, bypass_csp=True
    ) as tab:
        assert complaints(tab) == []


@pytest.mark.parametrize("name", ["trend", "signoff"])
def test_a_telephone_and_a_printer_show_everything(
    browser: Any, pages: Path, name: str
) -> None:
    narrow = {"width": 390, "height": 800}
    with opened(browser, pages / f"{name}.html", ready="main", viewport=narrow) as tab:
        assert hidden_columns(tab) == 0
        assert tab.evaluate(CUT) == [0]
        tab.set_viewport_size({"width": 794, "height": 1123})  # A4 at 96 dpi
        tab.emulate_media(media="print")
        assert hidden_columns(tab) == 0
        assert tab.evaluate(CUT) == [0]
