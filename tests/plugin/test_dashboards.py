"""What dashboards read: JUnit XML, JSON Lines by pandas and DuckDB, and traces."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pytest_realtime_asr.trace.records import read
from tests.support.paths import ROOT
from tests.support.project import Faking, Project

# A test of each outcome. The audio is sent at many times its pace, so that a budget of
# a latency is INVALID.
OUTCOMES = """
@pytest.mark.budget("word_coverage", at_least=0)
def test_passes(realtime, corpus):
    realtime.transcribe(corpus["open-door"])

@pytest.mark.budget("word_coverage", at_least=2)
def test_fails(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.latency_budget("final_from_commit", p95="10s")
def test_invalid(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.wer_threshold(0.9, confidence=0.95)
def test_inconclusive(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

def test_skips(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    pytest.skip("not today")

@pytest.mark.xfail
def test_expected(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    assert False

@pytest.fixture
def broken():
    raise ValueError("broken")

def test_error(broken, realtime): pass

def test_plain(request):
    request.node.user_properties.append(("own", "1 < 2"))
"""
XML = "--junitxml=out.xml"
JSONL = "--realtime-report=out.jsonl"


def messages(project: Project, name: str = "out.xml") -> dict[str, str]:
    """How each test that did not pass ended, and its message, by its name."""
    found = {}
    for case in ElementTree.parse(project.path / name).iter("testcase"):
        for kind in ("failure", "skipped", "error"):
            if (node := case.find(kind)) is not None:
                found[case.get("name", "")] = f"{kind}: {node.get('message')}"
    return found


# JUnit XML


def test_junitparser_reads_every_outcome(project: Project) -> None:
    xunit2 = pytest.importorskip("junitparser.xunit2")
    project.write(OUTCOMES)
    result = project.run(XML, JSONL, "--realtime-label=gpu=none")
    result.assert_outcomes(passed=2, failed=3, skipped=1, xfailed=1, errors=1)
    (suite,) = xunit2.JUnitXml.fromfile(str(project.path / "out.xml"))
    of_run = {each.name: each.value for each in suite.properties()}
    assert of_run["realtime.run"] == project.lines()[0]["run"]
    assert of_run["realtime.version.pytest"] == pytest.__version__
    assert of_run["realtime.label.gpu"] == "none"
    found = {
        case.name: {each.name: each.value for each in case.properties()}
        for case in suite
    }
    verdicts = {name: row.get("realtime.verdict") for name, row in found.items()}
    assert {name: each for name, each in verdicts.items() if each} == {
        "test_passes": "PASS",
        "test_fails": "FAIL",
        "test_invalid": "INVALID",
        "test_inconclusive": "INCONCLUSIVE",
    }
    failed = found["test_fails"]
    assert failed["realtime.word_coverage_ratio.mean.limit"] == "2.0"
    assert failed["realtime.word_coverage_ratio.mean.verdict"] == "FAIL"
    assert failed["realtime.label.gpu"] == "none"
    assert found["test_plain"] == {"own": "1 < 2"}
    said = messages(project)
    assert said["test_fails"].startswith("failure: word_coverage mean = ")
    assert said["test_invalid"].startswith("failure: INVALID: final_from_commit p95 = ")
    assert said["test_inconclusive"].startswith("failure: INCONCLUSIVE: wer = ")


# The rules of the schema of xunit2 (junit-10.xsd of Jenkins' xunit plugin), for what
# pytest writes: the children and the attributes of each element. An error in a fixture
# is the element `error`, as in the versions of the schema before 2022.
OF_CASE = {"skipped", "error", "failure", "system-out", "system-err"}
SCHEMA = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"}
        | {"hostname", "group", "id", "package", "file", "log", "url", "version"},
    ),
    "properties": ({"property"}, set[str]()),
    "property": (set[str](), {"name", "value"}),
    "testcase": (OF_CASE, {"name", "time", "classname", "group"}),
    **{name: (set[str](), {"message", "type"}) for name in OF_CASE},
}
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "property": {"name", "value"},
    "testcase": {"name"},
}
SECONDS = re.compile(r"[0-9]*(\.[0-9]{0,3})?")


def violations(element: ElementTree.Element) -> list[str]:
    """What breaks the rules of the schema in an element and below."""
    children, attributes = SCHEMA[element.tag]
    given = set(element.attrib)
    found = [f"{element.tag} has {a}" for a in given - attributes]
    found += [
        f"{element.tag}: no {a}" for a in REQUIRED.get(element.tag, set()) - given
    ]
    if element.tag == "testsuite" and not SECONDS.fullmatch(element.get("time", "")):
        found.append(f"time {element.get('time')}")
    for child in element:
        if child.tag in children:
            found += violations(child)
        else:
            found.append(f"{element.tag} contains {child.tag}")
    return found


@pytest.mark.slow
def test_a_strict_file_keeps_the_schema(project: Project) -> None:
    project.write(OUTCOMES)
    project.run(XML, "--realtime-junit=full")
    root = ElementTree.parse(project.path / "out.xml").getroot()
    assert set(violations(root)) == {"testcase contains properties"}
    full = project.properties()["test_invalid"]
    project.run(XML, "--realtime-junit=strict")
    root = ElementTree.parse(project.path / "out.xml").getroot()
    assert violations(root) == []
    outputs = {
        case.get("name"): json.loads(case.findtext("system-out") or "{}")
        for case in root.iter("testcase")
    }
    assert outputs["test_plain"] == {"own": "1 < 2"}
    lacking = ("realtime.own_cpu", "realtime.path_round_trip", "realtime.lag_yaal")
    names = {name for name in full if not name.startswith(lacking)}
    assert names <= set(outputs["test_invalid"])
    assert outputs["test_invalid"]["realtime.verdict"] == "INVALID"


def test_junit_families_without_a_strict_form_are_refused(project: Project) -> None:
    project.write("def test_it(realtime): pass")
    result = project.run(XML, "--realtime-junit=strict", "-o", "junit_family=xunit1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--realtime-junit: strict needs junit_family*"])


def test_a_lean_file_and_skipped_tests(project: Project) -> None:
    project.write(OUTCOMES)
    lean = ("--realtime-junit=lean", "--realtime-undecided=skip")
    result = project.run(XML, *lean, "-rs")
    result.assert_outcomes(passed=2, failed=1, skipped=3, xfailed=1, errors=1)
    said = messages(project)
    assert said["test_invalid"].startswith("skipped: INVALID: final_from_commit p95 = ")
    assert said["test_inconclusive"].startswith("skipped: INCONCLUSIVE: wer = ")
    result.stdout.fnmatch_lines(
        ["SKIPPED * test_it.py:*: INVALID: final_from_commit *"]
    )
    found = project.properties()
    assert len(found["test_passes"]) < 16
    assert found["test_passes"]["realtime.word_coverage_ratio.mean.limit"] == "0.0"
    assert found["test_invalid"]["realtime.verdict"] == "INVALID"


POOLED = """
limit = pytest.mark.latency_budget("final_from_commit", p95="10s", over="module")

@limit
def test_first(realtime, corpus):
    realtime.transcribe(corpus["open-door"])

@limit
def test_second(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@limit
def test_last(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
    raise ValueError
"""


def test_a_pool_that_is_judged_in_the_teardown(project: Project) -> None:
    """It has one line, and skips the test whose teardown judges it."""
    project.write(POOLED)
    result = project.run(XML, JSONL, "--realtime-undecided=skip")
    result.assert_outcomes(passed=2, failed=1, skipped=1)
    (row,) = (row for row in project.lines() if row["kind"] == "verdict")
    assert (row["test"], row["n"], row["pooled"]) == ("test_it.py::test_last", 3, True)
    assert (row["verdict"], row["fails"]) == ("INVALID", False)
    last = project.properties()["test_last"]
    assert last["realtime.final_from_commit_ms.p95.module.n"] == "3"


def test_a_lost_run_has_no_gap(project: Project, faulty: Faking) -> None:
    project.write(
        """
@pytest.mark.budget("word_coverage", at_least=0)
def test_it(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""
    )
    project.run(XML, JSONL, target=faulty("close"))
    found = project.properties()["test_it"]
    assert found["realtime.verdict"] == "FAIL"
    assert found["realtime.final_from_commit_ms.p95"] == "inf"
    assert found["realtime.lost"] == "1"
    rows = {row.get("subject"): row for row in project.lines()}
    assert (rows["budget"]["lost"], rows["budget"]["value"]) == (1, None)


def test_a_session_whose_loss_was_raised_fails_the_test(
    project: Project, faulty: Faking
) -> None:
    project.write(
        """
@pytest.mark.realtime(rules="off")
def test_it(realtime, corpus):
    with realtime.connect() as session:
        session.transcribe(corpus["turn-right"])
"""
    )
    result = project.run(XML, JSONL, target=faulty("close"))
    result.assert_outcomes(failed=1)
    assert project.properties()["test_it"]["realtime.verdict"] == "FAIL"
    rows = {row.get("subject"): row for row in project.lines()}
    lost = rows["lost sessions"]
    assert (lost["lost"], lost["verdict"], lost["fails"]) == (1, "FAIL", True)


@pytest.mark.slow
def test_workers_write_one_run(project: Project) -> None:
    project.write(OUTCOMES)
    arguments = ("-n2", JSONL, XML, "--realtime-junit=strict", "-k", "invalid or fails")
    result = project.run(*arguments, apart=True)
    result.assert_outcomes(failed=2)
    lines = project.lines()
    assert [row["kind"] for row in lines].count("run") == 2
    assert (lines[0]["kind"], lines[-1]["kind"]) == ("run", "run")
    assert len({row["run"] for row in lines}) == 1
    root = ElementTree.parse(project.path / "out.xml").getroot()
    assert violations(root) == []
    kept = project.path / "realtime-traces"
    assert len(list(kept.glob("*test_invalid*/*turn-right.jsonl"))) == 1


# JSON Lines


@pytest.mark.slow
@pytest.mark.parametrize("module", ["pandas", "duckdb"])
def test_the_code_examples_of_the_guide_run(
    project: Project,
    module: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip(module)
    text = (ROOT / "docs/guide/reports.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (code,) = (each for each in blocks if f"import {module}\n" in each)
    project.write(OUTCOMES)
    nights = [f"--realtime-report=nightly/{night}.jsonl" for night in (1, 2)]
    for report in (JSONL, *nights):
        project.run(report)
    monkeypatch.chdir(project.path)
    capsys.readouterr()
    exec(code, {})
    told = capsys.readouterr().out
    assert "final_from_commit" in told
    runs = [project.lines(f"nightly/{night}.jsonl")[0]["run"] for night in (1, 2)]
    assert all(run in told for run in runs) == (module == "duckdb")
    assert "inf" not in told
    # A night without verdicts, whose sessions were lost.
    lines = [dict(row, lost="hung") for row in project.rows()]
    text = "".join(f"{json.dumps(each)}\n" for each in [project.lines()[0], *lines])
    for name in ("out", "nightly/1", "nightly/2"):
        (project.path / f"{name}.jsonl").write_text(text)
    exec(code, {})
    assert "inf" in capsys.readouterr().out


# Traces


def folders(path: Path) -> set[str]:
    return {each.parent.name.rpartition("-")[0] for each in path.rglob("*.jsonl")}


@pytest.mark.slow
def test_traces_are_beside_the_report_and_of_this_run(project: Project) -> None:
    project.write(OUTCOMES)
    kept = project.path / "deep" / "realtime-traces"
    result = project.run("--realtime-report=deep/out.jsonl", XML)
    assert folders(kept) == {
        f"test_it.py-test_{name}"
        for name in ("fails", "invalid", "inconclusive", "expected")
    }
    (path,) = kept.glob("*test_fails*/*.jsonl")
    assert path.name == "000-turn-right.jsonl"
    assert read(path).records
    result.stdout.fnmatch_lines([f"*trace: {path.relative_to(project.path)}"])
    project.run("--realtime-report=deep/out.jsonl", "--collect-only")
    assert len(folders(kept)) == 4
    project.run("--realtime-report=deep/out.jsonl", "-k", "invalid")
    assert folders(kept) == {"test_it.py-test_invalid"}
    project.run("--realtime-report=deep/out.jsonl", "-k", "passes")
    assert not kept.exists()
    project.run(XML, "-k", "invalid")
    assert folders(project.path / "realtime-traces") == {"test_it.py-test_invalid"}


def test_a_folder_for_traces_that_the_user_names(project: Project) -> None:
    project.write(OUTCOMES)
    kept = project.path / "artifacts" / "traces"
    project.run(JSONL, "--realtime-traces=artifacts/traces", "-k", "invalid")
    assert folders(kept) == {"test_it.py-test_invalid"}
    assert not (project.path / "realtime-traces").exists()


def test_files_of_the_user_in_the_trace_folder_are_kept(project: Project) -> None:
    project.write(OUTCOMES)
    kept = project.path / "realtime-traces"
    project.run(JSONL, "-k", "invalid")
    (kept / "notes.txt").write_text("seen by me")
    (kept / "mine").mkdir()
    project.run(JSONL, "-k", "passes")
    left = {path.name for path in kept.iterdir()}
    assert left == {".gitignore", "mine", "notes.txt"}


def test_a_trace_folder_with_other_files_is_refused(project: Project) -> None:
    project.write(OUTCOMES)
    project.path.joinpath("mine").mkdir()
    own = project.path / "mine" / "notes.txt"
    own.write_text("keep")
    for name, what in (
        ("mine", "contains files"),
        ("mine/notes.txt", "is a file"),
    ):
        result = project.run(f"--realtime-traces={name}", "-k", "invalid")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"*--realtime-traces: *{name} {what}*"])
    assert own.read_text() == "keep"


# Attachments


def outputs(project: Project) -> dict[str, list[str]]:
    """The texts of ``system-out`` of each test case in JUnit XML, by its name."""
    root = ElementTree.parse(project.path / "out.xml").getroot()
    return {
        case.get("name", ""): [each.text or "" for each in case.iter("system-out")]
        for case in root.iter("testcase")
    }


def attached(text: str) -> list[str]:
    return re.findall(r"^\[\[ATTACHMENT\|(.+)\]\]$", text, re.MULTILINE)


def test_a_failure_attaches_its_trace_and_the_page(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(OUTCOMES)
    page = "--realtime-report=reports/out.html"
    project.run(XML, page)
    found = outputs(project)
    assert found["test_passes"] == found["test_plain"] == []
    trace, shown = attached(*found["test_fails"])
    assert read(Path(trace))  # Jenkins needs absolute paths
    assert Path(shown) == project.path / "reports" / "out.html"
    monkeypatch.setenv("CI_PROJECT_DIR", str(project.path))
    project.run(XML, page)
    trace, shown = attached(*outputs(project)["test_fails"])
    assert read(project.path / trace)
    assert not trace.startswith("/")
    assert shown == "reports/out.html"


def test_attachments_and_output_are_in_one_element(project: Project) -> None:
    project.write(
        """
def test_fails(realtime, corpus):
    print("said")
    realtime.transcribe(corpus["turn-right"])
    assert False
"""
    )
    project.run(XML, "-o", "junit_logging=all", "--realtime-report=out.jsonl")
    (text,) = outputs(project)["test_fails"]
    assert len(attached(text)) == 1
    assert "said" in text
