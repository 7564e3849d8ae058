"""The command ``trace``: shows the frames of a trace that was kept."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.report.transcript import transcript
from pytest_realtime_asr.requirements.violations import observe
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace import records

HELP = "show the frames of a kept trace, and the requirements that its session violates"
_LONGEST = 200  # characters of the target and of the session's id


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a file of a trace")
    parser.add_argument(
        "--all",
        action="store_true",
        help="show every frame (default: the first and the last frames, and those near "
        "a violation); a frame that violates a requirement is marked by >",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for line in _lines(options.file, whole=options.all):
        print(line)
    return 0


def _lines(file: Path, *, whole: bool) -> Iterator[str]:
    """Yield the lines to show. Raises ValueError, OSError or LookupError."""
    trace = records.read(file)
    dialect = dialects.load(trace.dialect)
    part = dialects.part(dialect, trace)
    broken = observe(dialect.requirements, part)
    version = f" {trace.version}" if trace.version else ""
    yield shortened(printable(f"{trace.target}, {trace.dialect}{version}"), _LONGEST)
    session = shortened(printable(part.timeline.session), _LONGEST) or "?"
    yield f"session {session}, started {trace.started:%Y-%m-%d %H:%M:%S} UTC"
    marked = {record for each in broken for record in each.records}
    yield from transcript(trace, marked, whole=whole)
    yield from map(str, broken)
