"""The files of the project agree: versions of Python, sessions, pages of the site."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.support.paths import ROOT
from tests.test_architecture import LAYERS

NOX = ast.parse((ROOT / "noxfile.py").read_text())
WORKFLOW = (ROOT / ".github/workflows/ci.yml").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = next(
    ast.literal_eval(node.value)
    for node in NOX.body
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHONS"
)


def test_the_versions_of_python_agree() -> None:
    (matrix,) = set(re.findall(r'python: (\["3\.11", "3\.12".*\])', WORKFLOW))
    assert ast.literal_eval(matrix) == PYTHONS
    assert PROJECT["requires-python"] == f">={PYTHONS[0]}"
    named = re.findall(r":: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert named == PYTHONS[: len(named)]


def test_the_sessions_of_the_workflow_exist() -> None:
    sessions = {node.name for node in NOX.body if isinstance(node, ast.FunctionDef)}
    used = set(re.findall(r"--session ([a-z]+)", WORKFLOW))
    (static,) = re.findall(r"session: \[(.*)\]", WORKFLOW)
    assert used | set(static.split(", ")) <= sessions
    assert "--session check" in (ROOT / ".ci/run").read_text()


def test_every_page_is_in_the_site() -> None:
    docs = ROOT / "docs"
    blocks = re.findall(
        r"```\{toctree\}\n(.*?)```", (docs / "index.md").read_text(), re.S
    )
    listed = re.findall(r"^[a-z][\w/-]*$", "\n".join(blocks), re.MULTILINE)
    pages = [path.relative_to(docs).with_suffix("") for path in docs.rglob("*.md")]
    assert sorted(listed) == sorted(str(page) for page in pages if page.name != "index")


def test_the_figure_of_noise_shows_its_table() -> None:
    page = ROOT / "docs/guide/noise.md"
    rows = re.findall(r"^\| (\d+) dB \|", page.read_text(), re.MULTILINE)
    figure = ElementTree.parse(page.with_suffix(".svg"))
    space = "{http://www.w3.org/2000/svg}"
    texts = [each.text for each in figure.iter(f"{space}text")]
    assert [text for text in texts if text in rows] == rows  # the axis
    assert {"white noise", "babble", "word error rate"} <= set(texts)
    points = list(figure.iter(f"{space}circle"))
    assert len(points) == 2 * len(rows) + 2  # and the legend


def test_the_picture_of_the_layers_is_the_one_that_is_checked() -> None:
    page = (ROOT / "docs/architecture.md").read_text()
    (picture,) = re.findall(r"## Layers\n.*?```text\n(.*?)```", page, re.DOTALL)
    rows = re.findall(r"^   (\w+(?:, \w+)*)  ", picture, re.MULTILINE)
    assert [set(row.split(", ")) for row in reversed(rows)] == list(map(set, LAYERS))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_a_page_names_exist(page: str) -> None:
    named = re.findall(r"`([\w./]+/[\w./]*)`", (ROOT / page).read_text())
    places = (ROOT, ROOT / "pytest_realtime_asr")
    for path in named:
        found = [place for place in places if (place / path).exists()]
        assert found or "NAME" in path, path


# The workers that the conftest of the project starts

TESTPATHS = pytest.Config.ArgsSource.TESTPATHS
ARGS = pytest.Config.ArgsSource.ARGS


@pytest.mark.parametrize(
    ("changes", "workers"),
    [
        ({}, 2),
        ({"source": ARGS}, None),
        ({"root": Path("/")}, None),
        ({"args": ["--realtime-target=fake"]}, None),
        ({"usepdb": True}, None),
        ({"numprocesses": 0}, 0),
        ({"numprocesses": 4}, 4),
        ({"worker": "gw0"}, None),  # each worker would start two more, without end
    ],
)
def test_two_workers_run_all_tests(
    changes: dict[str, Any], workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if "worker" in changes:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", changes["worker"])
    option = SimpleNamespace(
        usepdb=changes.get("usepdb", False),
        numprocesses=changes.get("numprocesses"),
        dist="no",
    )
    config: Any = SimpleNamespace(
        args_source=changes.get("source", TESTPATHS),
        rootpath=changes.get("root", ROOT),
        invocation_params=SimpleNamespace(args=changes.get("args", [])),
        option=option,
        getoption=lambda name, default=None: getattr(option, name, default),
    )
    spec = importlib.util.spec_from_file_location("project", ROOT / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.pytest_cmdline_main(config)
    assert option.numprocesses == workers
    assert option.dist == ("loadfile" if changes == {} else "no")
