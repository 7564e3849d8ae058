"""What the plugin and its suite say about released servers, compared with the docs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance_run import judged, run_pytest
from findings import known, matrix_line
from released import SERVERS, VLLM, Server
from served import Served, serving

HERE = Path(__file__).parent
DOCS = HERE.parents[2] / "docs"
KEY = "interop-key-1234"
PROJECT = """
import pytest

@pytest.mark.parametrize("name", ["turn-right", "open-door"])
def test_clip(realtime, corpus, name):
    utterance = corpus[name]
    assert realtime.transcribe(utterance).text == utterance.text
"""


def skip_unless_asked(server: Server) -> None:
    if not os.environ.get(server.asked):
        command = f"{server.asked}=1 pytest -n 0 tests/interop/servers"
        pytest.skip(f"to run it: {command}")


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS)
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    server: Server = request.param
    skip_unless_asked(server)
    with serving(server, key=KEY if server.keyed else None) as served:
        yield served


@pytest.mark.interop
def test_plugin_hears_the_right_texts(served: Served, tmp_path: Path) -> None:
    (tmp_path / "test_texts.py").write_text(PROJECT)
    ended = run_pytest(served, tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "2 passed" in ended.stdout


@pytest.mark.interop
def test_suite_finds_the_known_violations(served: Served, tmp_path: Path) -> None:
    server, findings = served.server, known()
    rows = [
        row
        for row in judged(served, tmp_path, "--realtime-keep-going")
        if row["id"] not in findings.by_chance()
    ]
    found = {
        status: {row["id"] for row in rows if row["status"] == status}
        for status in ("violated", "same cause", "undecided")
    }
    assert found == {
        "violated": findings.violated(server),
        "same cause": findings.violated(server, status="same cause"),
        "undecided": findings.open(server),
    }
    levels = {row["id"]: row["level"] for row in rows}
    for finding in findings.findings:
        if server.name in finding.where:
            assert levels[finding.requirement] == finding.level
    assert matrix_line(server, rows) in (DOCS / "servers.md").read_text()


@pytest.mark.interop
def test_a_key_makes_the_first_vllm_unusable(tmp_path: Path) -> None:
    server = VLLM[0]
    skip_unless_asked(server)
    with serving(server, key=KEY) as served:
        ended = run_pytest(served, tmp_path, "--realtime-conformance")
    assert ended.returncode == 1, ended.stdout
    refused = "first-utterance [MUST] missing: no session could be opened: "
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith(refused))
    assert line.endswith("HTTP 500: server error")
    assert " stopped, 1 missing" in ended.stdout


def test_page_has_every_finding() -> None:
    page = (DOCS / "servers.md").read_text().splitlines()
    missing = [line for line in known().lines() if line not in page]
    assert not missing


def test_page_has_every_stand_in() -> None:
    page = (DOCS / "interop.md").read_text()
    tables = [
        (path.name, name)
        for path in [*sorted(HERE.glob("*_application.py")), HERE / "vllm_engine.py"]
        for name in stand_ins(path)
    ]
    assert {name for name, _ in tables} >= {"vllm_engine.py", "sglang_application.py"}
    missing = [name for _, name in tables if f"`{name}`" not in page]
    assert not missing


def stand_ins(path: Path) -> list[str]:
    """Return the names that a module of the bench replaces."""
    return [
        str(key.value)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id.lower() == "stand_ins"
        and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]
