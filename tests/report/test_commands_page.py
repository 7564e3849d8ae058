"""Tests of the page of the commands: it agrees with the parser of the commands."""

from __future__ import annotations

import argparse
import re

from pytest_realtime_asr.cli.main import parser
from pytest_realtime_asr.report import commands_page
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/commands.md").read_text()


def entry(*arguments: tuple[str, dict[str, object]]) -> list[str]:
    """The lines of the section of a command that has these arguments."""
    made = argparse.ArgumentParser(prog="tool")
    command = made.add_subparsers().add_parser("go", help="go somewhere")
    for name, keywords in arguments:
        command.add_argument(name, **keywords)  # type: ignore[arg-type]
    section = commands_page.page(made).partition("## `go`\n")[2]
    return [line for line in section.splitlines() if line]


def test_the_page_of_the_commands_is_current() -> None:
    assert commands_page.page(parser()) == PAGE


def test_the_page_has_the_commands_within_commands() -> None:
    names = re.findall(r"^## `([\w -]+)`$", PAGE, re.M)
    assert {"fake", "list", "report trend", "dialect check"} <= set(names)
    assert not {"report", "dialect"} & set(names)
    forms = re.findall(r"^Form: `python -m pytest_realtime_asr ([\w -]+)", PAGE, re.M)
    assert all(form.startswith(n) for form, n in zip(forms, names, strict=True))


def test_a_command_without_arguments() -> None:
    assert entry() == ["Go somewhere.", "Form: `tool go`"]


def test_the_arguments_of_a_command() -> None:
    found = entry(
        ("files", {"nargs": "+", "metavar": "FILE"}),
        ("rest", {"nargs": argparse.REMAINDER, "metavar": "OPTION", "help": "more"}),
        ("--kind", {"choices": ("a", "b"), "default": "a", "help": "%(default)s or b"}),
        ("--all", {"action": "store_true", "help": "show 100%% of x=1"}),
    )
    assert found == [
        "Go somewhere.",
        "Form: `tool go [OPTION ...] FILE ... [OPTION ...]`",
        "| argument | meaning |",
        "|---|---|",
        "| `OPTION` | more |",
        r"| `--kind a\|b` | a or b |",
        "| `--all` | show 100% of `x=1` |",
    ]


def test_a_long_list_of_names_is_left_to_the_help() -> None:
    *_, row = entry(("--fault", {"help": f"a fault: {', '.join(['name'] * 200)}"}))
    assert row == "| `--fault FAULT` | a fault; `--help` lists the names |"
