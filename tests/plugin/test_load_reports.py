"""What a load writes: lines, tables, properties and traces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from pytest_realtime_asr import audio
from tests.support.project import Project, Servers
from tests.support.servers import CLIP

LOAD = """
@pytest.mark.latency_budget("final_from_commit", p50="{}")
def test_held(realtime, corpus):
    realtime.load(corpus, streams=3, hold="{}", ramp="100ms", witnesses={}, seed=4)
"""
WORDS = ("--realtime-pace=1", "--realtime-report=out.jsonl", "--junitxml=out.xml")


@pytest.fixture
def short(project: Project) -> Project:
    """A project whose corpus is one short clip."""
    audio.write(project.path / "short.wav", CLIP.audio.cut(0.3, 0.7))
    manifest = {"id": "short", "audio_filepath": "short.wav", "text": "turn"}
    (project.path / "short.jsonl").write_text(json.dumps(manifest) + "\n")
    project.ini(f"realtime_corpus = {project.path / 'short.jsonl'}")
    return project


@pytest.mark.slow
def test_a_load_within_its_limit(short: Project) -> None:
    short.write(LOAD.format("1s", "2s", 1))
    result = short.run(*WORDS)
    result.assert_outcomes(passed=1)
    (line,) = (each for each in short.lines() if each["kind"] == "level")
    rows = short.rows()
    steady = [each for each in rows if each["counted"]]
    assert (line["streams"], line["hold"], line["ramp"]) == (3, 2.0, 0.1)
    assert line["outcomes"] == {"done": len(steady)}
    assert line["decision"] in ("PASS", "INCONCLUSIVE")
    assert line["binding"]["name"] == "final_from_commit p50"
    assert line["binding"]["over"] == 0
    purposes = [each["purpose"] for each in rows]
    for purpose, count in line["sessions"].items():
        name = "test" if purpose == "steady" else purpose
        assert purposes.count(name) == count
    assert {"alone", "witness"} <= set(purposes)
    outside = [each["purpose"] for each in rows if "level" not in each]
    assert set(outside) == {"alone"}
    found = short.properties()["test_held"]
    assert found["realtime.level.1.streams"] == "3"
    assert found["realtime.level.1.sessions"] == str(len(steady))
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_held",
            "  PASS *: final_from_commit p50 = *",
            "  streams step    decision          over *",
            f"        3 * 0/{len(steady)} *",
        ]
    )
    assert not (short.path / "realtime-traces").exists()


@pytest.mark.slow
def test_a_load_over_its_limit(short: Project, servers: Servers) -> None:
    short.write(LOAD.format("100ms", "2s", 0))
    result = short.run(*WORDS, target=servers().url)
    result.assert_outcomes(failed=1)
    (line,) = (each for each in short.lines() if each["kind"] == "level")
    assert line["binding"]["over"] == line["binding"]["n"]
    assert line["finals"]["p50"] > 100
    result.stdout.fnmatch_lines(
        [
            "final_from_commit p50 = * ms > 100 ms (*; server, not client *",
            "*trace: realtime-traces/*short.jsonl",
        ]
    )
    (path, *_) = short.path.rglob("*-short.jsonl")
    assert path.read_text().startswith('{"format":1,')


@pytest.mark.slow
def test_an_interrupt_keeps_the_levels_that_ended(short: Project) -> None:
    load = LOAD.format("1s", "1s", 0).rstrip()
    again = load.rpartition("\n")[2].replace('hold="1s"', 'hold="60s"')
    short.write(f"{load}\n{again}\n")
    command = [sys.executable, "-m", "pytest", f"--realtime-target={short.url}"]
    process = subprocess.Popen(
        [*command, *WORDS, "-p", "no:cacheprovider"],
        cwd=short.path,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: "level" in kinds(short))
        known = len(kinds(short))
        wait_for(lambda: len(kinds(short)) >= known + 4)  # the next level has begun
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    told = " ".join(text.split())
    assert "interrupted: these results cover only the 1 level" in told
    assert "had ended; report: out.jsonl" in told
    assert "streams step    decision          over" in text
    assert "INTERNALERROR" not in text
    assert short.lines()[-1]["interrupted"]


def kinds(project: Project) -> list[str]:
    """Return the kinds of the lines of a report that another process writes."""
    return [each["kind"] for each in project.whole_lines()]


def wait_for(reached: Callable[[], bool]) -> None:
    """Wait at most a minute until a report has reached a state."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.2)


SEARCH = """
@pytest.mark.capacity(at_least=1)
@pytest.mark.latency_budget("final_from_commit", p50="{}")
def test_searched(realtime, corpus):
    found = realtime.capacity(
        corpus,
        between=(1, 1),
        hold="3s",
        confirm="14s",
        max_time="5min",
        witnesses=0,
        beyond=False,
    )
    assert found.levels

@pytest.mark.capacity(at_least=1)
def test_not_searched(realtime):
    pass
"""


@pytest.mark.slow
def test_a_capacity_is_judged_by_its_marker(short: Project) -> None:
    short.write(SEARCH.format("1s"))
    result = short.run(*WORDS)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "capacity >= 1: no capacity was searched for: call realtime.capacity in *",
            "test_it.py::test_searched",
            "  PASS *: final_from_commit p50 = *",
            "  PASS: capacity >= 1: * stream*, 95% interval from *",
            "  streams step    decision *",
            "        1 double *",
        ]
    )
    lines = [each for each in short.lines() if each["kind"] == "level"]
    assert [each["number"] for each in lines] == list(range(1, len(lines) + 1))
    assert {"double", "confirm"} <= {each["step"] for each in lines}
    assert not any(each["counted"] for each in lines)  # not known before the end
    (row,) = [
        each
        for each in short.lines()
        if each.get("subject") == "capacity" and "::test_searched" in each["test"]
    ]
    assert (row["verdict"], row["limit"], row["fails"]) == ("PASS", 1, False)
    assert row["interval"][0] == row["value"] >= 1
    found = short.properties()["test_searched"]
    assert found["realtime.capacity"] == str(int(row["value"]))
    assert found["realtime.capacity.verdict"] == "PASS"


@pytest.mark.slow
def test_a_packaged_search_fails_a_slow_server(
    short: Project, servers: Servers
) -> None:
    words = (
        "--realtime-capacity=final_from_commit p50 <= 100ms",
        "--realtime-capacity-between=1,1",
        "--realtime-capacity-hold=3s",
        "--realtime-capacity-confirm=10s",
        "--realtime-capacity-max-time=5min",
    )
    result = short.run(*WORDS, *words, target=servers().url)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "capacity: no number of streams is proven to hold, 95% interval from 0, "
            "below 1 (limited by the server; final_from_commit p50 is the binding "
            "limit (100 ms; * ms observed); *",
            "FAILED *::test_capacity - capacity: no nu*",
        ]
    )
