"""The summaries of a run: files, the job page of GitHub Actions, and annotations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_realtime_asr.report import markdown
from tests.support.project import Project

TESTS = """
@pytest.mark.budget("word_coverage", at_least=0)
def test_passes(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.budget("word_coverage", at_least=2)
def test_fails(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.fixture
def broken():
    raise ValueError("100% broken\\n::error::evil")

def test_error(broken, realtime): pass

def test_plain():
    assert False
"""
REPORTS = (
    *("--realtime-report=out.md", "--realtime-report=out.prom"),
    "--realtime-report=benchmark:bench.json",
)


@pytest.fixture
def github(project: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The summary of the step of a job in GitHub Actions, in which the test runs."""
    step = project.path / "step.md"
    step.write_text("earlier\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    return step


def commands(result: pytest.RunResult) -> list[str]:
    return [line for line in result.stdout.lines if line.startswith("::")]


def test_a_run_writes_every_summary(project: Project) -> None:
    project.write(TESTS)
    result = project.run(*REPORTS)
    result.assert_outcomes(passed=1, failed=2, errors=1)
    text = (project.path / "out.md").read_text()
    assert text.startswith("## Realtime speech recognition: 2 tests failed; verdicts: ")
    assert "| `test_it.py::test_passes` | PASS | 1 | 0 |" in text
    assert "| `test_it.py::test_error` | **failed** | - |" in text
    assert "test_plain" not in text
    assert "again: pytest" in text
    prom = (project.path / "out.prom").read_text()
    read = text_string_to_metric_families(prom)  # type: ignore[no-untyped-call]
    assert "realtime_asr_word_coverage_ratio" in {each.name for each in read}
    smaller = json.loads((project.path / "bench.json").read_text())
    bigger = json.loads((project.path / "bench.bigger.json").read_text())
    assert {each["name"] for each in bigger} == {
        f"test_it.py::test_{name}: word_coverage mean" for name in ("passes", "fails")
    }
    assert "test_it.py::test_passes: final_from_commit p95" in {
        each["name"] for each in smaller
    }
    assert commands(result) == []


def test_github_actions_gets_the_summary_and_annotations(
    project: Project, github: Path
) -> None:
    project.write(TESTS)
    result = project.run("--realtime-report=out.md")
    result.assert_outcomes(passed=1, failed=2, errors=1)
    assert github.read_text() == "earlier\n" + (project.path / "out.md").read_text()
    fails, error = commands(result)
    assert fails.startswith(
        "::error file=test_it.py,line=8,title=test_it.py%3A%3Atest_fails::word_coverage"
    )
    assert error == (
        "::error file=test_it.py,line=16,title=test_it.py%3A%3Atest_error"
        "::ValueError: 100%25 broken"
    )


def test_a_run_without_realtime_tests_tells_github_nothing(
    project: Project, github: Path
) -> None:
    project.write("def test_plain():\n    assert False")
    result = project.run(*REPORTS)
    result.assert_outcomes(failed=1)
    assert commands(result) == []
    assert github.read_text() == "earlier\n"
    assert not (project.path / "out.md").exists()
    result.stdout.fnmatch_lines(["*out.md: the report is not written, since no test*"])


def test_the_page_of_a_step_is_never_larger_than_github_takes(
    project: Project, github: Path
) -> None:
    project.write(TESTS)
    github.write_bytes(b"x" * (markdown.MOST - 500))
    project.run()
    assert markdown.MOST - 500 < github.stat().st_size <= markdown.MOST


def test_a_page_that_cannot_be_written_is_a_note(
    project: Project, github: Path
) -> None:
    project.write(TESTS)
    github.unlink()
    github.mkdir()
    result = project.run()
    result.assert_outcomes(passed=1, failed=2, errors=1)
    result.stdout.fnmatch_lines(
        ["realtime: GITHUB_STEP_SUMMARY: the report is not written: Is a directory"]
    )


AGAIN = """
tries = []

def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    tries.append(1)
    assert len(tries) > 1
"""
RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        item._initrequest()
        runtestprotocol(item, nextitem=nextitem)
    return True
"""


def test_a_test_that_passes_when_it_runs_again_is_no_failure(
    project: Project, github: Path
) -> None:
    project.write(AGAIN)
    (project.path / "conftest.py").write_text(RERUN)
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    assert commands(result) == []
    assert "no test failed" in github.read_text()


@pytest.mark.parametrize("text", ["benchmark:out", "benchmark:out.txt"])
def test_a_benchmark_needs_the_name_of_a_json_file(project: Project, text: str) -> None:
    result = project.run(f"--realtime-report={text}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*write the name of a file that ends with .json*"])
