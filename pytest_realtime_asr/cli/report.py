"""The command ``report``: shows conformance reports as a table or as a badge."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_realtime_asr.report import conformance

HELP = "show conformance reports as a table or as a badge"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser: one subcommand for each view."""
    views = parser.add_subparsers(required=True, metavar="VIEW")
    matrix = views.add_parser(
        "matrix",
        help="a Markdown table with a row for each requirement and a column for each "
        "report",
    )
    matrix.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json")
    matrix.set_defaults(run=_matrix)
    badge = views.add_parser(
        "badge", help="the JSON of a badge, in the endpoint format of shields.io"
    )
    badge.add_argument("report", type=Path, metavar="REPORT.json")
    badge.set_defaults(run=_badge)


def _matrix(options: argparse.Namespace) -> int:
    found = list(map(conformance.read, options.reports))
    names = [path.name for path in options.reports]
    if len(set(names)) < len(names):
        names = list(map(str, options.reports))
    print(conformance.matrix(found, names), end="")
    return 0


def _badge(options: argparse.Namespace) -> int:
    print(conformance.badge(conformance.read(options.report)).decode(), end="")
    return 0
