"""The commands of the guide on traces print and write what the guide says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/guide/traces.md").read_text()
BLOCKS: list[str] = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
PROMPT = "$ python -m pytest_realtime_asr "
COMMANDS = [block.removeprefix(PROMPT).partition("\n")[::2] for block in BLOCKS]
EXIT = re.compile(r"# exit code (\d)\n$")  # the last line of an output, if it is not 0


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=lambda text: text[:60])
def test_a_command_prints_what_the_page_says(
    command: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    code = EXIT.search(output)
    assert main(shlex.split(command)) == (int(code[1]) if code else 0)
    assert capsys.readouterr().out == EXIT.sub("", output)


def test_the_page_has_commands() -> None:
    assert len(COMMANDS) == 4
