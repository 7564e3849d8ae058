"""The commands and the tests of the guide on replay do what the guide says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pytest_realtime_asr.trace import records
from tests.support.paths import ROOT
from tests.support.project import Project

PAGE = (ROOT / "docs/guide/replay.md").read_text()
COMMANDS = re.findall(r"^\$ (pytest .*)$", PAGE, re.MULTILINE)
TESTS, ONE_TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(REASON,) = re.findall(r"```text\n(.*?)\n```", PAGE)


def arguments(command: str, url: str) -> list[str]:
    """The arguments of a command of the page, with the URL of another server."""
    return shlex.split(command.replace("http://gpu-7:8000", url))[1:]


@pytest.mark.slow
def test_recorded_sessions_serve_the_tests(project: Project) -> None:
    (project.path / "test_it.py").write_text(TESTS.replace('p95="800ms"', 'p95="10s"'))
    record, replay = COMMANDS
    given = ("--realtime-pace=1",)
    project.run(*arguments(record, project.url), *given, target=None).assert_outcomes(
        passed=1
    )
    kept = list((project.path / "recorded").rglob("*.jsonl"))
    assert kept
    assert not any(records.read(path).replayed for path in kept)
    result = project.run(*arguments(replay, ""), *given, target=None)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines("test_commands * PASS replayed")
    (project.path / "test_it.py").write_text(TESTS.replace("turn-right", "turn-left"))
    result = project.run(*arguments(replay, ""), "--realtime-pace=32", target=None)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(f"*{REASON}*")
    assert all(path.exists() for path in kept)


@pytest.mark.slow
def test_one_test(project: Project) -> None:
    (project.path / "test_it.py").write_text(ONE_TEST)
    project.run().assert_outcomes(passed=1)


def test_the_page_names_what_exists() -> None:
    linked = re.findall(r"\]\((?!http)([\w./-]+\.md)", PAGE)
    assert linked
    for each in linked:
        assert Path(ROOT / "docs/guide" / each).exists(), each
