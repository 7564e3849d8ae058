"""The files for CI services: valid, quoted by the guide, and their commands run."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml  # type: ignore[import-untyped]

from tests.support.paths import ROOT

EXAMPLE = ROOT / "examples/ci"
GITHUB, GITLAB, JENKINS = "github-actions.yml", "gitlab-ci.yml", "Jenkinsfile"
PAGE = (ROOT / "docs/guide/ci.md").read_text()


def commands(name: str) -> list[str]:
    """The shell commands of the file of a service."""
    text = (EXAMPLE / name).read_text()
    if name == JENKINS:
        return [
            a or b for a, b in re.findall(r"sh (?:'''(.*?)'''|'(.*?)')", text, re.S)
        ]
    read = yaml.safe_load(text)
    if name == GITLAB:
        script: list[str] = read["realtime"]["script"]
        return script
    steps = read["jobs"]["realtime"]["steps"]
    return [step["run"] for step in steps if "run" in step]


@pytest.mark.parametrize(
    ("name", "language"), [(GITHUB, "yaml"), (GITLAB, "yaml"), (JENKINS, "groovy")]
)
def test_the_guide_quotes_the_file(name: str, language: str) -> None:
    assert f"```{language}\n{(EXAMPLE / name).read_text()}```" in PAGE


@pytest.mark.parametrize(
    ("name", "schema"),
    [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")],
)
def test_a_file_keeps_the_schema_of_its_service(name: str, schema: str) -> None:
    pytest.importorskip("check_jsonschema", reason="pip install --group dashboards")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    done = subprocess.run(
        [*command, str(EXAMPLE / name)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_actionlint_accepts_the_workflow() -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip(
            "actionlint is missing: go install "
            "github.com/rhysd/actionlint/cmd/actionlint@latest"
        )
    done = subprocess.run(
        [actionlint, "-no-color", str(EXAMPLE / GITHUB)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "project"))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Variables with which ``pip`` installs nothing, as everything is installed."""
    folder = tmp_path / "bin"
    folder.mkdir()
    programs = {
        "pip": 'echo "$@" >> pip.log',
        "pytest": f'exec {sys.executable} -m pytest -p no:cacheprovider "$@"',
        "python": "mkdir -p .venv/bin && cp $(dirname $0)/p* .venv/bin",
    }
    for name, line in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(stat.S_IRWXU)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def expected(name: str) -> Iterator[str]:
    """Yield the files that the service uploads or reads by name."""
    text = (EXAMPLE / name).read_text()
    yield from dict.fromkeys(re.findall(r"reports/[\w.-]+\.\w+", text))


@pytest.mark.slow
@pytest.mark.parametrize("name", [GITHUB, GITLAB, JENKINS])
def test_the_commands_run_and_write_what_the_service_reads(
    name: str, project: Path, environment: dict[str, str]
) -> None:
    for command in commands(name):
        subprocess.run(
            ["bash", "-e", "-c", command], cwd=project, env=environment, check=True
        )
    assert (project / "pip.log").read_text() == "install pytest-realtime-asr\n"
    names = list(expected(name))
    assert {"reports/out.xml", "reports/out.jsonl", "reports/out.html"} <= set(names)
    for each in names:
        assert (project / each).stat().st_size, each
    suite = ElementTree.parse(project / "reports/out.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0")
