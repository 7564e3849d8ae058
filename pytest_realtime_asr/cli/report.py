"""The command ``report``: shows the reports of earlier runs."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_realtime_asr.corpus import load_all
from pytest_realtime_asr.report import (
    conformance,
    plain_page,
    recorded_runs,
    signoff,
    trend,
    trend_page,
)
from pytest_realtime_asr.report.layout import LEAST, USUAL
from pytest_realtime_asr.report.page import offline
from pytest_realtime_asr.text.messages import one_line
from pytest_realtime_asr.verdicts import signoff as signoffs
from pytest_realtime_asr.verdicts import trend as trends
from pytest_realtime_asr.verdicts.verdict import Verdict

HELP = "show the reports of earlier runs: as a page, a table, a badge or a trend"
_WIDEST = 120  # columns
_EXIT_CODES = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3}


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
        "--history",
        action="extend",
        nargs="+",
        default=[],
        type=Path,
        metavar="EARLIER.jsonl",
        help="reports of earlier runs, for the trend",
    )
    page.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="PAGE.html",
        help="the page to write (default: the report's path with the ending .html)",
    )
    page.set_defaults(run=_page)
    trend_view = views.add_parser(
        "trend",
        help="latency, error rate and capacity over several runs; a change that "
        "exceeds the noise between runs is marked at the first run that shows it",
    )
    trend_view.add_argument("reports", nargs="+", type=Path, metavar="REPORT.jsonl")
    trend_view.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="NAME",
        help="a metric to show in place of the usual metrics (repeatable)",
    )
    _add_output(trend_view)
    trend_view.set_defaults(run=_trend)
    signoff_view = views.add_parser(
        "signoff",
        help="two releases side by side: conformance, latency, error rate, lost "
        "sessions and capacity; the exit code is 0 if nothing became worse, 1 if "
        "something became worse, and 3 if this is not decided",
    )
    for name in ("old", "new"):
        signoff_view.add_argument(
            name,
            type=Path,
            metavar=name.upper(),
            help=f"a folder with the reports of the {name} release (*.jsonl and "
            "*.json), or one report",
        )
    _add_output(signoff_view)
    signoff_view.set_defaults(run=_signoff)


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
        earlier=options.history,
        tell=_tell,
    )
    output.write_bytes(b"".join(lines))
    print(output)
    return 0


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=_page_file,
        metavar="OUT",
        help="a file to write instead of printing: out.html or out.md",
    )


def _page_file(value: str) -> Path:
    path = Path(value)
    if path.suffix not in (".html", ".md"):
        raise argparse.ArgumentTypeError(
            f"{value!r} is neither HTML nor Markdown; write a name such as out.html or "
            "out.md"
        )
    return path


def _trend(options: argparse.Namespace) -> int:
    runs = recorded_runs.read_all(options.reports, tell=_tell)
    found = trends.trend(runs, metrics=options.metric)
    if options.output is None:
        _print(trend.terminal(found, width=_width(), ascii=_ascii()))
    elif options.output.suffix == ".md":
        plain_page.write(options.output, trend.markdown_text(found))
    else:
        plain_page.write(options.output, trend_page.html(found))
    return 0


def _signoff(options: argparse.Namespace) -> int:
    found = signoffs.signoff(_release(options.old), _release(options.new))
    if options.output is None:
        _print(signoff.terminal(found, width=_width()))
    elif options.output.suffix == ".md":
        plain_page.write(options.output, signoff.markdown_text(found))
    else:
        plain_page.write(options.output, signoff.html(found))
    return _EXIT_CODES[found.verdict]


def _release(path: Path) -> signoffs.Release:
    """Return the results of a release. Raises ValueError if there is no report."""
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    runs = [each for each in paths if each.suffix == ".jsonl"]
    others = [each for each in paths if each.suffix == ".json"]
    documents = []
    for each in others:
        try:
            documents.append(conformance.read(each))
        except ValueError as error:
            _tell(f"left out: {error}")
    if not runs and not documents:
        raise ValueError(
            f"{path}: there is no report of a release; give a folder with the files of "
            "--realtime-report (*.jsonl) or conformance reports (*.json)"
        )
    found = tuple(recorded_runs.read_all(runs, tell=_tell)) if runs else ()
    replayed = {row.conditions.replayed for run in found for row in run.rows}
    return signoffs.Release(
        name=str(path),
        runs=found,
        requirements=signoff.requirements(documents),
        replayed=frozenset(replayed | {each.server.replayed for each in documents}),
    )


def _width() -> int:
    return max(LEAST, min(shutil.get_terminal_size((USUAL, 0)).columns, _WIDEST))


def _tell(text: str) -> None:
    print(f"warning: {one_line(text)}", file=sys.stderr)


def _print(lines: Sequence[str]) -> None:
    print("\n".join(lines))


def _ascii() -> bool:
    """Return whether drawings must be ASCII because the terminal does not use UTF-8."""
    return "utf" not in (sys.stdout.encoding or "").lower()
