"""Collects the packaged suite: one test for each requirement."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_realtime_asr.conformance import selection
from pytest_realtime_asr.plugin.options import SUITE, SUITE_ID
from pytest_realtime_asr.plugin.settings import Settings
from pytest_realtime_asr.plugin.state import State
from pytest_realtime_asr.requirements.requirement import Requirement


def add(config: pytest.Config) -> None:
    """Add the suite to what pytest collects, in place of the default folders."""
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = []
    files = map(str, sorted(SUITE.glob("test_*.py")))
    config.args.extend(file for file in files if file not in config.args)


def module(path: Path, parent: pytest.Collector) -> pytest.Module:
    """Make a module whose id does not depend on where the package is installed."""
    name = f"{SUITE_ID}/{path.name}"
    made: pytest.Module = pytest.Module.from_parent(parent, path=path, nodeid=name)
    return made


def requirements(settings: Settings) -> tuple[Requirement, ...]:
    """Return the requirements that a run judges. Raises LookupError, ValueError."""
    return selection.requirements(
        settings.dialect, level=settings.suite.level, pinned=settings.run.pinned
    )


def generate(metafunc: pytest.Metafunc, state: State) -> None:
    """Make one test for each requirement of the dialect, the same on every worker."""
    if "requirement" not in metafunc.fixturenames:
        return
    try:
        found = requirements(state.detect())
    except ValueError as error:
        raise pytest.UsageError(f"--realtime-suite: {error}") from None
    metafunc.parametrize("requirement", [_parameter(each) for each in found])


def _parameter(each: Requirement) -> object:
    mark = pytest.mark.realtime_requirement(
        id=each.id, level=each.level.value, scenario=" ".join(each.scenarios)
    )
    return pytest.param(each, id=each.id, marks=mark)
