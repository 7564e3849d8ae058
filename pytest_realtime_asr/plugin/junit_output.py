"""The ``system-out`` of a test case in JUnit XML: server output and attachments.

A line such as ``[[ATTACHMENT|path]]`` makes GitLab and Jenkins (with the plugin JUnit
Attachments) show a link to the file at this path. GitLab links only the first file of a
test case. For GitLab, the path is relative to the folder of the project,
``CI_PROJECT_DIR``. For Jenkins, the path is absolute.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from pytest_realtime_asr.plugin.options import SERVER_OUTPUT
from pytest_realtime_asr.plugin.pytest_internals import output_to_junit
from pytest_realtime_asr.report.junit import PREFIX
from pytest_realtime_asr.text.messages import printable


def add(
    config: pytest.Config,
    report: pytest.TestReport,
    *,
    files: Iterable[Path],
    environment: Mapping[str, str],
) -> None:
    """Add the server output of a failed test, and the paths of the attached ``files``.

    ``environment`` has the variable ``CI_PROJECT_DIR`` in GitLab. pytest itself writes
    only standard output, standard error and logs.
    """
    parts = [
        f"{f' {name} ':-^80}\n{text}"
        for name, text in report.sections
        if SERVER_OUTPUT in name
    ]
    root = environment.get("CI_PROJECT_DIR", "")
    parts += [f"[[ATTACHMENT|{_placed(path, root)}]]" for path in files]
    if parts:
        output_to_junit(config, report, "\n".join(parts))


def traces(config: pytest.Config, report: pytest.TestReport) -> Iterator[Path]:
    """Yield the path of the first trace of a test, if the test has a trace."""
    for name, value in report.user_properties:
        if name == f"{PREFIX}trace" and value:
            yield config.invocation_params.dir / str(value)


def _placed(path: Path, root: str) -> str:
    """Return a path as the CI service reads it: relative to ``root``, or absolute."""
    absolute = Path(os.path.abspath(path))
    if root and absolute.is_relative_to(root):
        return printable(absolute.relative_to(root).as_posix())
    return printable(str(absolute))
