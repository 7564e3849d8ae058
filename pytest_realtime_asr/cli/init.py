"""The command ``init``: writes the files with which a project begins its tests."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from pytest_realtime_asr.plugin import parsing, pytest_internals
from pytest_realtime_asr.report.new_project import (
    CONFTEST,
    INI,
    TARGET,
    TEST,
    NewProject,
    is_application,
)

HELP = (
    "write a conftest.py, the lines of an ini file and a test into a folder; no file "
    "that exists is changed"
)

_DEFAULT = "fake"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=Path(),
        metavar="FOLDER",
        help="the root folder of the project (default: the current folder)",
    )
    parser.add_argument(
        "--target",
        type=_target,
        default=_DEFAULT,
        metavar="URL|MODULE:NAME",
        help="the server to test, as --realtime-target names it, or an ASGI "
        "application in a module (default fake: a scripted server)",
    )
    parser.set_defaults(run=_run)


def _target(text: str) -> str:
    if is_application(text):
        return text
    try:
        return parsing.target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _run(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder; make it first")
    project = NewProject(options.target)
    found = pytest_internals.ini_file(folder.resolve())
    left: dict[Path, list[str]] = {}
    for name, text in project.files().items():
        if name == INI and found is not None:
            path, names = found
            left[path] = project.ini(besides=names, toml=path.suffix == ".toml")
            continue
        path = folder / name
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            print(f"wrote {path}")
        except FileExistsError:
            left[path] = project.fixture.splitlines() if name == CONFTEST else []
    for path, lines in left.items():
        _tell(path, lines)
    words = ["pytest", str(folder / TEST)]
    if found is not None and not project.fixture:
        path, names = found
        if TARGET not in names or project.target != _DEFAULT:
            words.insert(1, f"--realtime-target={project.target}")
    print(f"next: {shlex.join(words)}")
    return 0


def _tell(path: Path, lines: Sequence[str]) -> None:
    """Say that a file is as before, and which lines the user may add to it."""
    advice = "; add these lines to it:" if lines else ""
    print(f"did not change {path}, which exists{advice}")
    for line in lines:
        print(f"    {line}".rstrip())
