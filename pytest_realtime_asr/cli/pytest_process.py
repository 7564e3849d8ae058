"""Runs pytest for a command whose settings only pytest can read."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable


def run(words: Iterable[str]) -> int:
    """Run pytest with the plugin and these arguments; return its exit code.

    pytest runs in a new process. If it ran in the same process as the command, it would
    warn that the plugin is already imported. A project may treat warnings as errors.
    """
    command = [sys.executable, "-m", "pytest", "-p", "realtime_asr", *words]
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:  # pytest has got it too, and has ended
        return 2
