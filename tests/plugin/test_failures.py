"""Failures of a server: each has its own message, and other tests continue."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from fnmatch import fnmatch
from xml.etree import ElementTree

import pytest

from tests.support.project import Faking, Project, Servers

BESIDE = """
def test_plain(): pass

def test_first(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_second(realtime_session, corpus):
    realtime_session.transcribe(corpus["turn-right"])

def test_last(): pass
"""


MORE = """
@pytest.mark.parametrize("count", range(4))
def test_third(realtime, corpus, count):
    realtime.transcribe(corpus["turn-right"])
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_nobody_listens(project: Project) -> None:
    project.write(BESIDE)
    port = free_port()
    result = project.run(target=f"http://127.0.0.1:{port}")
    result.assert_outcomes(passed=2, errors=1, skipped=1)
    said = f"realtime target: http://127.0.0.1:{port}/health: no server was there: *"
    assert len(list(filter(lambda line: fnmatch(line, said), result.outlines))) == 1


def test_the_path_is_wrong(project: Project) -> None:
    project.write(BESIDE)
    url = project.url.replace("http://", "ws://") + "/v1/wrong"
    result = project.run("--realtime-model=scripted", target=url)
    result.assert_outcomes(passed=2, failed=1, errors=1)
    said = "*ws://*/v1/wrong: HTTP 404: not found; is the path right*http://127.0.0.1:*"
    result.stdout.fnmatch_lines([said])


@pytest.mark.parametrize("target", ["http://u:p@host", "gpu-7", "ftp://host", "ws://"])
def test_a_malformed_target(project: Project, target: str) -> None:
    project.write(BESIDE)
    result = project.run(target=target)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --realtime-target: *"])
    result.stderr.no_fnmatch_line("*u:p@*")


def test_the_key_is_wrong(
    project: Project, faulty: Faking, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(BESIDE)
    url = faulty(key="the right one")
    result = project.run(target=url)
    result.assert_outcomes(passed=2, errors=1, skipped=1)
    said = "realtime target: *HTTP 401: no API key was sent: set REALTIME_API_KEY*"
    result.stdout.fnmatch_lines([said])
    (head,) = (line for line in result.outlines if line.startswith("realtime: http"))
    assert head.startswith(f"realtime: {url}: the server cannot be tested, see below; ")
    for given, source in (
        ("--realtime-api-key-env=OUR_KEY", "OUR_KEY"),
        ("--realtime-header=Authorization=OUR_KEY", "--realtime-header"),
        ("--realtime-api-key-command=echo hush", "--realtime-api-key-command"),
    ):
        monkeypatch.setenv("OUR_KEY", "hush")
        refused = project.run(given, "-k", "first", target=url).stdout
        said = f"*HTTP 401: the server refused the key from {source}; *"
        refused.fnmatch_lines([f"realtime target: {said}"])
        assert "hush" not in refused.str().replace(given, "")
    monkeypatch.setenv("REALTIME_API_KEY", "the right one")
    project.run(target=url).assert_outcomes(passed=4)


@pytest.mark.slow
def test_a_mute_server(project: Project, faulty: Faking) -> None:
    project.write(
        """
def test_mute(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_plain(): pass
"""
    )
    result = project.run(target=faulty("mute"))
    result.assert_outcomes(passed=1, failed=1)
    said = "*Lost: waited 10.* s for the server to be ready; no event was received"
    result.stdout.fnmatch_lines([said])


@pytest.mark.slow
def test_no_final(project: Project, servers: Servers) -> None:
    project.write(
        """
def test_hung(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_list(realtime, corpus):
    takes = realtime.transcribe([corpus["turn-right"]] * 2, concurrency=2)
    assert [take.lost for take in takes] == ["hung", "hung"]

@pytest.mark.wer_threshold(0.5)
def test_deleted(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]])

@pytest.mark.realtime(pace=1)
@pytest.mark.latency_budget("connect", max="5s")
def test_over(realtime, corpus):
    realtime.transcribe([corpus["turn-right"]])
"""
    )
    url = servers("--fault", "no-final", "--word-delay", "0s").url
    result = project.run("--realtime-timeout=0.5", target=url)
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(
        [
            "*Lost: waited * s for the final of utterance 0 (turn-right): *; events*",
            "2 of 2 utterances have no final; turn-right hung: waited *",
            "wer = 1.000 > 0.500 (*, 1 hung; *",
            "connect max > 5000 ms: 1 of 1 never came (n=1, 1 over, 1 hung; "
            "proven; path *); *",
            "again: *",
        ]
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers", [(), pytest.param(("-n2",), marks=pytest.mark.slow)]
)
def test_the_server_dies(
    project: Project, clips: str, workers: tuple[str, ...]
) -> None:
    project.write(BESIDE + MORE)
    fake = f"--realtime-fake=--fault die --corpus {clips}"
    result = project.run(*workers, fake, target="fake", apart=bool(workers))
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] == 2
    red = outcomes.get("failed", 0) + outcomes["errors"]
    # Two workers may use the server when it dies; the other tests refer to a failure.
    assert 2 <= red <= 3
    assert red + outcomes["skipped"] == 6
    result.stdout.fnmatch_lines(["*Lost: *; events received: 1 session.created*"])
    said = "*the server was lost at ??:??:?? UTC in test_it.py::test_*: *"
    result.stdout.fnmatch_lines([said])


LONG = """
from pathlib import Path

def test_short(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.realtime(pace=1)
def test_long(realtime, corpus):
    Path("begun").touch()
    realtime.transcribe(corpus["prose-bridge"])

def test_after(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""

TIMEOUT = "@pytest.mark.timeout(1)"


def start(project: Project, *args: str) -> subprocess.Popen[str]:
    """Start a run of LONG with its own fake server; return when test_long has begun."""
    project.write(LONG)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", "--realtime-target=fake", *args),
            "--realtime-fake=--final-delay 20ms",
        ],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    begun, deadline = project.path / "begun", time.monotonic() + 60
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert begun.exists()
    time.sleep(0.5)
    return process


def all_gone(group: int) -> bool:
    """Return whether all processes of a group end within 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_an_interrupt_ends_cleanly(project: Project) -> None:
    process = start(project, "--realtime-report=out.jsonl")
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in text
    assert "1 passed" in text
    assert "INTERNALERROR" not in text
    assert all_gone(process.pid)


@pytest.mark.slow
def test_an_interrupt_shows_the_utterances_that_ended(
    project: Project,
) -> None:
    words = [sys.executable, "-m", "pytest", f"--realtime-target={project.url}"]
    words += ["--realtime-budget=wer <= 12%", "--realtime-report=out.jsonl"]
    process = subprocess.Popen(
        [*words, "-p", "no:cacheprovider", "--realtime-pace=1"],
        cwd=project.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    report, deadline = project.path / "out.jsonl", time.monotonic() + 60
    while not report.exists() or len(report.read_text().splitlines()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    (row,) = re.findall("^test_spoken_corpus +([0-9]+) +0 .* not judged$", text, re.M)
    ended = [each for each in project.rows() if each["lost"] == ""]
    assert int(row) == len(ended)
    told = " ".join(text.split())
    assert f"interrupted: these results cover only the {len(ended)} utterance" in told
    assert "had ended; report: out.jsonl" in told


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_a_terminated_run_reports_its_termination(
    project: Project, workers: tuple[str, ...]
) -> None:
    """The worker ignores SIGINT, with which xdist would interrupt it after 5 s."""
    words = (*workers, "--realtime-report=out.jsonl", "--junitxml=out.xml")
    (project.path / "conftest.py").write_text(
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    )
    process = start(project, *words)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    cut = [row for row in project.rows() if not row["counted"]]
    assert [(row["test"], row["purpose"], row["lost"]) for row in cut] == [
        ("test_it.py::test_long", "interrupted", "cancelled")
    ]
    assert project.lines()[-1]["interrupted"]
    suite = ElementTree.parse(project.path / "out.xml").getroot()[0]
    names = {each.get("name") for each in suite.findall("properties/property")}
    assert "realtime.interrupted" in names
    assert all_gone(process.pid)


@pytest.mark.slow
def test_finished_results_survive_a_kill(project: Project) -> None:
    process = start(project, "--realtime-report=out.jsonl")
    process.kill()
    process.communicate(timeout=30)
    assert [row["test"] for row in project.rows()] == ["test_it.py::test_short"]
    assert all_gone(process.pid)


@pytest.mark.slow
def test_a_timeout_of_one_test(project: Project) -> None:
    project.write(LONG.replace("def test_long", f"{TIMEOUT}\ndef test_long"))
    result = project.run("--timeout-method=signal")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*Timeout (>1.0s)*"])


@pytest.mark.slow
def test_a_timeout_that_ends_the_run(project: Project) -> None:
    process = start(project, "--timeout=3", "--timeout-method=thread")
    text, _ = process.communicate(timeout=30)
    assert "Timeout" in text
    assert process.returncode == 1
    assert all_gone(process.pid)


def test_a_failure_is_shown_once_in_ci_and_in_colours(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If CI is set, pytest does not shorten the summary of a test."""
    monkeypatch.setenv("CI", "1")
    project.write(
        """
from dataclasses import replace

@pytest.mark.wer_threshold(0)
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0)
def test_wrong(realtime, corpus):
    realtime.transcribe(replace(corpus["turn-right"], text="turn left"))
"""
    )
    result = project.run("--color=yes", "--junitxml=out.xml")
    result.assert_outcomes(passed=1, failed=1)
    assert sum("again: pytest" in line for line in result.outlines) == 1
    (short,) = (line for line in result.outlines if " - wer = " in line)
    assert "wer = 1.500 > 0.000 (95% CI " in short
    assert short.endswith("smoke test, not a measure of accuracy)")
    (case,) = ElementTree.parse(project.path / "out.xml").iter("failure")
    assert case.get("message", "").count("\n") == 0
    assert "again: pytest" in (case.text or "")
    assert any(line.endswith("\x1b[32mPASS\x1b[0m") for line in result.outlines)
    assert any(line.endswith("\x1b[31m\x1b[1mFAIL\x1b[0m") for line in result.outlines)
