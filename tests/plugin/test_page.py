"""The HTML page of a run: the same numbers as the other reports, and the run's end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_realtime_asr.metrics.declaration import Unit
from pytest_realtime_asr.report import trend
from tests.support.pages import blocks, of
from tests.support.project import Project

TESTS = """
@pytest.mark.wer_threshold(0)
def test_right(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.latency_budget("final_from_commit", max="1ms")
@pytest.mark.realtime(pace=1)
def test_late(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
PRIVATE = """
@pytest.mark.latency_budget("final_from_commit", max="1ms")
@pytest.mark.realtime(pace=1)
def test_late(realtime, corpus):  # the ids of a private corpus are not known
    realtime.transcribe(min(corpus, key=lambda each: each.duration))
"""
BOTH = ("--realtime-report=out.html", "--realtime-report=out.jsonl")


def page(project: Project) -> str:
    return (project.path / "out.html").read_text()


def test_page_and_lines_have_the_same_numbers(project: Project) -> None:
    project.write(TESTS)
    project.run(*BOTH).assert_outcomes(passed=1, failed=1)
    text, lines = page(project), project.lines()
    utterances = [line for line in lines if line["kind"] == "utterance"]
    assert [row["wer"] for row in of(text, "row")] == [row["wer"] for row in utterances]
    assert [each["metrics"] for each in of(text, "session")] == [
        row["metrics"] for row in utterances
    ]
    verdicts = [line for line in lines if line["kind"] == "verdict"]
    assert of(text, "verdict") == verdicts
    assert [each["verdict"] for each in verdicts] == ["PASS", "FAIL"]
    # Only the test that fails keeps its trace and adds its clip.
    (paths,) = of(text, "traces")
    right, *_, late = [row["label"] for row in of(text, "row")]
    assert right not in paths
    assert (project.path / paths[late]).is_file()
    assert len(of(text, "clip")) == 1
    assert of(text, "end") == [{"interrupted": False}]


def test_workers_write_one_page(project: Project) -> None:
    project.write(TESTS)
    project.run(*BOTH, "-n2", apart=True).assert_outcomes(passed=1, failed=1)
    text = page(project)
    assert text.count("<!doctype html>") == 1
    # A session that the client disturbed is sent again; it does not count.
    assert sum(row["counted"] for row in of(text, "row")) == 2
    assert len(of(text, "verdict")) == 2
    assert of(text, "end") == [{"interrupted": False}]


def test_a_run_without_sessions_leaves_the_page_of_an_earlier_run(
    project: Project,
) -> None:
    project.write("def test_plain(): pass")
    earlier = Path(project.path / "out.html")
    earlier.write_text("earlier")
    project.run(*BOTH).assert_outcomes(passed=1)
    assert earlier.read_text() == "earlier"


def test_the_page_of_a_private_run_has_no_text_and_no_audio(project: Project) -> None:
    project.write(PRIVATE)
    project.run(*BOTH, "--realtime-private").assert_outcomes(failed=1)
    written = json.dumps(blocks(page(project)))
    assert all(each["chart"] for each in of(page(project), "session"))
    assert of(page(project), "row")[-1]["counted"]
    assert of(page(project), "clip") == []
    assert "envelope" not in written
    for word in ("turn", "right and", "stop"):
        assert f'"{word}' not in written
        assert f" {word}" not in written


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "workers"])
def test_a_comparison_adds_the_trend(project: Project, workers: tuple[str]) -> None:
    project.write(TESTS)
    project.run("--realtime-report=night.jsonl", "-k", "right")
    again = ("--realtime-compare=night.jsonl", "--realtime-compare-fail=none", *BOTH)
    project.run(*again, "-k", "right", *workers, apart=bool(workers)).assert_outcomes(
        passed=1
    )
    text = page(project)
    part = text[text.index("<template") : text.index("</template>")]
    # The table has the numbers of both reports.
    finals = [
        row["metrics"]["final_from_commit"]
        for name in ("night.jsonl", "out.jsonl")
        for row in project.rows(name)
        if row["counted"]
    ]
    assert len(finals) == 2
    for name, final in zip(("night.jsonl", "this run"), finals, strict=True):
        shown = re.escape(trend.number(final, Unit.MS))
        assert re.search(rf">{name}</th><td [^>]*>{shown} ", part)
    assert of(text, "end") == [{"interrupted": False}]
    left = [path for path in project.path.rglob("*") if "page-trend" in path.name]
    assert left == []


def test_a_trend_that_cannot_be_made_is_said(project: Project) -> None:
    project.write(TESTS)
    project.run("--realtime-report=night.jsonl", "-k", "right")
    (project.path / "conftest.py").write_text(
        "def pytest_runtest_teardown():\n    open('night.jsonl', 'w').close()\n"
    )
    again = ("--realtime-compare=night.jsonl", "--realtime-compare-fail=none", *BOTH)
    found = project.run(*again, "-k", "right")
    found.stdout.fnmatch_lines("*the page has no trend: *night.jsonl: *")
    assert "<template" not in page(project)
