"""The projects in `examples/` pass as they are, also without docstrings and asserts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"
PASSED = {
    "asgi_server": 3,
    "ci": 1,
    "client": 2,
    "dialect": 9,
    "nightly": 2,
    "recordings": 2,
    "vllm": 7,
}
FILES = {"traces"}  # without a test; the guide on traces reads them


@pytest.fixture
def installed(name: str, request: pytest.FixtureRequest) -> None:
    """Install the example if it is a package."""
    if (EXAMPLES / name / "pyproject.toml").exists():
        request.getfixturevalue("steno")


def run(name: str, folder: Path, *options: str) -> str:
    """Run the tests of one example in a copy of it; return what pytest printed."""
    project = shutil.copytree(EXAMPLES / name, folder / name)
    command = [sys.executable, *options, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_has_a_readme_and_is_run() -> None:
    found = {path.parent.name for path in EXAMPLES.glob("*/README.md")}
    assert found == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert found == {*PASSED, *FILES}


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", PASSED)
def test_an_example_passes(name: str, tmp_path: Path) -> None:
    assert f"= {PASSED[name]} passed in " in run(name, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", PASSED)
def test_an_example_passes_without_docstrings(name: str, tmp_path: Path) -> None:
    # pytest warns that only the assertions of test modules are executed.
    assert f"= {PASSED[name]} passed, 1 warning in " in run(name, tmp_path, "-OO")
