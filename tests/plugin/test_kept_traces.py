"""The traces of all sessions of a run: ``--realtime-trace-keep=all``."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.cli.main import main
from pytest_realtime_asr.client.transcription import Begun
from pytest_realtime_asr.plugin.kept_traces import SessionTraces
from pytest_realtime_asr.trace.records import Ending, Trace, read
from tests.support.project import Project, of_vllm
from tests.support.runs import Start
from tests.support.servers import CLIP, plan

ALL = ("--realtime-traces=kept", "--realtime-trace-keep=all")
JSONL = "--realtime-report=out.jsonl"
TESTS = """
def test_passes(realtime, corpus):
    realtime.transcribe([corpus["open-door"], corpus["turn-right"]])

@pytest.mark.budget("word_coverage", at_least=2)
def test_fails(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_two_utterances(realtime, corpus):
    with realtime.connect() as session:
        session.transcribe(corpus["open-door"])
        session.transcribe(corpus["turn-right"])

def test_no_utterance(realtime):
    with realtime.connect() as session:
        assert session.id
"""


def kept(folder: Path) -> dict[str, list[Trace]]:
    """Return the traces below a folder, by the name of their test."""
    found: dict[str, list[Trace]] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        test = path.parent.name.partition("-")[2].rpartition("-")[0]
        found.setdefault(test, []).append(read(path))
    return found


def names(traces: list[Trace]) -> list[list[str]]:
    """Return the names of the utterances of each trace."""
    return [[each.asset for each in trace.spoken] for trace in traces]


@of_vllm
def test_each_session_of_each_test_has_one_trace(project: Project) -> None:
    project.write(TESTS)
    result = project.run(*ALL, JSONL)
    result.assert_outcomes(passed=3, failed=1)
    found = kept(project.path / "kept")
    assert {test: names(traces) for test, traces in found.items()} == {
        "test_passes": [["open-door"], ["turn-right"]],
        "test_fails": [["turn-right"]],
        "test_two_utterances": [["open-door", "turn-right"]],
        "test_no_utterance": [[]],
    }
    sessions = [trace for traces in found.values() for trace in traces]
    assert {trace.end.how for trace in sessions} == {Ending.CLOSED_BY_US}
    shown = [line for line in result.outlines if "trace: kept/" in line]
    assert len(shown) == 1  # that of the test that fails
    assert "test_fails" in shown[0]


def test_the_traces_are_of_the_last_run(project: Project) -> None:
    project.write(TESTS)
    project.run(*ALL, "-k", "fails or no_utterance")
    project.run(*ALL, "-k", "no_utterance")
    assert kept(project.path / "kept").keys() == {"test_no_utterance"}
    project.run("--realtime-traces=kept", "-k", "no_utterance")
    assert not (project.path / "kept").exists()


def test_a_trace_is_there_when_its_utterance_has_ended(project: Project) -> None:
    project.write(
        """
def test_it(realtime, corpus, pytestconfig):
    realtime.transcribe(corpus["open-door"])
    kept = pytestconfig.rootpath / "kept"
    assert [path.name for path in kept.rglob("*.jsonl")] == ["000-open-door.jsonl"]
"""
    )
    project.run(*ALL).assert_outcomes(passed=1)


def test_a_wrong_value_is_an_error(project: Project) -> None:
    project.write(TESTS)
    result = project.run("--realtime-trace-keep=some")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--realtime-trace-keep: 'some' is not known; write failed or all *"]
    )


def test_a_private_run_keeps_no_text(project: Project) -> None:
    project.write(
        "def test_it(realtime, corpus): realtime.transcribe(next(iter(corpus)))"
    )
    result = project.run(*ALL, "--realtime-private")
    result.assert_outcomes(passed=1)
    (path,) = (project.path / "kept").rglob("*.jsonl")
    (spoken,) = read(path).spoken
    assert (path.name, spoken.asset, spoken.text) == (
        "000-clip-01.jsonl",
        "clip-01",
        "",
    )


def test_a_folder_that_cannot_be_written_is_reported_once(
    start: Start, url: str, tmp_path: Path
) -> None:
    told: list[str] = []
    broken = tmp_path / "file"
    broken.write_text("")
    traces = SessionTraces(lambda: broken, tmp_path, told.append)
    run = start()
    for _ in range(2):
        run.begin("test")
        live = run.session(run.ledger, plan(url))
        traces("test", Begun(live, CLIP).ended())
        traces.end("test", [live])
        run.finish()
    assert told == [traces.unkept]
    assert "name another folder" in told[0]


@pytest.mark.slow
def test_workers_keep_the_traces_of_all_tests(project: Project) -> None:
    project.write(TESTS)
    result = project.run("-n2", *ALL, JSONL, apart=True)
    result.assert_outcomes(passed=3, failed=1)
    found = kept(project.path / "kept")
    assert {test: len(traces) for test, traces in found.items()} == {
        "test_passes": 2,
        "test_fails": 1,
        "test_two_utterances": 1,
        "test_no_utterance": 1,
    }


@pytest.mark.slow
def test_each_session_under_load_has_a_trace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(
        """
def test_load(realtime, corpus):
    realtime.load(
        [corpus["turn-right"]], streams=2, hold="2500ms", ramp="0s", witnesses=0
    )
"""
    )
    project.run(*ALL, JSONL, "--realtime-pace=1").assert_outcomes(passed=1)
    rows = project.rows()
    traces = kept(project.path / "kept")["test_load"]
    assert len(rows) == len(traces) > 2
    described = {each.asset for trace in traces for each in trace.spoken}
    assert described == {row["utterance"] for row in rows}
    monkeypatch.chdir(project.path)
    assert main(["trace", "judge", "kept", "--report", "out.jsonl"]) == 0
