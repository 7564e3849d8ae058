"""The command ``dialect``, which checks a dialect of this or another package."""

from __future__ import annotations

import argparse

from pytest_realtime_asr import dialects
from pytest_realtime_asr.conformance import dialect_check, selftest
from pytest_realtime_asr.report.progress import show_status

HELP = "check the parts of a dialect, then its requirements on its fake server"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help=HELP, description=HELP)
    check.add_argument(
        "name", metavar="NAME[:PROFILE]", help="the dialect, and its profile if any"
    )
    check.add_argument(
        "--quick",
        action="store_true",
        help="check only the parts, without a server; takes about a second",
    )
    check.set_defaults(run=_check)


def _check(options: argparse.Namespace) -> int:
    dialect = dialects.load(options.name)
    wrong = False
    for finding in dialect_check.findings(dialect):
        wrong |= bool(finding.problems)
        print(f"{'wrong' if finding.problems else 'ok':<6} {finding.statement}")
        for problem in finding.problems:
            print(f"{'':<6} - {problem}")
    if options.quick:
        return int(wrong)
    if wrong:
        print(
            "because of the errors above, the requirements were not tried on the "
            "fake server"
        )
        return 1
    score = selftest.selftest(options.name, progress=show_status)
    show_status("")
    print(*score.unproven, str(score), sep="\n")
    return int(bool(score.unproven))
