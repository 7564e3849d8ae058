"""A run of the packaged suite against a server of the bench."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from served import KEY_VARIABLE, Served

LIMIT = 600  # s for a run
SETTINGS = """
[pytest]
asyncio_default_fixture_loop_scope = function
realtime_warmup = 0
realtime_pace = 4
realtime_timeout = 15s
"""


def judged(served: Served, folder: Path, *words: str) -> list[dict[str, Any]]:
    """Run the suite and return a row for each requirement, as the report has it.

    AssertionError with the output is raised if the suite wrote no report.
    """
    report = folder / "conformance.json"
    options = ("--realtime-conformance", f"--realtime-report=conformance:{report}")
    ended = run_pytest(served, folder, *options, *words)
    assert report.exists(), ended.stdout + ended.stderr
    rows: list[dict[str, Any]] = json.loads(report.read_text())["requirements"]
    return rows


def run_pytest(
    served: Served, folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest in the folder with the server as its target."""
    (folder / "pytest.ini").write_text(SETTINGS)
    command = [sys.executable, "-m", "pytest", f"--realtime-target={served.url}"]
    command += [f"--realtime-dialect={served.server.dialect}", "-p", "no:cacheprovider"]
    environment = {**os.environ, KEY_VARIABLE: served.key or ""}
    return subprocess.run(
        [*command, *words],
        cwd=folder,
        env=environment,
        timeout=LIMIT,
        capture_output=True,
        text=True,
    )
