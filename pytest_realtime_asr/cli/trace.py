"""The command ``trace``: shows the traces that were kept."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_realtime_asr.corpus import Corpus, load_all
from pytest_realtime_asr.report import (
    perfetto,
    strip,
    trace_diff,
    trace_judgement,
    trace_show,
)
from pytest_realtime_asr.report.layout import LEAST, USUAL, painted
from pytest_realtime_asr.run import recorded_results
from pytest_realtime_asr.text.inputs import whole
from pytest_realtime_asr.text.number_format import several
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.verdicts.run_limits import run_limits
from pytest_realtime_asr.verdicts.verdict import Verdict

HELP = "show kept traces, judge or compare them, or write them for Perfetto"
_WIDEST = 120  # columns
_VIEWS = ("show", "judge", "diff", "perfetto")
_EXIT_CODES = {Verdict.FAIL: 1, Verdict.INCONCLUSIVE: 3, Verdict.INVALID: 3}


def with_view(words: Sequence[str]) -> list[str]:
    """Return the words of a command line, and insert ``show`` if they name no view.

    ``trace FILE`` is a short form of ``trace show FILE``.
    """
    if not words or words[0] in (*_VIEWS, "-h", "--help"):
        return list(words)
    return ["show", *words]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser: one subcommand for each view."""
    views = parser.add_subparsers(required=True, metavar="VIEW")
    show = views.add_parser(
        "show",
        help="show what was said and recognised, the session over time, its frames, "
        "and the requirements that it violates; the word show may be left out",
    )
    show.add_argument("file", type=Path, metavar="FILE", help="a file of a trace")
    show.add_argument(
        "--all",
        action="store_true",
        help="show every frame (default: the first and the last frames, and those near "
        "a violation); a frame that violates a requirement is marked by >",
    )
    _add_item(show)
    _add_corpus(show)
    show.set_defaults(run=_show)
    judge = views.add_parser(
        "judge",
        help="compute the metrics, errors and violations of traces again, and judge "
        "limits; the exit code is 1 if a limit is missed or a MUST is violated, and 3 "
        "if a limit is not decided",
    )
    _add_places(judge)
    judge.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="LIMITS",
        help="limits as in --realtime-budget, such as 'final_from_commit p95 <= 800ms, "
        "wer <= 12%%' (repeatable)",
    )
    judge.add_argument(
        "--report",
        type=Path,
        metavar="REPORT.jsonl",
        help="compare with this JSON Lines report of the run, and show only the "
        "numbers that differ; the exit code is 1 if a number differs",
    )
    _add_corpus(judge)
    judge.set_defaults(run=_judge)
    diff = views.add_parser(
        "diff",
        help="show how two sessions differ in the frames of the client, in the frames "
        "of the server, in the texts and in the times; the exit code is 1 if frames or "
        "texts differ",
    )
    for name in ("A", "B"):
        diff.add_argument(
            f"trace_{name.lower()}", type=Path, metavar=name, help="a file of a trace"
        )
    diff.add_argument("--all", action="store_true", help="show the times of all words")
    _add_item(diff)
    diff.set_defaults(run=_diff)
    timeline = views.add_parser(
        "perfetto",
        help="write traces in Chrome's trace event format, to open in "
        "https://ui.perfetto.dev or chrome://tracing",
    )
    _add_places(timeline)
    timeline.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT.json",
        help="the file to write",
    )
    timeline.set_defaults(run=_perfetto)


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "places",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="a file of a trace, or a folder with traces",
    )


def _add_item(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--item",
        type=_item,
        metavar="N",
        help="the number of the utterance in its session, counted from 1 (default: "
        "each utterance that the trace describes)",
    )


def _add_corpus(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="CORPUS",
        help="the corpus of the run, for a trace that does not describe what was said "
        "(repeatable)",
    )


def _item(value: str) -> int:
    """Convert the number of an utterance, counted from 1, to an index from 0."""
    try:
        return whole(value, 1, 1_000_000) - 1
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _show(options: argparse.Namespace) -> int:
    trace = records.read(options.file)
    _print(
        trace_show.lines(
            trace,
            item=options.item,
            whole=options.all,
            corpus=_corpus(options.corpus),
            width=_width(),
        )
    )
    return 0


def _judge(options: argparse.Namespace) -> int:
    limits = run_limits(options.budget)
    paths = recorded_results.files(options.places)
    sessions = recorded_results.sessions(paths, corpus=_corpus(options.corpus))
    if options.report is not None:
        found = list(trace_judgement.differences(sessions, options.report))
        count = several(sum(len(each.takes) for each in sessions), "utterance")
        _print(found or [f"all numbers of {count} are the same as in {options.report}"])
        return 1 if found else 0
    results = recorded_results.judge(sessions, limits)
    _print(trace_judgement.lines(sessions, results, width=_width()))
    return 0 if results.verdict is None else _EXIT_CODES.get(results.verdict, 0)


def _diff(options: argparse.Namespace) -> int:
    found = trace_diff.compare(
        options.trace_a,
        options.trace_b,
        item=options.item,
        whole=options.all,
        width=_width(),
    )
    _print(found.lines)
    return 0 if found.same else 1


def _perfetto(options: argparse.Namespace) -> int:
    paths = recorded_results.files(options.places)
    output: Path = options.output
    if any(path.resolve() == output.resolve() for path in paths):
        raise ValueError(f"{output} is one of the traces; name another file with -o")
    output.write_bytes(perfetto.document([records.read(path) for path in paths]))
    print(output)
    return 0


def _corpus(places: Sequence[str]) -> Corpus | None:
    return load_all(places) if places else None


def _print(lines: Iterable[str]) -> None:
    """Print lines; in a terminal, the charts of utterances over time have colours."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        lines = map(painted, strip.coloured(lines))
    for line in lines:
        print(line)


def _width() -> int:
    return max(LEAST, min(shutil.get_terminal_size((USUAL, 0)).columns, _WIDEST))
