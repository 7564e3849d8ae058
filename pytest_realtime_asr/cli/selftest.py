"""The command ``selftest``: tests the checks of the packaged suite themselves."""

from __future__ import annotations

import argparse

from pytest_realtime_asr.conformance import selftest
from pytest_realtime_asr.report.progress import show_status

HELP = (
    "test the packaged suite on this machine: each check must pass on a correct fake "
    "server, and fail on a fake server with the matching fault"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--dialect", metavar="NAME", help="the dialect to test (default: all)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    scores = selftest.selftests(options.dialect, progress=show_status)
    show_status("")
    for score in scores:
        print(*score.unproven, str(score), sep="\n")
    return int(any(score.unproven for score in scores))
