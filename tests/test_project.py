"""The files of the project agree: versions of Python, sessions, pages of the site."""

from __future__ import annotations

import ast
import re
import tomllib

from tests.support.paths import ROOT

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


def test_the_sessions_of_the_workflow_are_there() -> None:
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
