"""The command line: its commands, their help, and messages for wrong arguments."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main

COMMANDS = (
    "init",
    "fake",
    "report",
    "selftest",
    "calibrate",
    "doctor",
    "list",
    "trace",
)


def test_the_module_runs_the_commands() -> None:
    words = [sys.executable, "-m", "pytest_realtime_asr", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert all(f"\n    {command}" in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: python -m pytest_realtime_asr {command}" in capsys.readouterr().out


def test_a_reader_that_closes_the_pipe_gets_no_error() -> None:
    words = [sys.executable, "-m", "pytest_realtime_asr", "list", "options"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 128 + signal.SIGPIPE


def test_a_wrong_command_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["serve"])
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: argument COMMAND: invalid choice: 'serve'")
    assert line.endswith("; see --help")


def test_each_problem_of_a_corpus_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.m4a", "b.amr"):
        (tmp_path / name).touch()
    assert main(["fake", "--corpus", str(tmp_path)]) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {tmp_path}: 2 problems; ")
    assert [line.split(": ")[0] for line in lines] == [
        f"  {tmp_path / name}" for name in ("a.m4a", "b.amr")
    ]


def test_an_argument_that_cannot_be_printed_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list", "requirements", "--dialect", "a\0b"]) == 2
    assert capsys.readouterr().err.startswith("error: an argument: ")
