"""A plain page: whole, escaped, readable without a network."""

from __future__ import annotations

import re

from pytest_realtime_asr.report.plain_page import (
    markdown,
    markdown_table,
    page,
    table,
    text,
)

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
    found = table(["a<", "b"], [["1", "2"]])
    assert re.findall(r'<th scope="(\w+)">([^<]+)</th>', found) == [
        ("col", "a&lt;"),
        ("col", "b"),
        ("row", "1"),
    ]
    assert "<td>2</td>" in found


def test_a_markdown_table() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )
