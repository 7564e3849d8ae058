"""The command ``calibrate``: the header of the next run shows its result."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.project import Project


def calibrate(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_realtime_asr", "calibrate", *words]
    return subprocess.run(command, cwd=project.path, capture_output=True, text=True)


def test_an_unknown_dialect(project: Project) -> None:
    done = calibrate(project, "--dialect", "none")
    assert done.returncode == 4
    assert "--realtime-dialect: unknown dialect 'none'" in done.stderr


@pytest.mark.slow
def test_the_result_is_in_the_header_of_the_next_run(project: Project) -> None:
    done = calibrate(project)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert line.startswith("calibrated ")
    project.write("def test_it(): pass")
    project.run(target=None).stdout.fnmatch_lines([f"realtime: {line}"])
