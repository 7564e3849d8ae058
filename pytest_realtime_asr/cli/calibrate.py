"""The command ``calibrate``: measures how far the client's own times are off."""

from __future__ import annotations

import argparse

from pytest_realtime_asr.cli import pytest_process
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT

HELP = (
    "measure how far the client's own times are off on this machine, and keep the "
    "result in pytest's cache for the header and the reports"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--dialect",
        default=DEFAULT_DIALECT,
        metavar="NAME",
        help=f"the protocol of the fake server (default {DEFAULT_DIALECT})",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # The result is kept in pytest's cache, and only pytest knows where the cache is.
    words = ["--realtime-calibrate", f"--realtime-dialect={options.dialect}"]
    return pytest_process.run(words)
