"""The HTML page of a run: the same numbers as the other reports, and the run's end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.config import FakeConfig
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from pytest_realtime_asr.fake.server import Fake
from pytest_realtime_asr.metrics.declaration import Unit
from pytest_realtime_asr.report import trend
from tests.support.pages import blocks, of, opened
from tests.support.project import SOON, Project, fake_server, of_vllm
from tests.support.servers import CLIP, thread
from tests.support.spellings import KEY

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
START = KEY[:12]  # neither JSON nor HTML escapes a character of it
LATE = "test_it.py::test_late"
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
    right, late = (each["verdict"] for each in verdicts)
    assert right == "PASS"
    assert late in ("FAIL", "INVALID")  # if the machine delays the client
    # Only the test that fails keeps its trace and adds its clip.
    (paths,) = of(text, "traces")
    right, *_, late = [row["label"] for row in of(text, "row")]
    assert right not in paths
    assert (project.path / paths[late]).is_file()
    assert len(of(text, "clip")) == 1
    assert of(text, "end") == [{"interrupted": False, "failed": [LATE]}]
    assert [line["kind"] for line in lines].count("run") == 2
    assert lines[-1]["interrupted"] is False
    assert lines[-1]["ended"] > lines[0]["started"]


def test_workers_write_one_page(project: Project) -> None:
    project.write(TESTS)
    project.run(*BOTH, "-n2", apart=True).assert_outcomes(passed=1, failed=1)
    text = page(project)
    assert text.count("<!doctype html>") == 1
    # A session that the client disturbed is sent again; it does not count.
    assert sum(row["counted"] for row in of(text, "row")) == 2
    assert len(of(text, "verdict")) == 2
    assert of(text, "end") == [{"interrupted": False, "failed": [LATE]}]


@of_vllm
def test_workers_and_the_suite_write_one_page(project: Project) -> None:
    """The workers append sessions, the controller the results of the suite."""
    project.write(TESTS)
    (project.path / "out.html").write_text("earlier")
    suite = ("--realtime-conformance", "-k", "created-now or test_right", "test_it.py")
    result = project.run(*BOTH, *suite, "-n2", apart=True)
    result.assert_outcomes(passed=2)
    text = page(project)
    assert text.count("<!doctype html>") == 1
    assert sum(row["counted"] for row in of(text, "row")) == 1
    (found,) = of(text, "conformance")
    assert [each["id"] for each in found["requirements"]] == ["created-now"]
    assert len(of(text, "end")) == 1
    assert (project.path / "out.html.1").read_text() == "earlier"


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
    assert of(text, "end") == [{"interrupted": False, "failed": []}]
    left = [path for path in project.path.rglob("*") if "page-trend" in path.name]
    assert left == []


def test_the_trend_has_no_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier run did not know the key that its labels have."""
    project.write(TESTS)
    project.run("--realtime-report=night.jsonl", f"--realtime-label=who={KEY}")
    assert project.lines("night.jsonl")[0]["labels"] == {"who": KEY}
    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    again = ("--realtime-compare=night.jsonl", "--realtime-compare-fail=none", *BOTH)
    project.run(*again, "-k", "right")
    part = page(project).partition("<template")[2].partition("</template>")[0]
    assert "who [removed]" in part
    assert START not in page(project)


def test_a_trend_that_cannot_be_made_is_reported(project: Project) -> None:
    project.write(TESTS)
    project.run("--realtime-report=night.jsonl", "-k", "right")
    (project.path / "conftest.py").write_text(
        "def pytest_runtest_teardown():\n    open('night.jsonl', 'w').close()\n"
    )
    again = ("--realtime-compare=night.jsonl", "--realtime-compare-fail=none", *BOTH)
    found = project.run(*again, "-k", "right")
    found.stdout.fnmatch_lines("*the page has no trend: *night.jsonl: *")
    assert "<template" not in page(project)


@of_vllm
def test_no_block_of_the_page_has_the_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that recognises the key; the compressed blocks are searched as well."""
    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    project.write(TESTS)
    heard = replace(CLIP, text=f"turn {KEY} right")
    fake = Fake(
        FakeConfig(dialects.load("vllm"), word_delay=0.0, final_delay=0.0),
        ScriptedRecogniser([heard]),
    )
    with thread(lambda: fake.listen(port=0)) as port:
        result = project.run(*BOTH, "-k", "right", target=f"http://127.0.0.1:{port}")
    result.assert_outcomes(failed=1)
    text = page(project)
    written = json.dumps(blocks(text))
    assert "[removed]" in written
    assert START not in written
    assert START not in text


CRASHES = """
import os
import pathlib
import signal
import time

@pytest.mark.budget("word_coverage", at_least=2)
def test_wrong(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0)
def test_right(realtime, corpus):
    realtime.transcribe(corpus["open-door"])

def test_crash(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    pathlib.Path("crashed").touch()
    os._exit(3)

def test_killed(realtime, corpus):
    report = pathlib.Path("out.jsonl")
    for _ in range(800):  # until the other tests have got their finals
        judged = report.exists() and report.read_text().count('"kind":"verdict"') >= 2
        if judged and pathlib.Path("crashed").exists():
            break
        time.sleep(0.05)
    os.kill({pid}, signal.SIGKILL)
    realtime.transcribe(corpus["turn-right"])
"""


@pytest.mark.slow
def test_a_crashed_worker_and_a_killed_server_leave_one_page(project: Project) -> None:
    with fake_server("--corpus", "bundled:english", *SOON) as fake:
        project.write(CRASHES.replace("{pid}", str(fake.pid)))
        result = project.run(*BOTH, "-n4", target=fake.url, apart=True)
    result.assert_outcomes(passed=1, failed=3)
    text, lines = page(project), project.lines()
    assert text.count("<!doctype html>") == 1
    of_kind = {
        kind: [line for line in lines if line["kind"] == kind]
        for kind in ("run", "utterance", "verdict")
    }
    assert of(text, "run") == of_kind["run"][:1]

    def key(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["test"], row["utterance"], row["lost"]

    assert sorted(map(key, of(text, "row"))) == sorted(map(key, of_kind["utterance"]))
    by_test = {row["test"].split("::")[1] for row in of(text, "row") if row["lost"]}
    assert by_test == {"test_killed"}
    verdicts = of(text, "verdict")
    assert sorted(map(repr, verdicts)) == sorted(map(repr, of_kind["verdict"]))
    assert "FAIL" in {each["verdict"] for each in verdicts}
    (end,) = of(text, "end")
    assert sorted(end.pop("failed")) == [
        *(f"test_it.py::test_{name}" for name in ("crash", "killed", "wrong"))
    ]
    assert end == {"interrupted": False}


@pytest.mark.slow
def test_a_killed_run_leaves_its_page(project: Project, browser: Any) -> None:
    project.write(TESTS + "\ndef test_dies(realtime):\n    os.kill(os.getpid(), 9)\n")
    source = project.path / "test_it.py"
    source.write_text("import os\n" + source.read_text())
    project.run(*BOTH, apart=True)
    assert of(page(project), "end") == []
    with opened(browser, project.path / "out.html") as tab:
        told = tab.locator(".notice").all_inner_texts()
        assert any("has not ended, or it was killed" in each for each in told)
        states = tab.locator(".row .c-state").all_inner_texts()
        assert sorted(states) == ["ok", "over limit"]
