"""The command ``report``: shows reports as a page, a table or a badge."""

from __future__ import annotations

import argparse
from pathlib import Path

from pytest_realtime_asr.corpus import load_all
from pytest_realtime_asr.report import conformance
from pytest_realtime_asr.report.page import offline

HELP = "show reports as an HTML page, as a table or as a badge"


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
    page = views.add_parser(
        "html", help="the HTML page of a JSON Lines report and its traces"
    )
    page.add_argument("report", type=Path, metavar="REPORT.jsonl")
    page.add_argument(
        "--traces",
        type=Path,
        metavar="DIR",
        help=f"the folder of the traces (default: {offline.FOLDER} beside the report)",
    )
    page.add_argument(
        "--conformance",
        type=Path,
        metavar="REPORT.json",
        help="a conformance report of the same run",
    )
    page.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="CORPUS",
        help="the corpus of the run, for the audio of the worst sessions (repeatable)",
    )
    page.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PAGE.html",
        help="the page (default: the path of the report, ending in .html)",
    )
    page.set_defaults(run=_page)


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


def _page(options: argparse.Namespace) -> int:
    output: Path = options.output or options.report.with_suffix(".html")
    if output.resolve() == options.report.resolve():
        raise ValueError(f"{output} is the report itself; name another file with -o")
    lines = offline.page(
        options.report,
        traces=options.traces,
        suite=options.conformance,
        corpus=load_all(options.corpus) if options.corpus else None,
    )
    output.write_bytes(b"".join(lines))
    print(output)
    return 0
