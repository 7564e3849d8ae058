"""What the plugin costs a run that does not use it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

from benchmarks.comparison import Comparison, in_turns


def _cpu(*command: str) -> float:
    """Return the CPU time in ms of a Python process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        check=False,  # pytest exits with 5 if it has collected no test
        timeout=60,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used * 1e3


def compare(*, rounds: int) -> list[Comparison]:
    """Compare pytest with the plugin and without it, and the import of the session."""
    pytest = ("-m", "pytest", "-q", "--co", os.devnull)
    plugin = ("-p", "pytest_realtime_asr.plugin")
    session = "import pytest_realtime_asr.client.session"
    library = "import websockets.asyncio.client"
    return [
        Comparison(
            "pytest with the plugin, unused, beside without",
            "ms",
            *in_turns(
                lambda: _cpu(*pytest, *plugin), lambda: _cpu(*pytest), rounds=rounds
            ),
        ),
        Comparison(
            "import of the session, beside websockets",
            "ms",
            *in_turns(
                lambda: _cpu("-c", session), lambda: _cpu("-c", library), rounds=rounds
            ),
        ),
    ]
