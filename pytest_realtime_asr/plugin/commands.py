"""The options that run a command in place of the tests."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import selftest
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
from pytest_realtime_asr.plugin import kept_calibration, pytest_internals
from pytest_realtime_asr.plugin.options import OPTIONS, RawOptions
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.report import listing
from pytest_realtime_asr.report.progress import show_status
from pytest_realtime_asr.run import calibration


def run(name: str, config: pytest.Config) -> int:
    """Run one command; returns the exit code. Raises UsageError."""
    commands = {"selftest": _selftest, "calibrate": _calibrate, "list": _list}
    return commands[name](State(config, RawOptions(config)))


def _selftest(state: State) -> int:
    """Prove each requirement both ways on this machine, and print the scores."""
    named = state.settings.dialect
    try:
        scores = selftest.selftests(
            None if named == AUTO else named, progress=show_status
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    show_status("")
    for score in scores:
        print(*score.unproven, str(score), sep="\n")
    return int(any(score.unproven for score in scores))


def _calibrate(state: State) -> int:
    """Measure how far the times are off on this machine; print it and keep it."""
    named = state.settings.dialect
    try:
        found = calibration.run(
            DEFAULT_DIALECT if named == AUTO else named, progress=show_status
        )
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None
    except RuntimeError as error:
        raise pytest.UsageError(f"--realtime-calibrate: {error}") from None
    finally:
        show_status("")
    print(*found.lines, str(found), sep="\n")
    pytest_internals.configure(state.config)  # so that there is a cache
    if not kept_calibration.keep(state.config, found):
        print("not kept: pytest's cache is off; leave out -p no:cacheprovider")
    return 0


def _list(state: State) -> int:
    """Print a list of what there is."""
    settings, asked = state.settings, state.config.getoption("realtime_list")
    try:
        match asked:
            case "requirements":
                lines = listing.requirements(
                    settings.dialect,
                    level=settings.suite.level,
                    pinned=settings.run.pinned,
                )
            case "dialects":
                lines = listing.installed_dialects()
            case "metrics":
                lines = listing.metrics()
            case "options":
                lines = listing.options(OPTIONS)
            case _:
                *others, last = listing.LISTS
                raise ValueError(f"{asked!r}; there are {', '.join(others)} and {last}")
    except (ValueError, LookupError) as error:
        raise pytest.UsageError(f"--realtime-list: {error.args[0]}") from None
    print("\n".join(lines))
    return 0
