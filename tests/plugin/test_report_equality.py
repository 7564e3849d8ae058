"""One run has the same numbers in all of its reports.

The run has four workers, tests that fail, a worker that crashes and a server that is
killed.
"""

from __future__ import annotations

import csv
import json
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.report.junit import number
from pytest_realtime_asr.stats import quantile
from tests.support.pages import of
from tests.support.project import Project, fake_server

pytestmark = pytest.mark.slow

TESTS = """
import json
import os
import signal
import time
from pathlib import Path

@pytest.mark.wer_threshold(0.9)
def test_right(realtime, corpus):
    realtime.transcribe([corpus["turn-right"], corpus["open-door"]])

@pytest.mark.budget("word_coverage", at_least=2)
@pytest.mark.keyword_recall(["stop", "left"], at_least=0.5)
def test_wrong(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.latency_budget("final_from_commit", p95="1ms")
@pytest.mark.realtime(pace=1)
def test_late(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_crash(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    Path("crashing").touch()
    os.kill(os.getpid(), signal.SIGKILL)

def ended():
    text = Path("out.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
    judged = {line["test"] for line in lines if line["kind"] == "verdict"}
    names = {test.partition("::test_")[2] for test in judged}
    return names | ({"crash"} if Path("crashing").exists() else set())

@pytest.mark.wer_threshold(0.1)
def test_killed(realtime, corpus):
    # Only one test has sessions at a time, so this test waits before its first session.
    deadline = time.monotonic() + 250
    others = {"right", "wrong", "late", "crash"}
    while not others <= ended() and time.monotonic() < deadline:
        time.sleep(0.05)
    realtime.transcribe(corpus["turn-right"])
    Path("kill").touch()
    while not Path("killed").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    realtime.transcribe([corpus["open-door"]])
"""
ARGUMENTS = (
    *("-n4", "--max-worker-restart=4", "--junitxml=out.xml", "--realtime-wait=0s"),
    *("--realtime-report=out.jsonl", "--realtime-report=out.html"),
    *("--realtime-report=out.md", "--realtime-report=out.csv"),
    *("--realtime-report=out.prom", "--realtime-report=benchmark:bench.json"),
)
LONGEST = 300.0  # s that the run may take on a busy machine
COUNTS = {"right": 2, "wrong": 1, "late": 1, "crash": 1, "killed": 2}
NAMES = COUNTS.keys()


class Reports(NamedTuple):
    """The reports of the run: lines, JUnit properties, and what the others contain."""

    lines: list[dict[str, Any]]
    junit: dict[str, dict[str, str]]
    html: str
    markdown: str
    rows: list[dict[str, str]]
    prom: dict[tuple[str, str, str], float]
    benchmark: dict[str, float]
    terminal: str

    @property
    def verdicts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each verdict with the name of its test."""
        for line in self.lines:
            if line["kind"] == "verdict":
                yield line["test"].partition("::test_")[2], line

    def utterances(self, name: str) -> list[dict[str, Any]]:
        """The counted utterances of a test."""
        found = [each for each in self.lines if each["kind"] == "utterance"]
        return [
            each
            for each in found
            if each["test"].endswith(f"::test_{name}") and each["counted"]
        ]

    def cells(self, name: str) -> list[list[str]]:
        """The rows of a test in the tables of the Markdown."""
        return [
            [cell.strip(" `*") for cell in line.split("|")[1:-1]]
            for line in self.markdown.splitlines()
            if re.match(rf"\| `test_it\.py::test_{name}`", line)
        ]


def samples(text: str) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Yield samples by family (without the prefix), name of the test and statistic."""
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for each in family.samples:
            test = each.labels.get("test", "").partition("::test_")[2]
            key = (each.name, test, each.labels.get("statistic", ""))
            yield (key[0].removeprefix("realtime_asr_"), *key[1:]), each.value


def _test(name: str) -> str:
    """Return the name of a benchmark without the path of the test."""
    return name.partition("::test_")[2]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reports]:
    """The place for the reports of the one run of this module."""
    return {}


@pytest.fixture
def made(project: Project, clips: str, reports: dict[str, Reports]) -> Reports:
    """The reports of the run, which the first test makes."""
    if not reports:
        reports["made"] = _made(project, clips)
    return reports["made"]


@contextmanager
def killing(fake: FakeServer, folder: Path) -> Iterator[None]:
    """Kill a server when the file ``kill`` is in the folder; then make ``killed``."""
    over = threading.Event()

    def watch() -> None:
        deadline = time.monotonic() + LONGEST
        while not (folder / "kill").exists() and time.monotonic() < deadline:
            if over.wait(0.02):
                return
        fake.kill()
        (folder / "killed").touch()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _made(project: Project, clips: str) -> Reports:
    project.write(TESTS)
    with fake_server("--corpus", clips) as fake, killing(fake, project.path):
        result = project.pytester.runpytest_subprocess(
            f"--realtime-target={fake.url}", *ARGUMENTS, timeout=LONGEST
        )
    result.assert_outcomes(passed=1, failed=4)

    def text(name: str) -> str:
        return Path(project.path / name).read_text()

    junit = {
        name.removeprefix("test_"): found
        for name, found in project.properties().items()
    }
    values = [*json.loads(text("bench.json")), *json.loads(text("bench.bigger.json"))]
    return Reports(
        lines=project.lines(),
        junit=junit,
        html=text("out.html"),
        markdown=text("out.md"),
        rows=list(csv.DictReader(text("out.csv").splitlines())),
        prom=dict(samples(text("out.prom"))),
        benchmark={_test(each["name"]): each["value"] for each in values},
        terminal=result.stdout.str(),
    )


