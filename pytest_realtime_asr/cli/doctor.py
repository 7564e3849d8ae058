"""The command ``doctor``: says what is known about a server before tests run."""

from __future__ import annotations

import argparse
from functools import partial

from pytest_realtime_asr.cli import pytest_process

HELP = (
    "say what is known about a server, its models, the corpus and this machine before "
    "audio is sent; the exit code is 1 if tests cannot run"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "target",
        metavar="URL",
        help="the server, written as for --realtime-target",
    )
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        metavar="OPTION",
        help="options of the plugin, such as --realtime-corpus=PATH; --dialect=NAME is "
        "short for --realtime-dialect=NAME; options from the ini file and from the "
        "environment apply too",
    )
    parser.set_defaults(run=partial(_run, parser))


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if {"-h", "--help"} & {*options.options}:  # after the URL, all words are options
        parser.print_help()
        return 0
    # Only pytest reads the ini file, and the options that it sets.
    words = ["--realtime-doctor", f"--realtime-target={options.target}"]
    return pytest_process.run([*words, *map(_plugin_option, options.options)])


def _plugin_option(word: str) -> str:
    """Return ``word`` with the short option ``--dialect`` replaced by its full name."""
    name, equals, value = word.partition("=")
    return f"--realtime-dialect{equals}{value}" if name == "--dialect" else word
