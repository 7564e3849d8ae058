"""The command ``init``: writes the files with which a project begins its tests."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
from pytest_realtime_asr.plugin import parsing, pytest_internals
from pytest_realtime_asr.report.new_project import (
    CONFTEST,
    DIALECT,
    INI,
    TARGET,
    TEST,
    NewProject,
    is_application,
)

HELP = (
    "write a conftest.py, a pytest.ini and a test into a folder; existing files are "
    "not changed"
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
        help="the server to test, written as for --realtime-target, or an ASGI "
        "application in a module (default: fake, a scripted server)",
    )
    parser.add_argument(
        "--dialect",
        metavar="NAME",
        help="the protocol of the server, which is written into the ini file (default: "
        f"{DEFAULT_DIALECT} for an ASGI application; none for another server, whose "
        "protocol the tests detect)",
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
    project = NewProject(options.target, _dialect(options.dialect, options.target))
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
    if found is not None and project.dialect and DIALECT not in found[1]:
        words.insert(1, f"--realtime-dialect={project.dialect}")
    if project.dialect and not options.dialect:
        print(
            f"the dialect is {project.dialect}, since the dialect of an application is "
            "not detected; name another dialect with --dialect=NAME"
        )
    print(f"next: {shlex.join(words)}")
    return 0


def _dialect(named: str | None, target: str) -> str:
    """Return the dialect for the ini file; "" if the file is to name no dialect.

    Raises ValueError if there is no dialect with the given name.
    """
    if named is None:
        return DEFAULT_DIALECT if is_application(target) else ""
    try:
        dialects.load(named)
    except LookupError as error:
        raise ValueError(f"--dialect: {error.args[0]}") from None
    return named


def _tell(path: Path, lines: Sequence[str]) -> None:
    """Print that an existing file was not changed, and which lines to add to it."""
    advice = "; add these lines to it:" if lines else ""
    print(f"did not change {path}, which exists{advice}")
    for line in lines:
        print(f"    {line}".rstrip())
