"""The command ``report``: views of conformance reports."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_realtime_asr.report import conformance

HELP = "show conformance reports"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the views of the command to its parser."""
    views = parser.add_subparsers(required=True, metavar="VIEW")
    matrix = views.add_parser(
        "matrix", help="a Markdown table of requirements by servers"
    )
    matrix.add_argument("reports", nargs="+", type=Path, metavar="REPORT.json")
    matrix.set_defaults(run=_matrix)
    badge = views.add_parser("badge", help="a badge in shields.io's endpoint format")
    badge.add_argument("report", type=Path, metavar="REPORT.json")
    badge.set_defaults(run=_badge)


def _matrix(options: argparse.Namespace) -> int:
    print(conformance.matrix(list(map(conformance.read, options.reports))), end="")
    return 0


def _badge(options: argparse.Namespace) -> int:
    print(conformance.badge(conformance.read(options.report)).decode(), end="")
    return 0
