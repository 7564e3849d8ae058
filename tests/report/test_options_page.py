"""Tests of the page of the options: it agrees with the table of the options."""

from __future__ import annotations

import re

import pytest

from pytest_realtime_asr.plugin.options import GROUPS, OPTIONS, Group, Option
from pytest_realtime_asr.report import options_page
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/options.md").read_text()
ENTRY = re.compile(r"^### `(--realtime-[a-z-]+)`\n(.*?)(?=^##|\Z)", re.M | re.S)


def entry(option: Option) -> list[str]:
    """The lines of the entry of an option, on a page of its own."""
    text = options_page.page([Group("one group", (option,))])
    (found,) = ENTRY.findall(text)
    return [line for line in found[1].splitlines() if line]


def test_the_page_of_the_options_is_current() -> None:
    assert options_page.page(GROUPS) == PAGE


def test_the_page_has_each_option_once_with_its_three_names() -> None:
    entries = ENTRY.findall(PAGE)
    assert [name for name, _ in entries] == [option.cli for option in OPTIONS]
    for option, (_, text) in zip(OPTIONS, entries, strict=True):
        fields = dict(re.findall(r"^- \*\*([\w ]+)\*\*: (.+)$", text, re.M))
        assert fields["Form"].startswith(f"`{option.cli}")
        assert fields["Ini key"] == f"`{option.ini}`"
        assert fields["Environment variable"] == f"`{option.env}`"
        assert option.default in ("", "{}") or option.default in fields["Default"]


def test_the_page_has_the_groups_in_their_order() -> None:
    titles = [group.title.capitalize() for group in GROUPS]
    assert re.findall(r"^## (.+)$", PAGE, re.M) == titles


@pytest.mark.parametrize(
    ("help", "default"),
    [
        ("a time (default 2s)", "`2s`"),
        ("a time (default auto: as long as it takes)", "`auto`: as long as it takes"),
        ("a name (default full; later lean)", "`full`; later lean"),
        ("a file (default: the file beside r.csv)", "the file beside `r.csv`"),
        ("a time", "not set"),
    ],
)
def test_the_default_has_its_own_line(help: str, default: str) -> None:
    first, *fields = entry(Option("a", help, metavar="A"))
    assert first == help.partition(" (")[0].capitalize() + "."
    assert fields[-1] == f"- **Default**: {default}"


def test_a_flag_is_off_and_has_no_value() -> None:
    _, form, *_, default = entry(Option("a", "do it", flag=True))
    assert form == "- **Form**: `--realtime-a`"
    assert default == "- **Default**: off"


def test_an_option_that_may_be_repeated_is_marked() -> None:
    first, form, *_ = entry(Option("a", "a name (repeatable)", metavar="N", many=True))
    assert first == "A name."
    assert form == "- **Form**: `--realtime-a=N`, may be repeated"


def test_an_option_leads_to_the_page_of_the_guide_that_explains_it() -> None:
    *_, guide = entry(Option("a", "a name", guide="fake-server.md#part"))
    assert guide == "- **Guide**: [fake server](fake-server.md#part)"
