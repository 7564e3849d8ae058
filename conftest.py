"""Run the whole of the project's tests in two worker processes.

In an editable install, this file is also read by runs of the packaged suite in other
folders, and pytest refuses `pytest_plugins` there: pyproject.toml names `pytester`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

WORKERS = 2


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads its options
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Start workers for `pytest` without files, if pytest-xdist is installed.

    Each worker runs whole files, since their fixtures are slow to make. Options of the
    plugin, ``--pdb`` and ``-n 0`` start none.
    """
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if (
        whole
        and "PYTEST_XDIST_WORKER" not in os.environ  # a worker runs this hook as well
        and config.rootpath == Path(__file__).parent
        and not any("--realtime" in each for each in config.invocation_params.args)
        and not config.getoption("usepdb")
        and config.getoption("numprocesses", 0) is None
    ):
        config.option.numprocesses = WORKERS
        config.option.dist = "loadfile"