def test_each_report_has_every_test_once(made: Reports) -> None:
    assert set(made.junit) == NAMES
    measured = NAMES - {"crash"}  # it has no verdict, since its process is gone
    assert {name for name, _ in made.verdicts} == measured
    for name in measured:
        assert made.cells(name)[0][0].endswith(f"::test_{name}")
        (line,) = re.findall(rf"^\S*test_{name} +\d.*$", made.terminal, re.MULTILINE)
        assert (
            line.split()[-1]
            == made.cells(name)[0][1]
            == (made.junit[name]["realtime.verdict"])
        )
    assert made.cells("crash")[0][1] == "failed"
    assert len(made.cells("crash")) == 1
    assert "4 tests failed" in made.markdown.splitlines()[0]
    assert made.prom["failed_tests", "", ""] == 4
    (end,) = of(made.html, "end")
    assert not end["interrupted"]
    assert {_test(name) for name in end["failed"]} == NAMES - {"right"}


def test_each_report_counts_the_same_utterances(made: Reports) -> None:
    for name in NAMES:
        utterances = made.utterances(name)
        count, lost = len(utterances), sum(bool(u["lost"]) for u in utterances)
        assert count == COUNTS[name]
        assert lost == (name == "killed")
        rows = [row for row in made.rows if row["test"].endswith(f"::test_{name}")]
        assert (len(rows), sum(bool(row["lost"]) for row in rows)) == (count, lost)
        shown = [
            row
            for row in of(made.html, "row")
            if row["counted"] and row["test"].endswith(f"::test_{name}")
        ]
        assert (len(shown), sum(bool(row["lost"]) for row in shown)) == (count, lost)
        if name == "crash":
            continue
        properties = made.junit[name]
        assert properties["realtime.planned"] == str(count)
        assert properties["realtime.lost"] == str(lost)
        assert made.prom["utterances", name, ""] == count
        assert made.prom["lost_utterances", name, ""] == lost
        assert made.cells(name)[0][2:4] == [str(count), str(lost)]
        assert re.search(rf"test_{name} +{count} +{lost} ", made.terminal)


def test_each_report_has_the_same_verdicts(made: Reports) -> None:
    assert of(made.html, "verdict") == [line for _, line in made.verdicts]
    limits = [(name, line) for name, line in made.verdicts if line["limit"] is not None]
    limits = [(n, line) for n, line in limits if line["subject"] != "lost sessions"]
    assert len(limits) == 5
    for name, line in limits:
        metric, statistic, unit = line["metric"], line["statistic"], line["unit"]
        digits = 4 if unit == "ratio" else 3
        of_junit = metric
        if line["subject"] == "budget":
            of_junit = f"{metric}_{unit}.{statistic}"
        properties = made.junit[name]
        value = properties[f"realtime.{of_junit}"]
        assert value == str(number(line["value"], digits))
        assert properties[f"realtime.{of_junit}.limit"] == str(
            number(line["limit"], digits)
        )
        assert properties[f"realtime.{of_junit}.verdict"] == line["verdict"]
        assert properties[f"realtime.{of_junit}.n"] == str(line["n"])
        family, scale = (
            (f"{metric}_seconds", 1000) if unit == "ms" else ((f"{metric}_ratio", 1))
        )
        assert math.isclose(made.prom[family, name, statistic] * scale, line["value"])
        names = {"error rate": metric, "budget": f"{metric} {statistic}"}
        entry = names.get(line["subject"], f"{line['subject']} {metric} {statistic}")
        assert str(made.benchmark[f"{name}: {entry}"]) == value
        (cells,) = [
            each for each in made.cells(name) if each[1] == f"{metric} {statistic}"
        ]
        proven = "proven" if line["proven"] else "not proven"
        assert cells[-3:-1] == [str(line["n"]), str(line["lost"])]
        assert cells[-1].replace("*", "") == f"{line['verdict']} ({proven})"
        shown = cells[2].split()[0]
        assert re.search(rf"{metric}\b.* = {re.escape(shown)}\b", made.terminal)
        assert float(shown) == pytest.approx(line["value"], abs=0.5, rel=0.01)


def test_each_report_has_the_same_latencies(made: Reports) -> None:
    for name in NAMES - {"crash"}:
        finals = [
            math.inf if each["lost"] else each["metrics"]["final_from_commit"]
            for each in made.utterances(name)
        ]
        for statistic, share in (("p50", 0.5), ("p95", 0.95)):
            value = quantile(finals, share)
            of_junit = made.junit[name][f"realtime.final_from_commit_ms.{statistic}"]
            assert of_junit == str(number(value))
            key = ("final_from_commit_seconds", name, statistic)
            assert made.prom[key] * 1000 == pytest.approx(value)
            entry = f"{name}: final_from_commit {statistic}"
            if math.isinf(value):
                assert entry not in made.benchmark
                shown = "never"
            else:
                assert made.benchmark[entry] == number(value)
                shown = f"{value:.0f} ms"
            assert made.cells(name)[0][5 if statistic == "p50" else 6] == shown
            assert re.search(rf"test_{name} .* {re.escape(shown)} ", made.terminal)
