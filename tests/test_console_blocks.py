"""The commands of the documentation are ones that the programs accept.

The commands whose outcome a page shows are run by the test of the page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_realtime_asr.cli import trace
from pytest_realtime_asr.cli.main import parser
from pytest_realtime_asr.plugin.options import BY_NAME
from pytest_realtime_asr.plugin.settings import SettingError, settings
from tests.support.paths import ROOT

PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
PROGRAMS = {"cd", "mkdir", "nox", "pip", "pytest", "python", "ruff", "sphinx-build"}
# Options whose values are files of the reader, or are read together with such files.
FILES = {
    *("budget-profile", "budgets", "client-cert", "client-key", "ca", "compare"),
    *("compare-fail", "corpus", "known-failures"),
}
# The dialect that the guide writes, and a fault of it, are not installed here.
STENO = ("steno", "overlapping-segments")
SEPARATORS = {"&&", "||", ";", "|"}


def blocks(page: Path) -> list[str]:
    return re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)


def lines(block: str) -> list[str]:
    """The lines of a block that are commands; other lines are output."""
    whole = block.replace("\\\n", " ").splitlines()
    prompted = [line.removeprefix("$ ") for line in whole if line.startswith("$ ")]
    return prompted or [line for line in whole if line.strip()]


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command of a page, without redirections and variables."""
    for block in blocks(page):
        for line in lines(block):
            words: list[str] = []
            plain = re.sub(r"\$\([^)]*\)", "today", line)
            for word in [*shlex.split(plain, comments=True), ";"]:
                if word not in SEPARATORS:
                    words.append(word)
                elif words:
                    yield words[: words.index(">")] if ">" in words else words
                    words = []


ALL = [
    pytest.param(page, words, id=f"{page.relative_to(ROOT)}: {' '.join(words)}"[:120])
    for page in PAGES
    for words in commands(page)
]


def accept_options(words: list[str]) -> None:
    """Parse the options of the plugin in a command line of pytest."""
    given: dict[str, object] = {}
    for word in words:
        if not word.startswith("--realtime-"):
            continue
        name, equals, value = word.removeprefix("--realtime-").partition("=")
        option = BY_NAME[name]
        assert bool(equals) is not option.flag, word
        if option.many:
            given[name] = [*given.get(name, ()), value]  # type: ignore[misc]
        else:
            given[name] = True if option.flag else value
        if name == "fake":
            accept_command(["fake", *shlex.split(value)])
    kept = {
        name: value
        for name, value in given.items()
        if name not in FILES and value not in STENO
    }
    if str(kept.get("target", "")).startswith("replay:"):
        del kept["target"]  # a folder of the reader
    environment = dict.fromkeys(("REALTIME_API_KEY", "AZURE_API_KEY"), "key")
    settings(lambda option: kept.get(option.name), lambda _: None, environment)


def accept_command(words: list[str]) -> None:
    """Parse a command line of ``python -m pytest_realtime_asr``."""
    if words[0] == "trace":
        words = ["trace", *trace.with_view(words[1:])]
    if words[0] == "dialect" or not {*STENO} & {*words}:
        parser().parse_args(words)


@pytest.mark.parametrize(("page", "words"), ALL)
def test_a_command_is_accepted(page: Path, words: list[str]) -> None:
    words = [*words]
    while re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        del words[0]
    program, *rest = words
    assert program in PROGRAMS
    if program == "pytest":
        accept_options(rest)
    elif rest[:2] == ["-m", "pytest_realtime_asr"]:
        accept_command(rest[2:])
    elif program == "python" and rest[0] != "-m":
        assert any((folder / rest[0]).exists() for folder in (ROOT, page.parent))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ("--realtime-paces=2", KeyError),
        ("--realtime-plan=yes", AssertionError),
        ("--realtime-target", AssertionError),
        ("--realtime-pace=fast", SettingError),
        ("--realtime-budget=final_from_commit p95 < 1s", SettingError),
        ("--realtime-fake=--fault none-such", SystemExit),
    ],
)
def test_a_wrong_option_is_found(wrong: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        accept_options([wrong])


@pytest.mark.parametrize("wrong", ["report page out.jsonl", "fake --ports 1", "lists"])
def test_a_wrong_command_is_found(wrong: str) -> None:
    with pytest.raises(SystemExit):
        accept_command(wrong.split())


def test_the_pages_have_commands() -> None:
    assert len(ALL) >= 80
    assert not any(re.search(r"```(bash|sh|shell)\n", p.read_text()) for p in PAGES)
