"""Measure the ten runs that `docs/guide/trend.md` shows.

Each run is a night of a fake server with a known delay of its finals: about 300 ms, and
20 % more from the sixth night on. The delays of equal nights differ by some per cent,
as nights do. It takes some minutes.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "examples" / "nightly" / "trend"
HOST = "bench"  # the name of the machine in the reports
DELAYS = (300, 309, 294, 303, 291, 363, 354, 369, 357, 360)  # ms
TEST = """
import pytest

@pytest.mark.latency_budget("final_from_commit", p95="2s")
@pytest.mark.wer_threshold(0.5)
def test_commands(realtime, corpus):
    realtime.transcribe(list(corpus)[:8], concurrency=4)
"""
INI = """[pytest]
asyncio_default_fixture_loop_scope = function
realtime_target = fake
realtime_rules = off
realtime_warmup = 1
"""


def main() -> int:
    """Measure all nights, and write a report of each into the folder of the example."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        (project / "test_commands.py").write_text(TEST)
        (project / "pytest.ini").write_text(INI)
        for night, delay in enumerate(DELAYS, 1):
            report = FOLDER / f"night-{night:02}.jsonl"
            report.unlink(missing_ok=True)
            command = [sys.executable, "-m", "pytest", "-q", "-n", "0"]
            command += [f"--realtime-fake=--final-delay {delay}ms"]
            command += [f"--realtime-report={report}"]
            subprocess.run(command, cwd=project, check=True, timeout=120)
            text = report.read_text()
            report.write_text(text.replace(f'"{platform.node()}"', f'"{HOST}"'))
    return 0


if __name__ == "__main__":
    sys.exit(main())
