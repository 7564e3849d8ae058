"""Collects the packaged suite: one test for each requirement."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.plugin.options import SUITE, SUITE_ID
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.requirements.requirement import Requirement

SPEECH = SUITE / "test_speech.py"  # the test of the spoken corpus


def add(config: pytest.Config) -> None:
    """Add the files of the suite to the paths that pytest collects.

    The suite replaces pytest's default folders, but not paths on the command line.
    """
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []
    files = map(str, sorted(SUITE.glob("test_*.py")))
    config.args.extend(file for file in files if file not in config.args)


def add_speech(config: pytest.Config) -> None:
    """Let pytest collect the spoken corpus, unless the command line names a path."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(SPEECH)]


def speech(session: pytest.Session) -> list[pytest.Item]:
    """Return the test of the spoken corpus, for a run that has collected its tests."""
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

    There is at least one. Raises LookupError for a dialect that is unknown or has none,
    and ValueError if the pinned suite is for another dialect.
    """
    return selection.judged(
        settings.dialect, level=settings.suite.level, pinned=settings.run.pinned
    )


def check_named(state: State) -> None:
    """Refuse a dialect that the user names and the suite cannot judge.

    Raises UsageError.
    """
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
    requirements that are checked in every session come last, when each worker has the
    most sessions to judge. Raises UsageError.
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
