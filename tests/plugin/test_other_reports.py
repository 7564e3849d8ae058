"""The reports of other plugins keep the measurements, and have no secret.

The plugins are installed by ``pip install --group dashboards``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.test_secrets import TESTS as SECRETS
from tests.plugin.test_secrets import echoing, hidden, left
from tests.support.project import Project
from tests.support.spellings import KEY

OPTIONS = (
    *("--html=out.html", "--self-contained-html"),
    *("--alluredir=allure", "--ctrf=ctrf.json"),
)
TESTS = """
@pytest.mark.wer_threshold(0.9)
def test_passes(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])

@pytest.mark.budget("word_coverage", at_least=2)
def test_fails(realtime, corpus):
    realtime.transcribe(corpus["turn-right"])
"""


def ran(project: Project, *options: str) -> pytest.RunResult:
    """Run the tests with all plugins that write reports; skip if one is missing."""
    for plugin in ("allure_pytest", "ctrf", "pytest_html"):
        pytest.importorskip(plugin, reason="pip install --group dashboards")
    return project.run(*OPTIONS, *options, "--junitxml=out.xml", apart=True)


def allure(project: Project) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each test in Allure's results: its name, and the text of attachments."""
    folder = project.path / "allure"
    for path in sorted(folder.glob("*-result.json")):
        found = json.loads(path.read_text())
        yield (
            found["name"],
            {
                each["name"]: (folder / each["source"]).read_text()
                for each in found.get("attachments", ())
            },
        )


def texts(properties: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in properties.items()}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_the_reports_keep_the_properties_and_the_evidence(
    project: Project, workers: tuple[str, ...]
) -> None:
    project.write(TESTS)
    ran(project, *workers).assert_outcomes(passed=1, failed=1)
    of_allure = dict(allure(project))
    ctrf = json.loads((project.path / "ctrf.json").read_text())["results"]["tests"]
    of_ctrf = {each["name"].partition("::")[2]: each for each in ctrf}
    for name, of_junit in project.properties().items():
        assert texts(json.loads(of_allure[name]["realtime properties"])) == of_junit
        assert texts(of_ctrf[name]["parameters"]) == of_junit
    assert "realtime sessions" not in of_allure["test_passes"]
    evidence = of_allure["test_fails"]["realtime sessions"]
    assert evidence.startswith("word_coverage mean = ")
    assert "again: pytest" in evidence
    assert of_ctrf["test_fails"]["message"].startswith("word_coverage mean = ")
    html = (project.path / "out.html").read_text()
    assert html.count(";realtime sessions&lt;/a&gt;") == 1
    assert html.count(";realtime properties&lt;/a&gt;") == 2


@pytest.mark.slow
@pytest.mark.parametrize("private", [False, True])
def test_a_key_is_in_no_report_of_another_plugin(
    project: Project, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    monkeypatch.setenv("REALTIME_API_KEY", KEY)
    project.write(SECRETS)
    options = ["--realtime-timeout=2s", *(["--realtime-private"] if private else [])]
    with echoing("vllm") as url:
        project.url = url
        result = ran(project, *options)
    assert result.parseoutcomes()["failed"] >= 6
    assert hidden(left(project, result)) == []
    if private:
        written = b"".join(path.read_bytes() for path in _files(project.path))
        for word in (b"turn right and", b"open the front"):
            assert word not in written


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that a run wrote, except Python code."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path
