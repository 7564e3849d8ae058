"""The package of `examples/dialect`, installed into a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT

SOURCE = ROOT / "examples/dialect"


def install(folder: Path) -> Path:
    """Install the package without its dependencies; return where it can be imported.

    The source is copied first, since a build may write beside it.
    """
    source = shutil.copytree(SOURCE, folder / "source")
    site = folder / "site"
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *options]
    done = subprocess.run(
        [*command, "--target", str(site), str(source)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return site


def search_path(site: Path) -> str:
    """Return a ``PYTHONPATH`` with the installed package."""
    return os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
