"""Load as a test: `realtime.load`, judged by markers and written to reports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.project import Project, Servers

PURPOSES = ("alone", "ramp", "test", "drain")
REPORT = "--realtime-report=out.jsonl"
PACE = "--realtime-pace=1"  # the budgets of the client's own delay are for this pace
TEST = """
@pytest.mark.latency_budget("final_from_commit", p50="{limit}")
def test_held(realtime, corpus):
    level = realtime.load(
        [corpus["turn-right"]], streams=2, hold="5s", ramp="100ms", witnesses=0, seed=4
    )
    assert level.steady
    assert (level.aborted, level.lost_workers) == ("", ())
"""


@pytest.mark.slow
def test_a_load_within_its_budget_passes_and_is_reported(project: Project) -> None:
    project.write(TEST.format(limit="5s"))
    result = project.run(REPORT, PACE)
    result.assert_outcomes(passed=1)
    rows = project.rows()
    purposes = Counter(row.get("purpose", "test") for row in rows)
    assert {"alone", "ramp", "test"} <= purposes.keys() <= {*PURPOSES}
    assert purposes["alone"] == 1
    for row in rows:
        assert row["lost"] == ""
        loaded = row.get("purpose", "test") != "alone"
        assert row["utterance"].endswith("turn-right")
        assert row["conditions"]["perturbation"].startswith("varied/1:") == loaded
        assert row["conditions"]["concurrency"] == (2 if loaded else 1)
        assert row["text"] == "turn right and stop"
    assert len({row["session"] for row in rows}) == len(rows)


@pytest.mark.slow
def test_a_load_over_its_budget_fails(project: Project, servers: Servers) -> None:
    project.write(TEST.format(limit="100ms"))
    late = servers("--final-delay", "600ms")
    result = project.run(PACE, target=late.url)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*final_from_commit*p50*100 ms*"])


@pytest.mark.slow
def test_a_violation_under_load_fails_the_test(
    project: Project, servers: Servers
) -> None:
    project.write(TEST.format(limit="5s"))
    broken = servers("--fault", "bad-usage")
    result = project.run(PACE, target=broken.url)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*usage*"])


@pytest.mark.slow
def test_an_async_test_awaits_its_load(project: Project) -> None:
    project.write(
        """
@pytest.mark.asyncio
async def test_held(realtime, corpus):
    level = await realtime.aio.load(
        [corpus["turn-right"]], streams=2, hold="2s", arrivals="constant", rate="1/s",
        witnesses=0, ramp="0s",
    )
    assert len(level.rows) == 2

@pytest.mark.asyncio
async def test_cancelled(realtime, corpus):
    import asyncio, time
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            await realtime.aio.load(
                [corpus["turn-right"]], streams=2, hold="10min", witnesses=0
            )
    assert time.monotonic() - began < 600 / 10  # of the hold of the load
"""
    )
    project.run(PACE).assert_outcomes(passed=2)


def test_a_wrong_argument_sends_nothing(project: Project) -> None:
    project.write(
        """
def test_wrong(realtime, corpus):
    with pytest.raises(ValueError, match="streams=0 cannot be used"):
        realtime.load(corpus, streams=0, hold="60s")
    with pytest.raises(ValueError, match="hold: 'long' is not a duration"):
        realtime.load(corpus, streams=1, hold="long")
    with pytest.raises(ValueError, match="no utterances to send"):
        realtime.load([], streams=1, hold="60s")
"""
    )
    project.run(REPORT).assert_outcomes(passed=1)
    assert project.rows() == []


@pytest.mark.parametrize(
    "call",
    [
        'load(corpus["turn-right"], streams=0, hold="60s")',
        'capacity(corpus, between=(5, 2), hold="60s")',
        'soak(corpus, duration="long")',
        "drain(corpus, stop=None)",
    ],
)
def test_a_wrong_argument_shows_no_internal_frame(project: Project, call: str) -> None:
    project.write(f"def test_wrong(realtime, corpus):\n    realtime.{call}\n")
    result = project.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E  *ValueError: *"])
    shown = [line for line in result.outlines if ".py:" in line]
    assert [line for line in shown if "pytest_realtime_asr" in line] == []


def test_a_load_counts_for_the_audio_limit(project: Project) -> None:
    project.write(
        """
def test_too_much(realtime, corpus):
    realtime.load([corpus["turn-right"]], streams=10, hold="60s")
"""
    )
    result = project.run(REPORT, "--realtime-max-audio=60s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "the load sends up to * min of audio, but the limit is "
            "--realtime-max-audio=60s; raise *"
        ]
    )
    assert project.rows() == []


FOREVER = """
import pathlib
def test_held(realtime, corpus):
    level = realtime.load(
        [corpus["turn-right"]], streams=2, hold="10min", ramp="0s", witnesses=0
    )
    pathlib.Path("level.txt").write_text(f"{level.aborted}; {level.lost_workers}")
"""


@contextmanager
def begun(project: Project, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run of the test in a process of its own, after some sessions have ended."""
    words = ["pytest", "-p", "no:xdist", REPORT, PACE, f"--realtime-target={url}"]
    running = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 60
        while steady(project) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert steady(project) >= 2
        yield running
    finally:
        running.kill()
        running.communicate()


def steady(project: Project) -> int:
    """The number of steady sessions that are in the report so far."""
    path = project.path / "out.jsonl"
    return path.read_text().count('"purpose":"test"') if path.exists() else 0


def level(project: Project) -> dict[str, Any]:
    """The only level in the report."""
    (line,) = (each for each in project.lines() if each["kind"] == "level")
    return line


def children(pid: int) -> list[int]:
    """The child processes of a process."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return list(map(int, file.read().split()))


@pytest.mark.slow
def test_an_interrupt_keeps_all_sessions_that_had_ended(
    project: Project, servers: Servers
) -> None:
    project.write(FOREVER)
    with begun(project, servers().url) as running:
        before = steady(project)
        workers = children(running.pid)
        assert workers
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=60)
    assert running.returncode == 2
    assert b"interrupted" in output
    assert steady(project) >= before
    assert {row["lost"] for row in project.rows()} <= {"", "cancelled"}
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


@pytest.mark.slow
def test_a_server_that_dies_under_load_ends_the_level(
    project: Project, servers: Servers
) -> None:
    project.write(FOREVER)
    server = servers("--final-delay", "30ms")  # of its own
    with begun(project, server.url) as running:
        server.kill()
        output, _ = running.communicate(timeout=120)
    assert running.returncode == 1, output.decode()
    text = (project.path / "level.txt").read_text()
    assert "had no final, more than the allowed 20%; ()" in text
    lost = Counter(row["lost"] for row in project.rows())
    assert lost[""] >= 2
    assert lost["broke"] + lost["refused"] >= 2
    line = level(project)
    assert "had no final, more than the allowed 20%" in line["aborted"]
    assert line["outcomes"]["done"] == steady(project) - line["lost"]
    assert line["outcomes"]["broken"] == line["lost"] > 0


@pytest.mark.slow
def test_a_killed_worker_is_named(project: Project, servers: Servers) -> None:
    project.write(FOREVER)
    with begun(project, servers().url) as running:
        (worker,) = children(running.pid)
        os.kill(worker, signal.SIGKILL)
        running.communicate(timeout=60)
    text = (project.path / "level.txt").read_text()
    assert "reason='it ended with signal 9', streams=(0, 1)" in text
    assert {row["lost"] for row in project.rows()} == {""}
    line = level(project)
    assert line["lost_workers"] == ["worker 0: it ended with signal 9"]
    assert line["sessions"]["steady"] == steady(project) == line["outcomes"]["done"]
