"""A server that is killed during a run: one finding with its time and place."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from pytest_realtime_asr.fake.process import FakeServer
from tests.support.project import SOON, Project, fake_server

pytestmark = pytest.mark.slow
REPORT = "out.jsonl"
CHECKED = 60.0  # s at most until the awaited line is in the report
OWN = """
@pytest.mark.latency_budget("final_from_commit", p50="10s")
@pytest.mark.wer_threshold(0.5)
def test_all(realtime, corpus):
    realtime.transcribe(corpus)
"""
FAILING = """
def test_all(realtime, corpus):
    assert not any(take.lost for take in realtime.transcribe(corpus))
"""


@contextmanager
def killed(project: Project, *, restarted: bool = False) -> Iterator[str]:
    """A server that is killed after two utterances are in the report; yields its URL.

    If ``restarted``, another server then takes its place.
    """
    started: list[FakeServer] = []
    over = threading.Event()

    def start(*more: str) -> FakeServer:
        arguments = ("--corpus", "bundled:english", *SOON, *more)
        started.append(fake_server(*arguments))
        return started[-1]

    def watch() -> None:
        deadline = time.monotonic() + CHECKED
        while len(project_rows(project)) < 2 and time.monotonic() < deadline:
            if over.wait(0.005):
                return
        fake.kill()
        if restarted:
            start("--port", str(urlsplit(fake.url).port))

    fake = start()
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield fake.url
    finally:
        over.set()
        watcher.join()
        for each in started:
            each.stop()


def project_rows(project: Project) -> list[str]:
    """The lines about utterances that are complete."""
    path = project.path / REPORT
    text = path.read_text() if path.exists() else ""
    return [line for line in text.splitlines(keepends=True) if '"utterance"' in line]


NO_SERVER = re.compile(
    r"no server since \d\d:\d\d:\d\d UTC: Connection refused, "
    r"first lost utterance [\w-]+; "
    r"(\d+) of 26 utterances lost"
)


def reported(result: pytest.RunResult) -> int:
    """The number of lost utterances in the first line of the failure."""
    found = NO_SERVER.search(result.stdout.str())
    assert found, result.stdout.str()
    return int(found[1])


def test_limits_count_what_was_lost(project: Project) -> None:
    project.write(OWN)
    with killed(project) as url:
        result = project.run(f"--realtime-report={REPORT}", target=url)
    result.assert_outcomes(failed=1)
    lost, text = reported(result), result.stdout.str()
    rows = project.rows()
    assert lost == sum(bool(row["lost"]) for row in rows)
    assert len(rows) == 26
    first = text.index("no server since")
    assert first < text.index("final_from_commit p50 > 10000 ms")
    for how in ("as over the limit", "all their words as wrong"):
        said = rf"includes {lost} lost sessions \({how}\), \d+ of them without a server"
        assert re.search(said, text)
    assert "server, not client" not in text


def test_the_failure_names_the_traces_of_lost_sessions(project: Project) -> None:
    project.write(FAILING)
    with killed(project) as url:
        result = project.run(f"--realtime-report={REPORT}", target=url)
    result.assert_outcomes(failed=1)
    lost = [row["utterance"] for row in project.rows() if row["lost"]]
    named = re.findall(r"^trace: .*/\d+-([\w-]+)\.jsonl$", result.stdout.str(), re.M)
    assert named == lost[:3]
    assert reported(result) == len(lost)
    result.stdout.fnmatch_lines(
        [f"traces of {len(lost) - 3} more lost utterances are in the same folder"]
    )


def test_the_spoken_corpus_names_the_loss(project: Project) -> None:
    args = ("--realtime-budget=wer<=12%", f"--realtime-report={REPORT}")
    with killed(project) as url:
        result = project.run(*args, target=url)
    result.assert_outcomes(failed=1)
    assert reported(result) >= 20


def test_a_list_waits_for_a_server_that_comes_back(project: Project) -> None:
    project.write(FAILING)
    args = (f"--realtime-report={REPORT}", "--realtime-recover=60s")
    with killed(project, restarted=True) as url:
        result = project.run(*args, target=url)
    result.assert_outcomes(failed=1)
    rows = project.rows()
    assert len(rows) == 26
    assert sum(bool(row["lost"]) for row in rows) == 1  # the one that was cut off


KILL = """
import os, signal

def pytest_runtest_logreport(report):
    if report.when == "call" and "[first-utterance]" in report.nodeid:
        os.kill({pid}, signal.SIGKILL)
"""


def test_the_suite_has_one_finding(project: Project) -> None:
    with fake_server("--corpus", "bundled:english", *SOON) as fake:
        (project.path / "killer.py").write_text(KILL.format(pid=fake.pid))
        project.pytester.syspathinsert()
        args = ("-p", "killer", "--realtime-conformance", "-rs")
        result = project.run(*args, target=fake.url)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["skipped"] > 100
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.re_match_lines(
        [
            r".* missing: the server was lost at \d\d:\d\d:\d\d UTC in the scenario "
            r"alone: Connection refused",
            r"SKIPPED \[\d+\] .*: not judged, since the server was lost \(see [\w-]+\)",
            r"SKIPPED \[1\] .*test_speech.py.*: not judged, since the server was .*",
        ]
    )
