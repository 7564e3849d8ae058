"""The commands of the guide on trends print and write what the guide says."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/trend.md").read_text()
BLOCKS: list[str] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
PROMPT = "$ python -m pytest_realtime_asr "
COMMANDS = [
    (command, output)
    for block in BLOCKS
    for command, _, output in (
        each.partition("\n") for each in block.split(PROMPT) if each
    )
]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reports of two releases."""
    folder = tmp_path_factory.mktemp("releases")
    nights = sorted((ROOT / "examples/nightly/trend").glob("*.jsonl"))
    for name, chosen in (("old", nights[:5]), ("new", nights[5:9])):
        (folder / name).mkdir()
        for path in chosen:
            shutil.copy(path, folder / name)
    return folder


def run(command: str, folder: Path) -> int:
    """Run a command of the page; files are written into the folder."""
    arguments: list[str] = []
    for each in shlex.split(command):
        if "*" in each:
            arguments += sorted(map(str, ROOT.glob(each)))
        elif (ROOT / each).exists():
            arguments.append(str(ROOT / each))
        else:
            written = each.endswith((".html", ".md"))
            arguments.append(str(folder / each) if written else each)
    return main(arguments)


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=lambda text: text[:60])
def test_a_command_prints_what_the_page_says(
    command: str,
    output: str,
    tmp_path: Path,
    releases: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(releases)
    assert run(command, tmp_path) == (1 if "signoff" in command else 0)
    assert capsys.readouterr().out == output
    written = [name for name in shlex.split(command) if name.endswith((".html", ".md"))]
    assert [path.name for path in tmp_path.iterdir()] == written


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 4
