"""The commands of the tutorial print what the tutorial says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from tests.support.paths import ROOT

PAGE = re.sub(r"\\\n +", "", (ROOT / "docs/tutorial.md").read_text())
STEPS = re.findall(  # each command, and the text that follows before the next command
    r"```console\n(.*?)```(.*?)(?=```console|\Z)", PAGE, re.DOTALL
)
RUNS = [(command.strip(), rest) for command, rest in STEPS if command[:6] == "pytest"]
TRACE = next(command for command, _ in STEPS if " trace show " in command)
LOCAL = [(command, rest) for command, rest in RUNS if "gpu-7" not in command]
STRIP = re.compile(r"^ +(audio|said|heard|s) .*")


def expected(line: str) -> str:
    """Return the part of a line of the page that is the same in each run."""
    row = STRIP.match(line)
    text = f" {row[1]} " if row else re.split(r"\d", line)[0]
    return " ".join(text.split())


def folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the command ``init`` writes."""
    path.mkdir()
    monkeypatch.chdir(path)
    assert main(["init"]) == 0
    return path


def test_init_writes_the_test_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = folder(tmp_path / "voice", monkeypatch)
    first, rest = STEPS[0]
    assert first.splitlines()[-1] == "python -m pytest_realtime_asr init"
    (shown,) = re.findall(r"```text\n(.*?)```", rest, re.DOTALL)
    assert capsys.readouterr().out == shown
    (test,) = re.findall(r"```python\n(.*?)```", rest, re.DOTALL)
    assert (project / "test_realtime.py").read_text() == test


def run(command: str, path: Path) -> str:
    words = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(
        words, cwd=path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == (1 if "--realtime-fake" in command else 0), done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.slow
def test_each_run_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runs take place at the same time: their sessions only wait."""
    folders = [folder(tmp_path / str(n), monkeypatch) for n in range(len(LOCAL))]
    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(run, [command for command, _ in LOCAL], folders))
    assert len(outputs) == 3
    for (command, rest), output in zip(LOCAL, outputs, strict=True):
        for block in re.findall(r"```text\n(.*?)```", rest, re.DOTALL):
            for line in block.splitlines():
                assert line == "..." or expected(line) in output, (command, line)
    (again,) = re.findall(r"```text\n(again: .*)\n```", PAGE)
    assert again in outputs[1]
    assert {path.name for path in folders[1].iterdir()} >= {"report.html", "out.xml"}
    monkeypatch.chdir(folders[1])
    capsys.readouterr()
    assert main(shlex.split(TRACE)[3:]) == 0
    frames = capsys.readouterr().out
    (shown,) = re.findall(r"```text\n( +\d+ .*?)```", PAGE, re.DOTALL)
    for line in shown.splitlines():
        who, _, text = line.partition(" s  ")[2].partition("  ")
        assert f" s  {who}  {re.split(r'[0-9]', text)[0]}" in frames, line


def test_the_page_ends_with_a_server_of_your_own() -> None:
    command, _ = RUNS[-1]
    assert command.startswith("pytest --realtime-target=http")


def test_the_page_leads_to_every_how_to_page() -> None:
    pages = {path.stem for path in (ROOT / "docs/howto").glob("*.md")}
    assert set(re.findall(r"\]\(howto/([\w-]+)\.md\)", PAGE)) == pages
