"""The command ``list``: lists requirements, dialects, metrics, options or faults."""

from __future__ import annotations

import argparse

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.plugin.options import GROUPS
from pytest_realtime_asr.report import listing
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.requirement import Level

HELP = (
    "list the requirements, the dialects, the metrics, the options of the plugin or "
    "the faults of the fake server"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("what", choices=listing.LISTS, help="the list to show")
    add(
        "--dialect",
        default=AUTO,
        metavar="NAME[:PROFILE]",
        help="list the requirements of this dialect (default: of all dialects)",
    )
    add(
        "--level",
        choices=[level.value for level in Level],
        default=Level.INFO.value,
        help="list requirements of this level and of stronger levels (default: "
        "info, which lists all)",
    )
    add(
        "--suite",
        choices=pinned_suites.names(),
        help="list the requirements of this pinned suite (default: the newest "
        "requirements)",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    match options.what:
        case "requirements":
            pinned = pinned_suites.load(options.suite) if options.suite else None
            lines = listing.requirements(
                options.dialect, level=Level(options.level), pinned=pinned
            )
        case "dialects":
            lines = listing.installed_dialects()
        case "metrics":
            lines = listing.metrics()
        case "faults":
            lines = listing.faults()
        case _:
            lines = listing.options(GROUPS)
    print("\n".join(lines))
    return 0
