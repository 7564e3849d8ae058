"""Collects the packaged tests: one for each requirement, and the tests that measure."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.plugin.options import SUITE, SUITE_ID
from pytest_realtime_asr.plugin.raw_options import RawOptions
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.requirements.requirement import Requirement

SPEECH = SUITE / "test_speech.py"  # the test of the spoken corpus
CONFORMANCE = (SUITE / "test_requirements.py", SPEECH)
# The tests under load, by the option that asks for them.
LOAD = {"capacity": SUITE / "test_capacity.py", "soak": SUITE / "test_soak.py"}


def unasked(path: Path, options: RawOptions) -> bool:
    """Return whether a file has a packaged load test that no option asks for."""
    return any(path == file and not options.text(name) for name, file in LOAD.items())


def add(config: pytest.Config, options: RawOptions) -> None:
    """Add the packaged tests that the options ask for to the paths to collect.

    If the command line names no paths, only the packaged tests are collected. If it
    names paths, the tests at these paths and the packaged tests are collected. In the
    second case, ``--realtime-budget`` alone does not add the test of the spoken corpus,
    since its limits then apply to the tests at these paths.
    """
    named = config.args_source is pytest.Config.ArgsSource.ARGS
    found: list[Path] = []
    if options.flag("conformance"):
        found += CONFORMANCE
    elif config.getoption("realtime_budget") and not named:
        found.append(SPEECH)
    found += [file for name, file in LOAD.items() if options.text(name)]
    if found and not named:
        config.args[:] = []
    config.args.extend(file for file in map(str, found) if file not in config.args)


def speech(session: pytest.Session) -> list[pytest.Item]:
    """Return a list with the test of the spoken corpus, to add after the collection."""
    return list(session.genitems(module(SPEECH, session)))


def module(path: Path, parent: pytest.Collector) -> pytest.Module:
    """Return a module of the suite for pytest to collect.

    The id of the module does not depend on where the package is installed.
    """
    name = f"{SUITE_ID}/{path.name}"
    made: pytest.Module = pytest.Module.from_parent(parent, path=path, nodeid=name)
    return made


def requirements(settings: Settings) -> tuple[Requirement, ...]:
    """Return the requirements that a run with these settings judges.

    There is at least one. Raises LookupError for a dialect that is unknown or has no
    requirements, and ValueError if the pinned suite is for another dialect.
    """
    return selection.judged(
        settings.dialect, level=settings.suite.level, pinned=settings.run.pinned
    )


def check_named(state: State) -> None:
    """Raise UsageError if the user names a dialect that the suite cannot judge."""
    if state.settings.dialect != AUTO:
        checked(state)


def checked(state: State) -> tuple[Requirement, ...]:
    """Return the requirements that a run judges. Raises UsageError."""
    try:
        return requirements(state.detect())
    except ValueError as error:
        raise pytest.UsageError(f"--realtime-suite: {error}") from None
    except LookupError as error:
        raise state.options.usage_error("dialect", error) from None


def generate(metafunc: pytest.Metafunc, state: State) -> None:
    """Make one test for each requirement of the dialect.

    Every worker makes the same tests. If workers of xdist share the tests, the
    requirements that are checked in every session come last. By then, each worker
    has run most of its sessions and can judge them. Raises UsageError.
    """
    if "requirement" not in metafunc.fixturenames:
        return
    found = checked(state)
    if metafunc.config.getoption("numprocesses", None):
        found = tuple(sorted(found, key=lambda each: each.passive))
    metafunc.parametrize("requirement", [_parameter(each) for each in found])


def _parameter(each: Requirement) -> object:
    mark = pytest.mark.realtime_requirement(
        id=each.id, level=each.level.value, scenario=" ".join(each.scenarios)
    )
    return pytest.param(each, id=each.id, marks=mark)
