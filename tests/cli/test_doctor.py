"""The command ``doctor`` and the option ``--realtime-doctor`` show the same screen."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_realtime_asr.cli import pytest_process
from pytest_realtime_asr.cli.main import main
from tests.support.project import Project
from tests.support.servers import closed, faking


def test_a_target_is_needed(project: Project) -> None:
    result = project.run("--realtime-doctor", target=None)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: --realtime-doctor: there is no target; *fixture *"]
    )


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace pytest; return the arguments of each run."""
    runs: list[list[str]] = []

    def run(words: list[str]) -> int:
        runs.append([*words])
        return 0

    monkeypatch.setattr(pytest_process, "run", run)
    return runs


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["--dialect=vosk"], ["--realtime-dialect=vosk"]),
        (["--dialect", "vosk"], ["--realtime-dialect", "vosk"]),
        (["--realtime-dialect=vosk"], ["--realtime-dialect=vosk"]),
    ],
)
def test_the_dialect_is_named_as_in_other_commands(
    words: list[list[str]], given: list[str], passed: list[str]
) -> None:
    assert main(["doctor", "ws://127.0.0.1:9", *given]) == 0
    target = "--realtime-target=ws://127.0.0.1:9"
    assert words == [["--realtime-doctor", target, *passed]]


def test_help_after_the_url_is_the_help_of_the_command(
    words: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "ws://127.0.0.1:9", "--help"]) == 0
    assert "doctor [-h] URL" in capsys.readouterr().out
    assert words == []


@pytest.mark.slow
def test_a_server_that_can_be_tested(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    monkeypatch.setenv("THE_KEY", "a-secret-of-ours")
    options = ("--realtime-api-key-env=THE_KEY", "--realtime-dialect=auto")
    with faking(key="a-secret-of-ours") as (url, _):
        command = [sys.executable, "-m", "pytest_realtime_asr", "doctor", url, *options]
        done = subprocess.run(
            command, cwd=project.path, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 24
    assert not any(line.startswith("!") for line in lines)
    assert "a-secret-of-ours" not in done.stdout
    pytest.LineMatcher(lines).fnmatch_lines(
        [
            "  target      ws://127.0.0.1:*/v1/realtime, HTTP routes at*",
            "  key         found in the environment variable THE_KEY",
            "  first event session.created, *",
            "  round trip  * ms (median of 5 pings, *",
            "  clock       latencies on this machine are exact to * ms now; *",
            "  result      tests can run; next: pytest*",
        ]
    )


@pytest.mark.slow
def test_a_server_that_cannot_be_tested(project: Project) -> None:
    with closed() as port:
        result = project.run("--realtime-doctor", target=f"127.0.0.1:{port}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["! health *: no server was there: *", "! result      tests cannot run: *"]
    )


def test_a_key_command_that_fails(project: Project) -> None:
    asked = "--realtime-api-key-command=sh -c 'echo hush-hush; exit 7'"
    result = project.run("--realtime-doctor", asked, target="ws://127.0.0.1:9")
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        ["ERROR: --realtime-api-key-command: the command sh ended with exit code 7; *"]
    )
    for output in (result.stdout, result.stderr):
        output.no_fnmatch_line("*Traceback*")
        output.no_fnmatch_line("*hush-hush*")
