"""The target ``replay:DIR``: recorded sessions serve the tests of a project."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Vantage
from tests.support.project import Project, of_vllm
from tests.support.recordings import Sent, delta, done, recorded

CLIP = corpus.load("bundled:english")["turn-right"]
TRACE = replace(
    recorded(CLIP, [Sent(delta(CLIP.text), 60, ms=1600), Sent(done(CLIP.text), 250)]),
    started=datetime.now(UTC) - timedelta(days=3),
)
TEST = """
@pytest.mark.latency_budget("final_from_commit", p95="10s")
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""


@pytest.fixture
def folder(project: Project) -> Path:
    """A folder with one recording of the clip, of three days ago."""
    path = project.path / "traces"
    path.mkdir()
    TRACE.write(path / "000-turn-right.jsonl")
    return path


@pytest.mark.slow
def test_every_report_says_replayed(project: Project, folder: Path) -> None:
    project.write(TEST)
    result = project.run(
        "--realtime-report=out.jsonl",
        "--realtime-report=out.html",
        "--realtime-report=out.md",
        "--realtime-report=out.csv",
        "--realtime-report=out.prom",
        "--realtime-report=benchmark:out.json",
        "--junitxml=out.xml",
        "--realtime-pace=1",
        "--realtime-replay-max-age=1d",
        target=f"replay:{folder.name}",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "*model replayed, replay:traces replayed, corpus *",
            "*traces: 1 of 1 recordings are older than 1 day (the oldest *",
            "test_it * PASS replayed",
            "*replayed: PASS (not proven: n=1*): final_from_commit p95 = *",
        ]
    )

    def text(name: str) -> str:
        return (project.path / name).read_text()

    lines = project.lines()
    assert {line["kind"] for line in lines} == {"run", "utterance", "verdict"}
    assert all(line["replayed"] for line in lines)
    (row,) = [line for line in lines if line.get("counted")]
    assert row["text"] == CLIP.text
    assert row["metrics"]["final_from_commit"] >= 250  # the recorded delay
    assert project.properties()["test_it"]["realtime.replayed"] == "yes"
    assert text("out.xml").count('name="realtime.replayed" value="yes"') == 2
    assert '"replayed":true' in text("out.html")
    assert "## Realtime speech recognition: replayed; no test failed" in text("out.md")
    assert "**PASS replayed**" in text("out.md")
    assert text("out.csv").splitlines()[1].endswith(",yes")
    samples = [each for each in text("out.prom").splitlines() if "test_it" in each]
    assert samples
    assert all('replayed="yes"' in each for each in samples)
    assert "test_it (replayed): final_from_commit p95" in text("out.json")
    assert "verdict: PASS replayed" in text("out.json")


@pytest.mark.slow
def test_live_and_replayed_runs_are_not_compared(
    project: Project, folder: Path
) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    project.run("--realtime-report=live.jsonl").assert_outcomes(passed=1)
    result = project.run(
        "--realtime-compare=live.jsonl",
        "--realtime-compare-fail=wer:1pp",
        "--realtime-replay-timing=none",
        target=f"replay:{folder.name}",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines("*answers*live*replayed*")


@pytest.mark.slow
def test_utterance_that_was_not_recorded(project: Project, folder: Path) -> None:
    project.write(
        """
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-left"])
"""
    )
    result = project.run(target=f"replay:{folder.name}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        "*code 4404: not recorded in traces: no recording has this audio*"
    )
    result.stdout.fnmatch_lines("*turn-left*")


@pytest.mark.slow
def test_utterances_that_were_not_recorded_have_no_verdict(
    project: Project, folder: Path
) -> None:
    project.write(
        """
@pytest.mark.latency_budget("final_from_commit", p95="10s")
def test_it(realtime, corpus):
    realtime.transcribe([corpus["turn-left"], corpus["turn-right"]])
"""
    )
    result = project.run(target=f"replay:{folder.name}")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "replayed: INVALID: no verdict could be made: the replay could not serve 1 "
            "of 2 utterances (turn-left): *; record the sessions of this test with "
            "--realtime-traces=DIR --realtime-trace-keep=all",
            "test_it * INVALID replayed",
        ]
    )
    result.stdout.no_fnmatch_line("*server, not client*")
    result.stdout.no_fnmatch_line("*FAIL *replayed*")


def test_a_folder_that_is_missing_is_named_by_its_option(project: Project) -> None:
    result = project.run("--realtime-dialect=auto", target="replay:nowhere")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        "ERROR: --realtime-target: nowhere: there is no such folder; *"
    )


@pytest.mark.slow
def test_fixtures_start_a_replay(project: Project, folder: Path) -> None:
    project.write(
        """
@pytest.fixture(scope="session")
def realtime_target():
    return "replay:traces"

def test_target(realtime, corpus, realtime_trace_file):
    take = realtime.transcribe(corpus["turn-right"])
    assert take.conditions.replayed
    print(realtime_trace_file(take.trace))

def test_server(fake_server):
    server = fake_server.replay("traces", timing="none")
    assert server.traces() == ()
"""
    )
    result = project.run("-s", target=None)
    result.assert_outcomes(passed=2)
    (kept,) = (project.path / ".pytest_cache").rglob("*-turn-right.jsonl")
    assert records.read(kept).replayed


def test_conformance_says_replayed(project: Project, folder: Path) -> None:
    TRACE.write(folder / "other.jsonl")
    result = project.run(
        "--realtime-conformance", "--realtime-plan", target=f"replay:{folder.name}"
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines("*requirement*")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("replay:", "*'replay:' names no folder; write replay:DIR*"),
        ("replay:none", "*none: there is no such folder; record sessions with *"),
    ],
)
def test_folder_that_is_missing(project: Project, target: str, message: str) -> None:
    project.write(TEST)
    result = project.run(target=target)
    assert result.ret != pytest.ExitCode.OK
    (result.stderr if "ERROR" in result.stderr.str() else result.stdout).fnmatch_lines(
        message
    )


@of_vllm
def test_trace_of_a_server_cannot_be_replayed(project: Project, folder: Path) -> None:
    replace(TRACE, vantage=Vantage.SERVER).write(folder / "000-turn-right.jsonl")
    project.write(TEST)
    result = project.run(target=f"replay:{folder.name}")
    assert result.ret != pytest.ExitCode.OK
    result.stderr.fnmatch_lines("*000-turn-right.jsonl: the trace was recorded by a *")


def test_recordings_are_not_removed(project: Project, folder: Path) -> None:
    kept = project.path / "kept"
    folder.rename(kept)
    (kept / ".gitignore").touch()
    project.write(TEST)
    result = project.run("--realtime-traces=kept", target="replay:kept")
    assert result.ret != pytest.ExitCode.OK
    result.stderr.fnmatch_lines("*this plugin did not make it*")
    for traces in ("kept/new", "."):
        result = project.run(f"--realtime-traces={traces}", target="replay:kept")
        assert result.ret != pytest.ExitCode.OK
    assert list(kept.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--realtime-replay-timing=slow", "*'slow' is no timing; write recorded or *"),
        ("--realtime-replay-max-age=0d", "*'0d' is no number of days: *"),
        ("--realtime-replay-max-age=old", "*--realtime-replay-max-age: *"),
    ],
)
def test_wrong_options(project: Project, option: str, message: str) -> None:
    project.write(TEST)
    result = project.run(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(message)
