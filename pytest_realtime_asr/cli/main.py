"""Parses the command line and runs the command that it names."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from pytest_realtime_asr.cli import (
    calibrate,
    dialect,
    doctor,
    fake,
    init,
    report,
    selftest,
    trace,
)
from pytest_realtime_asr.cli import list as list_command
from pytest_realtime_asr.corpus import CorpusError
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.messages import one_line

_COMMANDS = {
    "init": init,
    "fake": fake,
    "report": report,
    "selftest": selftest,
    "calibrate": calibrate,
    "doctor": doctor,
    "list": list_command,
    "trace": trace,
    "dialect": dialect,
}

_BROKEN_PIPE = 128 + signal.SIGPIPE  # the exit code of a program that it ends


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["trace"]:
        given[1:] = trace.with_view(given[1:])
    options = parser().parse_args(given)
    try:
        with inputs.reading("an argument"):
            for each in given:
                inputs.plain(each)
        code = int(options.run(options))
        sys.stdout.flush()  # while an error can still be handled
        return code
    except BrokenPipeError:  # the reader, such as head, needs no more output
        # Python flushes the stream once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except CorpusError as error:  # each of its lines is printable
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (LookupError, ValueError, OSError, ImportError) as error:
        message: object = error
        if isinstance(error, LookupError):
            message = error.args[0]
        elif isinstance(error, OSError) and error.filename is not None:
            message = f"{error.filename}: {error.strerror}; check the path"
        print(f"error: {one_line(str(message))}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """A parser whose error messages are one line, without a usage text."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {one_line(message)}; see --help\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, with all commands."""
    made = _Parser(prog="python -m pytest_realtime_asr")
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for name, module in _COMMANDS.items():
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
    return made
